/**
 * Names that other libraries give to what is here called otherwise: an unknown name that stands here is answered with
 * ours. Keys are in lower case, without separators and without a trailing "loss".
 */
const objectives: Readonly<Record<string, string>> = {
  mse: "squaredError",
  l2: "squaredError",
  mae: "absoluteError",
  l1: "absoluteError",
  bce: "binaryCrossEntropy",
  bcewithlogits: "binaryCrossEntropy",
  binarycrossentropywithlogits: "binaryCrossEntropy",
  sigmoidbinarycrossentropy: "binaryCrossEntropy",
  ce: "crossEntropy",
  nll: "crossEntropy",
  xent: "crossEntropy",
  categoricalcrossentropy: "crossEntropy",
  sparsecategoricalcrossentropy: "crossEntropy",
  softmaxcrossentropy: "crossEntropy",
  softmaxcrossentropywithintegerlabels: "crossEntropy",
  kl: "klDivergence",
  kldiv: "klDivergence",
  jsd: "jensenShannon",
  sigmoidfocal: "binaryFocal",
  poly1: "polyOne",
  poly: "polyOne",
  pinball: "quantile",
  infonce: "infoNce",
  simclr: "ntXent",
  supcon: "supervisedContrastive",
  tripletmargin: "triplet",
  contrastive: "pairContrastive",
  arcface: "angularMargin",
  bradleyterry: "pairwiseLogistic",
  reward: "pairwiseLogistic",
  grpo: "policyGradient",
  ppo: "policyGradient",
  dapo: "policyGradient",
  fusedlinearcrossentropy: "linearCrossEntropy",
  crf: "linearChainCrf",
  rnnt: "rnnTransducer",
};

/** Ours for an objective by another library's name, if it has one. */
export function objectiveByForeignName(name: string): string | undefined {
  const key = name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "")
    .replace(/loss$/, "");
  return Object.hasOwn(objectives, key) ? objectives[key] : undefined;
}

/** Options and fields of other libraries, with what says the same here; the first that the loss has is the answer. */
const names: Readonly<Record<string, readonly string[]>> = {
  input: ["logits", "predictions", "scores"],
  inputs: ["logits", "predictions", "scores"],
  logits: ["predictions", "scores"],
  predictions: ["logits"],
  outputs: ["logits", "predictions"],
  target: ["labels", "targets"],
  targets: ["labels"],
  labels: ["targets"],
  y: ["labels", "targets"],
  weight: ["classWeights", "weights", "hidden"],
  sampleWeight: ["weights"],
  sample_weight: ["weights"],
  alpha: ["classWeights"],
  smoothing: ["labelSmoothing"],
  tau: ["temperature"],
  clip: ["clipLow"],
  epsilon: ["clipLow", "labelSmoothing", "eps"],
  epsilonHigh: ["clipHigh"],
  epsilon_high: ["clipHigh"],
  beta: ["klCoefficient", "delta"],
  q: ["quantiles"],
};

/** The name that `known` has for another library's name, if any. */
export function nameByForeignName(name: string, known: readonly string[]): string | undefined {
  return Object.hasOwn(names, name) ? names[name]!.find((candidate) => known.includes(candidate)) : undefined;
}
