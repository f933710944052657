import { dataOf, formatShape, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { checkIntegers, wrong } from "./arguments.js";

const where = "splitNextToken";

/**
 * Inputs and targets of next-token prediction: `inputs = ids[:, :-1]`, `targets = ids[:, 1:]`.
 *
 * @param ids - `[B, T]` integers, T ≥ 2
 * @returns `inputs` and `targets`, both `[B, T − 1]`, of the ids' dtype: one timestep fewer, and
 * `targets[b, t]` is the token that follows `inputs[b, t]`. Logits of `inputs` match `targets` position by position,
 * so the loss takes no further `labelShift`.
 * @throws `shape` for other numbers of axes or a single timestep, `dtype` for floats, `argument`, `role`
 */
export function splitNextToken(ids: Tensor<"classIndices" | Unlabeled>): {
  inputs: Tensor<"classIndices">;
  targets: Tensor<"classIndices">;
} {
  const { shape, data, dtype, weak } = checkIntegers(where, "ids", ids, ["B", "T"]);
  const [rows, length] = shape as [number, number];
  if (length < 2) throw wrong(where, "shape", "ids", formatShape(shape), "[B, T] with at least two timesteps");
  const inputs = dataOf(dtype, rows * (length - 1));
  const targets = dataOf(dtype, rows * (length - 1));
  for (let row = 0, at = 0; row < rows; row++) {
    for (let t = 0; t + 1 < length; t++, at++) {
      inputs[at] = data[row * length + t]!;
      targets[at] = data[row * length + t + 1]!;
    }
  }
  const labeled = (values: typeof inputs) => view(values, [rows, length - 1], "classIndices", dtype, weak);
  return { inputs: labeled(inputs), targets: labeled(targets) };
}
