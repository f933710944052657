import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { encodeStep, type StepContext } from "../io/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import type { TensorLike } from "./read-tensor.js";

type Named<T> = { [Key in keyof T as string extends Key ? never : Key]: T[Key] };

/** The entries of a record's context that the recorder does not write itself. */
export interface ContextEntries<T = TensorLike> extends Omit<Named<StepContext<T>>, "step" | "sampled"> {}

/** By name, so that a slip is an error, and the compiler says where one is missing. */
const entryNames: Readonly<Record<keyof ContextEntries, true>> = {
  alignment: true,
  batches: true,
  classCounts: true,
  combine: true,
  computation: true,
  decision: true,
  framework: true,
  gathered: true,
  metric: true,
  microBatch: true,
  microBatches: true,
  outputs: true,
  phase: true,
  rank: true,
  ranks: true,
  run: true,
  scores: true,
  sequence: true,
  splitAxis: true,
  task: true,
  terms: true,
};

/** The names of the entries that a user gives. */
export const contextNames: readonly string[] = Object.keys(entryNames);

/** Where tensors stand: by key in an entry, by key in a map of entries, and as a map of themselves. */
const tensorKeys: Readonly<Record<string, readonly string[]>> = {
  sequence: ["inputIds", "roles", "attentionMask", "segmentIds", "decoderInputIds"],
  alignment: ["featureLengths"],
};
const mapsOfTensorKeys: Readonly<Record<string, readonly string[]>> = {
  scores: ["logProbs", "mask"],
  gathered: ["ranks", "ids"],
};

/** The keys of the objects in an entry, of each one in a list too; maps by the names of fields are checked apart. */
export const keysIn: Readonly<Record<string, readonly string[]>> = {
  combine: ["ranks", "microBatches"],
  sequence: [...tensorKeys.sequence!, "padId", "eosId", "intended"],
  "sequence.intended": ["labelShift", "lossOn", "endOfSequence", "acrossSegments"],
  scores: mapsOfTensorKeys.scores!,
  metric: ["name", "value", "of", "updates", "reads", "correctedForWeights", "averaging"],
  "metric.updates": ["value", "count"],
  decision: ["threshold", "tuned"],
  computation: ["dtype", "lossScale"],
  terms: ["name", "coefficient", "value", "intended", "fields"],
  gathered: mapsOfTensorKeys.gathered!,
  alignment: [...tensorKeys.alignment!, "stride", "symbols"],
};

type Holder = Record<string, unknown>;

/** A tensor of a context: under which keys it stands, as it was given. */
export interface ContextTensor {
  readonly path: readonly string[];
  readonly value: unknown;
  /** Whether it holds whole numbers by its meaning. */
  readonly ofIndices: boolean;
}

/** A context without its tensors, copied, and the tensors. */
export interface SplitContext {
  readonly plain: Holder;
  readonly tensors: readonly ContextTensor[];
}

/**
 * Takes the tensors out of a context and copies the rest, which nobody can change then.
 *
 * @throws `unknown` for an entry that the format does not have, or for one of a field that the objective does not have;
 * `argument` for entries of another kind, and for those that the recorder writes
 */
export function splitContext(given: object, fields: readonly string[]): SplitContext {
  for (const name of ["step", "sampled"]) {
    if (!Object.hasOwn(given, name)) continue;
    throw new LosswrightError({
      code: "argument",
      where: "recorder",
      field: name,
      found: `"${name}", which the recorder writes itself`,
      expected: "entries of the context that only the training code knows",
      fix: "leave it out.",
    });
  }
  for (const [name, value] of Object.entries(given)) {
    if (!(name in mapsOfTensorKeys)) checkKeys(name, value);
  }
  const plain: Holder = {};
  const tensors: ContextTensor[] = [];
  const split = (path: readonly string[], holder: unknown, keys: readonly string[]): Holder => {
    const rest: Holder = {};
    for (const [key, value] of Object.entries(objectAt(path, holder))) {
      if (value === undefined) continue;
      if (keys.includes(key)) tensors.push({ path: [...path, key], value, ofIndices: key !== "logProbs" });
      else rest[key] = value;
    }
    return rest;
  };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const [keys, keysOfMap] = [tensorKeys[name], mapsOfTensorKeys[name]];
    if (keys) {
      plain[name] = split([name], value, keys);
    } else if (keysOfMap) {
      rejectUnknown("recorder", `field in ${name}`, objectAt([name], value), fields);
      for (const entry of Object.values(value as object)) checkKeys(name, entry);
      const entries = Object.entries(value as object).map(([of, entry]) => [of, split([name, of], entry, keysOfMap)]);
      plain[name] = Object.fromEntries(entries);
    } else if (name === "outputs") {
      rejectUnknown("recorder", "field in outputs", objectAt([name], value), fields);
      const outputs = Object.entries(value as object).filter(([, output]) => output !== undefined);
      for (const [of, output] of outputs) tensors.push({ path: [name, of], value: output, ofIndices: false });
      plain[name] = {};
    } else {
      plain[name] = value;
    }
  }
  return { plain: copied(plain), tensors };
}

/** A reader keeps what it does not know; whoever writes today knows all keys. */
function checkKeys(path: string, value: unknown): void {
  if (Array.isArray(value)) {
    for (const entry of value) if (isPlain(entry)) checkKeys(path, entry);
    return;
  }
  const known = keysIn[path];
  if (!known || !isPlain(value)) return;
  rejectUnknown("recorder", `key in ${path}`, value, known);
  for (const [key, entry] of Object.entries(value)) checkKeys(`${path}.${key}`, entry);
}

function copied(plain: Holder): Holder {
  try {
    return structuredClone(plain);
  } catch (error) {
    const details = {
      code: "argument",
      where: "recorder",
      field: Object.keys(plain).join(", "),
      found: error instanceof Error ? error.message.slice(0, 80) : String(error),
      expected: "entries that JSON can hold",
      fix: "give numbers, strings and lists of them.",
    } as const;
    throw new LosswrightError(details, { cause: error });
  }
}

/** Puts a tensor back where it stood. */
export function placeTensor(context: Holder, path: readonly string[], tensor: Tensor): void {
  let holder = context;
  for (const key of path.slice(0, -1)) holder = holder[key] as Holder;
  holder[path.at(-1)!] = tensor;
}

function objectAt(path: readonly string[], value: unknown): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)) return value;
  throw new LosswrightError({
    code: "argument",
    where: "recorder",
    field: path.join("."),
    found: value === null ? "null" : Array.isArray(value) ? "a list" : typeof value,
    expected: "an object",
    fix: "leave it out, or write { … }.",
  });
}

/**
 * Holds a context against the format before anything is trained, its tensors left out: what they are shows when they
 * are read.
 *
 * @throws what `encodeStep` throws for a record with this context
 */
export function checkPlain({ plain }: SplitContext, contract: object, fields: readonly string[]): void {
  const { scores: _scores, gathered: _gathered, outputs: _outputs, ...context } = plain;
  const scalar = tensor(0);
  encodeStep({
    format: 1,
    name: "recorder",
    intended: contract as Record<string, unknown>,
    fields: Object.fromEntries(fields.map((name) => [name, scalar])),
    reported: { loss: null, gradients: {} },
    context: context as StepContext,
    parts: [],
  });
}

/** Contexts over one another; entries that are objects are merged key by key. */
export function mergeContexts(...contexts: readonly object[]): Holder {
  const merged: Holder = {};
  for (const context of contexts) {
    for (const [name, value] of Object.entries(context)) {
      const before = merged[name];
      merged[name] = isPlain(before) && isPlain(value) ? { ...before, ...value } : value;
    }
  }
  return merged;
}

function isPlain(value: unknown): value is Holder {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
