import { LosswrightError } from "../errors/index.js";
import { exp, log1p, sigmoid as sigmoidOf } from "../numerics/index.js";
import { formatShape } from "./shape.js";
import { dataOf, isTensor, type Role, type Tensor, type Unlabeled, view } from "./tensor.js";

type Logits = Tensor<"logits" | Unlabeled>;

/**
 * p_k = exp(z_k − m) / Σ_j exp(z_j − m) with m = max z, over one axis.
 *
 * @param logits - float tensor of any shape
 * @param axis - the class axis, −1 by default
 * @returns probabilities of the same shape and dtype, labeled so that no loss takes them for logits
 * @throws `dtype` for integers, `role` for what is no logits, `shape` for an axis that is not there
 */
export function softmax(logits: Logits, axis = -1): Tensor<"probabilities"> {
  return overRows("softmax", logits, axis, "probabilities", (row) => {
    const { top, others } = normalize(row);
    const peak = row[top]!;
    for (let k = 0; k < row.length; k++) row[k] = (k === top ? 1 : exp(row[k]! - peak)) / (1 + others);
  });
}

/**
 * log p_k = (z_k − m) − log Σ_j exp(z_j − m), over one axis; never log(softmax), which underflows to −∞.
 *
 * Shapes, dtypes and errors as {@link softmax}.
 */
export function logSoftmax(logits: Logits, axis = -1): Tensor<"logProbabilities"> {
  return overRows("logSoftmax", logits, axis, "logProbabilities", (row) => {
    const { top, others } = normalize(row);
    const peak = row[top]!;
    const rest = log1p(others);
    for (let k = 0; k < row.length; k++) row[k] = (k === top ? 0 : row[k]! - peak) - rest;
  });
}

/**
 * σ(z) = 1 / (1 + exp(−z)), element by element.
 *
 * Shapes, dtypes and errors as {@link softmax}.
 */
export function sigmoid(logits: Logits): Tensor<"probabilities"> {
  const { shape, dtype, data } = floats("sigmoid", logits);
  const out = dataOf(dtype, data.length);
  for (let i = 0; i < out.length; i++) out[i] = sigmoidOf(data[i]!);
  return view(out, shape, "probabilities", dtype);
}

/** The place of the largest entry and the mass of the others relative to it; NaN where nothing can be normalized. */
function normalize(row: Float64Array): { top: number; others: number } {
  let top = 0;
  for (let k = 1; k < row.length; k++) if (row[k]! > row[top]!) top = k;
  const peak = row[top]!;
  let others = Math.abs(peak) < Number.POSITIVE_INFINITY ? 0 : Number.NaN;
  for (let k = 0; k < row.length; k++) if (k !== top) others += exp(row[k]! - peak);
  return { top, others };
}

function overRows<R extends Role>(
  where: string,
  logits: Logits,
  axis: number,
  role: R,
  transform: (row: Float64Array) => void,
): Tensor<R> {
  const { shape, dtype, data } = floats(where, logits);
  const at = axis < 0 ? axis + shape.length : axis;
  const classes = shape[at];
  if (!Number.isInteger(axis) || classes === undefined) {
    throw new LosswrightError({
      code: "shape",
      where,
      field: "axis",
      found: `axis ${axis} of a tensor of shape ${formatShape(shape)}`,
      expected: "one of its axes",
    });
  }
  let stride = 1;
  for (let i = at + 1; i < shape.length; i++) stride *= shape[i]!;
  const out = dataOf(dtype, data.length);
  const row = new Float64Array(classes);
  for (let start = 0; start < data.length; start += classes * stride) {
    for (let inner = 0; inner < stride; inner++) {
      for (let k = 0; k < classes; k++) row[k] = data[start + inner + k * stride]!;
      transform(row);
      for (let k = 0; k < classes; k++) out[start + inner + k * stride] = row[k]!;
    }
  }
  return view(out, shape, role, dtype);
}

function floats(where: string, logits: Logits) {
  const given: unknown = logits;
  if (!isTensor(given) || (given.dtype !== "float64" && given.dtype !== "float32")) {
    throw new LosswrightError({
      code: "dtype",
      where,
      field: "logits",
      found: isTensor(given) ? `${given.dtype} ${formatShape(given.shape)}` : typeof given,
      expected: "a float32 or float64 tensor",
    });
  }
  if (given.role !== "logits" && given.role !== "unlabeled") {
    throw new LosswrightError({
      code: "role",
      where,
      field: "logits",
      found: given.role,
      expected: "logits",
      fix: "pass the model's raw scores.",
    });
  }
  return given as Tensor<"logits" | Unlabeled, "float64" | "float32">;
}
