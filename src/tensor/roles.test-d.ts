/** What the types refuse, held by `tsc`: a line that should not compile is an error when it does. */
import { binaryCrossEntropy, crossEntropy, infoNce, squaredError } from "../losses/all.js";
import { logSoftmax, sigmoid, softmax, type Tensor, tensor, type Unlabeled } from "./index.js";

const unlabeled: Tensor<Unlabeled> = tensor(new Float32Array(6), [2, 3]);
const logits: Tensor<"logits"> = tensor(new Float32Array(6), [2, 3], "logits");
const probabilities: Tensor<"probabilities"> = softmax(logits);
const logProbabilities: Tensor<"logProbabilities"> = logSoftmax(unlabeled);
const labels: Tensor<"classIndices"> = tensor([0, 1], undefined, "classIndices");

// Unlabeled tensors and tensors of the right role go in.
crossEntropy().evaluate({ logits, labels });
crossEntropy().evaluate({ logits: unlabeled, labels: tensor([0, 1]) });
crossEntropy().evaluate({ logits, targets: probabilities });
binaryCrossEntropy().evaluate({ logits, targets: sigmoid(logits) });
squaredError().evaluate({ predictions: probabilities, targets: unlabeled });
infoNce({ temperature: "field" }).evaluate({ queries: unlabeled, keys: unlabeled, temperature: 0.1 });

// @ts-expect-error probabilities where logits belong
crossEntropy().evaluate({ logits: probabilities, labels });
// @ts-expect-error log-probabilities where logits belong
crossEntropy().evaluate({ logits: logProbabilities, labels });
// @ts-expect-error a sigmoid where logits belong
binaryCrossEntropy().evaluate({ logits: sigmoid(logits), targets: unlabeled });
// @ts-expect-error logits where targets belong
crossEntropy().evaluate({ logits, targets: logits });
// @ts-expect-error a softmax of a softmax
softmax(probabilities);
// @ts-expect-error a sigmoid of a softmax
sigmoid(probabilities);
// @ts-expect-error class indices where logits belong
crossEntropy().evaluate({ logits: labels, labels });
// @ts-expect-error logits where embeddings belong
infoNce().evaluate({ queries: logits, keys: unlabeled });
// @ts-expect-error a mask where weights belong
crossEntropy().evaluate({ logits, labels, weights: tensor([1, 1], undefined, "mask") });

// @ts-expect-error both labels and targets
crossEntropy().evaluate({ logits, labels, targets: unlabeled });
// @ts-expect-error neither labels nor targets
crossEntropy().evaluate({ logits });
// @ts-expect-error a misspelt field
crossEntropy().evaluate({ logits, labels, wieghts: unlabeled });
// @ts-expect-error a misspelt option
crossEntropy({ labelSmoothng: 0.1 });
// @ts-expect-error per is one of four words
crossEntropy({ per: "batch" });
// @ts-expect-error a role that does not exist
tensor(new Float32Array(1), [1], "logit");

// Gradients are named: of the fields that have one, and of no other.
const { gradients } = crossEntropy().valueAndGradients({ logits, labels });
export const gradient: Tensor = gradients.logits;
// @ts-expect-error labels have no gradient
export const none: Tensor = gradients.labels;
export const three: Tensor[] = Object.values(
  infoNce().valueAndGradients({ queries: unlabeled, keys: unlabeled }).gradients satisfies Readonly<
    Record<"queries" | "keys" | "temperature", Tensor>
  >,
);
