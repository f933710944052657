import { LosswrightError } from "../../errors/index.js";
import { hash53 } from "../../numerics/index.js";
import { formatShape, isTensor, sizeOf, type Tensor } from "../../tensor/index.js";

/** Names of samples, or of the clusters that they are drawn by: integers or strings, one a row of axis 0. */
export type Identifiers = Tensor | readonly string[];

/** Whose samples they are. */
export interface Identified {
  /** A name of each sample, unique in the whole evaluation: samples are drawn independently. */
  readonly sampleIds?: Identifiers;
  /** The cluster of each sample (a document, a user, a prompt): clusters are drawn as a whole. */
  readonly clusterIds?: Identifiers;
}

const seed = 0x6c6f7373;

/**
 * A tag of each sample, a whole number from 1 below 2^53, hashed of its name.
 *
 * @returns opens with how many samples the fields hold, and how many rows along axis 0; names are of either
 * @throws `missing-field` without names, `argument`, `dtype`, `shape`, `value` for others
 */
export function tagsOf(
  where: string,
  { sampleIds, clusterIds }: Identified,
): (count: number, rows: number) => (sample: number) => number {
  const [name, given] = sampleIds === undefined ? ["clusterIds", clusterIds] : ["sampleIds", sampleIds];
  if (given === undefined || (sampleIds !== undefined && clusterIds !== undefined)) {
    throw new LosswrightError({
      code: given === undefined ? "missing-field" : "argument",
      where,
      field: "sampleIds",
      found: given === undefined ? "samples without names" : "sampleIds and clusterIds",
      expected: "sampleIds or clusterIds: integers or strings, one a row, the same wherever the row turns up",
      fix: "number the evaluation set once, before it is split: sampleIds: tensor(Int32Array.of(0, 1, 2, …)).",
    });
  }
  const tags = Float64Array.from(hashes(where, name!, given));
  return (count, rows) => {
    if (tags.length === count || tags.length === rows) {
      const repeats = tags.length === 0 ? 1 : count / tags.length;
      return (sample) => tags[Math.floor(sample / repeats)]!;
    }
    throw new LosswrightError({
      code: "shape",
      where,
      field: name!,
      found: `${tags.length} names for ${count} samples`,
      expected: "one a sample, or one a row of axis 0",
    });
  };
}

function hashes(where: string, field: string, given: Identifiers): number[] {
  if (!isTensor(given)) {
    if (Array.isArray(given) && given.every((name) => typeof name === "string")) {
      return given.map(
        (name) =>
          hash53(
            seed,
            Array.from(name as string, (part) => part.codePointAt(0)!),
          ) || 1,
      );
    }
    const found = Array.isArray(given) ? "a list with something else than strings" : typeof given;
    throw new LosswrightError({
      code: "argument",
      where,
      field,
      found,
      expected: "a tensor of integers or a list of strings",
    });
  }
  const isReal = given.dtype === "float32" || given.dtype === "float64";
  if (isReal && !given.weak) {
    const found = `${given.dtype} ${formatShape(given.shape)}`;
    throw new LosswrightError({ code: "dtype", where, field, found, expected: "integers: int32, int64 or uint8" });
  }
  return Array.from({ length: sizeOf(given.shape) }, (_, i) => {
    const whole = BigInt(given.data[i]!);
    const words = [Number(BigInt.asIntN(32, whole)), Number(BigInt.asIntN(32, whole >> 32n))];
    return hash53(seed, words) || 1;
  });
}
