import type { SequenceContext, StepContext } from "../../io/index.js";
import type { Objective } from "../../losses/index.js";
import { axesOf } from "../../losses/index.js";
import { dataOf, isTensor, type Tensor, view } from "../../tensor/index.js";
import type { AuditedStep, SearchedPart } from "../audited-step.js";

type OpenedStep = Omit<AuditedStep, "explanations">;

/** Numbers in the gradients of a part above which hypotheses are tried on a few of its rows first. */
const large = 1 << 20;
/** Numbers that such rows hold together. */
const enough = 1 << 16;
/** Positions at the end of a window whose labels may lie beyond it. */
const margin = 4;

/** A few rows of a step, to tell at little cost that a hypothesis is wrong. */
export interface Probe {
  readonly parts: readonly SearchedPart[];
  /** Positions of each row that are compared; all where rows were not cut. */
  readonly positions: number | undefined;
}

/**
 * A few rows of each part of a large step, cut along time where rows are long; undefined for a small step, for one
 * without gradients, and where a row's loss depends on others.
 */
export function probeOf(step: OpenedStep): Probe | undefined {
  const { searchedObjective: objective, reported, searched } = step;
  if (!reported || objective.couples || objective.definition.family === "latent") return undefined;
  const sizes = searched.map((part) => sizeOf(part.reported));
  if (Math.max(...sizes) <= large) return undefined;
  const each = Math.ceil(enough / searched.length);
  const cuts = searched.map((part) => cutOf(objective, part, each));
  if (cuts.some((cut) => cut === undefined)) return undefined;
  return { parts: cuts.map((cut) => cut!.part), positions: cuts[0]!.positions };
}

function sizeOf(fields: Readonly<Record<string, Tensor>>): number {
  return Object.values(fields).reduce((sum, { data }) => sum + data.length, 0);
}

function cutOf(objective: Objective, part: SearchedPart, most: number) {
  const { fields } = objective.definition;
  const [name] = Object.keys(part.reported).filter((field) => fields[field]?.gradient === "row");
  const gradient = name === undefined ? undefined : part.reported[name];
  if (!gradient || gradient.shape.length < 1) return undefined;
  const [count, length = 1] = gradient.shape as [number, number?];
  const inner = gradient.data.length / count;
  const classAxis = Number((objective.contract.options as { classAxis?: number }).classAxis ?? -1);
  const timed = gradient.shape.length === 3 && classAxis === -1 && inner > most;
  const perPosition = inner / length;
  const positions = timed ? Math.min(length, Math.max(2 * margin, Math.floor(most / perPosition))) : undefined;
  const rows = pulledRows(
    gradient,
    count,
    Math.max(1, Math.floor(most / (positions ? positions * perPosition : inner))),
  );
  const start = positions === undefined ? 0 : windowStart(gradient, rows, positions);
  const take = (tensor: Tensor): Tensor =>
    cut(tensor, rows, count, positions === undefined ? undefined : [start, positions, length]);
  const ofField = (field: string, value: unknown) => {
    if (!isTensor(value) || value.shape[0] !== count) return value;
    const spec = fields[field];
    const leading = spec ? axesOf(spec, objective.options, value.shape.length)[0] : "...";
    return leading === objective.definition.unitShape[0] || leading === "..." ? take(value) : value;
  };
  const batch = Object.fromEntries(Object.entries(part.batch).map(([field, value]) => [field, ofField(field, value)]));
  const reported = Object.fromEntries(
    Object.entries(part.reported).map(([field, value]) => [field, ofField(field, value) as Tensor]),
  );
  const { relabel } = part;
  const whole = (by: number) => Object.entries(relabel!(by)).map(([field, value]) => [field, ofField(field, value)]);
  return {
    part: {
      ...part,
      ...(relabel && { relabel: (by: number) => Object.fromEntries(whole(by)) }),
      batch,
      reported,
      context: contextOf(part.context, take, count),
    } as SearchedPart,
    positions: positions === undefined || positions === length ? undefined : positions - margin,
  };
}

/** Rows spread evenly over those that have a gradient. */
function pulledRows({ data }: Tensor, count: number, wanted: number): readonly number[] {
  const inner = data.length / count;
  const pulled: number[] = [];
  for (let row = 0; row < count; row++) {
    for (let i = row * inner; i < (row + 1) * inner; i++) {
      if (data[i] !== 0) {
        pulled.push(row);
        break;
      }
    }
  }
  const among = pulled.length ? pulled : [0];
  const step = Math.max(1, among.length / wanted);
  return Array.from({ length: Math.min(wanted, among.length) }, (_, i) => among[Math.floor(i * step)]!);
}

/** Where the first gradient of the rows begins, a little earlier, so that what comes before is seen as well. */
function windowStart({ data, shape }: Tensor, rows: readonly number[], positions: number): number {
  const [, length, width] = shape as [number, number, number];
  let first = length;
  for (const row of rows) {
    for (let t = 0; t < first; t++) {
      const at = (row * length + t) * width;
      for (let k = at; k < at + width; k++) if (data[k] !== 0) first = Math.min(first, t);
    }
  }
  return Math.max(0, Math.min(first - margin, length - positions));
}

type Window = readonly [start: number, positions: number, length: number];

function cut(tensor: Tensor, rows: readonly number[], count: number, window: Window | undefined): Tensor {
  const { data, shape, dtype, role, weak } = tensor;
  const inner = data.length / count;
  if (!window || shape[1] !== window[2]) {
    const out = dataOf(dtype, rows.length * inner);
    for (const [i, row] of rows.entries()) out.set(data.subarray(row * inner, (row + 1) * inner) as never, i * inner);
    return view(out, [rows.length, ...shape.slice(1)], role, dtype, weak);
  }
  const [start, positions, length] = window;
  const width = inner / length;
  const out = dataOf(dtype, rows.length * positions * width);
  for (const [i, row] of rows.entries()) {
    const from = (row * length + start) * width;
    out.set(data.subarray(from, from + positions * width) as never, i * positions * width);
  }
  return view(out, [rows.length, positions, ...shape.slice(2)], role, dtype, weak);
}

function contextOf(context: StepContext, take: (tensor: Tensor) => Tensor, count: number): StepContext {
  const within = <T extends object>(holder: T): T =>
    Object.fromEntries(
      Object.entries(holder).map(([key, value]) => [
        key,
        isTensor(value) && value.shape[0] === count ? take(value) : value,
      ]),
    ) as T;
  return {
    ...context,
    ...(context.sequence && { sequence: within<SequenceContext>(context.sequence) }),
    ...(context.outputs && { outputs: within(context.outputs) }),
    ...(context.scores && {
      scores: Object.fromEntries(Object.entries(context.scores).map(([name, score]) => [name, within(score)])),
    }),
  };
}

/** What rounding to float32 leaves of the longest row's gradient in any other, relative to it. */
const rounding = 1e-6;

/**
 * Whether the gradients of a hypothesis point where the reported ones do, row by row of axis 0: every reduction and
 * aggregation is one factor a row.
 */
export function pointsAlong(
  { positions }: Probe,
  reported: Readonly<Record<string, Tensor>>,
  found: Readonly<Record<string, Tensor>>,
  tolerance: number,
): boolean {
  for (const [name, { data, shape }] of Object.entries(reported)) {
    const other = found[name];
    if (!other || other.data.length !== data.length) return false;
    const count = shape[0] ?? 1;
    const inner = data.length / count;
    const used = positions === undefined ? inner : (inner / shape[1]!) * positions;
    let largest = 0;
    const rows = Array.from({ length: count }, (_, row) => {
      let [along, mine, theirs] = [0, 0, 0];
      for (let i = row * inner; i < row * inner + used; i++) {
        const [a, b] = [Number(data[i]), Number(other.data[i])];
        along += a * b;
        mine += a * a;
        theirs += b * b;
      }
      largest = Math.max(largest, mine);
      return { along, mine, theirs };
    });
    for (const { along, mine, theirs } of rows) {
      // What is left of the reported row beside the other's direction, squared; backwards is not along.
      const rest = theirs === 0 || along <= 0 ? mine : mine - (along * along) / theirs;
      if (rest > tolerance * tolerance * mine + rounding * rounding * largest) return false;
    }
  }
  return true;
}
