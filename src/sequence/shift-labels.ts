import { checkObject, rejectUnknown } from "../errors/index.js";
import { dataOf, type Tensor, type Unlabeled, view } from "../tensor/index.js";
import { checkIntegers, checkSegments, checkWhole, elementOf, wrong } from "./arguments.js";

const where = "shiftLabels";

/**
 * Labels moved one step ahead, so that position t is asked for the token t + 1: `shifted[t] = labels[t + 1]`.
 *
 * The shape stays; the last label of each row, and of each segment, is `ignoreIndex`: nothing follows it there. A loss
 * of shifted labels takes no further `labelShift`; `crossEntropy({ labelShift: 1 })` of the unshifted labels scores the
 * same tokens with the same logits.
 *
 * @param input - `labels` `[B, T]` or `[T]` (one row), integers; `segmentIds?` of their shape; `ignoreIndex` (−100)
 * @returns shifted labels of the same shape and dtype
 * @throws `unknown`, `argument`, `role`, `shape`, `option`; `dtype` for floats, or where it cannot hold `ignoreIndex`
 * @see transformers `ForCausalLMLoss`
 */
export function shiftLabels(input: {
  readonly labels: Tensor<"classIndices" | Unlabeled>;
  readonly segmentIds?: Tensor;
  readonly ignoreIndex?: number;
}): Tensor<"classIndices"> {
  checkObject(where, "input", input);
  rejectUnknown(where, "argument", input, ["labels", "segmentIds", "ignoreIndex"]);
  const labels = checkIntegers(where, "labels", input.labels, ["B", "T"], ["T"]);
  const { data, shape, dtype, weak } = labels;
  const ignored = checkWhole(where, "ignoreIndex", input.ignoreIndex ?? -100);
  if (dtype === "uint8" && (ignored < 0 || ignored > 255)) {
    throw wrong(
      where,
      "dtype",
      "labels",
      `uint8 beside ignoreIndex ${ignored}`,
      "a dtype that holds both",
      "use int32.",
    );
  }
  const segments = input.segmentIds && checkSegments(where, input.segmentIds, shape).data;
  const steps = shape.at(-1)!;
  const shifted = dataOf(dtype, data.length);
  shifted.fill(elementOf(dtype, ignored) as never);
  for (let i = 0; i + 1 < data.length; i++) {
    if ((i + 1) % steps !== 0 && (!segments || segments[i] === segments[i + 1])) shifted[i] = data[i + 1]!;
  }
  return view(shifted, shape, "classIndices", dtype, weak);
}
