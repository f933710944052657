export { logSoftmax, sigmoid, softmax } from "./activations.js";
export {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  roundToBfloat16,
  roundToFloat16,
} from "./half.js";
export { formatShape, placeOf, sameShape, sizeOf } from "./shape.js";
export {
  type DataOfDtype,
  type Dtype,
  dataOf,
  dtypeOf,
  isTensor,
  type NestedList,
  type Role,
  type Tensor,
  type TensorData,
  tensor,
  type Unlabeled,
  view,
} from "./tensor.js";
