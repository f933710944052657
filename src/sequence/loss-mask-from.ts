import { checkObject, rejectUnknown } from "../errors/index.js";
import { formatShape, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { checkFlags, checkIntegers, checkSegments, checkWhole, numbersOf, wrong } from "./arguments.js";

const where = "lossMaskFrom";

/** What {@link lossMaskFrom} combines; at least one field of shape `[B, T]`. */
export interface LossMaskInput {
  /** Token ids `[B, T]`, for `padId`. */
  readonly ids?: Tensor<"classIndices" | Unlabeled>;
  /** The id that fills rows up; it asks for `eosId`. */
  readonly padId?: number;
  /** The id that ends a sequence, or null where there is none. */
  readonly eosId?: number | null;
  /** 1 at real tokens, `[B, T]`: the truth about padding, in place of `padId`. */
  readonly attentionMask?: Tensor<"mask" | Unlabeled>;
  /** How many real tokens of each row are prompt `[B]`, or 1 at prompt tokens `[B, T]`. */
  readonly prompt?: Tensor;
  /** 0 padding, 1 prompt, 2 assistant: `[B, T]`; only the assistant's tokens count. */
  readonly roles?: Tensor;
  /** The document of each token, 0 at padding: `[B, T]`; the first token of each does not count. */
  readonly segmentIds?: Tensor;
}

/**
 * The loss mask of token rows: 1 where a token is to be learned, for `mask` beside `labels: ids` under `labelShift: 1`.
 *
 * A token counts when it is real, no prompt, the assistant's, and follows something in its document; each condition only
 * where its field is given. The attention mask says what may be read and is no loss mask: a prompt is read, not learned.
 *
 * *A pad token that is the EOS token* does not take the end of a sequence away: of the run of pads that ends a row the
 * first one is the EOS and counts, as do EOS tokens inside; a run that begins a row is padding. Ids alone cannot tell a
 * row cut off before its EOS; `attentionMask` can. With another `padId` every pad token is padding.
 *
 * Without `segmentIds` the first token of a row stays 1: a label shift has no logits for it, and targets already split
 * (`splitNextToken`) begin with a token to learn.
 *
 * @returns `[B, T]`, bool
 * @throws `unknown`, `argument`, `role`, `dtype`, `shape`, `option`; `missing-field` for `padId` without `ids` or
 * `eosId`, or where no field has the shape `[B, T]`; `value` for a role other than 0, 1, 2, a flag other than 0 and 1,
 * or a prompt longer than its row
 *
 * @example
 * const mask = lossMaskFrom({ ids, padId: 0, eosId: 0, prompt: tensor([3, 5]) });
 * crossEntropy({ labelShift: 1 }).evaluate({ logits, labels: ids, mask });
 */
export function lossMaskFrom(input: LossMaskInput): Tensor<"mask", "bool"> {
  checkObject(where, "input", input);
  const names = ["ids", "padId", "eosId", "attentionMask", "prompt", "roles", "segmentIds"];
  rejectUnknown(where, "argument", input, names);
  const shape = shapeOf(input);
  const [rows, steps] = shape;
  const real = realTokens(input, shape);
  const counts = real.slice();
  if (input.roles !== undefined) keepAssistant(counts, checkIntegers(where, "roles", input.roles, shape));
  if (input.segmentIds !== undefined) {
    const segments = numbersOf(checkSegments(where, input.segmentIds, shape));
    for (let i = 0; i < counts.length; i++) {
      const begins = i % steps === 0 || segments(i - 1) !== segments(i);
      if (begins || segments(i) === 0) counts[i] = 0;
    }
  }
  if (input.prompt?.shape?.length === 1) takeLeadingPrompts(input, counts, real, rows, steps);
  else if (input.prompt !== undefined) {
    const isPrompt = checkFlags(where, "prompt", input.prompt, shape, [rows]);
    for (let i = 0; i < counts.length; i++) if (isPrompt(i)) counts[i] = 0;
  }
  return view(counts, shape, "mask", "bool");
}

/** The shape of the rows, from the first field that has it. */
function shapeOf({ ids, attentionMask, roles, segmentIds, prompt }: LossMaskInput): readonly [number, number] {
  const found = [ids, attentionMask, roles, segmentIds, prompt].find((field) => field?.shape?.length === 2);
  if (found) return found.shape as readonly number[] as readonly [number, number];
  const given = Object.entries({ ids, attentionMask, roles, segmentIds, prompt }).find(
    ([, field]) => field !== undefined,
  );
  // A field that is given and is no [B, T] says more than that one is missing.
  if (given) checkIntegers(where, given[0], given[1], ["B", "T"]);
  throw wrong(
    where,
    "missing-field",
    "ids",
    "no field of shape [B, T]",
    "ids with padId and eosId, attentionMask, roles, segmentIds, or prompt",
  );
}

/** 1 at tokens that are no padding, by attention mask or pad id. */
function realTokens(input: LossMaskInput, shape: readonly [number, number]): Uint8Array {
  const { ids, padId, eosId, attentionMask } = input;
  const real = new Uint8Array(shape[0] * shape[1]).fill(1);
  const tokens = ids === undefined ? undefined : checkIntegers(where, "ids", ids, shape);
  if (attentionMask !== undefined) {
    if (padId !== undefined) {
      const fix = "leave padId out: the attention mask says which tokens are real.";
      throw wrong(where, "argument", "padId", "padId beside attentionMask", "one of the two", fix);
    }
    const isReal = checkFlags(where, "attentionMask", attentionMask, shape);
    for (let i = 0; i < real.length; i++) real[i] = Number(isReal(i));
  }
  if (padId === undefined) return real;
  const pad = checkWhole(where, "padId", padId);
  if (!tokens) throw wrong(where, "missing-field", "ids", "padId alone", "the ids [B, T] it fills up");
  if (eosId === undefined) {
    const fix =
      "write eosId: null where there is none; a pad that is the EOS must not take the end of a sequence away.";
    throw wrong(where, "missing-field", "eosId", "padId alone", "the id that ends a sequence, or null", fix);
  }
  const padIsEos = eosId !== null && checkWhole(where, "eosId", eosId) === pad;
  takePadding(real, numbersOf(tokens), pad, padIsEos, shape[1]);
  return real;
}

function takePadding(
  real: Uint8Array,
  token: (index: number) => number,
  pad: number,
  padIsEos: boolean,
  steps: number,
): void {
  if (!padIsEos) {
    for (let i = 0; i < real.length; i++) if (token(i) === pad) real[i] = 0;
    return;
  }
  for (let start = 0; start < real.length; start += steps) {
    const end = start + steps;
    let first = start;
    while (first < end && token(first) === pad) first++;
    real.fill(0, start, first);
    let last = end;
    while (last > first && token(last - 1) === pad) last--;
    // The first pad after the last other token is the end of the sequence.
    real.fill(0, Math.min(last + 1, end), end);
  }
}

function keepAssistant(counts: Uint8Array, roles: Tensor): void {
  const role = numbersOf(roles);
  const steps = roles.shape[1]!;
  for (let i = 0; i < counts.length; i++) {
    const found = role(i);
    if (found === 2) continue;
    counts[i] = 0;
    if (found === 0 || found === 1) continue;
    const index = [Math.floor(i / steps), i % steps];
    const expected = "0 padding, 1 prompt or 2 assistant";
    throw wrong(where, "value", "roles", `${found} at ${formatShape(index)}`, expected, undefined, index);
  }
}

/** Takes the first n real tokens of each row out. */
function takeLeadingPrompts(
  { prompt, segmentIds }: LossMaskInput,
  counts: Uint8Array,
  real: Uint8Array,
  rows: number,
  steps: number,
): void {
  if (segmentIds !== undefined) {
    const fix = "mark the prompt tokens of every document: prompt [B, T].";
    throw wrong(
      where,
      "argument",
      "prompt",
      "one length a row beside segmentIds",
      "flags, since a row holds several",
      fix,
    );
  }
  const lengths = numbersOf(checkIntegers(where, "prompt", prompt, [rows]));
  for (let row = 0; row < rows; row++) {
    const length = lengths(row);
    let left = length;
    for (let i = row * steps; i < (row + 1) * steps && left > 0; i++) {
      if (real[i] === 0) continue;
      counts[i] = 0;
      left--;
    }
    if (left === 0) continue;
    const expected = `a length from 0 to the ${length - left} real tokens of the row`;
    const fix = "a prompt cut off with its row counts only what is left of it.";
    throw wrong(where, "value", "prompt", `${length} at [${row}]`, expected, fix, [row]);
  }
}
