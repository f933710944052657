/** What the types of the fits refuse, held by `tsc`: a line that should not compile is an error when it does. */
import { tuneThreshold } from "../decisions/index.js";
import { logSoftmax, sigmoid, softmax, type Tensor, tensor } from "../tensor/index.js";
import { calibratorFrom, isotonicCalibration, plattScaling, temperatureScaling, vectorScaling } from "./index.js";

const logits = tensor(new Float32Array(6), [2, 3], "logits");
const labels = tensor([0, 1], undefined, "classIndices");
const probabilities = softmax(logits);
const scores = tensor([1, 2], undefined, "scores");

// Tensors of the right role, unlabeled ones and lists go in; probabilities come out.
export const calibrated: Tensor<"probabilities"> = temperatureScaling({ logits, labels }).apply(logits);
vectorScaling({ logits: [[1, 2]], labels: [1], mask: tensor([true], undefined, "mask") });
plattScaling({ scores, labels, targetPriors: false }).slope satisfies number;
isotonicCalibration({ scores: sigmoid(tensor([1, 2])), labels }).apply(scores);
tuneThreshold({ scores: sigmoid(tensor([1, 2])), labels, maximize: { cost: { falsePositive: 1, falseNegative: 2 } } });

// @ts-expect-error probabilities where logits belong
temperatureScaling({ logits: probabilities, labels });
// @ts-expect-error log-probabilities where logits belong
vectorScaling({ logits: logSoftmax(logits), labels });
// @ts-expect-error probabilities where logits belong
temperatureScaling({ logits, labels }).apply(probabilities);
// @ts-expect-error probabilities where scores of a straight line belong
plattScaling({ scores: sigmoid(tensor([1, 2])), labels });
// @ts-expect-error class indices for scores
isotonicCalibration({ scores: labels, labels });
// @ts-expect-error logits for labels
temperatureScaling({ logits, labels: logits });
// @ts-expect-error a misspelt field
temperatureScaling({ logits, labels, wieghts: [1, 1] });
// @ts-expect-error a goal that does not exist
tuneThreshold({ scores, labels, maximize: "F1" });
// @ts-expect-error half a cost
tuneThreshold({ scores, labels, maximize: { cost: { falsePositive: 1 } } });

const read = calibratorFrom(plattScaling({ scores, labels }).toJSON());
read.slope satisfies number;
// @ts-expect-error a Platt calibrator has no temperature
export const none: number = read.temperature;
