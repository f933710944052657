/** Checked by the compiler alone: what must not type-check stands under an expected error. */
import { logSoftmax, softmax, tensor } from "../tensor/index.js";
import {
  accuracy,
  auroc,
  bootstrap,
  expectedCalibrationError,
  logLoss,
  perplexity,
  recallAtK,
  winRate,
} from "./index.js";

const logits = tensor([[1, 2]], undefined, "logits");
const labels = tensor([0], undefined, "classIndices");
const probabilities = softmax(logits);

perplexity().update({ logits, labels });
perplexity().update({ logits: logSoftmax(logits), labels });
// @ts-expect-error probabilities are no logits
perplexity().update({ logits: probabilities, labels });

logLoss().update({ probabilities, labels });
// @ts-expect-error logits are no probabilities
logLoss().update({ probabilities: logits, labels });
// @ts-expect-error logits are no probabilities
expectedCalibrationError().update({ probabilities: logits, labels });

// Any score ranks.
auroc().update({ scores: probabilities, labels });
auroc().update({ scores: logits, labels });
accuracy().update({ scores: logits, labels });
// @ts-expect-error scores are no predicted classes
accuracy().update({ predictions: logits, labels });
// @ts-expect-error a metric has no such option
accuracy({ top: 1 });
// @ts-expect-error labels are missing
accuracy().update({ scores: logits });

recallAtK({ k: 1 }).update({ scores: logits, relevance: tensor([[0, 1]]) });
// @ts-expect-error class indices are no scores of a side
winRate().update({ left: labels, right: labels });

// What a metric computes keeps its type through a bootstrap.
const interval: number = bootstrap(accuracy()).compute().lower;
void interval;
