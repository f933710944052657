import { LosswrightError } from "../errors/index.js";
import { dataOf, formatShape, isTensor, type Tensor, type Unlabeled, view } from "../tensor/index.js";

/**
 * Inputs and targets of next-token prediction: `inputs = ids[:, :-1]`, `targets = ids[:, 1:]`.
 *
 * @param ids - `[B, T]` integers, T ≥ 2
 * @returns `inputs` and `targets`, both `[B, T − 1]`, of the ids' dtype: one timestep fewer, and
 * `targets[b, t]` is the token that follows `inputs[b, t]`. Logits of `inputs` match `targets` position by position,
 * so the loss takes no further `labelShift`.
 * @throws `shape` for other numbers of axes or a single timestep, `dtype` for floats
 */
export function splitNextToken(ids: Tensor<"classIndices" | Unlabeled>): {
  inputs: Tensor<"classIndices">;
  targets: Tensor<"classIndices">;
} {
  if (!isTensor(ids)) {
    throw new LosswrightError({
      code: "argument",
      where: "splitNextToken",
      field: "ids",
      found: Array.isArray(ids) ? "a list" : typeof ids,
      expected: "a tensor",
      fix: "wrap it: splitNextToken(tensor(ids)).",
    });
  }
  const { shape, data, dtype, weak } = ids;
  const [rows, length] = shape as [number, number];
  if (shape.length !== 2 || length < 2) {
    throw new LosswrightError({
      code: "shape",
      where: "splitNextToken",
      field: "ids",
      found: formatShape(shape),
      expected: "[B, T] with at least two timesteps",
    });
  }
  if (dtype !== "int32" && dtype !== "int64" && dtype !== "uint8" && !weak) {
    throw new LosswrightError({
      code: "dtype",
      where: "splitNextToken",
      field: "ids",
      found: dtype,
      expected: "integers: int32, int64 or uint8",
    });
  }
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
