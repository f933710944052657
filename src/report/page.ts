import { chartPage, type PageTile, shortNumber } from "../charts/index.js";
import type { MeasuredMetric } from "./measure.js";
import { pictureOf } from "./pictures.js";
import { entriesOf, titleOf } from "./words.js";

/** Numbers of a list that the table has lines for. */
const mostLines = 100;

export interface MetricsPageOptions {
  /** The heading. Default: what is measured. */
  readonly title?: string;
}

/**
 * Measured metrics as one HTML page: the numbers large, then the curves, then all of it as a table. It needs no other
 * file and runs no script.
 *
 * @param drawn - measured for their pictures alone: they have no numbers on the page
 */
export function metricsPage(
  measured: readonly MeasuredMetric[],
  drawn: readonly MeasuredMetric[] = [],
  { title }: MetricsPageOptions = {},
): string {
  const names = new Set(drawn.map(({ metric }) => metric));
  const pictures = [...drawn, ...measured.filter(({ metric }) => !names.has(metric))]
    .map((each) => pictureOf(each, measured))
    .filter((picture) => picture !== undefined);
  const tiles = measured.flatMap(tileOf);
  const confidence = measured.find(({ interval }) => interval !== undefined)?.interval?.confidence;
  return chartPage({
    title: title ?? measured.map(titleOf).join(", "),
    source: "losswright metrics",
    lead: [[...new Set(measured.map(({ samples }) => `${samples} samples`))].join("; ")],
    sections: [
      ...(tiles.length > 0 ? [{ tiles }] : []),
      ...(pictures.length > 0
        ? [{ charts: pictures.map(({ chart }) => chart), notes: pictures.map(({ caption }) => caption) }]
        : []),
      {
        title: "All numbers",
        table: {
          head: [
            "metric",
            "value",
            ...(confidence === undefined ? [] : [`${shortNumber(100 * confidence)} % interval`]),
            "fields",
          ],
          rows: measured.flatMap((each) => rowsOf(each, confidence !== undefined)),
        },
        notes: measured.map(({ metric, summary, goal, note }) => {
          const direction = goal === undefined ? "" : goal === "maximize" ? " More is better." : " Less is better.";
          return `${metric}: ${summary}${direction}${note === undefined ? "" : ` (${note})`}`;
        }),
      },
    ],
  });
}

/** A tile for a metric of one number. */
function tileOf(measured: MeasuredMetric): PageTile[] {
  const { value, interval } = measured;
  if (typeof value !== "number") return [];
  const [lower, upper] = [interval?.lower, interval?.upper];
  const note = typeof lower === "number" && typeof upper === "number" ? rangeOf(lower, upper) : undefined;
  return [{ label: titleOf(measured), value: shortNumber(value), ...(note !== undefined && { note }) }];
}

function rangeOf(lower: number, upper: number): string {
  return `${shortNumber(lower)} to ${shortNumber(upper)}`;
}

/** The lines of a metric in the table: one for each number, as many as a page has room for. */
function rowsOf(measured: MeasuredMetric, hasIntervals: boolean): string[][] {
  const { value, interval, fields } = measured;
  const title = titleOf(measured);
  const [lower, upper] = [interval && entriesOf(interval.lower), interval && entriesOf(interval.upper)];
  return entriesOf(value).flatMap(({ name, shape, numbers }, k) => {
    const own = name === "" ? title : `${title} ${name}`;
    const row = (words: string, number: string, range = "") => [
      words,
      number,
      ...(hasIntervals ? [range] : []),
      fields.join(", "),
    ];
    // Curves and matrices are pictures; their numbers are in the JSON.
    if (shape.length > 1 || numbers.length > mostLines) return [row(`${own} (${shape.join(" x ")} numbers)`, "")];
    return Array.from(numbers, (number, i) => {
      const range = lower && upper ? rangeOf(lower[k]!.numbers[i]!, upper[k]!.numbers[i]!) : "";
      return row(shape.length === 0 ? own : `${own} ${i}`, shortNumber(number, 6), range);
    });
  });
}
