import type { SampledContext } from "../io/index.js";
import type { Objective } from "../losses/index.js";
import { sizeOf, type Tensor } from "../tensor/index.js";
import { placeTensor, type SplitContext } from "./context.js";
import { leastPrecise, oneNumber, type Precision, type Reading, readTensor } from "./read-tensor.js";
import { type Sample, sampleOf, Unsampled } from "./sample.js";

/** A micro-batch of a step: copies of its tensors and what it reported. */
export interface Part {
  readonly fields: Readonly<Record<string, Tensor>>;
  readonly gradients: Readonly<Record<string, Tensor>>;
  readonly loss: number | null;
  readonly lossScale: number | undefined;
  /** The type that tolerances follow from. */
  readonly precision: Precision | undefined;
  readonly framework: string | undefined;
  readonly context: Record<string, unknown>;
  readonly rank: number;
  readonly ranks: number;
}

/** A part as it was given, its names checked. */
export interface GivenPart {
  readonly objective: Objective;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly gradients: Readonly<Record<string, unknown>>;
  readonly loss: unknown;
  readonly lossScale: number | undefined;
  readonly context: SplitContext;
  readonly rank: number;
  readonly ranks: number;
  /** What the gradients are multiplied by: their share of the average over ranks. */
  readonly share: number;
  readonly limits: Limits;
  /** Says something that a reader of the record should know, once a reason. */
  say(reason: string, message: string): void;
}

/** Bytes above which a part is sampled and refused, and numbers read at most for a numerator. */
export interface Limits {
  readonly sample: number;
  readonly refuse: number;
  readonly tally: number;
}

/**
 * Reads and copies what is to be kept of a part, before its tensors change: at once, or as soon as the framework gives
 * the numbers of the last of them.
 *
 * @throws what `readTensor` throws, and `Error` for a part too large to be recorded
 */
export function takePart(given: GivenPart): Part | Promise<Part> {
  const { fields } = given.objective.definition;
  const requests = [
    ...Object.entries(given.fields).map(([name, value]) => {
      const ofIndices = fields[name]?.holds === "indices" || name === "segmentIds" || name === "groupKeys";
      return { where: name, value, ofIndices };
    }),
    ...Object.entries(given.gradients).map(([name, value]) => {
      return { where: `gradient of ${name}`, value, ofIndices: false };
    }),
    ...given.context.tensors.map(({ path, value, ofIndices }) => ({ where: path.join("."), value, ofIndices })),
    ...(given.loss === undefined ? [] : [{ where: "loss", value: given.loss, ofIndices: false }]),
  ];
  const readings: (Reading | Promise<Reading>)[] = [];
  try {
    for (const { where, value, ofIndices } of requests) readings.push(readTensor(value, where, ofIndices));
  } catch (error) {
    for (const reading of readings) if (reading instanceof Promise) reading.catch(() => {});
    throw error;
  }
  const isAtOnce = (all: typeof readings): all is Reading[] => !all.some((reading) => reading instanceof Promise);
  if (isAtOnce(readings)) return partOf(given, readings);
  // What is there may change before the rest has come.
  const kept = readings.map((reading) => (reading instanceof Promise ? reading : { ...reading, ...owned(reading) }));
  return Promise.all(kept).then((all) => partOf(given, all));
}

function owned({ tensor, isOwned }: Reading) {
  return { tensor: isOwned ? tensor : { ...tensor, data: tensor.data.slice() as never }, isOwned: true };
}

function partOf(given: GivenPart, readings: readonly Reading[]): Part {
  const [fieldNames, gradientNames] = [Object.keys(given.fields), Object.keys(given.gradients)];
  const [firstOfContext, firstOfRest] = [
    fieldNames.length + gradientNames.length,
    fieldNames.length + gradientNames.length + given.context.tensors.length,
  ];
  const fields = new Map(fieldNames.map((name, i) => [name, readings[i]!]));
  const gradients = new Map(gradientNames.map((name, i) => [name, readings[fieldNames.length + i]!]));
  const context = given.context.plain;
  const tensors = given.context.tensors.map(({ path }, i) => ({ path, reading: readings[firstOfContext + i]! }));
  const loss = readings[firstOfRest];

  const ofField = (path: readonly string[]) => (path[0] === "outputs" ? path[1] : undefined);
  const copies = new Map(
    fieldNames.map((name) => {
      const outputs = tensors.filter(({ path }) => ofField(path) === name).length;
      return [name, 1 + (gradients.has(name) ? 1 : 0) + outputs];
    }),
  );
  const sample = sampled(given, fields, copies, tensors.filter(({ path }) => ofField(path) === undefined).map(bytesOf));
  const isPicked = new Set(sample?.context.fields);
  const kept = (reading: Reading, name: string | undefined): Tensor =>
    sample && name !== undefined && isPicked.has(name) ? sample.pick(name, reading.tensor) : owned(reading).tensor;

  for (const { path, reading } of tensors) placeTensor(context, path, kept(reading, ofField(path)));
  if (sample) context.sampled = sample.context satisfies SampledContext;
  const withGradient = [...fields].filter(([name]) => gradients.has(name)).map(([, { precision }]) => precision);
  const precision = leastPrecise([loss?.precision, ...withGradient]);
  return {
    fields: Object.fromEntries([...fields].map(([name, reading]) => [name, kept(reading, name)])),
    gradients: Object.fromEntries(
      [...gradients].map(([name, reading]) => {
        const gradient = scaled(kept(reading, name), given.share);
        const isShared = !fields.has(name) && sizeOf(gradient.shape) === 1;
        return [name, isShared ? { ...gradient, shape: [] } : gradient];
      }),
    ),
    loss: loss ? oneNumber(loss.tensor, "loss") : null,
    lossScale: given.lossScale,
    // A plain number does not say what it was computed in; nothing then promises float64.
    precision: loss?.precision === undefined && precision === "float64" ? undefined : precision,
    framework: readings.find(({ framework }) => framework !== undefined)?.framework,
    context,
    rank: given.rank,
    ranks: given.ranks,
  };
}

function bytesOf({ reading }: { reading: Reading }): number {
  return reading.tensor.data.byteLength;
}

/** The sample that a large part is kept as. */
function sampled(
  { objective, limits, say }: GivenPart,
  fields: ReadonlyMap<string, Reading>,
  copies: ReadonlyMap<string, number>,
  others: readonly number[],
): Sample | undefined {
  const rest = others.reduce((sum, bytes) => sum + bytes, 0);
  const tensors = Object.fromEntries([...fields].map(([name, { tensor }]) => [name, tensor]));
  const whole = Object.entries(tensors).reduce(
    (sum, [name, { data }]) => sum + data.byteLength * copies.get(name)!,
    rest,
  );
  if (whole <= limits.sample) return undefined;
  try {
    return sampleOf(objective, tensors, copies, limits.sample - rest, limits.tally);
  } catch (reason) {
    if (!(reason instanceof Unsampled)) throw reason;
    const size = `its tensors take ${inMebibytes(whole)}`;
    if (whole > limits.refuse) {
      const most = `refuseAbove (${inMebibytes(limits.refuse)} for each part)`;
      throw new Error(`${size}, above ${most}, and its units cannot be sampled: ${reason.message}`);
    }
    say(`whole: ${reason.message}`, `records are kept whole, ${size}: ${reason.message}`);
    return undefined;
  }
}

function inMebibytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(1)} MiB`;
}

/** A gradient times its share; one of whole numbers stays what it is, and is refused when the record is made. */
function scaled(gradient: Tensor, share: number): Tensor {
  const { data } = gradient;
  if (share === 1 || !(data instanceof Float32Array || data instanceof Float64Array)) return gradient;
  for (let i = 0; i < data.length; i++) data[i] = data[i]! * share;
  return gradient;
}
