/** Checked by the compiler alone: what must not type-check stands under an expected error. */
import { logSoftmax, softmax, type Tensor, tensor } from "../tensor/index.js";
import {
  accuracy,
  auroc,
  bootstrap,
  brierScore,
  expectedCalibrationError,
  fBeta,
  logLoss,
  pairedComparison,
  perplexity,
  r2,
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

// Options say what is computed.
const f1: number = fBeta({ average: "macro", beta: 2 }).compute();
const perClass: Tensor = fBeta({ average: "none" }).compute();
const area: number = auroc().compute();
const bounds: { lower: number } = auroc({ resolutionBits: 8 }).compute();
const outputs: Tensor = r2({ outputs: "raw" }).compute();
const score: number = brierScore({ part: "score" }).compute();
const resolution: number = brierScore().compute().resolution;
pairedComparison(fBeta());
pairedComparison(auroc());
// @ts-expect-error one number a class is no number
pairedComparison(fBeta({ average: "none" }));
// @ts-expect-error a class score has no such option
fBeta({ averge: "macro" });
void [f1, perClass, area, bounds, outputs, score, resolution];
