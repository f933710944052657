/**
 * Names that other libraries and people give to what is here called otherwise: an unknown name that stands here is
 * answered with ours. Keys are in lower case, without separators and without "score" at the end.
 */
const metrics: Readonly<Record<string, string>> = {
  acc: "accuracy",
  topkaccuracy: "accuracy",
  f1: "fBeta",
  fbeta: "fBeta",
  auc: "auroc",
  rocauc: "auroc",
  aucroc: "auroc",
  auprc: "averagePrecision",
  prauc: "averagePrecision",
  ap: "averagePrecision",
  roc: "rocCurve",
  mcc: "matthewsCorrelation",
  matthewscorrcoef: "matthewsCorrelation",
  kappa: "cohenKappa",
  quadraticweightedkappa: "cohenKappa",
  iou: "jaccard",
  ece: "expectedCalibrationError",
  calibrationerror: "expectedCalibrationError",
  mce: "maximumCalibrationError",
  calibrationcurve: "reliabilityCurve",
  brier: "brierScore",
  brierscoreloss: "brierScore",
  crossentropy: "logLoss",
  nll: "logLoss",
  ppl: "perplexity",
  bpb: "bitsPerByte",
  em: "exactMatch",
  wer: "wordErrorRate",
  cer: "characterErrorRate",
  mrr: "meanReciprocalRank",
  map: "meanAveragePrecision",
  hits: "hitRate",
  recallat: "recallAtK",
  precisionat: "precisionAtK",
  dcg: "ndcg",
  mse: "meanSquaredError",
  rmse: "rootMeanSquaredError",
  mae: "meanAbsoluteError",
  mape: "meanAbsolutePercentageError",
  medae: "medianAbsoluteError",
  r2score: "r2",
  rsquared: "r2",
  pearsonr: "pearson",
  spearmanr: "spearman",
  kendall: "kendallTau",
  quantileloss: "pinball",
  elo: "bradleyTerryScores",
  bradleyterry: "bradleyTerryScores",
};

/** Ours for a metric by another name, if it has one: `f1`, `recall@5`, `roc_auc_score`. */
export function metricByForeignName(name: string): string | undefined {
  const key = name
    .toLowerCase()
    .replace(/@?\d+$|@k$/, (end) => (/^@/.test(end) ? "at" : end))
    .replace(/[^a-z0-9]/g, "");
  for (const candidate of [key, key.replace(/score$/, ""), key.replace(/at$/, "")]) {
    if (Object.hasOwn(metrics, candidate)) return metrics[candidate];
  }
  return undefined;
}

/** Fields of other libraries, with what says the same here; the first that the metric has is the answer. */
const fields: Readonly<Record<string, readonly string[]>> = {
  probabilities: ["scores"],
  logits: ["scores"],
  predictions: ["scores"],
  scores: ["probabilities", "logits", "predictions"],
  preds: ["predictions", "scores", "probabilities"],
  y_pred: ["predictions", "scores"],
  y_score: ["scores", "probabilities"],
  y_prob: ["probabilities", "scores"],
  y_proba: ["probabilities", "scores"],
  targets: ["labels", "references", "relevance"],
  target: ["labels", "targets", "references", "relevance"],
  y_true: ["labels", "targets", "relevance"],
  labels: ["targets", "references", "relevance"],
  reference: ["references"],
  sampleWeight: ["weights"],
  sample_weight: ["weights"],
  weight: ["weights"],
};

/** Ours for a field by another name, of those that a metric has. */
export function fieldByForeignName(name: string, known: readonly string[]): string | undefined {
  return Object.hasOwn(fields, name) ? fields[name]!.find((field) => known.includes(field)) : undefined;
}
