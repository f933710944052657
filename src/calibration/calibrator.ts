import type { Numbers } from "../decisions/index.js";
import { LosswrightError } from "../errors/index.js";
import type { Note } from "../tally/index.js";
import { type DataOfDtype, dataOf, formatShape, type Role, type Tensor, view } from "../tensor/index.js";

/** A fitted map to probabilities: its parameters stand beside these members. */
export interface Calibrator<Method extends string = string, Given extends Role = never> {
  readonly method: Method;
  /** What must be said of the fit without stopping; empty in one read from JSON. */
  readonly notes: readonly Note[];
  /**
   * Calibrated probabilities of what was fitted on, of the same shape; float32 for float32, float64 for the rest.
   *
   * @throws `argument`, `role`, `shape`
   */
  apply(given: Numbers<Given>): Tensor<"probabilities">;
  /** Everything `apply` needs, to be read back to the bit by `calibratorFrom`. */
  toJSON(): CalibratorJson<Method>;
}

export type CalibratorJson<Method extends string = string> = {
  readonly format: typeof jsonFormat;
  readonly version: number;
  readonly method: Method;
  readonly [parameter: string]: unknown;
};

export const jsonFormat = "losswright calibrator";
export const jsonVersion = 1;

/** The JSON of a calibrator; parameters are finite numbers and lists of them, so that JSON holds every bit. */
export function calibratorJson<Method extends string>(
  method: Method,
  parameters: Readonly<Record<string, unknown>>,
): CalibratorJson<Method> {
  return { format: jsonFormat, version: jsonVersion, method, ...parameters };
}

/** Probabilities in the precision of what they were computed from. */
export function probabilitiesLike({ dtype, shape }: Tensor, values: Float64Array): Tensor<"probabilities"> {
  if (dtype !== "float32") return view(values, shape, "probabilities", "float64");
  const rounded: DataOfDtype["float32"] = dataOf("float32", values.length);
  rounded.set(values);
  return view(rounded, shape, "probabilities", "float32");
}

/** The numbers of a tensor of any dtype, as something that is read by index. */
export function numbersOf({ data }: Tensor): ArrayLike<number> {
  return data instanceof BigInt64Array ? Float64Array.from(data, Number) : data;
}

const from = "calibratorFrom";

/** A number of a calibrator's JSON. @throws `argument` for anything else */
export function readParameter(
  json: Readonly<Record<string, unknown>>,
  name: string,
  words: string,
  has: (value: number) => boolean = Number.isFinite,
): number {
  const value = json[name];
  if (typeof value === "number" && Number.isFinite(value) && has(value)) return value;
  throw damaged(name, value, words);
}

/** A list of finite numbers of a calibrator's JSON. @throws `argument` for anything else, or another length */
export function readParameters(json: Readonly<Record<string, unknown>>, name: string, length?: number): Float64Array {
  const value = json[name];
  const words = `a list of ${length ?? "at least one"} finite numbers`;
  if (!Array.isArray(value) || value.length === 0 || (length !== undefined && value.length !== length)) {
    throw damaged(name, value, words);
  }
  const bad = value.findIndex((entry) => !Number.isFinite(entry));
  if (bad >= 0) throw damaged(name, `${JSON.stringify(value[bad])} at ${formatShape([bad])}`, words);
  return Float64Array.from(value as number[]);
}

export function damaged(field: string, found: unknown, expected: string): LosswrightError {
  const words = typeof found === "string" ? found : (JSON.stringify(found) ?? String(found)).slice(0, 120);
  const fix = "pass what toJSON() of a calibrator wrote, unchanged.";
  return new LosswrightError({ code: "argument", where: from, field, found: words, expected, fix });
}
