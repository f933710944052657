import type { Tensor } from "../tensor/index.js";

// A record is the same tree in memory and on disk but for its leaves: tensors here (the default), file names there.

/** What one training or validation step computed, and what it was meant to compute. */
export interface StepRecord<T = Tensor> {
  format: 1;
  /** What messages call the record; not written. */
  name: string;
  /** The contract the step should follow, as JSON; not interpreted here. */
  intended: Record<string, unknown>;
  reported: Reported<T>;
  context: StepContext<T>;
  /** The tensors where the loss was computed; absent in a record of parts. */
  fields?: Record<string, T>;
  /** Micro-batches, ranks or shards of the step; empty in a record with fields of its own. */
  parts: StepPart<T>[];
}

/** One micro-batch, rank or shard of a step. */
export interface StepPart<T = Tensor> {
  fields: Record<string, T>;
  reported: Reported<T>;
  context: StepContext<T>;
}

/** What the training code said it computed. */
export interface Reported<T = Tensor> {
  /** `null`: not recorded. A part's loss is its own, before any scaling by the number of parts. */
  loss: number | null;
  /** By field, of the field's shape; a scalar may also belong to an option, such as a temperature. */
  gradients: Record<string, T>;
}

/** The circumstances of a step; an absent entry was not recorded. Entries without a type here are kept as they are. */
export interface StepContext<T = Tensor> {
  microBatches?: number;
  ranks?: number;
  batches?: number;
  rank?: number;
  microBatch?: number;
  /** How gradients were combined; already applied to them. */
  combine?: { ranks?: "mean" | "sum"; microBatches?: "mean" | "sum"; [entry: string]: unknown };
  /** `"sequence"` where parts are pieces of the same rows, along axis 1; otherwise they are rows. */
  splitAxis?: "sequence" | "rows";
  sequence?: SequenceContext<T>;
  /** By the name of a field that is a sequence score. */
  scores?: Record<string, ScoreContext<T>>;
  /** `null`: the run logs no metric. */
  metric?: MetricContext | null;
  decision?: DecisionContext;
  phase?: string;
  task?: string;
  [entry: string]: unknown;
}

/** The tokens behind the labels, and what of them should be in the loss. */
export interface SequenceContext<T = Tensor> {
  inputIds?: T;
  /** 0 padding, 1 prompt, 2 assistant. */
  roles?: T;
  attentionMask?: T;
  /** Packed documents, from 1. */
  segmentIds?: T;
  decoderInputIds?: T;
  padId?: number;
  eosId?: number;
  intended?: {
    labelShift?: number;
    lossOn?: ("assistant" | "all")[];
    /** Whether the end of a sequence is a target. */
    endOfSequence?: boolean;
    acrossSegments?: boolean;
    [entry: string]: unknown;
  };
  [entry: string]: unknown;
}

/** The tokens that a sequence score was made from. */
export interface ScoreContext<T = Tensor> {
  logProbs: T;
  mask: T;
  [entry: string]: unknown;
}

/** The metric that the run logs. */
export interface MetricContext {
  name: string;
  value?: number;
  of?: "validation" | "step";
  updates?: { value: number; count: number; [entry: string]: unknown }[];
  /** What it reads from the outputs. */
  reads?: string;
  correctedForWeights?: boolean;
  [entry: string]: unknown;
}

/** How probabilities become decisions. */
export interface DecisionContext {
  threshold?: number;
  tuned?: boolean;
  [entry: string]: unknown;
}

/** Where a leaf stands, for messages, and what a file for it is called. */
export interface Place {
  readonly path: string;
  readonly stem: string;
}

/** The same record over other leaves; every leaf is visited once, in the order of the format. */
export function mapLeaves<A, B>(record: StepRecord<A>, visit: (leaf: A, place: Place) => B): StepRecord<B> {
  const { format, name, intended, fields } = record;
  const at = placeIn("", "");
  return {
    format,
    name,
    intended,
    ...(fields && { fields: mapFields(fields, at, visit) }),
    reported: mapReported(record.reported, at, visit),
    context: mapContext(record.context, at, visit),
    parts: record.parts.map((part, index) => {
      const inPart = placeIn(`parts.${index}.`, `part${index}-`);
      return {
        fields: mapFields(part.fields, inPart, visit),
        reported: mapReported(part.reported, inPart, visit),
        context: mapContext(part.context, inPart, visit),
      };
    }),
  };
}

type PlaceOf = (path: string, stem: string) => Place;
type Visit<A, B> = (leaf: A, place: Place) => B;

function placeIn(path: string, stem: string): PlaceOf {
  return (innerPath, innerStem) => ({ path: path + innerPath, stem: stem + innerStem });
}

function mapEntries<A, B>(entries: Record<string, A>, change: (entry: A, key: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, change(entry, key)]));
}

function mapFields<A, B>(fields: Record<string, A>, at: PlaceOf, visit: Visit<A, B>): Record<string, B> {
  return mapEntries(fields, (leaf, name) => visit(leaf, at(`fields.${name}`, name)));
}

function mapReported<A, B>({ loss, gradients }: Reported<A>, at: PlaceOf, visit: Visit<A, B>): Reported<B> {
  const place = (name: string) => at(`reported.gradients.${name}`, `${name}-gradient`);
  return { loss, gradients: mapEntries(gradients, (leaf, name) => visit(leaf, place(name))) };
}

const sequenceLeaves = ["inputIds", "roles", "attentionMask", "segmentIds", "decoderInputIds"] as const;
const scoreLeaves = ["logProbs", "mask"] as const;

function mapContext<A, B>(context: StepContext<A>, at: PlaceOf, visit: Visit<A, B>): StepContext<B> {
  const { sequence, scores } = context;
  // The leaves of one kind are replaced below, one by one; all else is the same for every kind.
  const mapped = { ...context } as StepContext<unknown> as StepContext<B>;
  if (sequence) {
    const within = { ...sequence } as SequenceContext<unknown> as SequenceContext<B>;
    for (const key of sequenceLeaves) {
      const leaf = sequence[key];
      if (leaf !== undefined) within[key] = visit(leaf, at(`context.sequence.${key}`, `sequence-${key}`));
    }
    mapped.sequence = within;
  }
  if (scores) {
    mapped.scores = mapEntries(scores, (score, field) => {
      const within = { ...score } as ScoreContext<unknown> as ScoreContext<B>;
      for (const key of scoreLeaves) {
        within[key] = visit(score[key], at(`context.scores.${field}.${key}`, `scores-${field}-${key}`));
      }
      return within;
    });
  }
  return mapped;
}
