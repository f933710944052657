/**
 * The golden files: inputs and results of public implementations, made with the versions that each file names under
 * `madeWith`. Their format is section 11 of the catalogue; the rule of comparison is item 15 of its section 12.
 *
 *   for (const { id, contract, batch, expected } of objectiveCases()) …
 */
import { readdirSync, readFileSync } from "node:fs";
import { type Dtype, type Tensor, type TensorData, tensor } from "../../src/index.js";
import { dataOf, view } from "../../src/tensor/index.js";

/** A number as the files write it. */
type GoldenNumber = number | "inf" | "-inf" | "nan";

export interface GoldenTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: readonly GoldenNumber[];
}

interface GoldenCase {
  readonly id: string;
  readonly objective?: string;
  readonly metric?: string;
  readonly function?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly reduction?: Readonly<Record<string, unknown>>;
  readonly batch?: Readonly<Record<string, GoldenTensor | GoldenNumber>>;
  readonly expected: unknown;
  readonly tolerance: number;
  /** Compare relative to each entry alone: the case is about tiny numbers. */
  readonly relativeOnly?: boolean;
}

/** A case of an objective, ready to run. */
export interface ObjectiveCase {
  readonly id: string;
  readonly objective: string;
  readonly contract: { objective: string; options: Record<string, unknown>; reduction: Record<string, never> };
  readonly batch: Readonly<Record<string, Tensor | number>>;
  readonly expected: {
    readonly value?: GoldenNumber;
    readonly numerator?: GoldenNumber;
    readonly denominator?: GoldenNumber;
    readonly perUnit?: GoldenTensor;
    readonly gradients?: Readonly<Record<string, GoldenTensor>>;
    /** The reference refuses the input. */
    readonly error?: unknown;
  };
  readonly compare: Comparison;
}

export interface Comparison {
  readonly tolerance: number;
  readonly relativeOnly: boolean;
}

const folder = new URL("../golden/", import.meta.url);

/** Every case of every file, whatever it is of. */
export function allCases(): readonly GoldenCase[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .flatMap((file) => {
      const { format, cases } = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
      if (format !== 1) throw new Error(`${file}: format ${format}, this instrument reads format 1`);
      return cases as GoldenCase[];
    });
}

/** The cases of objectives, of any name. */
export function objectiveCases(): readonly ObjectiveCase[] {
  return allCases().flatMap((found) => {
    const {
      id,
      objective,
      options = {},
      reduction = {},
      batch = {},
      expected,
      tolerance,
      relativeOnly = false,
    } = found;
    if (objective === undefined) return [];
    return {
      id,
      objective,
      contract: { objective, options, reduction: reduction as Record<string, never> },
      batch: Object.fromEntries(Object.entries(batch).map(([name, field]) => [name, fromGolden(field)])),
      expected: expected as ObjectiveCase["expected"],
      compare: { tolerance, relativeOnly },
    };
  });
}

export function isGoldenTensor(value: unknown): value is GoldenTensor {
  return typeof value === "object" && value !== null && "dtype" in value && "shape" in value && "data" in value;
}

/** A tensor of its file's dtype and shape; a number stays one. */
export function fromGolden(value: GoldenTensor | GoldenNumber): Tensor | number {
  if (!isGoldenTensor(value)) return toNumber(value);
  const { dtype, shape } = value;
  const numbers = value.data.map(toNumber);
  if (dtype === "int64") return tensor(BigInt64Array.from(numbers, BigInt), shape);
  const data = dataOf(dtype, numbers.length) as Exclude<TensorData, BigInt64Array>;
  data.set(numbers);
  return view(data, shape, "unlabeled", dtype);
}

/** What differs between a number or tensor and its golden one, in words; `undefined` when they agree. */
export function difference(
  got: Tensor | number | undefined,
  want: GoldenTensor | GoldenNumber,
  { tolerance, relativeOnly }: Comparison,
): string | undefined {
  if (got === undefined) return "is missing";
  const wanted = isGoldenTensor(want) ? want.data.map(toNumber) : [toNumber(want)];
  const found = typeof got === "number" ? [got] : Array.from(got.data as ArrayLike<number>, Number);
  const [foundShape, wantedShape] = [typeof got === "number" ? [] : got.shape, isGoldenTensor(want) ? want.shape : []];
  if (String(foundShape) !== String(wantedShape)) return `has shape [${foundShape}], not [${wantedShape}]`;
  const largest = Math.max(0, ...wanted.filter(Number.isFinite).map(Math.abs));
  const place = wanted.findIndex((b, i) => {
    const a = found[i]!;
    if (!Number.isFinite(b) || !Number.isFinite(a)) return !Object.is(a, b);
    const allowed = relativeOnly ? tolerance * Math.abs(b) : tolerance * Math.max(1e-4 * largest, Math.abs(b)) + 1e-14;
    return Math.abs(a - b) > allowed;
  });
  return place < 0 ? undefined : `is ${found[place]} at place ${place}, not ${wanted[place]}`;
}

function toNumber(value: GoldenNumber): number {
  if (typeof value === "number") return value;
  const named = { inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY, nan: Number.NaN }[value];
  if (named === undefined) throw new Error(`golden file: ${JSON.stringify(value)} is no number`);
  return named;
}
