import { describe, expect, it } from "vitest";
import { errorOf, refuses, wrong } from "../../test/instruments/refusals.js";
import { tensor } from "../tensor/index.js";
import {
  accuracy,
  auroc,
  bootstrap,
  logLoss,
  meanSquaredError,
  metricByForeignName,
  metricFrom,
  metricNames,
} from "./index.js";

describe("names of others", () => {
  it.each([
    ["f1", "fBeta"],
    ["F1_score", "fBeta"],
    ["roc_auc_score", "auroc"],
    ["AUC", "auroc"],
    ["recall@5", "recallAtK"],
    ["Hits@10", "hitRate"],
    ["mse", "meanSquaredError"],
    ["r2_score", "r2"],
    ["wer", "wordErrorRate"],
  ])("lead to ours: %s", (name, ours) => {
    expect(metricNames()).toContain(ours);
    expect(metricByForeignName(name)).toBe(ours);
    expect(errorOf(() => metricFrom({ metric: name }))).toMatchObject({ code: "unknown", fix: `write "${ours}".` });
  });

  it("lead nowhere where nothing is meant", () => {
    expect(metricByForeignName("vibes")).toBeUndefined();
  });

  const labels = tensor(Int32Array.of(0, 1));
  const scores = tensor([0.2, 0.8]);
  refuses([
    [
      "probabilities where scores rank",
      () => auroc().update(wrong({ probabilities: scores, labels })),
      "unknown",
      "probabilities",
      /"scores"/,
    ],
    [
      "scikit-learn's names",
      () => accuracy().update(wrong({ y_pred: labels, labels })),
      "unknown",
      "y_pred",
      /"predictions"/,
    ],
    [
      "sample_weight",
      () => accuracy().update(wrong({ predictions: labels, labels, sample_weight: scores })),
      "unknown",
      "sample_weight",
      /"weights"/,
    ],
    [
      "labels of a regression",
      () => meanSquaredError().update(wrong({ predictions: scores, labels })),
      "unknown",
      "labels",
      /"targets"/,
    ],
    ["scores of one class as predictions", () => accuracy().update({ scores, labels }), "shape", "scores", /threshold/],
    [
      "labels of several classes beside scores of one",
      () => auroc().update({ scores, labels: tensor(Int32Array.of(2, 1)) }),
      "value",
      "labels",
      /scores \[\.\.\., K\]/,
    ],
    [
      "a last axis of 1",
      () => meanSquaredError().update({ predictions: tensor([[1], [2]]), targets: tensor([1, 2]) }),
      "shape",
      "targets",
      /drop the last axis/,
    ],
    [
      "float labels",
      () => accuracy().update({ predictions: labels, labels: tensor(Float32Array.of(0, 1)) }),
      "dtype",
      "labels",
      /Int32Array\.from/,
    ],
    [
      "flags of classes beside probabilities of classes",
      () =>
        logLoss().update({
          probabilities: tensor([
            [0.7, 0.3],
            [0.2, 0.8],
          ]),
          labels: tensor([
            [1, 0],
            [0, 1],
          ]),
        }),
      "value",
      "labels",
      /index of the 1/,
    ],
    [
      "JSON that nobody parsed",
      () => metricFrom(wrong(JSON.stringify(accuracy()))),
      "argument",
      undefined,
      /JSON\.parse/,
    ],
    [
      "a factory in place of a metric",
      () => bootstrap(wrong(accuracy)),
      "argument",
      undefined,
      /bootstrap\(accuracy\(\)\)/,
    ],
  ]);

  it("does not take independent labels of a row for classes", () => {
    const fields = {
      probabilities: tensor([
        [0.7, 0.4],
        [0.2, 0.8],
      ]),
      labels: tensor([
        [1, 0],
        [0, 1],
      ]),
    };
    expect(logLoss().update(fields).compute()).toBeGreaterThan(0);
  });
});
