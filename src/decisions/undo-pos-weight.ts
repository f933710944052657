import { log } from "../numerics/index.js";
import { dataOf, formatShape, isTensor, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { type Numbers, readNumbers, wrong } from "./numbers.js";

const where = "undoPosWeight";

/**
 * Logits as training without `posWeight` would have them: z − log w, element by element.
 * With positives weighted by w the best logit is log(w p / (1 − p)), not log(p / (1 − p)); what is taken off is log w.
 * σ(z − log w) is then the probability that a calibrated model would give; what the training got wrong besides stays.
 * z = ±∞ and NaN stay what they are.
 *
 * @param logits - float32 or float64, of any shape
 * @param posWeight - the option the model was trained with: a number, or one an entry of the last axis
 * @returns logits of the same shape and dtype
 * @throws `argument`, `role`, `dtype` for what is no tensor of logits; `shape` where the weights do not fit the last
 * axis; `value` for a weight that is not finite or not above 0 (a weight of 0 taught nothing about positives)
 * @see Elkan 2001, theorem 2, in logits
 *
 * @example
 * sigmoid(undoPosWeight(logits, 4));
 */
export function undoPosWeight(
  logits: Tensor<"logits" | Unlabeled>,
  posWeight: number | Numbers<"weights">,
): Tensor<"logits"> {
  if (!isTensor(logits)) {
    throw wrong(where, "argument", "logits", typeof logits, "a tensor", "wrap it: tensor(data, shape).");
  }
  const { data, dtype, shape, role } = logits as Tensor;
  if (role !== "logits" && role !== "unlabeled") {
    throw wrong(where, "role", "logits", role, "logits", "pass what came before the sigmoid.");
  }
  if (dtype !== "float32" && dtype !== "float64") {
    throw wrong(where, "dtype", "logits", `${dtype} ${formatShape(shape)}`, "float32 or float64");
  }
  const given = typeof posWeight === "number" ? [posWeight] : posWeight;
  const weights = readNumbers(where, "posWeight", given, ["weights"], {
    has: (value) => value > 0 && value < Number.POSITIVE_INFINITY,
    words: "a finite weight above 0",
  });
  const { length } = weights.data;
  const fits = typeof posWeight === "number" || weights.shape.length === 0;
  if (!fits && (weights.shape.length !== 1 || length !== (shape.at(-1) ?? 1))) {
    const found = `${formatShape(weights.shape)} for logits ${formatShape(shape)}`;
    throw wrong(
      where,
      "shape",
      "posWeight",
      found,
      `one number, or [${shape.at(-1) ?? 1}], one an entry of the last axis`,
    );
  }
  const shifts = weights.data.map(log);
  const out = dataOf(dtype, data.length);
  for (let i = 0; i < out.length; i++) out[i] = Number(data[i]) - shifts[i % length]!;
  return view(out, shape, "logits", dtype);
}
