import { inWords } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { whyNoThreads } from "../host/index.js";
import { type RowSink, runRows, type Session, session } from "../kernels/index.js";
import { type Engine, ExactSum, type Note } from "../tally/index.js";
import { formatShape, sizeOf, type Tensor } from "../tensor/index.js";
import type { BoundBatch } from "./batch.js";
import type { KernelPlan, RowDefinition } from "./definition.js";
import { Pass } from "./pass.js";
import type { Units } from "./units.js";

/** A kernel that can compute a batch, and where it runs. */
export interface ReadyKernel {
  readonly plan: KernelPlan;
  readonly session: Session;
}

/** Where the kernel of all batches of one form is kept. */
export interface KernelMemory {
  kernel: ReadyKernel | undefined;
}

/**
 * The kernel for a batch, or undefined where the reference computes it. A row kernel's plan follows from the options
 * and the form of the batch, so that it is made once for batches of one form; one that runs a batch itself holds it.
 *
 * @param memory - of the form of this batch
 * @throws `unsupported` where `engine` is `"wasm"` and no kernel can run, with the reason
 */
export function kernelFor(
  definition: RowDefinition,
  batch: BoundBatch<object>,
  engine: Engine | undefined,
  memory?: KernelMemory,
): ReadyKernel | undefined {
  if (engine === "reference") return undefined;
  if (memory?.kernel) return memory.kernel;
  const found = findKernel(definition, batch);
  if (typeof found !== "string") {
    if (memory && !found.plan.run) memory.kernel = found;
    return found;
  }
  if (engine === undefined) return undefined;
  throw new LosswrightError({
    code: "unsupported",
    where: definition.name,
    field: "engine",
    found: `engine: "wasm" where ${found}`,
    expected: "float32 fields and options that a kernel computes",
    fix: 'leave engine out, or write engine: "reference".',
  });
}

function findKernel(definition: RowDefinition, batch: BoundBatch<object>): ReadyKernel | string {
  if (!definition.kernel) return `no kernel computes ${definition.name}`;
  const plan = definition.kernel(batch);
  if (typeof plan === "string") return plan;
  const { inputs = [], outputs } = plan;
  const unfit = findUnfit(definition, batch, plan, inputs) ?? findUnfit(definition, batch, plan, outputs);
  if (unfit !== undefined) return unfit;
  const live = session();
  return typeof live === "string" ? live : { plan, session: live };
}

/** Why a kernel cannot read one of these fields. */
function findUnfit(
  definition: RowDefinition,
  batch: BoundBatch<object>,
  plan: KernelPlan,
  names: readonly string[],
): string | undefined {
  for (const name of names) {
    const field = batch.tensors.get(name);
    // A whole batch's kernel reads a scalar of any dtype.
    if (!field || (plan.run && field.shape.length === 0)) continue;
    if (field.dtype !== "float32") return `${name} is ${field.dtype}`;
    if (!plan.run && !hasWholeRows(definition, batch, name, field)) {
      return `the classes of ${name} do not lie on the last axis`;
    }
  }
  return undefined;
}

/** Whether the classes are the last axis: whatever its neighbors' lengths, so that parts of a batch run as the whole. */
function hasWholeRows(definition: RowDefinition, batch: BoundBatch<object>, name: string, { shape }: Tensor): boolean {
  if (!definition.fields[name]!.followsClassAxis) return true;
  const axis = definition.alignment?.(batch.options).classAxis ?? -1;
  return axis === -1 || axis === shape.length - 1;
}

let saidWhyReference = false;
let saidOneThread = false;

/** What must be said once in a process: that kernels cannot run here, or on one thread alone. */
export function engineNotes(definition: RowDefinition, ready: ReadyKernel | undefined): readonly Note[] {
  const said: Note[] = [];
  if (!ready && definition.kernel && !saidWhyReference) {
    const live = session();
    if (typeof live === "string") {
      saidWhyReference = true;
      said.push({ code: "engine-fallback", message: `the reference computes, since ${live}` });
    }
  }
  if (ready && !saidOneThread) {
    const reason = whyNoThreads();
    saidOneThread = true;
    if (reason) said.push({ code: "one-thread", message: `kernels run on one thread, since ${reason}` });
  }
  return said;
}

/** Adds numbers to an exact sum, quicker than one by one. */
export type ExactSummer = (sum: ExactSum, numbers: Float64Array) => void;

/** The exact sum of the module that computes a batch, for weights by the million; undefined where it has none. */
export function exactSummer({ plan, session: live }: ReadyKernel): ExactSummer | undefined {
  if (plan.run) return undefined;
  return (sum, numbers) => {
    runRows(
      live,
      {
        module: plan.module,
        kernel: "sumWeights",
        rows: numbers.length,
        width: 1,
        inputs: [],
        outputs: [],
        weights: numbers,
        parameters: [0],
        scratch: 0,
        nanoseconds: 4,
      },
      { odd: () => {}, add: (lanes, from) => sum.addLanes(lanes, from) },
    );
  };
}

/** What a walk with gradients is given: where they go, and the factor of each unit's. */
export interface GradientPlan {
  factor(numeratorWeight: number, group: number): number;
  readonly gradients: Readonly<Record<string, Tensor>>;
}

/** What a kernel computed: the exact sum over all units, or the loss of each where they are summed by group. */
export interface KernelResult {
  readonly numerator: ExactSum;
  /** By unit, not weighed; only where they were asked for. */
  readonly losses: Float64Array | undefined;
  readonly notes: readonly Note[];
}

/** A walk over a batch: its parts, and what is asked of it. */
export interface KernelWalk {
  readonly definition: RowDefinition;
  readonly batch: BoundBatch<object>;
  readonly units: Units;
  readonly gradients?: GradientPlan | undefined;
  /** Whether every unit's loss is asked for, in place of their sum. */
  readonly wantsLosses: boolean;
  /** Weights of the units in place of their own: 1 where `perUnit` shows a unit. */
  readonly weights?: Float64Array | null;
}

/**
 * Computes a batch with a kernel.
 *
 * Rows are in the order of the scores they are read from: under a label shift of s, row r holds the unit r + s. Units
 * that the kernel leaves over (a loss that is not finite, a value to be refused or spoken of) go through `open` of the
 * definition, one by one, so that special values, notes and errors are the reference's.
 */
export function walkWithKernel({ plan, session: live }: ReadyKernel, walk: KernelWalk): KernelResult {
  const { definition, batch, units, gradients } = walk;
  for (const name of plan.inputs ?? []) checkLength(batch, name);
  for (const name of plan.outputs) checkLength(batch, name);
  const shift = definition.alignment?.(batch.options).labelShift ?? 0;
  const rows = units.count;
  const byUnit = walk.weights === undefined ? units.numeratorWeights : walk.weights;
  const weights = byUnit && shift !== 0 ? shifted(byUnit, shift) : byUnit;
  const numerator = new ExactSum();
  const wantsLosses = walk.wantsLosses || plan.run !== undefined;
  const losses = wantsLosses ? new Float64Array(rows) : undefined;
  const rest = new LeftOver(walk, shift, weights, wantsLosses ? losses : undefined, numerator);
  const factors = gradients && factorsOf(gradients, units, weights, shift);
  const outputs = plan.outputs.map((name) => gradients?.gradients[name]?.data as Float32Array | undefined);
  const label = plan.label && batch.has(plan.label) ? plan.label : undefined;
  const labels = label === undefined ? undefined : labelsOf(batch, label, weights, shift);
  if (plan.run && weights?.every((weight) => weight === 0)) {
    // Nothing counts; what is to be said of the batch itself still is.
    for (const data of outputs) data?.fill(0);
    rest.open();
  } else if (plan.run) {
    plan.run({
      session: live,
      weights: weights ?? undefined,
      factors: typeof factors === "number" ? new Float64Array(rows).fill(factors) : factors,
      outputs,
      losses: losses!,
      labels,
      odd: (row) => rest.odd(row),
      leaveAll() {
        for (const data of outputs) data?.fill(0);
        rest.open();
        for (let row = 0; row < rows; row++) if (weights?.[row] !== 0) rest.odd(row);
      },
      open: () => rest.open(),
    });
  } else {
    const operand = (name: string) => {
      const field = batch.tensors.get(name);
      if (!field) return undefined;
      const width = rows === 0 ? 0 : field.data.length / rows;
      const start = definition.fields[name]!.read === "label" ? shift * width : 0;
      return { data: field.data as Float32Array, width, start };
    };
    runRows(
      live,
      {
        module: plan.module,
        kernel: plan.kernel,
        rows,
        width: plan.width ?? batch.sizes.K ?? 1,
        inputs: (plan.inputs ?? []).map(operand),
        outputs: outputs.map((data) => data && { data, width: rows === 0 ? 0 : data.length / rows }),
        labels,
        weights: weights ?? undefined,
        factors: typeof factors === "number" ? undefined : factors,
        losses,
        parameters: [typeof factors === "number" ? factors : 0, ...(plan.parameters ?? [])],
        tables: plan.tables ?? [],
        flags: plan.flags ?? 0,
        scratch: plan.scratch ?? 0,
        nanoseconds: plan.nanoseconds,
        worksInPlace: plan.worksInPlace ?? false,
      },
      rest,
    );
  }
  rest.finish();
  return { numerator, losses: losses && shift !== 0 ? unshifted(losses, shift) : losses, notes: rest.notes };
}

/**
 * Kernels read memory by addresses: a field whose numbers are fewer than its shape says would be read beyond its end.
 *
 * @throws `shape` for one
 */
function checkLength({ where, tensors }: BoundBatch<object>, field: string): void {
  const tensor = tensors.get(field);
  if (!tensor || tensor.data.length === sizeOf(tensor.shape)) return;
  throw new LosswrightError({
    code: "shape",
    where,
    field,
    found: `${tensor.dtype} ${formatShape(tensor.shape)} over ${tensor.data.length} numbers`,
    expected: `${sizeOf(tensor.shape)} numbers`,
    fix: "make tensors with tensor(data, shape); a buffer that was transferred or shrunk holds none.",
  });
}

/** What a kernel hands back: units that it leaves to the reference, and the sum over the others. */
class LeftOver implements RowSink {
  private pass: Pass | undefined;

  constructor(
    private readonly walk: KernelWalk,
    private readonly shift: number,
    private readonly weights: Float64Array | null,
    private readonly losses: Float64Array | undefined,
    private readonly numerator: ExactSum,
  ) {}

  open(): Pass {
    const { definition, batch, units, gradients } = this.walk;
    const isLive = (unit: number) => units.weigh(unit) && units.numeratorWeight > 0;
    this.pass ??= new Pass(definition, batch, units, isLive, gradients?.gradients);
    return this.pass;
  }

  add(lanes: Float64Array, from: number): void {
    this.numerator.addLanes(lanes, from);
  }

  odd(row: number): void {
    const { units, gradients } = this.walk;
    const { weights, losses } = this;
    const pass = this.open();
    const unit = row + this.shift;
    pass.compute(unit);
    const { cell } = pass;
    if (losses) losses[row] = cell[0]!;
    else {
      cell[0] = (weights ? weights[row]! : 1) * cell[0]!;
      this.numerator.addCell(cell);
    }
    if (!gradients) return;
    units.weigh(unit);
    cell[0] = gradients.factor(units.numeratorWeight, units.groupOf(unit)) / units.lossDivisor;
    if (cell[0] !== 0) pass.spread(unit);
    else pass.clearRow(unit);
  }

  finish(): void {
    if (this.walk.gradients) this.pass?.addShared();
  }

  get notes(): readonly Note[] {
    return this.pass?.notes ?? [];
  }
}

/** The factor of every row's gradient: one number where all weigh 1 and no group divides. */
function factorsOf(
  { factor }: GradientPlan,
  units: Units,
  weights: Float64Array | null,
  shift: number,
): Float64Array | number {
  const { groups, count } = units;
  if (!weights && !groups && !units.hasLengths) return factor(1, 0);
  const factors = new Float64Array(count);
  if (!groups && !units.hasLengths) {
    for (let row = 0; row < count; row++) {
      const weight = weights![row]!;
      if (weight !== 0) factors[row] = factor(weight, 0);
    }
    return factors;
  }
  for (let row = 0; row + shift < count; row++) {
    const unit = row + shift;
    if (!units.weigh(unit) || units.numeratorWeight === 0) continue;
    factors[row] = factor(units.numeratorWeight, units.groupOf(unit)) / units.lossDivisor;
  }
  return factors;
}

/** Entries of units as entries of rows: row r holds unit r + shift. */
function shifted(byUnit: Float64Array, shift: number): Float64Array {
  const byRow = new Float64Array(byUnit.length);
  byRow.set(byUnit.subarray(shift));
  return byRow;
}

function unshifted(byRow: Float64Array, shift: number): Float64Array {
  const byUnit = new Float64Array(byRow.length);
  if (shift < byRow.length) byUnit.set(byRow.subarray(0, byRow.length - shift), shift);
  return byUnit;
}

/**
 * The labels of all rows as int32, −1 where a row is not read: the given array itself where it is that already.
 *
 * @throws `value` for the first label of a live unit that is out of range
 */
function labelsOf(batch: BoundBatch<object>, field: string, weights: Float64Array | null, shift: number): Int32Array {
  const { data } = batch.tensors.get(field)!;
  const length = batch.sizes[batch.indexedAxis(field)]!;
  const checked = batch.index(field);
  const count = batch.unitCount;
  if (data instanceof Int32Array && shift === 0) {
    for (let unit = 0; unit < count; unit++) {
      const label = data[unit]!;
      if ((label < 0 || label >= length) && weights?.[unit] !== 0) checked(unit);
    }
    return data;
  }
  const labels = new Int32Array(count).fill(-1);
  for (let row = 0; row + shift < count; row++) {
    if (weights && weights[row] === 0) continue;
    const label = Number(data[row + shift]);
    labels[row] = label >= 0 && label < length && Number.isInteger(label) ? label : checked(row + shift);
  }
  return labels;
}

/** @throws `option` for an engine that does not exist */
export function checkEngine(where: string, engine: unknown): asserts engine is Engine {
  if (engine === "reference" || engine === "wasm") return;
  throw new LosswrightError({
    code: "option",
    where,
    field: "engine",
    found: inWords(engine),
    expected: '"reference" or "wasm"',
  });
}
