import { inWords } from "../contract/index.js";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
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
import type { CallOptions } from "./objective.js";

/**
 * Checks the options of a call and gives its gradient scale.
 *
 * @throws `unknown` for another option, `unsupported` for what this version lacks, `option` for a bad value
 */
export function checkCall(where: string, call: CallOptions): number {
  checkObject(where, "call", call);
  const { group, ...others } = call as CallOptions & { group?: unknown };
  rejectUnknown(where, "call option", others, ["denominator", "scale", "into", "engine"]);
  rejectUnknown(where, "key of into", call.into ?? {}, ["gradients"]);
  const { engine = "reference", scale = 1 } = call as CallOptions & { engine?: unknown };
  const wrong = (code: "unsupported" | "option", field: string, found: string, expected: string, fix?: string) =>
    new LosswrightError({ code, where, field, found, expected, ...(fix && { fix }) });
  if (group !== undefined) {
    throw wrong(
      "unsupported",
      "group",
      "a group",
      "a call without one, since this version has no groups",
      "merge objective.denominator(part) over the parts yourself and pass it as denominator.",
    );
  }
  if (engine !== "reference") {
    const code = engine === "wasm" ? "unsupported" : "option";
    throw wrong(code, "engine", inWords(engine), '"reference", the one engine of this version');
  }
  if (typeof scale === "number" && Number.isFinite(scale)) return scale;
  throw wrong("option", "scale", inWords(scale), "a finite number");
}

/**
 * Zeroed gradient tensors of a batch, the caller's own where `into` gives them.
 *
 * @throws `unknown` for a gradient of another name, `argument` for a tensor of another shape or dtype, or one that
 * shares memory with an input or another gradient
 */
export function gradientBuffers(
  batch: BoundBatch<object>,
  fields: Readonly<Record<string, FieldSpec>>,
  given: Readonly<Record<string, Tensor>> = {},
): Record<string, Tensor<Unlabeled, "float32" | "float64">> {
  const names = Object.keys(fields).filter((name) => {
    const { gradient, scalarOption } = fields[name]!;
    return gradient !== "none" && (batch.has(name) || scalarOption);
  });
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
    const fits = isTensor(out) && out.dtype === dtype && sameShape(out.shape, shape);
    const others = [...batch.tensors.values(), ...batch.common.values(), ...Object.values(buffers)];
    const sharesMemory = fits && others.some((tensor) => overlaps(tensor, out));
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
    buffer.data.fill(0);
    buffers[name] = buffer;
  }
  return buffers;
}

function overlaps({ data: a }: Tensor, { data: b }: Tensor): boolean {
  const apart = a.byteOffset >= b.byteOffset + b.byteLength || b.byteOffset >= a.byteOffset + a.byteLength;
  return a.buffer === b.buffer && !apart;
}
