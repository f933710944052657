import { type Contract, jsonNumber } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { ExactSum, type ExactSumJson, Tally, type TallyJson } from "../tally/index.js";

/** The contract of a weighted sum, as `weightedSum(…).contract` is. */
export interface LoggedSumContract {
  readonly objective: "weightedSum";
  readonly parts: { readonly [name: string]: { readonly contract: Contract; readonly weight: number } };
  readonly version: number;
}

/** The contract of what is trained: one objective, or a weighted sum of several. */
export type LoggedContract = Contract | LoggedSumContract;

/** The tallies of a weighted sum's parts, as a `WeightedTally` holds them. */
export interface PartTallies {
  readonly parts: Readonly<Record<string, Tally>>;
}

export function isPartTallies(value: unknown): value is PartTallies {
  const parts = typeof value === "object" && value !== null && "parts" in value ? value.parts : undefined;
  return typeof parts === "object" && parts !== null && Object.values(parts).every((part) => part instanceof Tally);
}

export type EntryKind = "train" | "evaluation";

/** What an objective came to at a step, with as much of its making as was given. */
export interface LoggedObjective {
  readonly value: number;
  readonly numerator?: number;
  readonly denominator?: number;
  /** The undivided tally: logs of several ranks merge by it to the bit. */
  readonly tally?: Tally | PartTallies;
  /** The exact sums of the numerators and denominators that were merged, where there was no tally. */
  readonly sums?: { readonly numerator: ExactSum; readonly denominator: ExactSum };
}

/** One line of a log. */
export interface LogEntry {
  readonly kind: EntryKind;
  readonly step: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly objective: LoggedObjective;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A number of JSON, or the name of one that JSON lacks. */
type JsonNumber = number | "inf" | "-inf" | "nan";

interface EntryJson {
  readonly kind: EntryKind;
  readonly step: number;
  readonly time: number;
  readonly objective: {
    readonly value: JsonNumber;
    readonly numerator?: JsonNumber;
    readonly denominator?: JsonNumber;
    readonly tally?: unknown;
    readonly sums?: { readonly numerator: ExactSumJson; readonly denominator: ExactSumJson };
  };
  readonly metrics?: Readonly<Record<string, JsonNumber>>;
}

/** An entry as one line without its end. The contract stands in the first line of the file and in no other. */
export function entryLine({ kind, step, time, objective, metrics }: LogEntry): string {
  const { value, numerator, denominator, tally, sums } = objective;
  const json: EntryJson = {
    kind,
    step,
    time,
    objective: {
      value: jsonNumber(value),
      ...(numerator !== undefined && { numerator: jsonNumber(numerator) }),
      ...(denominator !== undefined && { denominator: jsonNumber(denominator) }),
      ...(tally && { tally: withoutContract(tally) }),
      ...(sums && { sums: { numerator: sums.numerator.toJSON(), denominator: sums.denominator.toJSON() } }),
    },
    ...(Object.keys(metrics).length > 0 && {
      metrics: Object.fromEntries(Object.entries(metrics).map(([name, number]) => [name, jsonNumber(number)])),
    }),
  };
  return JSON.stringify(json);
}

/** @throws `file` for a line that `entryLine` does not write */
export function readEntry(line: string, contract: LoggedContract, where: string): LogEntry {
  const wrong = (found: string, expected: string, cause?: unknown) =>
    new LosswrightError(
      { code: "file", where, found, expected, fix: "restore the file, or remove the line." },
      cause === undefined ? undefined : { cause },
    );
  let json: Partial<EntryJson> | null;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw wrong(`a line that is no JSON: ${line.slice(0, 60)}`, "one JSON object a line", error);
  }
  const { kind, step, time, objective, metrics = {} } = json ?? {};
  if (kind !== "train" && kind !== "evaluation") throw wrong(`kind ${JSON.stringify(kind)}`, '"train" or "evaluation"');
  if (!isStep(step)) throw wrong(`step ${JSON.stringify(step)}`, "a whole number from 0");
  if (typeof time !== "number" || !Number.isFinite(time)) throw wrong(`time ${JSON.stringify(time)}`, "milliseconds");
  if (typeof objective !== "object" || objective === null) throw wrong("a line without an objective", "its value");
  if (typeof metrics !== "object" || metrics === null) throw wrong("metrics that are no object", "numbers by name");
  const number = (name: string, value: unknown) => {
    const read = fromJsonNumber(value);
    if (read === undefined) throw wrong(`${name} ${JSON.stringify(value)}`, 'a number, "inf", "-inf" or "nan"');
    return read;
  };
  const { value, numerator, denominator, tally, sums } = objective;
  try {
    return {
      kind,
      step,
      time,
      objective: {
        value: number("value", value),
        ...(numerator !== undefined && { numerator: number("numerator", numerator) }),
        ...(denominator !== undefined && { denominator: number("denominator", denominator) }),
        ...(tally !== undefined && { tally: tallyFrom(tally, contract) }),
        ...(sums && {
          sums: { numerator: ExactSum.fromJSON(sums.numerator), denominator: ExactSum.fromJSON(sums.denominator) },
        }),
      },
      metrics: Object.fromEntries(Object.entries(metrics).map(([name, each]) => [name, number(name, each)])),
    };
  } catch (error) {
    if (error instanceof LosswrightError && error.code === "argument") throw wrong(error.found, error.expected, error);
    throw error;
  }
}

export function isStep(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function fromJsonNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (value === "inf") return Number.POSITIVE_INFINITY;
  if (value === "-inf") return Number.NEGATIVE_INFINITY;
  return value === "nan" ? Number.NaN : undefined;
}

type BareTally = Omit<TallyJson, "contract" | "denominator"> & { readonly denominator: object };

/** A tally's JSON without the contract, which it holds twice. */
function withoutContract(tally: Tally | PartTallies): unknown {
  if (tally instanceof Tally) return bare(tally.toJSON());
  return { parts: Object.fromEntries(Object.entries(tally.parts).map(([name, part]) => [name, bare(part.toJSON())])) };
}

function bare({ contract: _, denominator, ...rest }: TallyJson): BareTally {
  const { contract, ...divisor } = denominator;
  // A denominator that names no contract says so with null.
  return { ...rest, denominator: contract === null ? { contract, ...divisor } : divisor };
}

function tallyFrom(json: unknown, contract: LoggedContract): Tally | PartTallies {
  if (!("parts" in contract)) return Tally.fromJSON(dressed(json as BareTally, contract));
  const parts = Object.entries((json as { parts?: Readonly<Record<string, BareTally>> })?.parts ?? {});
  return {
    parts: Object.fromEntries(
      parts.map(([name, part]) => {
        const own = Object.hasOwn(contract.parts, name) ? contract.parts[name]!.contract : undefined;
        if (own) return [name, Tally.fromJSON(dressed(part, own))];
        throw new LosswrightError({ code: "argument", found: `a part ${name}`, expected: "parts of the contract" });
      }),
    ),
  };
}

function dressed(json: BareTally, contract: Contract): TallyJson {
  return { ...json, contract, denominator: { contract, ...json?.denominator } as TallyJson["denominator"] };
}
