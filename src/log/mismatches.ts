/** An objective and a metric that are known to part: what follows, and what to try. */
export interface Mismatch {
  readonly id: string;
  /** The pair in short: "CE vs F1". */
  readonly title: string;
  /** The objectives that it is about, by their names in this library. */
  readonly objectives: readonly string[];
  /** The metrics, by the names that this library or others give them. */
  readonly metrics: readonly string[];
  readonly consequence: string;
  readonly why: string;
  readonly mitigations: readonly string[];
}

/** What "Objective vs. Metric" is about: each surrogate with the metric that it is taken for. */
export const mismatches: readonly Mismatch[] = [
  {
    id: "cross-entropy-f1",
    title: "CE vs F1",
    objectives: [
      "crossEntropy",
      "binaryCrossEntropy",
      "focal",
      "binaryFocal",
      "brier",
      "linearCrossEntropy",
      "polyOne",
      "generalizedCrossEntropy",
      "symmetricCrossEntropy",
      "hinge",
      "multiMargin",
    ],
    metrics: [
      "f1",
      "fBeta",
      "balancedAccuracy",
      "recall",
      "precision",
      "jaccard",
      "matthewsCorrelation",
      "cohenKappa",
      "averagePrecision",
    ],
    consequence: "The majority class dominates: each sample counts alike, and most samples are of one class.",
    why: "Cross entropy is a mean over samples; F1 and its kin are ratios of counts that rare classes weigh in as much as frequent ones.",
    mitigations: [
      "class weights: crossEntropy({ classWeights: inverseFrequencyWeights(counts) }) or effectiveNumberWeights; posWeight for binary labels",
      "tune the decision threshold on validation data: the probabilities may be fine and 0.5 the wrong place to cut them",
      "weights move probabilities: undo them (undoPosWeight) before probabilities are read as such",
    ],
  },
  {
    id: "token-likelihood-answer",
    title: "token NLL vs answer quality",
    objectives: ["crossEntropy", "linearCrossEntropy", "unlikelihood", "distillation", "ctc", "rnnTransducer"],
    metrics: [
      "exactMatch",
      "winRate",
      "wordErrorRate",
      "characterErrorRate",
      "answerAccuracy",
      "passAtK",
      "rouge",
      "bleu",
      "helpfulness",
      "humanPreference",
    ],
    consequence:
      "Short local likelihood need not imply helpfulness: every token gets likelier, and the answer stays wrong.",
    why: "The likelihood is a mean over tokens given the right ones before them; an answer is right or wrong as a whole, after tokens of the model's own.",
    mitigations: [
      "the quality of the fine-tuning data: fewer, better answers; mask prompts out of the loss",
      "preference tuning on whole answers: dpo, orpo, simPo, kto, policyGradient",
      "evaluate generated answers, not likelihoods, when a checkpoint is chosen",
    ],
  },
  {
    id: "squared-error-rank",
    title: "MSE vs rank correlation",
    objectives: [
      "squaredError",
      "absoluteError",
      "huber",
      "smoothL1",
      "logCosh",
      "pseudoHuber",
      "squaredLogError",
      "gaussianNll",
      "laplaceNll",
    ],
    metrics: ["spearman", "kendallTau", "ndcg", "concordance", "rankCorrelation"],
    consequence: "A good average error with a bad order: large targets are fitted, close ones change places.",
    why: "Squared error is about distances to the target; an order is about differences between predictions, most of them small.",
    mitigations: [
      "a pairwise or listwise objective: pairwiseLogistic, marginRanking, listNet, lambdaRank, approxNdcg",
      "add one to the regression by weightedSum, so that scale and order are both trained",
    ],
  },
  {
    id: "info-nce-recall",
    title: "InfoNCE vs Recall@K",
    objectives: ["infoNce", "ntXent", "clip", "sigLip", "supervisedContrastive", "triplet", "pairContrastive"],
    metrics: [
      "recallAtK",
      "mrr",
      "meanReciprocalRank",
      "reciprocalRank",
      "ndcg",
      "hitRate",
      "precisionAtK",
      "meanAveragePrecision",
    ],
    consequence:
      "A softmax over the batch is not retrieval from the corpus: the batch gets easy long before the corpus does.",
    why: "With N negatives the loss ends where the right one is told from N others; the corpus has thousands that are closer.",
    mitigations: [
      "hard negatives: hardNegatives finds them in the corpus",
      "large or global negatives: gather the embeddings of all ranks before the loss, or keep a queue",
      "evaluate against the whole corpus, not within the batch",
    ],
  },
  {
    id: "reward-preference",
    title: "reward loss vs human preference",
    objectives: ["pairwiseLogistic", "dpo", "cpo", "orpo", "simPo", "kto", "marginRanking"],
    metrics: ["pairAccuracy", "winRate", "humanPreference", "preferenceAccuracy", "rewardAccuracy"],
    consequence: "The reward model overfits what the annotations happen to share: length, format, phrases.",
    why: "The loss counts pairs that the annotators ordered; what tells them apart in training may be an artifact that is absent elsewhere.",
    mitigations: [
      "a held-out preference evaluation from other annotators and other models, with its win rate",
      "compare pairs of equal length, or normalize by length (simPo), to see whether length is what is learned",
      "stop where held-out pair accuracy stops, not where the loss does",
    ],
  },
];

/** "macro_F1@val" and "macroF1" are one name. */
const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/**
 * The mismatch of an objective and a metric, by their names; undefined for a pair that the table does not hold.
 *
 * A metric's name may say more than the table's ("val/macroF1", "recall@10"); what is left of it must then be words that
 * say where or how it was averaged.
 */
export function mismatchOf(objective: string, metric: string): Mismatch | undefined {
  return mismatches.find(
    ({ objectives, metrics }) => objectives.includes(objective) && metrics.some((name) => meansTheSame(metric, name)),
  );
}

const qualifiers =
  /^(?:val|valid|validation|test|dev|eval|heldout|macro|micro|weighted|mean|avg|average|score|metric|at|rate|of|r|\d)*$/;

function meansTheSame(given: string, name: string): boolean {
  // K stands for any number: recallAtK is recall@10, recallAt10, recall_at_5.
  const pattern = plain(name).replace(/atk$/, "(?:at)?(?:k|\\d+)");
  const [, before, after] = new RegExp(`^(.*?)${pattern}(.*)$`).exec(plain(given)) ?? [];
  return before !== undefined && after !== undefined && qualifiers.test(before) && qualifiers.test(after);
}
