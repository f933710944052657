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
  /** The run that the step belongs to, and its number in it. */
  run?: string;
  step?: number;
  /** The framework that computed the step, as `"pytorch 2.9"`: fixes lead to the code for it. */
  framework?: string;
  /** What the model gave, by the field that was made of it: logits before a softmax, embeddings before a norm. */
  outputs?: Record<string, T>;
  computation?: ComputationContext;
  /** The sum that the reported loss is, where it is one: the contract speaks of the term that is `intended`. */
  terms?: LossTerm[];
  /** Where the rows of a field came from that was gathered over ranks, by the field's name. */
  gathered?: Record<string, GatheredContext<T>>;
  alignment?: AlignmentContext<T>;
  /** How often each class occurs in the training set. */
  classCounts?: number[];
  sampled?: SampledContext<T>;
  [entry: string]: unknown;
}

/** In what the loss was computed: tolerances follow from it. */
export interface ComputationContext {
  dtype?: "float64" | "float32" | "float16" | "bfloat16";
  /** What the loss was multiplied by before the backward pass: the recorded gradients still hold it. */
  lossScale?: number;
  [entry: string]: unknown;
}

/** One term of a loss that is a weighted sum. */
export interface LossTerm {
  name: string;
  coefficient: number;
  /** The term's own value, before the coefficient. */
  value?: number;
  /** Whether it is the term that the contract describes; one term is. */
  intended?: boolean;
  /** The fields whose gradient it adds to. */
  fields?: string[];
  [entry: string]: unknown;
}

/** The origin of gathered rows, each `[M]`. */
export interface GatheredContext<T = Tensor> {
  /** The rank that owns each row. */
  ranks?: T;
  /** What each row is of: equal ids are the same example. */
  ids?: T;
  [entry: string]: unknown;
}

/** Where the lengths and labels of an alignment come from (CTC, RNN-T). */
export interface AlignmentContext<T = Tensor> {
  /** Frames of each example before the encoder, `[B]`. */
  featureLengths?: T;
  /** Frames that the encoder makes one of. */
  stride?: number;
  /** The symbol of each class, by its id. */
  symbols?: string[];
  [entry: string]: unknown;
}

/** Which units of the whole step the fields hold, where not all were kept. */
export interface SampledContext<T = Tensor> {
  /** Row-major places of the kept units in the shape of all units, `[n]`, ascending. */
  units: T;
  /** The shape of the units of the whole: `[B, T]`. */
  shape: number[];
  /** The fields that hold the kept units alone, `[n, …]`, and so do their gradients; all others are whole. */
  fields: string[];
  /** Of the whole. */
  tally: { numerator?: number; denominator: number; [entry: string]: unknown };
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
  /**
   * How the updates became the value: `"samples"` (weighed by their counts), `"batches"` (each alike), `"accumulated"`
   * (computed once, from all that was seen).
   */
  averaging?: "samples" | "batches" | "accumulated";
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

/** Where tensors stand in a context: entries with tensors by key, and maps of such entries. */
const leafKeys = {
  sequence: ["inputIds", "roles", "attentionMask", "segmentIds", "decoderInputIds"],
  alignment: ["featureLengths"],
  sampled: ["units"],
} as const;
const mapsOfLeafKeys = { scores: ["logProbs", "mask"], gathered: ["ranks", "ids"] } as const;

function mapContext<A, B>(context: StepContext<A>, at: PlaceOf, visit: Visit<A, B>): StepContext<B> {
  type Holder = Record<string, unknown>;
  const mapKeys = (holder: Holder, keys: readonly string[], path: string, stem: string): Holder => {
    const within = { ...holder };
    for (const key of keys) {
      if (holder[key] !== undefined) {
        within[key] = visit(holder[key] as A, at(`context.${path}.${key}`, `${stem}-${key}`));
      }
    }
    return within;
  };
  const mapped: Record<string, unknown> = { ...context };
  for (const [name, keys] of Object.entries(leafKeys)) {
    const holder = context[name] as Holder | undefined;
    if (holder) mapped[name] = mapKeys(holder, keys, name, name);
  }
  for (const [name, keys] of Object.entries(mapsOfLeafKeys)) {
    const holders = context[name] as Record<string, Holder> | undefined;
    if (!holders) continue;
    mapped[name] = mapEntries(holders, (holder, field) =>
      mapKeys(holder, keys, `${name}.${field}`, `${name}-${field}`),
    );
  }
  if (context.outputs) {
    mapped.outputs = mapEntries(context.outputs, (leaf, field) =>
      visit(leaf, at(`context.outputs.${field}`, `outputs-${field}`)),
    );
  }
  return mapped as StepContext<B>;
}
