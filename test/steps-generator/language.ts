/** Language models: conversations and packed documents with tokens, roles, padding, and what of them is learned. */
import type { SequenceContext, StepContext } from "../../src/io/index.js";
import type { Random } from "../instruments/random.js";
import { labelDtype, normals, surroundings, wideOrSingle } from "./chance.js";
import type { Frame } from "./drawn.js";
import { crossEntropy } from "./losses.js";
import type { Precision } from "./rounding.js";
import { type RowsCode, type RowsData, type RowsStep, rowsStep } from "./rows.js";
import { flags, integers, type Task } from "./task.js";

/** The tokens of one part, row after row. */
export interface Tokens {
  readonly rows: number;
  readonly length: number;
  readonly ids: readonly number[];
  /** 0 padding, 1 prompt, 2 assistant. */
  readonly roles: readonly number[];
  readonly segments?: readonly number[];
  readonly padId: number;
  readonly eosId: number;
}

export interface TokenWishes {
  readonly rows?: number;
  readonly length?: number;
  readonly vocabulary?: number;
  readonly padIsEos?: boolean;
  /** Several documents a row, no padding. */
  readonly packed?: boolean;
  /** Leaves each row this many answer tokens, the end of sequence included; padding fills the row. */
  readonly answers?: readonly number[];
  /** No row is cut off before its end of sequence. */
  readonly whole?: boolean;
}

/** Draws conversations: a prompt, an answer that ends, padding; or documents packed into full rows. */
export function drawTokens(random: Random, wishes: TokenWishes = {}): Tokens {
  const { rows = random.integer(2, 4), length = random.integer(8, 13), vocabulary = 14, packed = false } = wishes;
  const padIsEos = wishes.padIsEos ?? false;
  const [padId, eosId] = padIsEos ? [1, 1] : [0, 1];
  const word = () => random.integer(3, vocabulary - 1);
  const ids: number[] = [];
  const roles: number[] = [];
  const segments: number[] = [];
  for (let row = 0; row < rows; row++) {
    const own: { id: number; role: number; segment: number }[] = [];
    if (packed) {
      for (let segment = 1; own.length < length; segment++) {
        const words = segment === 1 ? random.integer(2, length - 4) : random.integer(2, length);
        for (let i = 0; i < words; i++) own.push({ id: word(), role: 2, segment });
        own.push({ id: eosId, role: 2, segment });
      }
    } else {
      const answer = wishes.answers?.[row] ?? random.integer(2, length - 3);
      const prompt = random.integer(1, Math.max(1, length - answer - (row === 0 ? 2 : 0)));
      for (let i = 0; i < prompt; i++) own.push({ id: word(), role: 1, segment: 1 });
      // Some answers are cut off by the length of the row: no end of sequence, no padding.
      const cut = !wishes.whole && row > 0 && random.chance(0.15) && !wishes.answers;
      const words = cut ? length - prompt : answer - 1;
      for (let i = 0; i < words; i++) own.push({ id: word(), role: 2, segment: 1 });
      if (!cut) own.push({ id: eosId, role: 2, segment: 1 });
    }
    for (let t = 0; t < length; t++) {
      const { id, role, segment } = own[t] ?? { id: padId, role: 0, segment: 0 };
      ids.push(id);
      roles.push(role);
      segments.push(segment);
    }
  }
  return { rows, length, ids, roles, ...(packed && { segments }), padId, eosId };
}

/** Whether a token should be learned: the answers alone, or all but padding. */
export function isLearned({ roles }: Tokens, place: number, lossOn: "assistant" | "all"): boolean {
  return lossOn === "assistant" ? roles[place] === 2 : roles[place] !== 0;
}

/** Whether a token is the first of its row or document, which nothing before it predicts. */
function isFirst({ length, segments }: Tokens, place: number): boolean {
  return place % length === 0 || (segments !== undefined && segments[place] !== segments[place - 1]);
}

/** Labels where the tokens are, −100 at what is not learned. */
export function labelsAt(tokens: Tokens, isIn: (place: number) => boolean): number[] {
  return tokens.ids.map((id, place) => (isIn(place) ? id : -100));
}

/** Labels moved one place earlier in each row: the label at t is the token at t + 1. */
export function movedEarlier({ length }: Tokens, labels: readonly number[]): number[] {
  return labels.map((_, place) => (place % length === length - 1 ? -100 : labels[place + 1]));
}

export interface LanguageWishes extends TokenWishes {
  /** What differs from part to part; one part without it. */
  readonly parts?: readonly TokenWishes[];
  /** 1: labels stand where their tokens are; 0: one place earlier. */
  readonly shift?: 0 | 1;
  readonly lossOn?: "assistant" | "all";
  readonly per?: "token" | "sequence";
  readonly scale?: number;
  readonly smoothing?: number;
  readonly precision?: Precision;
  /** Whether the tokens are recorded beside the labels. */
  readonly told?: boolean;
  /** Whether packed documents are told to the loss as `segmentIds`, or by labels left out at their starts. */
  readonly bordersAs?: "segments" | "labels";
  readonly context?: StepContext;
  readonly ranks?: readonly number[];
}

export interface LanguageStep {
  readonly step: RowsStep;
  readonly tokens: readonly Tokens[];
  readonly shift: 0 | 1;
  readonly lossOn: "assistant" | "all";
}

/** What a record tells of tokens. */
function sequenceContext(
  tokens: Tokens,
  { shift, lossOn }: { shift: number; lossOn: "assistant" | "all" },
): SequenceContext {
  const { rows, length, ids, roles, segments, padId, eosId } = tokens;
  const shape = [rows, length];
  return {
    inputIds: integers(ids, shape),
    roles: flags(roles, shape),
    attentionMask: flags(
      roles.map((role) => Number(role !== 0)),
      shape,
    ),
    ...(segments && { segmentIds: integers(segments, shape) }),
    padId,
    eosId,
    intended: { labelShift: shift, lossOn: [lossOn], endOfSequence: true, acrossSegments: false },
  };
}

/** A language model's step under cross entropy, done right. */
export function language(random: Random, wishes: LanguageWishes = {}): LanguageStep {
  const {
    parts = [{}],
    shift = random.chance(0.7) ? 1 : 0,
    lossOn = random.pick(["assistant", "all"]),
    per = "token",
    scale = random.between(0.8, 2),
    smoothing = 0,
    precision = wideOrSingle(random),
    told = true,
    bordersAs = random.pick(["segments", "labels"]),
  } = wishes;
  const vocabulary = wishes.vocabulary ?? random.integer(9, 20);
  const length = wishes.length ?? random.integer(8, 13);
  const dtype = labelDtype(random);
  const tokens = parts.map((part) => drawTokens(random, { ...wishes, vocabulary, length, ...part }));
  const data = tokens.map((own): RowsData => {
    // Labels that were moved cannot be told apart by segments any more: they lose the first token of each document.
    const asSegments = own.segments !== undefined && bordersAs === "segments" && shift === 1;
    const losesFirst = own.segments !== undefined && !asSegments;
    const labels = labelsAt(own, (place) => isLearned(own, place, lossOn) && !(losesFirst && isFirst(own, place)));
    return {
      lead: [own.rows, own.length],
      classes: vocabulary,
      logits: normals(random, own.rows * own.length * vocabulary, scale),
      labels: shift === 0 ? movedEarlier(own, labels) : labels,
      ...(asSegments && { segments: own.segments! }),
      precision,
      labelDtype: dtype,
      ...(told && { context: { sequence: sequenceContext(own, { shift, lossOn }) } }),
    };
  });
  const code: RowsCode = {
    ignored: -100,
    shift,
    loss: (tape, logits, { labels }) => crossEntropy(tape, logits, labels, { smoothing }),
  };
  const frame: Frame = {
    intended: {
      objective: "crossEntropy",
      options: {
        ignoreIndex: -100,
        ...(shift === 1 && { labelShift: 1 }),
        ...(smoothing > 0 && { labelSmoothing: smoothing }),
      },
      reduction: { per, divideBy: "weight" },
    },
    precision,
    context: { ...surroundings(random, "perplexity"), ...wishes.context },
    ...(wishes.ranks && { ranks: wishes.ranks }),
  };
  return { step: rowsStep(data, code, frame), tokens, shift, lossOn };
}

/** The same step, its tokens told otherwise. */
export function retold(task: Task, tell: (sequence: SequenceContext) => SequenceContext): Task {
  const parts = task.parts.map((part) => {
    const sequence = part.context?.sequence;
    return sequence ? { ...part, context: { ...part.context, sequence: tell(sequence) } } : part;
  });
  return { ...task, parts };
}

/** A tagger whose rows are cut along time over two ranks or three. */
export function piecesOfRows(random: Random): Task {
  const ranks = random.integer(2, 3);
  const length = ranks * random.integer(3, 5);
  const { step } = language(random, { length, shift: 0, told: false, lossOn: "assistant" });
  return {
    ...step.task,
    context: { ...step.task.context, ranks, splitAxis: "sequence" },
    shards: { along: "time", lengths: Array.from({ length: ranks }, () => length / ranks) },
  };
}

/** An encoder and a decoder whose inputs are the labels one place later. */
export function decoderStep(
  random: Random,
  inputsOf: (targets: readonly number[], length: number, startId: number) => number[],
): Task {
  const vocabulary = random.integer(10, 18);
  const tokens = drawTokens(random, { vocabulary, whole: true });
  const rows = tokens.rows;
  const length = tokens.length;
  const targets: number[] = [];
  for (let row = 0; row < rows; row++) {
    const words = random.integer(4, length - 2);
    for (let t = 0; t < length; t++) {
      targets.push(t < words ? random.integer(3, vocabulary - 1) : t === words ? tokens.eosId : -100);
    }
  }
  const precision = wideOrSingle(random);
  const shape = [rows, length];
  const data: RowsData = {
    lead: shape,
    classes: vocabulary,
    logits: normals(random, rows * length * vocabulary, 1.5),
    labels: targets,
    precision,
    labelDtype: "int64",
  };
  const known = targets.map((label) => (label === -100 ? tokens.padId : label));
  return rowsStep(
    [data],
    { ignored: -100, shift: 0, loss: (tape, logits, { labels }) => crossEntropy(tape, logits, labels) },
    {
      intended: {
        objective: "crossEntropy",
        options: { ignoreIndex: -100 },
        reduction: { per: "token", divideBy: "weight" },
      },
      precision,
      context: {
        ...surroundings(random, "bleu"),
        sequence: {
          decoderInputIds: integers(inputsOf(known, length, tokens.padId), shape),
          padId: tokens.padId,
          eosId: tokens.eosId,
          intended: { labelShift: 0, lossOn: ["all"], endOfSequence: true },
        },
      },
    },
  ).task;
}

/** Inputs that start with the padding id and then follow the targets one place behind. */
export function movedLater(targets: readonly number[], length: number, startId: number): number[] {
  return targets.map((_, place) => (place % length === 0 ? startId : targets[place - 1]));
}
