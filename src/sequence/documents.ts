import { LosswrightError } from "../errors/index.js";
import {
  dtypeOf,
  isTensor,
  type NestedList,
  type Tensor,
  type TensorData,
  tensor,
  type Unlabeled,
} from "../tensor/index.js";
import { checkFlags, checkIntegers, type Ids, idsOf, numbersOf, wrong } from "./arguments.js";

/** The tokens of one document: a tensor `[T]`, a typed array or a list. */
export type Tokens = Tensor<"classIndices" | "mask" | Unlabeled> | TensorData | readonly NestedList[];

/** Documents as a list, or laid end to end with their cumulative lengths. */
export interface DocumentsInput {
  /** Token ids, a document an entry. */
  readonly documents?: readonly Tokens[];
  /** 1 at tokens to learn, a document an entry, of the documents' lengths. */
  readonly lossMasks?: readonly Tokens[];
  /** Token ids of all documents, end to end: `[N]`. */
  readonly ids?: Tensor<"classIndices" | Unlabeled>;
  /** Where each document begins, and N: `[D + 1]`, from 0 (`cu_seqlens`). */
  readonly cumulativeLengths?: Tensor;
  /** 1 at tokens to learn: `[N]`. */
  readonly lossMask?: Tensor<"mask" | Unlabeled>;
}

/** Documents end to end. */
export interface Documents {
  readonly ids: Ids;
  /** Where each begins, and one past the last. */
  readonly starts: Float64Array;
  /** Whether a token is to be learned. */
  isLearned(index: number): boolean;
}

/** @throws `argument`, `missing-field`, `role`, `dtype`, `shape`, `value` with the document and the fix */
export function readDocuments(where: string, input: DocumentsInput): Documents {
  const { documents, lossMasks, ids, cumulativeLengths, lossMask } = input;
  const isFlat = ids !== undefined || cumulativeLengths !== undefined || lossMask !== undefined;
  if (isFlat && (documents !== undefined || lossMasks !== undefined)) {
    const expected = "documents with lossMasks, or ids with cumulativeLengths and lossMask";
    throw wrong(where, "argument", "documents", "fields of both forms", expected);
  }
  return isFlat ? readFlat(where, input) : readList(where, documents, lossMasks);
}

function readList(where: string, documents: unknown, lossMasks: unknown): Documents {
  const given = listOf(where, "documents", documents);
  const masks = lossMasks === undefined ? undefined : listOf(where, "lossMasks", lossMasks);
  if (masks && masks.length !== given.length) {
    throw wrong(where, "shape", "lossMasks", `${masks.length} entries`, `${given.length}, one a document`);
  }
  const parts = given.map((document, d) => {
    const field = `documents[${d}]`;
    return idsOf(where, field, checkIntegers(where, field, asTensor(document), ["T"]));
  });
  const starts = new Float64Array(parts.length + 1);
  for (const [d, part] of parts.entries()) starts[d + 1] = starts[d]! + part.length;
  const ids = joined(parts, starts);
  if (!masks) return { ids, starts, isLearned: () => true };
  const learned = new Uint8Array(ids.length);
  for (const [d, mask] of masks.entries()) {
    const flag = checkFlags(where, `lossMasks[${d}]`, asTensor(mask), [parts[d]!.length]);
    for (let t = 0; t < parts[d]!.length; t++) learned[starts[d]! + t] = Number(flag(t));
  }
  return { ids, starts, isLearned: (index) => learned[index] === 1 };
}

function readFlat(where: string, { ids, cumulativeLengths, lossMask }: DocumentsInput): Documents {
  for (const [field, given] of Object.entries({ ids, cumulativeLengths })) {
    if (given !== undefined) continue;
    throw wrong(where, "missing-field", field, "none", "ids [N] and cumulativeLengths [D + 1]");
  }
  const flat = idsOf(where, "ids", checkIntegers(where, "ids", ids, ["N"]));
  const lengths = checkIntegers(where, "cumulativeLengths", cumulativeLengths, ["D + 1"]);
  const starts = Float64Array.from({ length: lengths.data.length }, (_, i) => numbersOf(lengths)(i));
  const bad = starts.findIndex((start, i) => (i === 0 ? start !== 0 : start < starts[i - 1]!));
  if (bad >= 0 || starts.at(-1) !== flat.length) {
    const place = bad >= 0 ? bad : starts.length - 1;
    const expected = `0, then never less than before, at last the ${flat.length} ids`;
    const fix = "of lengths make cumulative ones: [0, n0, n0 + n1, …].";
    throw wrong(where, "value", "cumulativeLengths", `${starts[place]} at [${place}]`, expected, fix, [place]);
  }
  const isLearned = lossMask === undefined ? () => true : checkFlags(where, "lossMask", lossMask, [flat.length]);
  return { ids: flat, starts, isLearned };
}

function listOf(where: string, field: string, given: unknown): readonly unknown[] {
  if (Array.isArray(given)) return given;
  throw new LosswrightError({
    code: given === undefined ? "missing-field" : "argument",
    where,
    field,
    found: given === undefined ? "none" : isTensor(given) ? "a tensor" : typeof given,
    expected: "a list with an entry a document",
    fix: "rows of one tensor are documents end to end: ids [N] with cumulativeLengths [D + 1].",
  });
}

/** Typed arrays and lists as tensors; anything else as it is, for the check to name. */
function asTensor(given: unknown): unknown {
  if (dtypeOf(given)) return tensor(given as TensorData);
  // An empty list has no numbers to tell a dtype from.
  return Array.isArray(given) ? (given.length ? tensor(given) : tensor(new Int32Array(0))) : given;
}

/** The parts end to end, int64 when one of them is. */
function joined(parts: readonly Ids[], starts: Float64Array): Ids {
  const length = starts.at(-1)!;
  if (!parts.some((part) => part instanceof BigInt64Array)) {
    const out = new Int32Array(length);
    for (const [d, part] of parts.entries()) out.set(part as Int32Array, starts[d]);
    return out;
  }
  const out = new BigInt64Array(length);
  for (const [d, part] of parts.entries()) {
    out.set(part instanceof BigInt64Array ? part : BigInt64Array.from(part, BigInt), starts[d]);
  }
  return out;
}
