import { inWords } from "../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import type { Engine, Group, Note } from "../tally/index.js";
import {
  dataOf,
  formatShape,
  isTensor,
  sameShape,
  sizeOf,
  type Tensor,
  type Unlabeled,
  view,
} from "../tensor/index.js";
import type { BoundBatch } from "./batch.js";
import type { FieldSpec } from "./definition.js";
import { checkEngine } from "./kernel-walk.js";
import type { CallOptions, GroupCall } from "./objective.js";

const callOptions = ["denominator", "scale", "into", "inPlace", "engine", "group", "local"];

/** Options of a call, each in its one form. */
export interface CheckedCall {
  readonly denominator: CallOptions["denominator"];
  /** What gradients are multiplied by. */
  readonly scale: number;
  /** Whether that is the number of ranks, as the caller asked. */
  readonly isWorldScaled: boolean;
  readonly into: Readonly<Record<string, Tensor>> | undefined;
  readonly inPlace: boolean;
  readonly engine: Engine | undefined;
  readonly group: Group | undefined;
  readonly local: boolean;
}

/** @throws `unknown` for another option, `option` for a bad value, `argument` for two that exclude each other */
export function checkCall(where: string, call: CallOptions | GroupCall): CheckedCall {
  checkObject(where, "call", call);
  rejectUnknown(where, "call option", call, callOptions);
  if (call.into !== undefined) {
    checkObject(where, "into", call.into);
    if (call.into.gradients !== undefined) checkObject(where, "into.gradients", call.into.gradients);
    rejectUnknown(where, "key of into", call.into, ["gradients"]);
  }
  const { scale: given = 1, inPlace = false, engine } = call;
  const { denominator } = call as CallOptions;
  const { local = false } = call as GroupCall;
  const group = checkGroup(where, call.group);
  const wrong = (code: "option" | "argument", field: string, found: string, expected: string, fix?: string) =>
    new LosswrightError({ code, where, field, found, expected, ...(fix && { fix }) });
  if (engine !== undefined) checkEngine(where, engine);
  for (const [field, flag] of Object.entries({ inPlace, local })) {
    if (typeof flag !== "boolean") throw wrong("option", field, inWords(flag), "true or false");
  }
  if (inPlace && call.into?.gradients) {
    throw wrong("argument", "inPlace", "into.gradients beside it", "one of the two", "leave out one of them.");
  }
  if (group && denominator !== undefined) {
    const fix = "leave denominator out; accumulation(objective) is for several micro-batches on each rank.";
    throw wrong(
      "argument",
      "denominator",
      "a denominator beside a group",
      "one of the two: a group reduces its own",
      fix,
    );
  }
  if (local && !group) {
    throw wrong(
      "argument",
      "local",
      "local: true without a group",
      "a group whose rows are gathered",
      "leave local out.",
    );
  }
  const isWorldScaled = given === "world";
  if (isWorldScaled && !group) {
    const fix = "give the group, or the number of ranks: scale: 4.";
    throw wrong("argument", "scale", 'scale: "world" without a group', "a group whose ranks it counts", fix);
  }
  const scale = isWorldScaled ? group!.size : given;
  if (typeof scale !== "number" || !Number.isFinite(scale)) {
    throw wrong("option", "scale", inWords(scale), 'a finite number, or "world" with a group');
  }
  return { denominator, scale, isWorldScaled, into: call.into?.gradients, inPlace, engine, group, local };
}

/** What must be said of gradients that a world size scales. */
export function worldNote(size: number): Note {
  const message = `gradients are multiplied by the ${size} ranks, for an engine that averages them over ranks; added up as they are, they would be ${size} times too large`;
  return { code: "world-scale", message };
}

/** The group that was given, if one was. @throws `option` for anything that is none */
export function checkGroup(where: string, group: unknown): Group | undefined {
  if (group === undefined) return undefined;
  const { size, rank, allReduceSum } = (group ?? {}) as Partial<Group>;
  const isGroup = Number.isInteger(size) && Number.isInteger(rank) && typeof allReduceSum === "function";
  if (isGroup) return group as Group;
  const isPromise = typeof (group as { then?: unknown })?.then === "function";
  throw new LosswrightError({
    code: "option",
    where,
    field: "group",
    found: isPromise ? "a promise" : inWords(group),
    expected: "a group: solo(), await threads(n) or await mpi()",
    ...(isPromise && { fix: "await the group before it is given." }),
  });
}

/** The fields of a batch that get a gradient, with its dtype and shape. */
function gradientFields(batch: BoundBatch<object>, fields: Readonly<Record<string, FieldSpec>>): readonly string[] {
  return Object.keys(fields).filter((name) => {
    const { gradient, scalarOption } = fields[name]!;
    return gradient !== "none" && (batch.has(name) || scalarOption);
  });
}

/**
 * The tensors of the batch that their gradients take the place of.
 *
 * @throws `unsupported` where units share a field, `argument` where another field lies in the same memory
 */
export function gradientsInPlace(
  batch: BoundBatch<object>,
  fields: Readonly<Record<string, FieldSpec>>,
): Record<string, Tensor<Unlabeled, "float32" | "float64">> {
  const buffers: Record<string, Tensor<Unlabeled, "float32" | "float64">> = {};
  const wrong = (code: "unsupported" | "argument", field: string, found: string, expected: string) =>
    new LosswrightError({
      code,
      where: batch.where,
      field: "inPlace",
      found,
      expected,
      fix: `give a tensor of its own: into: { gradients: { ${field} } }.`,
    });
  for (const name of gradientFields(batch, fields)) {
    const spec = fields[name]!;
    const field = batch.tensors.get(name);
    const isOwn = field && spec.gradient === "row" && spec.read !== "whole";
    const isWhole = isOwn && sizeOf(field.shape) % Math.max(batch.unitCount, 1) === 0;
    if (!isOwn || (spec.broadcasts && !isWhole)) {
      throw wrong("unsupported", name, `the field ${name}, which several units read`, "fields whose rows units own");
    }
    const others = [...batch.tensors.values(), ...batch.common.values()].filter((tensor) => tensor !== field);
    if (isOver(field, others)) {
      throw wrong("argument", name, `${name} in memory that another field lies in too`, "memory of its own");
    }
    buffers[name] = field as Tensor<Unlabeled, "float32" | "float64">;
  }
  return buffers;
}

/**
 * Gradient tensors of a batch, the caller's own where `into` gives them; zeroed unless a kernel writes every entry.
 *
 * @throws `unknown` for a gradient of another name, `argument` for a tensor of another shape or dtype, or one that
 * shares memory with an input or another gradient
 */
export function gradientBuffers(
  batch: BoundBatch<object>,
  fields: Readonly<Record<string, FieldSpec>>,
  given: Readonly<Record<string, Tensor>> = {},
  isZeroed = true,
): Record<string, Tensor<Unlabeled, "float32" | "float64">> {
  const names = gradientFields(batch, fields);
  rejectUnknown(batch.where, "gradient", given, names);
  const buffers: Record<string, Tensor<Unlabeled, "float32" | "float64">> = {};
  for (const name of names) {
    const field = batch.tensors.get(name);
    // Only fields of reals have gradients; a scalar option is a float64.
    const dtype = (field?.dtype ?? "float64") as "float32" | "float64";
    const shape = field?.shape ?? [];
    const out = given[name];
    if (out === undefined) {
      buffers[name] = view(dataOf(dtype, sizeOf(shape)), shape, "unlabeled", dtype);
      continue;
    }
    const isLike = isTensor(out) && out.dtype === dtype && sameShape(out.shape, shape);
    const fits = isLike && out.data.length === sizeOf(shape);
    const { tensors, common } = batch;
    const sharesMemory =
      fits && (isOver(out, tensors.values()) || isOver(out, common.values()) || isOver(out, Object.values(buffers)));
    if (!fits || sharesMemory) {
      const shown = isTensor(out) ? `${out.dtype} ${formatShape(out.shape)}` : inWords(out);
      throw new LosswrightError({
        code: "argument",
        where: batch.where,
        field: `into.gradients.${name}`,
        found: sharesMemory ? "memory that an input or another gradient lies in too" : shown,
        expected: `a ${dtype} tensor ${formatShape(shape)} with memory of its own`,
      });
    }
    const buffer = out as Tensor<Unlabeled, "float32" | "float64">;
    if (isZeroed) buffer.data.fill(0);
    buffers[name] = buffer;
  }
  return buffers;
}

/** Whether a tensor lies over one of others. */
function isOver({ data }: Tensor, others: Iterable<Tensor>): boolean {
  const start = data.byteOffset;
  const end = start + data.byteLength;
  for (const { data: other } of others) {
    const from = other.byteOffset;
    if (from < end && start < from + other.byteLength && other.buffer === data.buffer) return true;
  }
  return false;
}
