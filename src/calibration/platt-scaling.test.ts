import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { undoPosWeight } from "../decisions/index.js";
import { sigmoid, tensor } from "../tensor/index.js";
import { plattScaling } from "./platt-scaling.js";
import { drawnSamples, numbers, scoredFieldsOf } from "./samples.test-helper.js";
import { temperatureScaling } from "./temperature-scaling.js";

describe("plattScaling", () => {
  it.each([true, false])("has no slope left, target priors %s", (targetPriors) => {
    fc.assert(
      fc.property(drawnSamples(1), fc.constantFrom(1, 1e-6, 1e6), fc.constantFrom(0, 1e3), (samples, size, offset) => {
        const logits = samples.logits.map((z) => size * (z + offset));
        const fields = scoredFieldsOf({ ...samples, logits });
        const [zeros, ones] = [0, 1].map((label) => logits.filter((_, i) => samples.labels[i] === label));
        const isOverlapping = Math.max(...zeros!) > Math.min(...ones!) && Math.max(...ones!) > Math.min(...zeros!);
        fc.pre(targetPriors || isOverlapping);
        const { slope, intercept } = plattScaling({ ...fields, targetPriors });
        const sum = (label: number) =>
          samples.weights.reduce((all, w, i) => all + (samples.labels[i] === label ? w : 0), 0);
        const targets = targetPriors ? [1 / (sum(0) + 2), (sum(1) + 1) / (sum(1) + 2)] : [0, 1];
        const slopes = [0, 0];
        logits.forEach((score, i) => {
          const p = 1 / (1 + Math.exp(-(slope * score + intercept)));
          const residual = samples.weights[i]! * (p - targets[samples.labels[i]!]!);
          slopes[0]! += residual * (score / size - offset);
          slopes[1]! += residual;
        });
        for (const left of slopes) expect(Math.abs(left)).toBeLessThan(1e-7);
      }),
      { numRuns: 60 },
    );
  });

  it("finds the line that the labels were drawn at", () => {
    const scores = [-3, -2, -1, 0, 1, 2.5, 4];
    const likely = numbers(sigmoid(tensor(scores.map((s) => 1.7 * s - 0.6))));
    const { slope, intercept } = plattScaling({
      scores: [...scores, ...scores],
      labels: [...scores.map(() => 1), ...scores.map(() => 0)],
      weights: [...likely, ...likely.map((p) => 1 - p)],
      targetPriors: false,
    });
    expect(slope).toBeCloseTo(1.7, 10);
    expect(intercept).toBeCloseTo(-0.6, 10);
  });

  it("gives the same bits for every order of the samples", () => {
    fc.assert(
      fc.property(drawnSamples(1), (samples) => {
        const [one, other] = [scoredFieldsOf(samples), scoredFieldsOf(samples, samples.order)].map(plattScaling);
        expect(other!.toJSON()).toEqual(one!.toJSON());
      }),
      { numRuns: 50 },
    );
  });

  it("is finite for separable scores by its target priors, and the same curve however far apart they are", () => {
    const curves = [1e-9, 1, 1e9].map((far) => {
      const scores = [-far, -far / 2, far / 2, far];
      const { slope, intercept, apply } = plattScaling({ scores, labels: [0, 0, 1, 1] });
      expect(slope).toBeGreaterThan(0);
      expect(intercept).toBeCloseTo(0, 12);
      return numbers(apply(scores));
    });
    for (const curve of curves) {
      // Platt's targets are 3/4 and 1/4: what is above them at the end is below them before it.
      expect((curve[2]! - 0.75) * 0.5 + (curve[3]! - 0.75)).toBeCloseTo(0, 10);
      curve.forEach((p, i) => {
        expect(p).toBeCloseTo(curves[1]![i]!, 12);
      });
    }
  });

  it("finds what posWeight did to the logits, and nothing after undoPosWeight", () => {
    const shares = [0.02, 0.1, 0.3, 0.6, 0.95];
    const fields = {
      labels: [...shares.map(() => 1), ...shares.map(() => 0)],
      weights: [...shares, ...shares.map((p) => 1 - p)],
      targetPriors: false,
    };
    // What a model that fits a loss of posWeight 8 gives: log(w p / (1 − p)).
    const logits = [...shares, ...shares].map((p) => Math.log((8 * p) / (1 - p)));
    const weighted = plattScaling({ ...fields, scores: logits });
    expect(weighted.slope).toBeCloseTo(1, 9);
    expect(weighted.intercept).toBeCloseTo(-Math.log(8), 9);
    const undone = plattScaling({ ...fields, scores: undoPosWeight(tensor(logits), 8) });
    expect(undone.slope).toBeCloseTo(1, 9);
    expect(undone.intercept).toBeCloseTo(0, 9);
    // One temperature has no intercept: it cannot bring them back.
    const { targetPriors: _, ...labeled } = fields;
    expect(temperatureScaling({ ...labeled, logits: undoPosWeight(tensor(logits), 8) }).temperature).toBeCloseTo(1, 9);
    const cooled = temperatureScaling({ ...labeled, logits });
    expect(cooled.nll).toBeGreaterThan(
      temperatureScaling({ ...labeled, logits: undoPosWeight(tensor(logits), 8) }).nll + 0.05,
    );
  });

  it("has a slope of 0 where all scores are equal, and says so", () => {
    const found = plattScaling({ scores: [3, 3, 3, 3], labels: [1, 0, 1, 1], targetPriors: false });
    expect(found.slope).toBe(0);
    expect(numbers(found.apply([-1e9]))[0]).toBeCloseTo(0.75, 12);
    expect(found.notes).toEqual([expect.objectContaining({ code: "flat-scores" })]);
  });

  it("has a falling slope where high scores mean 0", () => {
    expect(plattScaling({ scores: [1, 2, 3, 4], labels: [1, 1, 0, 0] }).slope).toBeLessThan(0);
  });

  it("does not read what the mask takes out, and counts a weight of 2 as two samples", () => {
    const scores = [1, -1, 2, -3, 0.5];
    const labels = [1, 0, 0, 0, 1];
    const plain = plattScaling({ scores, labels });
    const masked = { scores: [...scores, NaN], labels: [...labels, 7], mask: [1, 1, 1, 1, 1, 0] };
    expect(plattScaling(masked).toJSON()).toEqual(plain.toJSON());
    const twice = plattScaling({ scores: [...scores, 1], labels: [...labels, 1] });
    expect(plattScaling({ scores, labels, weights: [2, 1, 1, 1, 1] }).slope).toBeCloseTo(twice.slope, 12);
  });

  it("applies to any shape, in the precision given; NaN and infinities go through", () => {
    const { apply } = plattScaling({ scores: [1, -1, 2, -3, 0.5], labels: [1, 0, 0, 0, 1] });
    const applied = apply(tensor(Float32Array.of(Infinity, -Infinity, NaN, 0), [2, 2], "scores"));
    expect(applied).toMatchObject({ dtype: "float32", shape: [2, 2], role: "probabilities" });
    expect(numbers(applied).slice(0, 3)).toEqual([1, 0, NaN]);
  });

  const good = { scores: tensor([1, -1, 2]), labels: tensor([1, 0, 0]) };
  refuses([
    [
      "probabilities",
      () => plattScaling({ ...good, scores: wrong(sigmoid(good.scores)) }),
      "role",
      "scores",
      /isotonicCalibration/,
    ],
    [
      "probabilities to apply to",
      () => plattScaling(good).apply(wrong(sigmoid(good.scores))),
      "role",
      "scores",
      /isotonic/,
    ],
    [
      "separable scores without priors",
      () => plattScaling({ scores: [1, 2, 3], labels: [0, 0, 1], targetPriors: false }),
      "value",
      "scores",
      /\[1, 2\].*targetPriors on/,
    ],
    [
      "scores that touch without priors",
      () => plattScaling({ scores: [1, 2, 2, 3], labels: [0, 0, 1, 1], targetPriors: false }),
      "value",
      "scores",
      /overlap/,
    ],
    [
      "separable the other way round",
      () => plattScaling({ scores: [3, 2, 1], labels: [0, 0, 1], targetPriors: false }),
      "value",
      "scores",
      /overlap/,
    ],
    [
      "labels of −1 and 1",
      () => plattScaling({ ...good, labels: [1, -1, -1] }),
      "value",
      "labels",
      /-1 at \[1\].*\(label \+ 1\) \/ 2/,
    ],
    ["one class", () => plattScaling({ ...good, labels: [1, 1, 1] }), "value", "labels", /all of them 1.*both/],
    ["a NaN", () => plattScaling({ ...good, scores: [1, NaN, 2] }), "value", "scores", /NaN at \[1\].*mask/],
    ["an infinite score", () => plattScaling({ ...good, scores: [1, Infinity, 2] }), "value", "scores", /finite/],
    ["labels of another shape", () => plattScaling({ ...good, labels: [1, 0] }), "shape", "labels", /\[3\]/],
    ["nothing", () => plattScaling({ scores: [], labels: [] }), "empty", "labels", /held-out/],
    [
      "target priors of numbers",
      () => plattScaling(wrong({ ...good, targetPriors: 1 })),
      "option",
      "targetPriors",
      /true or false/,
    ],
    [
      "a misspelt option",
      () => plattScaling(wrong({ ...good, targetPrior: false })),
      "unknown",
      "targetPrior",
      /"targetPriors"/,
    ],
  ]);
});
