import { checkObject, rejectUnknown } from "../errors/index.js";
import { type Dtype, dataOf, formatShape, placeOf, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import {
  checkFlags,
  checkIntegers,
  checkSegments,
  checkShare,
  checkWhole,
  elementOf,
  idsOf,
  numbersOf,
  wrong,
} from "./arguments.js";
import { Philox } from "./philox.js";

const where = "maskedLanguageModel";

/** What {@link maskedLanguageModel} takes. */
export interface MaskedLanguageModelInput {
  /** Token ids `[B, T]`. */
  readonly ids: Tensor<"classIndices" | Unlabeled>;
  /** The id that stands for a masked token. */
  readonly maskId: number;
  /** V: random tokens are drawn from 0..V−1, special ones left out. */
  readonly vocabularySize: number;
  /** Ids that are never chosen and never drawn: those of padding, begin, end, separator, mask. */
  readonly specialIds: readonly number[];
  /** A whole number, at least 0; another one is another plan. */
  readonly seed: number;
  /** The number of the first row in the data set; a row's plan depends on its number, not on its batch. Default 0. */
  readonly firstRow?: number;
  /** 1 at real tokens `[B, T]`; others are never chosen. */
  readonly attentionMask?: Tensor<"mask" | Unlabeled>;
  /** The word of each token `[B, T]`, neighbors with one number a word, below 0 none: words are chosen whole. */
  readonly wordIds?: Tensor;
  /** The document of each token `[B, T]`, for words that must not run across a boundary. */
  readonly segmentIds?: Tensor;
  /** The share of tokens that is chosen. Default 0.15. */
  readonly share?: number;
  /** The share of chosen tokens that become `maskId`. Default 0.8. */
  readonly masked?: number;
  /** The share of chosen tokens that become a random token; the others stay. Default 0.1. */
  readonly randomized?: number;
  /** The label of tokens that are not chosen. Default −100. */
  readonly ignoreIndex?: number;
}

/** What became of a token: an entry of `plan`. */
export const maskPlan = { untouched: 0, masked: 1, randomized: 2, kept: 3 } as const;

/** A masked batch. */
export interface MaskedBatch {
  /** `[B, T]`: what the model reads. */
  readonly inputIds: Tensor<"classIndices">;
  /** `[B, T]`: the token where it was chosen, `ignoreIndex` elsewhere. No shift: position t is asked for token t. */
  readonly labels: Tensor<"classIndices">;
  /** `[B, T]`: what became of each token, in the numbers of `maskPlan`. */
  readonly plan: Tensor<Unlabeled, "uint8">;
  /** How many tokens could be chosen, were chosen, and what became of those. */
  readonly counts: {
    readonly candidates: number;
    readonly chosen: number;
    readonly masked: number;
    readonly randomized: number;
    readonly kept: number;
  };
}

/**
 * The plan of a masked language model: which tokens are asked for, and what the model reads in their place.
 *
 * Every token, or every word, is chosen by itself with probability `share`; a batch has about, not exactly, that share.
 * Of the tokens chosen 80 % become `maskId`, 10 % a random token, 10 % stay, each drawn for itself, also in a word. A
 * random token may be the true one. Special tokens and padding are neither chosen nor drawn, and a word that holds one
 * loses only that.
 *
 * The draws are Philox words of (seed, row, place): the same plan on every machine and for any split of the rows
 * (`firstRow`). Another epoch wants another seed.
 *
 * @throws `unknown`, `argument`, `role`, `dtype`, `shape`; `option` for a missing or impossible number, shares that sum
 * above 1, or a vocabulary of special tokens alone; `value` for an id outside the vocabulary
 * @see Devlin et al. 2019, section 3.1; transformers `DataCollatorForLanguageModeling`, `whole_word_mask`
 *
 * @example
 * const { inputIds, labels } = maskedLanguageModel({ ids, maskId: 4, specialIds: [0, 1, 2, 3, 4], vocabularySize, seed: 7 });
 * crossEntropy().evaluate({ logits: model(inputIds), labels });
 */
export function maskedLanguageModel(input: MaskedLanguageModelInput): MaskedBatch {
  checkObject(where, "input", input);
  const tensors = ["ids", "attentionMask", "wordIds", "segmentIds"];
  const numbers = ["maskId", "vocabularySize", "specialIds", "seed", "firstRow", "share", "masked", "randomized"];
  rejectUnknown(where, "argument", input, [...tensors, ...numbers, "ignoreIndex"]);
  const ids = checkIntegers(where, "ids", input.ids, ["B", "T"]);
  const { shape } = ids;
  const steps = shape[1]!;
  const share = checkShare(where, "share", input.share ?? 0.15);
  const masked = checkShare(where, "masked", input.masked ?? 0.8);
  const randomized = checkShare(where, "randomized", input.randomized ?? 0.1);
  if (masked + randomized > 1) {
    throw wrong(where, "option", "randomized", `${masked} masked and ${randomized} randomized`, "a sum of at most 1");
  }
  const vocabulary = new Vocabulary(input);
  const firstRow = checkWhole(where, "firstRow", input.firstRow ?? 0, 0);
  const ignoreIndex = checkWhole(where, "ignoreIndex", input.ignoreIndex ?? -100);
  const random = new Philox(checkWhole(where, "seed", input.seed, 0, Number.MAX_SAFE_INTEGER));
  const isReal = input.attentionMask && checkFlags(where, "attentionMask", input.attentionMask, shape);
  const wordStart = wordStarts(input, shape);

  const inputIds = idsOf(where, "ids", ids);
  const dtype: Dtype = inputIds instanceof BigInt64Array ? "int64" : "int32";
  const labels = dataOf(dtype, inputIds.length).fill(elementOf(dtype, ignoreIndex) as never);
  const plan = new Uint8Array(inputIds.length);
  const counts = { candidates: 0, chosen: 0, masked: 0, randomized: 0, kept: 0 };
  for (let i = 0; i < inputIds.length; i++) {
    const begins = wordStart(i);
    if (isReal?.(i) === false) continue;
    const id = Number(inputIds[i]);
    vocabulary.check(id, i, shape);
    if (begins < 0 || vocabulary.isSpecial(id)) continue;
    counts.candidates++;
    const row = firstRow + Math.floor(i / steps);
    // A word is chosen by the draw of its first token.
    if (uniform(random.draw(begins % steps, row)[0]!) >= share) continue;
    counts.chosen++;
    labels[i] = inputIds[i]!;
    const words = random.draw(i % steps, row);
    const fate = uniform(words[1]!);
    if (fate < masked) {
      plan[i] = maskPlan.masked;
      counts.masked++;
      inputIds[i] = elementOf(dtype, input.maskId) as never;
    } else if (fate < masked + randomized) {
      plan[i] = maskPlan.randomized;
      counts.randomized++;
      inputIds[i] = elementOf(dtype, vocabulary.pick(uniform(words[2]!))) as never;
    } else {
      plan[i] = maskPlan.kept;
      counts.kept++;
    }
  }
  return {
    inputIds: view(inputIds, shape, "classIndices", dtype),
    labels: view(labels, shape, "classIndices", dtype),
    plan: view(plan, shape, "unlabeled", "uint8"),
    counts,
  };
}

/** A word of 32 bits as a number in [0, 1). */
const uniform = (word: number): number => word / 0x1_0000_0000;

/** Which ids there are, which are special, and draws among the others. */
class Vocabulary {
  private readonly size: number;
  private readonly special: ReadonlySet<number>;
  /** Special ids inside the vocabulary, ascending. */
  private readonly gaps: readonly number[];

  constructor({ vocabularySize, specialIds, maskId }: MaskedLanguageModelInput) {
    this.size = checkWhole(where, "vocabularySize", vocabularySize, 1);
    checkWhole(where, "maskId", maskId, 0);
    if (!Array.isArray(specialIds)) {
      const fix = "list the ids of padding, begin, end, separator and mask; [] where there are none.";
      throw wrong(where, "option", "specialIds", typeof specialIds, "a list of ids", fix);
    }
    this.special = new Set(specialIds.map((id) => checkWhole(where, "specialIds", id)));
    this.gaps = [...this.special].filter((id) => id >= 0 && id < this.size).sort((a, b) => a - b);
    if (this.gaps.length === this.size) {
      throw wrong(
        where,
        "option",
        "specialIds",
        `all ${this.size} ids`,
        "a vocabulary with a token that is not special",
      );
    }
  }

  isSpecial(id: number): boolean {
    return this.special.has(id);
  }

  /** The id at a share of the ids that are not special. */
  pick(share: number): number {
    let id = Math.floor(share * (this.size - this.gaps.length));
    for (const gap of this.gaps) if (gap <= id) id++;
    return id;
  }

  check(id: number, place: number, shape: readonly number[]): void {
    if ((id >= 0 && id < this.size) || this.special.has(id)) return;
    const index = placeOf(place, shape);
    const fix = "vocabularySize is the number of the model's classes; added special tokens belong in specialIds.";
    throw wrong(where, "value", "ids", `${id} at ${formatShape(index)}`, `an id in 0..${this.size - 1}`, fix, index);
  }
}

/** The first token of each token's word, itself where words are not asked for, −1 for a token of no word. */
function wordStarts({ wordIds, segmentIds }: MaskedLanguageModelInput, shape: readonly number[]) {
  if (wordIds === undefined) {
    if (segmentIds === undefined) return (i: number) => i;
    const fix = "leave segmentIds out: without words no choice runs across a boundary.";
    throw wrong(where, "argument", "segmentIds", "segmentIds without wordIds", "wordIds beside them", fix);
  }
  const word = numbersOf(checkIntegers(where, "wordIds", wordIds, shape));
  const segment = segmentIds && numbersOf(checkSegments(where, segmentIds, shape));
  const steps = shape[1]!;
  let begins = 0;
  return (i: number): number => {
    const continues =
      i % steps !== 0 && word(i) === word(i - 1) && (segment === undefined || segment(i) === segment(i - 1));
    if (!continues) begins = i;
    return word(i) < 0 ? -1 : begins;
  };
}
