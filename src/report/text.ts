import type { Interval, MeasuredMetric } from "./measure.js";
import { type Entry, entriesOf, figure, titleOf } from "./words.js";

/** How a text is set in weight and color. */
export interface ReportPaint {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
}

/** Lists up to this length have a line for each number; matrices up to this width are written out. */
const mostLines = 20;

/** Measured metrics as a table for a terminal: a line for each number, a class for each number of a list. */
export function measuredText(measured: readonly MeasuredMetric[], paint: ReportPaint): string {
  const lines: Line[] = measured.flatMap(linesOf);
  const cells = lines.filter((line) => line.value !== undefined);
  const width = Math.max(...lines.map(({ name }) => name.length));
  const valueWidth = Math.max("value".length, ...cells.map(({ value }) => value!.length));
  const intervals = measured.map(({ interval }) => interval).filter((interval) => interval !== undefined);
  const title = intervals[0] ? intervalTitle(intervals[0]) : undefined;
  const intervalWidth = Math.max(title?.length ?? 0, ...cells.map(({ interval }) => interval?.length ?? 0));
  const row = (name: string, value: string, interval: string | undefined, rest: string) => {
    const between = title === undefined ? "" : `  ${(interval ?? "").padEnd(intervalWidth)}`;
    return `${name.padEnd(width)}  ${value.padStart(valueWidth)}${between}  ${rest}`.trimEnd();
  };
  return [
    paint.dim(row("metric", "value", title, "of")),
    ...lines.flatMap(({ name, value, interval, rest, below }) => [
      row(name, value ?? "", interval, rest === "" ? "" : paint.dim(rest)),
      ...(below ?? []),
    ]),
  ].join("\n");
}

function intervalTitle({ confidence }: Interval): string {
  return `${figure(100 * confidence)} % interval`;
}

/** A line of the table; what is no single number stands below it. */
interface Line {
  readonly name: string;
  readonly value?: string;
  readonly interval?: string;
  readonly rest: string;
  readonly below?: readonly string[];
}

function linesOf(measured: MeasuredMetric): Line[] {
  const { metric, fields, samples, value, interval, note } = measured;
  const of = `${samples} samples: ${fields.join(", ")}${note === undefined ? "" : `; ${note}`}`;
  const entries = entriesOf(value);
  const [lower, upper] = [interval && entriesOf(interval.lower), interval && entriesOf(interval.upper)];
  const between = (entry: number, i: number) =>
    lower && upper
      ? { interval: `${figure(lower[entry]!.numbers[i]!)} to ${figure(upper[entry]!.numbers[i]!)}` }
      : undefined;
  const [first] = entries;
  if (entries.length === 1 && first!.shape.length === 0) {
    return [{ name: titleOf(measured), value: figure(first!.numbers[0]!), ...between(0, 0), rest: of }];
  }
  if (entries.length === 1 && isGrid(first!)) return [{ name: metric, rest: of, below: gridOf(first!) }];
  return [
    { name: metric, rest: of },
    ...entries.flatMap((entry, k): Line[] => {
      const { name, shape, numbers } = entry;
      if (shape.length === 0) return [{ name: `  ${name}`, value: figure(numbers[0]!), ...between(k, 0), rest: "" }];
      if (shape.length === 1 && numbers.length <= mostLines) {
        return Array.from(numbers, (number, i) => ({
          name: `  ${name === "" ? i : `${name} ${i}`}`,
          value: figure(number),
          ...between(k, i),
          rest: "",
        }));
      }
      if (isGrid(entry)) return [{ name: `  ${name}`, rest: "", below: gridOf(entry) }];
      return [{ name: `  ${name}`, rest: `${shape.join(" x ")} numbers, for --json and --html` }];
    }),
  ];
}

function isGrid({ shape }: Entry): boolean {
  return shape.length === 2 && Math.min(...shape) > 0 && Math.max(...shape) <= mostLines;
}

/** A matrix with the numbers of its rows and columns. */
function gridOf({ shape, numbers }: Entry): string[] {
  const [rows, columns] = shape as [number, number];
  const cells = Array.from(numbers, figure);
  const width = Math.max(String(columns - 1).length, ...cells.map((cell) => cell.length));
  const line = (head: string, row: readonly string[]) =>
    `    ${head.padStart(String(rows - 1).length)}  ${row.map((cell) => cell.padStart(width)).join("  ")}`;
  return [
    line(
      "",
      Array.from({ length: columns }, (_, i) => String(i)),
    ),
    ...Array.from({ length: rows }, (_, i) => line(String(i), cells.slice(i * columns, (i + 1) * columns))),
  ];
}
