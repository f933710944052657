import { LosswrightError } from "../errors/index.js";
import {
  type DataOfDtype,
  type Dtype,
  dataOf,
  isTensor,
  sizeOf,
  type Tensor,
  type Unlabeled,
  view,
} from "../tensor/index.js";
import { session } from "./session.js";

/**
 * A zeroed tensor in the kernels' memory: kernels read and write it where it lies, from all threads, without a copy.
 *
 * It is a tensor like any other, for inputs (fill its `data`) and for gradients (`into`). It stays until
 * {@link release}: the collector does not see this memory. 4 GiB are the most; larger tensors stay plain typed arrays,
 * which go through in pieces. Where WebAssembly cannot run it is a plain tensor.
 *
 * @param shape - lengths of the axes
 * @param dtype - `"float32"` (what kernels compute on), or any other
 * @throws `memory` where there is no room, `shape` for a shape that is none, `dtype` for another dtype
 *
 * @example
 * const logits = allocate([1024, 128256], "float32");
 * const gradient = allocate([1024, 128256], "float32");
 * objective.valueAndGradients({ logits, labels }, { into: { gradients: { logits: gradient } } });
 */
export function allocate<D extends Dtype = "float32">(
  shape: readonly number[],
  dtype: D = "float32" as D,
): Tensor<Unlabeled, D> {
  const size = bytesPerElement[dtype];
  if (size === undefined) {
    throw new LosswrightError({
      code: "dtype",
      where: "allocate",
      field: "dtype",
      found: String(dtype),
      expected: `one of ${Object.keys(bytesPerElement).join(", ")}`,
    });
  }
  // Checks the shape before anything is taken.
  if (!Array.isArray(shape) || !shape.every((length) => Number.isSafeInteger(length) && length >= 0)) {
    return view(dataOf(dtype, 0), shape, "unlabeled", dtype);
  }
  const count = sizeOf(shape);
  const live = session();
  if (typeof live === "string") return view(dataOf(dtype, count), shape, "unlabeled", dtype);
  const at = live.heap.allocate(count * size);
  live.views.bytes.fill(0, at, at + count * size);
  const Data = dataOf(dtype, 0).constructor as new (buffer: ArrayBufferLike, at: number, length: number) => unknown;
  const data = new Data(live.memory.buffer, at, count) as DataOfDtype[D];
  addresses.set(data, at);
  return view(data, shape, "unlabeled", dtype);
}

/** Where the data of tensors lie that were allocated and not given back: by the array itself, since memory is used again. */
const addresses = new WeakMap<object, number>();

/**
 * Gives the memory of a tensor back that {@link allocate} made; nothing may read or write it afterwards.
 *
 * @throws `argument` for a tensor that `allocate` did not make, or one given back already
 */
export function release(tensor: Tensor): void {
  const live = session();
  const at = isTensor(tensor) ? addresses.get(tensor.data) : undefined;
  if (at !== undefined && typeof live !== "string") {
    addresses.delete(tensor.data);
    live.heap.release(at);
    return;
  }
  if (isTensor(tensor) && typeof live === "string") return;
  const isInside = isTensor(tensor) && typeof live !== "string" && live.addressOf(tensor.data) !== undefined;
  throw new LosswrightError({
    code: "argument",
    where: "release",
    field: "tensor",
    found: !isTensor(tensor)
      ? "no tensor"
      : isInside
        ? "a part of a tensor, or one given back already"
        : "a tensor that lies in plain memory, or was made by another copy of the library",
    expected: "a tensor made by allocate, whole, once",
    fix: "plain tensors are the collector's: there is nothing to give back.",
  });
}

const bytesPerElement: Readonly<Record<Dtype, number>> = {
  float64: 8,
  float32: 4,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
};
