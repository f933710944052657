import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { sigmoid, tensor } from "../tensor/index.js";
import { isotonicCalibration } from "./isotonic-calibration.js";
import { type DrawnSamples, drawnSamples, numbers, scoredFieldsOf } from "./samples.test-helper.js";

/** min over upper ends of max over lower ends of the mean between: what isotonic regression is, without an algorithm. */
function minimaxFit({ logits, labels, weights }: DrawnSamples) {
  const scores = [...new Set(logits.map((z) => z + 0))].sort((a, b) => a - b);
  const sums = scores.map((score) => {
    const own = logits.flatMap((z, i) => (z === score ? [i] : []));
    const weight = own.reduce((sum, i) => sum + weights[i]!, 0);
    return { weight, positive: own.reduce((sum, i) => sum + weights[i]! * labels[i]!, 0) };
  });
  const mean = (from: number, to: number) => {
    const part = sums.slice(from, to + 1);
    return part.reduce((sum, s) => sum + s.positive, 0) / part.reduce((sum, s) => sum + s.weight, 0);
  };
  const fit = scores.map((_, i) => {
    const ends = scores.slice(i).map((__, j) => Math.max(...scores.slice(0, i + 1).map((___, k) => mean(k, i + j))));
    return Math.min(...ends);
  });
  return { scores, fit };
}

describe("isotonicCalibration", () => {
  it("is the least-squares fit that never falls", () => {
    fc.assert(
      fc.property(drawnSamples(1, 20), (samples) => {
        const { scores, fit } = minimaxFit(samples);
        const found = numbers(isotonicCalibration(scoredFieldsOf(samples)).apply(scores));
        found.forEach((p, i) => {
          expect(p).toBeCloseTo(fit[i]!, 12);
        });
      }),
      { numRuns: 60 },
    );
  });

  it("never falls between any scores, and stays in [0, 1]", () => {
    const queries = fc.array(fc.double({ noNaN: true }), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(drawnSamples(1), queries, (samples, drawn) => {
        const sorted = Float64Array.from([...drawn, ...samples.logits]).sort();
        const found = numbers(isotonicCalibration(scoredFieldsOf(samples)).apply(tensor(sorted)));
        found.forEach((p, i) => {
          expect(p >= (found[i - 1] ?? 0) && p <= 1).toBe(true);
        });
      }),
      { numRuns: 50 },
    );
  });

  it("fitted on its own probabilities, leaves them as they are", () => {
    fc.assert(
      fc.property(drawnSamples(1), (samples) => {
        const fields = scoredFieldsOf(samples);
        const once = isotonicCalibration(fields).apply(fields.scores);
        const twice = isotonicCalibration({ ...fields, scores: once }).apply(once);
        numbers(twice).forEach((p, i) => {
          expect(p).toBeCloseTo(numbers(once)[i]!, 14);
        });
      }),
      { numRuns: 50 },
    );
  });

  it("gives the same bits for every order of the samples", () => {
    fc.assert(
      fc.property(drawnSamples(1), (samples) => {
        const [one, other] = [scoredFieldsOf(samples), scoredFieldsOf(samples, samples.order)].map(isotonicCalibration);
        expect(other!.toJSON()).toEqual(one!.toJSON());
      }),
      { numRuns: 50 },
    );
  });

  it("averages equal scores, of either zero too, and keeps the two ends of a level piece", () => {
    const { thresholds } = isotonicCalibration({ scores: [0, -0, 1, 2, 3, 4], labels: [1, 0, 1, 0, 1, 1] });
    expect(numbers(thresholds.x)).toEqual([0, 2, 3, 4]);
    expect(numbers(thresholds.y)).toEqual([0.5, 0.5, 1, 1]);
    expect(Object.is(numbers(thresholds.x)[0], 0)).toBe(true);
  });

  it("is linear between thresholds, level outside; a NaN stays one", () => {
    const { apply } = isotonicCalibration({ scores: [0, 1], labels: [0, 1] });
    expect(numbers(apply([-5, 0, 0.25, 1, 7, Infinity, -Infinity, NaN]))).toEqual([0, 0, 0.25, 1, 1, 1, 0, NaN]);
    expect(apply(tensor(Float32Array.of(0.5), [1, 1]))).toMatchObject({ dtype: "float32", shape: [1, 1] });
  });

  it("takes a score as it is: probabilities, logits, integers of 64 bits", () => {
    const labels = [0, 1, 0, 1];
    const logits = tensor([-1, 0.5, 1, 2]);
    const [of, ofProbabilities] = [logits, sigmoid(logits)].map((scores) => isotonicCalibration({ scores, labels }));
    expect(numbers(ofProbabilities!.thresholds.y)).toEqual(numbers(of!.thresholds.y));
    const whole = isotonicCalibration({ scores: tensor(BigInt64Array.of(1n, 2n)), labels: tensor([false, true]) });
    expect(numbers(whole.apply(tensor(BigInt64Array.of(1n, 2n))))).toEqual([0, 1]);
  });

  it("sums weights of any size without losing the small ones", () => {
    // 2^60 + 1 is no number: alone a plain sum would lose the one that decides the mean of the small pool.
    const { thresholds } = isotonicCalibration({
      scores: [0, 0, 0, 1],
      labels: [1, 0, 1, 1],
      weights: [1, 2 ** 60, 1, 1],
    });
    expect(numbers(thresholds.y)[0]).toBe(2 / (2 ** 60 + 2));
  });

  const good = { scores: tensor([1, -1, 2]), labels: tensor([1, 0, 0]) };
  refuses([
    [
      "class indices for scores",
      () => isotonicCalibration({ ...good, scores: wrong(tensor([1, 0, 1], undefined, "classIndices")) }),
      "role",
      "scores",
      /scores or logits/,
    ],
    ["soft labels", () => isotonicCalibration({ ...good, labels: [1, 0.5, 0] }), "value", "labels", /0\.5 at \[1\]/],
    ["one class", () => isotonicCalibration({ ...good, labels: [0, 0, 0] }), "value", "labels", /all of them 0/],
    ["a NaN", () => isotonicCalibration({ ...good, scores: [NaN, 1, 2] }), "value", "scores", /NaN at \[0\]/],
    ["weights of another shape", () => isotonicCalibration({ ...good, weights: [1, 1] }), "shape", "weights", /\[3\]/],
    ["nothing", () => isotonicCalibration({ scores: [], labels: [] }), "empty", "labels", /held-out/],
    ["a misspelt field", () => isotonicCalibration(wrong({ ...good, label: 1 })), "unknown", "label", /"labels"/],
    ["no tensor to apply to", () => isotonicCalibration(good).apply(wrong(0.5)), "argument", "scores", /tensor/],
  ]);
});
