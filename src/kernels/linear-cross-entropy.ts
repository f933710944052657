import type { BatchCall } from "./batch-call.js";
import { similarityModule } from "./binaries/similarity.js";
import { Jobs, multiply } from "./matrix.js";
import type { KernelModule } from "./module.js";
import { type RowOperand, runRows } from "./rows.js";
import { liveOf } from "./similarity.js";

/** The row kernel that takes logits to losses and their gradients, in place. */
export interface LogitsKernel {
  readonly module: KernelModule;
  readonly kernel: string;
  readonly parameters?: readonly number[];
  readonly tables?: readonly (Float32Array | Int32Array | undefined)[];
  readonly flags?: number;
  readonly scratch?: number;
  readonly nanoseconds: number;
}

/** A linear layer and what its logits stand against. */
export interface LinearLayer {
  /** A row of `width` numbers for each row of logits. */
  readonly hidden: Float32Array;
  /** `[classes, width]`. */
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
  /** A row of `classes` numbers a unit, in place of labels. */
  readonly targets: Float32Array | undefined;
  readonly width: number;
  readonly classes: number;
  /** The row of logits r scores the unit r + shift. */
  readonly shift: number;
  readonly rows: LogitsKernel;
}

/** Rows of logits that are held at a time: at most so many, and an eighth of what all rows and their gradient take. */
const MOST_ROWS = 256;
const FEWEST_ROWS = 64;
/** Columns of an item of `addColumns`. */
const SUMMED = 256;

/**
 * Computes a cross entropy of logits W h + b, a chunk of rows at a time: logits by a product, losses and gradient by the
 * row kernel over them in place, and two products for what that is to `hidden` and `weight`. Rows that do not count are
 * not multiplied. The gradient of the weight grows in the order of the rows.
 */
export function runLinearCrossEntropy(call: BatchCall, layer: LinearLayer): void {
  const { session, weights, losses, outputs } = call;
  const { width, classes, weight, bias } = layer;
  for (const [i, out] of outputs.entries()) if (i !== 1) out?.fill(0);
  const live = weights && liveOf(weights);
  const count = live ? live.length : losses.length;
  const [, weightGradient, biasGradient] = outputs;
  if (count === 0) {
    weightGradient?.fill(0);
    return;
  }
  const jobs = new Jobs(session, similarityModule);
  const stay = (data: Float32Array, name: string) => {
    const own = session.addressOf(data);
    if (own !== undefined) return own;
    const at = session.buffer(`linear ${name}`, data.byteLength);
    session.views.float32.set(data, at / 4);
    return at;
  };
  const weightAt = stay(weight, "weight");
  // An infinite weight times a slope of 0 would be NaN where the reference reads nothing.
  const isBroken = jobs.run("prepareRows", { count: classes, nanoseconds: 20 + width }, [weightAt, width, 0]);
  if (isBroken) {
    call.leaveAll();
    return;
  }
  const rows = Math.max(Math.min(Math.ceil(count / 32) * 8, MOST_ROWS), FEWEST_ROWS);
  const place: Place = {
    rows: Math.min(rows, count),
    weight: weightAt,
    bias: bias ? stay(bias, "bias") : 0,
    hidden: session.buffer("linear hidden", 4 * rows * width),
    hiddenGradient: session.buffer("linear hidden gradient", 4 * rows * width),
    logits: session.buffer("linear logits", 4 * rows * classes),
    weightGradient: weightGradient
      ? (session.addressOf(weightGradient) ?? session.buffer("linear weight gradient", weightGradient.byteLength))
      : 0,
    biasSums: session.buffer("linear bias sums", 8 * classes),
  };
  session.views.float64.fill(0, place.biasSums / 8, place.biasSums / 8 + classes);
  for (let first = 0; first < count; first += place.rows) {
    const chunk = Int32Array.from({ length: Math.min(place.rows, count - first) }, (_, i) =>
      live ? live[first + i]! : first + i,
    );
    runChunk(jobs, call, layer, place, chunk, first > 0);
  }
  const { float32, float64 } = session.views;
  if (weightGradient && session.addressOf(weightGradient) !== place.weightGradient) {
    const at = place.weightGradient / 4;
    weightGradient.set(float32.subarray(at, at + weightGradient.length));
  }
  biasGradient?.set(float64.subarray(place.biasSums / 8, place.biasSums / 8 + classes));
}

/** Addresses of what all chunks share, and how many rows each has. */
interface Place {
  readonly rows: number;
  readonly weight: number;
  readonly bias: number;
  readonly hidden: number;
  readonly hiddenGradient: number;
  readonly logits: number;
  readonly weightGradient: number;
  readonly biasSums: number;
}

/** Computes the rows of a chunk, given by their numbers; `adds` where sums hold those of chunks before it. */
function runChunk(
  jobs: Jobs,
  call: BatchCall,
  layer: LinearLayer,
  place: Place,
  chunk: Int32Array,
  adds: boolean,
): void {
  const { session } = jobs;
  const { hidden, width, classes } = layer;
  const { length: count } = chunk;
  for (let i = 0; i < count; i++) {
    const from = chunk[i]! * width;
    session.views.float32.set(hidden.subarray(from, from + width), place.hidden / 4 + i * width);
  }
  multiply(jobs, {
    kind: "A·Bᵀ",
    a: place.hidden,
    b: place.weight,
    c: place.logits,
    rows: count,
    columns: classes,
    inner: width,
    bias: place.bias,
  });
  const odd = computeRows(jobs, call, layer, place, chunk);
  if (call.factors) {
    const { float32 } = session.views;
    for (const i of odd) {
      // Their part of shared gradients is the reference's.
      float32.fill(0, place.logits / 4 + i * classes, place.logits / 4 + (i + 1) * classes);
      float32.fill(0, place.hidden / 4 + i * width, place.hidden / 4 + (i + 1) * width);
    }
    giveGradients(jobs, call, layer, place, chunk, adds);
  }
  for (const i of odd) call.odd(chunk[i]!);
}

/** Takes logits to losses, and to their gradient where that is asked; returns the rows left to the reference. */
function computeRows(jobs: Jobs, call: BatchCall, layer: LinearLayer, place: Place, chunk: Int32Array): number[] {
  const { session } = jobs;
  const { rows: kernel, classes } = layer;
  const { labels, factors } = call;
  const { length: count } = chunk;
  const targets = targetsOf(jobs, layer, chunk);
  const at = place.logits / 4;
  const logits = { data: session.views.float32.subarray(at, at + count * classes), width: classes };
  const losses = new Float64Array(count);
  const odd: number[] = [];
  runRows(
    session,
    {
      ...kernel,
      rows: count,
      width: classes,
      inputs: targets ? [logits, targets] : [logits],
      outputs: factors ? [logits] : [],
      labels: labels && chunk.map((row) => labels[row]!),
      factors: factors && Float64Array.from(chunk, (row) => factors[row]!),
      losses,
      parameters: [0, ...(kernel.parameters ?? [])],
      scratch: kernel.scratch ?? 0,
      worksInPlace: true,
    },
    { odd: (i) => odd.push(i), add: () => {} },
  );
  for (let i = 0; i < count; i++) call.losses[chunk[i]!] = losses[i]!;
  return odd;
}

/** The targets of a chunk: where they lie if they lie side by side. */
function targetsOf(
  { session }: Jobs,
  { targets, classes, shift }: LinearLayer,
  chunk: Int32Array,
): RowOperand | undefined {
  if (!targets) return undefined;
  const { length: count } = chunk;
  const start = (chunk[0]! + shift) * classes;
  if (chunk[count - 1]! - chunk[0]! === count - 1) return { data: targets, width: classes, start };
  const at = session.buffer("linear targets", 4 * count * classes) / 4;
  const { float32 } = session.views;
  for (let i = 0; i < count; i++) {
    const from = (chunk[i]! + shift) * classes;
    float32.set(targets.subarray(from, from + classes), at + i * classes);
  }
  return { data: float32.subarray(at, at + count * classes), width: classes };
}

/** What the gradient by the logits of a chunk is to hidden rows, weight and bias. */
function giveGradients(
  jobs: Jobs,
  { outputs: [hiddenGradient, weightGradient, biasGradient] }: BatchCall,
  { width, classes }: LinearLayer,
  place: Place,
  chunk: Int32Array,
  adds: boolean,
): void {
  const { length: count } = chunk;
  if (hiddenGradient) {
    multiply(jobs, {
      kind: "A·B",
      a: place.logits,
      b: place.weight,
      c: place.hiddenGradient,
      rows: count,
      columns: width,
      inner: classes,
    });
    const { float32 } = jobs.session.views;
    const at = place.hiddenGradient / 4;
    for (let i = 0; i < count; i++) {
      hiddenGradient.set(float32.subarray(at + i * width, at + (i + 1) * width), chunk[i]! * width);
    }
  }
  if (weightGradient) {
    multiply(jobs, {
      kind: "Aᵀ·B",
      a: place.logits,
      b: place.hidden,
      c: place.weightGradient,
      rows: classes,
      columns: width,
      inner: count,
      adds,
    });
  }
  if (biasGradient) {
    const items = { count: Math.ceil(classes / SUMMED), nanoseconds: 100 + count * SUMMED };
    jobs.run("addColumns", items, [place.logits, count, classes, place.biasSums]);
  }
}
