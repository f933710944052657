import type { Json } from "../../contract/index.js";
import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis, Transform } from "../explain/hypothesis.js";
import { firstField, optionsOf, withOptions } from "../facts.js";
import type { Check, Evidence, Finding } from "../finding.js";
import { type TokenFacts, tokenFacts } from "../token-facts.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Positions in the loss that do not belong there, or out of it that do: padding, prompts, the end of a sequence lost
 * with the padding, the seam between packed documents.
 *
 * The attention mask says what may be read, the loss mask what is learned; one in place of the other trains on prompts
 * and on padding, and a model that never saw its end of sequence does not stop.
 */
export const lossMask: Check = {
  id: "loss-mask",
  hypotheses(step): readonly Hypothesis[] {
    const about = "loss-mask";
    const { sequence } = step.searched[0]!.context;
    const { batch } = step.searched[0]!;
    const labels = firstField(step, "labels");
    const out: Hypothesis[] = [];
    const add = (words: string, transform: readonly Transform[], options?: Record<string, Json>, cost = 1) =>
      out.push({ about, words, transform, cost, ...(options && { contract: withOptions(step, options) }) });
    if (step.searched.some(({ denominator }) => denominator !== undefined)) return [];
    const { ignoreIndex } = optionsOf(step);
    if (isTensor(batch.mask)) {
      add("a loss without the mask: what it leaves out is in it", [{ apply: "drop", field: "mask" }]);
    }
    if (isTensor(batch.weights) && isFlags(batch.weights)) {
      add(
        "a loss without the weights of the batch, which are a mask",
        [{ apply: "drop", field: "weights" }],
        undefined,
        1.1,
      );
    }
    if (isTensor(batch.segmentIds)) {
      add("a loss across the borders of packed documents", [{ apply: "drop", field: "segmentIds" }]);
    }
    if (labels && ignoreIndex !== undefined) {
      for (const id of new Set([sequence?.padId, 0, -1, -100])) {
        if (id === undefined || id === ignoreIndex) continue;
        add(`a loss that leaves out label ${id} in place of ${String(ignoreIndex)}`, [], { ignoreIndex: id }, 1.05);
      }
    }
    const isTokens = labels?.shape.length === 2 || (isTensor(batch.mask) && batch.mask.shape.length === 2);
    if (sequence && isTokens) {
      const masks: [string, string, boolean][] = [
        ["not the end of sequence", "a loss that leaves the end of sequence out", sequence.eosId !== undefined],
        [
          "not the padding id",
          "a loss that leaves out every label with the padding's id",
          sequence.padId !== undefined,
        ],
        ["assistant", "a loss on the assistant's tokens alone", sequence.roles !== undefined],
        ["not padding", "a loss on every role but padding", sequence.roles !== undefined],
        ["attended", "a loss on attended positions alone", sequence.attentionMask !== undefined],
        [
          "attended one earlier",
          "a loss under the attention mask one position early",
          sequence.attentionMask !== undefined,
        ],
        [
          "attended one later",
          "a loss under the attention mask one position late",
          sequence.attentionMask !== undefined,
        ],
      ];
      for (const [name, words, known] of masks) if (known) add(words, [{ apply: "mask", value: name }]);
      const { inputIds, attentionMask, segmentIds } = sequence;
      const offset = tokenFacts(step)[0]?.offset ?? 0;
      if (labels && isTensor(inputIds) && inputIds.data.length === labels.data.length && offset === 1) {
        // Labels that were moved in advance: what stands at t is the token at t + 1.
        const moved: Transform[] = [
          { apply: "replace", field: "labels", value: "sequence.inputIds" },
          { apply: "drop", field: "mask" },
          { apply: "shift", field: "labels", value: -1 },
        ];
        add("a loss on every next token, prompts and padding included", moved);
        if (isTensor(attentionMask)) {
          const attended: Transform = { apply: "mask", value: "attended one later" };
          add("the attention mask used as the loss mask", [...moved, attended]);
        }
      } else if (labels && isTensor(inputIds) && inputIds.data.length === labels.data.length) {
        const ids: Transform = { apply: "replace", field: "labels", value: "sequence.inputIds" };
        const none: Transform = { apply: "drop", field: "mask" };
        const attended: Transform = { apply: "replace", field: "mask", value: "sequence.attentionMask" };
        add("a loss on every position, prompts and padding included", [ids, none]);
        if (isTensor(attentionMask)) add("the attention mask used as the loss mask", [ids, attended]);
        if (sequence.roles) {
          add("a loss on every token but padding", [ids, none, { apply: "mask", value: "not padding" }]);
          add("a loss on the assistant's tokens, every one", [ids, none, { apply: "mask", value: "assistant" }]);
        }
      } else if (isTensor(attentionMask) && !labels) {
        add("the attention mask used as the loss mask", [
          { apply: "replace", field: "mask", value: "sequence.attentionMask" },
        ]);
      }
      if (isTensor(segmentIds) && !isTensor(batch.segmentIds)) {
        add("a loss that stops at the borders of packed documents", [
          { apply: "replace", field: "segmentIds", value: "sequence.segmentIds" },
        ]);
      }
    }
    if (isTokens) {
      add("a loss whose mask lies one position early", [{ apply: "mask", value: "counted one later" }]);
      add("a loss whose mask lies one position late", [{ apply: "mask", value: "counted one earlier" }]);
    }
    if (step.reported) {
      const words = "a loss on fewer units than the contract counts: the others have no gradient";
      add(words, [{ apply: "mask", value: "pulled" }], undefined, 1.6);
    }
    return out;
  },
  inspect(step) {
    const explained = findingOfExplanation("loss-mask", step, () => ({
      cause: "Which positions are learned follows from the labels and the loss mask, not from what may be attended to.",
      fix: fixCode,
    }));
    return explained.length ? explained : fromTokens(step);
  },
};

const fixCode =
  "write the loss mask into the labels, once, where roles and padding are known:\nlabels = input_ids.clone()\nlabels[attention_mask == 0] = -100  # padding, by mask, not by id\nlabels[role != ASSISTANT] = -100    # prompts; keep the answer's end\nlabels[first_token_of_a_document] = -100  # packed rows";

function isFlags({ data }: Tensor): boolean {
  for (let i = 0; i < data.length; i++) if (Number(data[i]) !== 0 && Number(data[i]) !== 1) return false;
  return true;
}

interface Wrong {
  readonly what: string;
  readonly harm: string;
  readonly count: number;
  readonly of: number;
}

/** What is in the loss and should not be, or the reverse, by the tokens' roles and the attention. */
function fromTokens(step: AuditedStep): readonly Finding[] {
  const facts = tokenFacts(step);
  const wrongs = problemsOf(facts);
  if (wrongs.length === 0) return [];
  const told = wrongs.map(({ what, count, of }) => `${count} of ${of} ${what}`);
  const evidence: Evidence = Object.fromEntries(wrongs.map(({ what, count }) => [what, count]));
  const swapped = facts.length > 0 && facts.every(isAttentionMask);
  return [
    {
      check: "loss-mask",
      severity: "error",
      message: `The loss mask is not the intended one: ${told.join("; ")}.`,
      ...(swapped && {
        why: "The positions in the loss are exactly those of the attention mask, which says what may be read, not what is learned.",
      }),
      harm: [...new Set(wrongs.map(({ harm }) => harm))].join(" "),
      evidence,
      fix: fixCode,
    },
  ];
}

type Judge = (facts: TokenFacts, unit: number, token: number) => boolean | undefined;

/** Each: whether a unit is of this kind, whether it should be in the loss, and what follows when it is not so. */
const rules: readonly { what: string; harm: string; in: boolean; applies: Judge }[] = [
  {
    what: "padding positions are in the loss",
    harm: "The model learns to write padding, and the mean is diluted by it.",
    in: false,
    applies: ({ sequence }, _, token) => isPadding(sequence, token),
  },
  {
    what: "prompt tokens are in the loss",
    harm: "The model learns to write prompts as well as answers.",
    in: false,
    applies: ({ sequence }, _, token) => {
      const { lossOn } = sequence.intended ?? {};
      if (!lossOn || lossOn.includes("all") || !sequence.roles) return undefined;
      return Number((sequence.roles as Tensor).data[token]) === 1;
    },
  },
  {
    what: "ends of sequence are not in the loss",
    harm: "The model never learns to stop.",
    in: true,
    applies: ({ sequence }, _, token) => {
      if (sequence.intended?.endOfSequence !== true) return undefined;
      return isEnd(sequence, token);
    },
  },
  {
    what: "ends of sequence are in the loss that should not be",
    harm: "The model learns to stop where it should go on.",
    in: false,
    applies: ({ sequence }, _, token) => {
      if (sequence.intended?.endOfSequence !== false) return undefined;
      return isEnd(sequence, token);
    },
  },
  {
    what: "tokens that should be learned are not in the loss",
    harm: "What the model should learn is left out of it.",
    in: true,
    applies: ({ sequence }, _, token) => {
      const { lossOn } = sequence.intended ?? {};
      if (!lossOn || !sequence.roles || isEnd(sequence, token) || isPadding(sequence, token)) return undefined;
      const role = Number((sequence.roles as Tensor).data[token]);
      return role === 2 || (lossOn.includes("all") && role === 1);
    },
  },
  {
    what: "first tokens of packed documents are predicted from the document before",
    harm: "The model learns to guess how an unrelated document begins.",
    in: false,
    applies: ({ sequence }, _, token) => {
      if (sequence.intended?.acrossSegments !== false || !sequence.segmentIds) return undefined;
      return isSeam(sequence, token);
    },
  },
];

function isPadding({ attentionMask, roles }: TokenFacts["sequence"], token: number): boolean {
  if (isTensor(attentionMask)) return Number(attentionMask.data[token]) === 0;
  return isTensor(roles) && Number(roles.data[token]) === 0;
}

/** An end of sequence that somebody wrote: padding with its id is none, nor is one of a prompt. */
function isEnd(sequence: TokenFacts["sequence"], token: number): boolean {
  const { inputIds, roles, eosId, intended } = sequence;
  if (!isTensor(inputIds) || eosId === undefined || Number(inputIds.data[token]) !== eosId) return false;
  if (isPadding(sequence, token)) return false;
  if (!isTensor(roles) || intended?.lossOn?.includes("all")) return true;
  return Number(roles.data[token]) === 2;
}

function isSeam({ segmentIds }: TokenFacts["sequence"], token: number): boolean {
  const ids = segmentIds as Tensor;
  const length = ids.shape.at(-1)!;
  if (token % length === 0) return false;
  return Number(ids.data[token]) !== Number(ids.data[token - 1]);
}

function problemsOf(facts: readonly TokenFacts[]): readonly Wrong[] {
  return rules.flatMap(({ what, harm, in: wanted, applies }) => {
    let [count, of] = [0, 0];
    for (const each of facts) {
      for (let unit = 0; unit < each.rows * each.length; unit++) {
        const token = each.tokenOf(unit);
        if (token < 0 || !each.isScored(unit) || !applies(each, unit, token)) continue;
        // Nothing is asked for across a seam, nor where no logits score a label.
        if (wanted && isOverSeam(each, token)) continue;
        of++;
        if (each.counts(unit) !== wanted) count++;
      }
    }
    return count > 0 ? [{ what, harm, count, of }] : [];
  });
}

function isOverSeam({ sequence }: TokenFacts, token: number): boolean {
  return isTensor(sequence.segmentIds) && sequence.intended?.acrossSegments !== true && isSeam(sequence, token);
}

/** Whether exactly the attended positions are in the loss. */
function isAttentionMask(facts: TokenFacts): boolean {
  const { attentionMask } = facts.sequence;
  if (!isTensor(attentionMask)) return false;
  for (let unit = 0; unit < facts.rows * facts.length; unit++) {
    const token = facts.tokenOf(unit);
    if (token < 0 || !facts.isScored(unit)) continue;
    if (facts.counts(unit) !== (Number(attentionMask.data[token]) !== 0)) return false;
  }
  return true;
}
