import type { SequenceContext } from "../io/index.js";
import { unitsOf } from "../losses/index.js";
import { isTensor, type Tensor } from "../tensor/index.js";
import type { AuditedStep, SearchedPart } from "./audited-step.js";

/** Labels along time with the tokens behind them: what a part of a language model's step says of itself. */
export interface TokenFacts {
  /** Number of the part, from 0. */
  readonly part: number;
  readonly rows: number;
  readonly length: number;
  readonly sequence: SequenceContext;
  /** How many positions after its logits a label is scored, under the contract. */
  readonly shift: number;
  /** The distance from a label to the token that it is: labels[t] = inputIds[t + offset]; undefined where none fits. */
  readonly offset: number | undefined;
  /** The same against the decoder's inputs, where they are recorded. */
  readonly decoderOffset: number | undefined;
  /** Whether a label is in the loss with a weight above 0. */
  counts(unit: number): boolean;
  /** Whether shift and segments leave logits that score a label. */
  isScored(unit: number): boolean;
  /** The place of the token that a label is, −1 past the ends of its row. */
  tokenOf(unit: number): number;
}

/** The facts of every part with labels `[B, T]` that recorded its tokens, attention or roles. */
export function tokenFacts(step: Omit<AuditedStep, "explanations">): readonly TokenFacts[] {
  if (step.record.context.splitAxis === "sequence") return [];
  return step.searched.flatMap((part, i) => factsOf(step, part, i) ?? []);
}

function factsOf({ objective }: Omit<AuditedStep, "explanations">, part: SearchedPart, index: number) {
  const { sequence } = part.context;
  const labels = part.batch.labels;
  if (!sequence || part.denominator !== undefined || !isTensor(labels) || labels.shape.length !== 2) return undefined;
  const [rows, length] = labels.shape as [number, number];
  const { ignoreIndex = -100, labelShift = 0 } = objective.contract.options as Record<string, number>;
  const fits = (tensor: Tensor | undefined) => (tensor?.data.length === labels.data.length ? tensor : undefined);
  const isLabel = (unit: number) => Number(labels.data[unit]) !== ignoreIndex;
  const attended = fits(sequence.attentionMask);
  const told = (unit: number) => isLabel(unit) && (!attended || Number(attended.data[unit]) !== 0);
  const offsetTo = (tokens: Tensor | undefined) => (tokens ? offsetOf(labels, tokens, told, labelShift) : undefined);
  const offset = offsetTo(fits(sequence.inputIds));
  const units = unitsOf(objective, part.batch);
  const by = offset ?? 0;
  // Labels that are no tokens of the inputs at any distance say nothing of where they stand.
  const isPlaced = offset !== undefined || !fits(sequence.inputIds);
  const facts: TokenFacts = {
    part: index,
    rows,
    length,
    sequence: {
      ...sequence,
      inputIds: fits(sequence.inputIds),
      roles: fits(sequence.roles),
      attentionMask: attended,
      segmentIds: fits(sequence.segmentIds),
    } as SequenceContext,
    shift: labelShift,
    offset,
    decoderOffset: offsetTo(fits(sequence.decoderInputIds)),
    counts: (unit) => units.weight(unit) > 0,
    isScored: (unit) => units.source(unit) >= 0,
    tokenOf: (unit) => {
      const place = (unit % length) + by;
      return !isPlaced || place < 0 || place >= length ? -1 : unit + by;
    },
  };
  return [facts];
}

/** How sure a distance must be: the share of labels that are the token at it. */
const sure = 0.98;

/**
 * The one distance at which nearly every label is the token. Texts that repeat themselves fit at several: then the one
 * that the contract's shift asks for, so that nothing is blamed that may be right.
 */
function offsetOf(
  labels: Tensor,
  tokens: Tensor,
  told: (unit: number) => boolean,
  labelShift: number,
): number | undefined {
  const length = labels.shape[1]!;
  const share = (offset: number) => {
    let [same, all] = [0, 0];
    for (let unit = 0; unit < labels.data.length; unit++) {
      const place = (unit % length) + offset;
      if (place < 0 || place >= length || !told(unit)) continue;
      all++;
      if (Number(labels.data[unit]) === Number(tokens.data[unit + offset])) same++;
    }
    return all < 4 ? 0 : same / all;
  };
  const fitting = [1 - labelShift, 0, 1, 2, -1, -2].filter((offset) => share(offset) >= sure);
  return fitting[0];
}
