import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ofDtype } from "../../../test/instruments/batches.js";
import { bits } from "../../../test/instruments/bits.js";
import { slopeAt } from "../../../test/instruments/differences.js";
import { Random } from "../../../test/instruments/random.js";
import { refuses, wrong } from "../../../test/instruments/refusals.js";
import { logSoftmax, type Tensor, tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { dpo } from "../preference/dpo.js";
import { simPo } from "../preference/sim-po.js";
import { type SequenceScoresInput, sequenceScores } from "./sequence-scores.js";

type Input = SequenceScoresInput & { readonly logits: Tensor<"logits"> };

/** Logits with labels of which some are ignored, or masked. */
const inputs = fc.noShrink(fc.integer()).map((seed): Input & { readonly random: Random } => {
  const random = new Random(seed);
  const [rows, steps, classes] = [random.integer(1, 3), random.integer(1, 4), random.integer(1, 4)];
  const count = rows * steps;
  const reals = Float64Array.from({ length: count * classes }, () => random.real(2));
  const label = () => (random.chance(0.3) ? -100 : random.integer(0, classes - 1));
  return {
    logits: tensor(reals, [rows, steps, classes], "logits"),
    labels: ofDtype(random.pick(["int32", "int64"]), Array.from({ length: count }, label), [rows, steps]) as never,
    ...(random.chance(0.5) && {
      mask: tensor(
        Uint8Array.from({ length: count }, () => random.integer(0, 1)),
        [rows, steps],
      ),
    }),
    score: random.pick(["sum", "mean"]),
    random,
  };
});

const scored = ({ random: _, ...input }: Input & { readonly random: Random }) => sequenceScores(input);

describe("sequenceScores", () => {
  it("is minus the summed cross entropy of each sequence, and its mean, to the bit", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { logits, labels, mask } = input;
        const scores = scored(input);
        const [rows, steps, classes] = logits.shape as [number, number, number];
        for (let b = 0; b < rows; b++) {
          const part = (given: Tensor, width: number) =>
            tensor(given.data.slice(b * steps * width, (b + 1) * steps * width), [
              1,
              steps,
              ...(width > 1 ? [classes] : []),
            ]);
          const row = {
            logits: tensor(logits.data.slice(b * steps * classes, (b + 1) * steps * classes) as Float64Array, [
              1,
              steps,
              classes,
            ]),
            labels: part(labels, 1),
            ...(mask && { mask: part(mask, 1) }),
          };
          const { numerator, denominator } = crossEntropy().evaluate(row);
          const expected = input.score === "mean" ? -numerator / Math.max(denominator, 1) : -numerator;
          expect(bits(scores.data[b]!)).toBe(bits(expected + 0));
          expect(scores.lengths.data[b]).toBe(denominator);
        }
      }),
    );
  });

  it("of log-probabilities is that of the logits they came from", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { logits, random: _, ...rest } = input;
        const same = sequenceScores({ ...rest, logProbs: logSoftmax(logits) } as SequenceScoresInput);
        for (const [b, score] of scored(input).data.entries()) expect(same.data[b]).toBeCloseTo(score, 12);
      }),
    );
  });

  it("has a pullback that is the slope of what the scores go into, by central differences", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { random, ...given } = input;
        const pulls = Float64Array.from({ length: given.logits.shape[0]! }, () => random.real(2));
        const check = (field: "logits" | "logProbs", from: Tensor) => {
          const data = Float64Array.from(from.data as Float64Array);
          const { logits: _, ...rest } = given;
          const moved = { ...rest, [field]: tensor(data, from.shape) } as unknown as SequenceScoresInput;
          const gradient = sequenceScores(moved).pullback(tensor(pulls));
          for (let at = 0; at < data.length; at++) {
            const x = data[at]!;
            const { slope, noise } = slopeAt((there) => {
              data[at] = there;
              const total = sequenceScores(moved).data.reduce((sum, score, b) => sum + score * pulls[b]!, 0);
              data[at] = x;
              return total;
            }, x);
            expect(Math.abs(Number(gradient.data[at]) - slope)).toBeLessThan(1e-8 + 4 * noise);
          }
        };
        check("logits", given.logits);
        check("logProbs", logSoftmax(given.logits));
      }),
      { numRuns: 60 },
    );
  });

  it("chains dpo to the logits: as dpo on scores made by hand, and by central differences", () => {
    const random = new Random(5);
    const reals = (...shape: number[]) =>
      tensor(
        Float64Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.real(1)),
        shape,
      );
    const labels = tensor([
      [0, 2, 1],
      [3, -100, -100],
    ]);
    const [chosenLogits, rejectedLogits] = [reals(2, 3, 4), reals(2, 3, 4)];
    const byHand = (logits: Tensor) => {
      const logProbs = logSoftmax(logits as Tensor<"unlabeled">).data as Float64Array;
      return tensor([logProbs[0]! + logProbs[6]! + logProbs[9]!, logProbs[15]!]);
    };
    const reference = { referenceChosen: tensor([-3.1, -2.2]), referenceRejected: tensor([-3, -1.5]) };
    const objective = dpo({ beta: 0.7 });
    const chosen = sequenceScores({ logits: chosenLogits, labels });
    const rejected = sequenceScores({ logits: rejectedLogits, labels });
    const chained = objective.valueAndGradients({ policyChosen: chosen, policyRejected: rejected, ...reference });
    const hand = objective.valueAndGradients({
      policyChosen: byHand(chosenLogits),
      policyRejected: byHand(rejectedLogits),
      ...reference,
    });
    expect(chained.value).toBeCloseTo(hand.value, 14);
    for (const field of ["policyChosen", "policyRejected"] as const) {
      for (const [b, slope] of (hand.gradients[field].data as Float64Array).entries()) {
        expect(chained.gradients[field].data[b]).toBeCloseTo(slope, 14);
      }
    }
    const gradient = chosen.pullback(chained.gradients.policyChosen);
    const data = chosenLogits.data as Float64Array;
    for (let at = 0; at < data.length; at++) {
      const x = data[at]!;
      const { slope } = slopeAt((there) => {
        data[at] = there;
        const policyChosen = sequenceScores({ logits: chosenLogits, labels });
        data[at] = x;
        return objective.evaluate({ policyChosen, policyRejected: rejected, ...reference }).value;
      }, x);
      expect(Number(gradient.data[at])).toBeCloseTo(slope, 9);
    }
  });

  it("says what the scores are, for the contract of what takes them", () => {
    const logits = tensor(new Float64Array(12), [1, 3, 4]);
    const { score } = sequenceScores({ logits, labels: tensor([[0, 1, 2]]), score: "mean" });
    expect(simPo({ score }).contract.options).toMatchObject({ score: "mean" });
    expect(dpo({ score }).describe()).toMatch(/means of token log-probabilities/);
  });

  it("favors the short answer by its sum, and not by its mean", () => {
    const logits = tensor(new Float64Array(24), [2, 3, 4]);
    const labels = tensor([
      [0, -100, -100],
      [0, 1, 2],
    ]);
    const [short, long] = sequenceScores({ logits, labels }).data;
    expect(short).toBeCloseTo(-Math.log(4), 14);
    expect(long).toBeCloseTo(-3 * Math.log(4), 14);
    const [shortMean, longMean] = sequenceScores({ logits, labels, score: "mean" }).data;
    expect(shortMean).toBeCloseTo(longMean!, 14);
  });

  it("of an empty sequence is 0, with a gradient of 0, sum or mean", () => {
    for (const score of ["sum", "mean"] as const) {
      const logits = tensor(new Float32Array(6), [1, 2, 3]);
      const scores = sequenceScores({ logits, labels: tensor([[-100, -100]]), score });
      expect(Object.is(scores.data[0], 0)).toBe(true);
      expect(scores.pullback(tensor([5])).data).toEqual(new Float32Array(6));
    }
    expect(
      sequenceScores({ logits: tensor(new Float32Array(0), [0, 2, 3]), labels: tensor(new Int32Array(0), [0, 2]) })
        .shape,
    ).toEqual([0]);
  });

  it("never reads the logits of labels that do not count, nor of sequences that nothing pulls on", () => {
    const logits = tensor(Float64Array.of(0, 0, NaN, NaN, 1, 2, NaN, 0), [2, 2, 2]);
    const labels = tensor([
      [0, -100],
      [1, 1],
    ]);
    const scores = sequenceScores({ logits, labels });
    expect(scores.data[0]).toBeCloseTo(-Math.LN2, 14);
    expect(scores.data[1]).toBeNaN();
    expect([...scores.pullback(tensor([2, 0])).data]).toEqual([1, -1, 0, 0, 0, 0, 0, 0]);
    expect([...scores.pullback(tensor([0, 1])).data].slice(6)).toEqual([NaN, NaN]);
  });

  it("of a forbidden token is −∞, and keeps the digits of a sure one", () => {
    const logits = tensor(Float64Array.of(Number.NEGATIVE_INFINITY, 0, 40, 0), [2, 1, 2]);
    const { data } = sequenceScores({ logits, labels: tensor([[0], [0]]) });
    expect(data[0]).toBe(Number.NEGATIVE_INFINITY);
    expect(data[1]! / -Math.exp(-40)).toBeCloseTo(1, 12);
  });

  it("pulls back in the dtype of the logits, rounded once, into a tensor of the caller's too", () => {
    const logits = tensor(Float32Array.of(0.25, -1, 3), [1, 1, 3]);
    const scores = sequenceScores({ logits, labels: tensor([[1]]), engine: "reference" });
    const gradient = scores.pullback(tensor([0.3]));
    const wide = sequenceScores({
      logits: tensor(Float64Array.from(logits.data as Float32Array), [1, 1, 3]),
      labels: tensor([[1]]),
    });
    expect(gradient.data).toEqual(Float32Array.from(wide.pullback(tensor([0.3])).data as Float64Array));
    const into = tensor(Float32Array.of(7, 7, 7), [1, 1, 3]);
    expect(scores.pullback(tensor([0.3]), { into: { gradients: { logits: into } } })).toBe(into);
    expect(into.data).toEqual(gradient.data);
  });

  describe("refuses", () => {
    const logits = tensor(new Float32Array(6), [1, 2, 3]);
    const labels = tensor([[0, 1]]);
    const scores = sequenceScores({ logits, labels });
    refuses([
      [
        "a label out of range",
        () => sequenceScores({ logits, labels: tensor([[0, 3]]) }),
        "value",
        "labels",
        /3 at \[0, 1\].*0\.\.2/,
      ],
      ["labels of another shape", () => sequenceScores({ logits, labels: tensor([[0]]) }), "shape", "labels", /T = 2/],
      [
        "flat logits",
        () => sequenceScores({ logits: tensor(new Float32Array(6), [2, 3]), labels }),
        "shape",
        "logits",
        /\[B, T, K\]/,
      ],
      [
        "neither logits nor logProbs",
        () => sequenceScores(wrong({ labels })),
        "missing-field",
        "logits or logProbs",
        /exactly one/,
      ],
      [
        "both",
        () => sequenceScores(wrong({ labels, logits, logProbs: logits })),
        "argument",
        "logits or logProbs",
        /exactly one/,
      ],
      [
        "log-probabilities as logits",
        () => sequenceScores({ logits: wrong(logSoftmax(logits)), labels }),
        "role",
        "logits",
        /raw scores/,
      ],
      [
        "another score",
        () => sequenceScores({ logits, labels, score: wrong("max") }),
        "option",
        "score",
        /"sum" or "mean"/,
      ],
      ["weights", () => sequenceScores(wrong({ logits, labels, weights: labels })), "unknown", "weights", /logProbs/],
      [
        "a near miss",
        () => sequenceScores(wrong({ logits, labels, ignoreindex: 0 })),
        "unknown",
        "ignoreindex",
        /"ignoreIndex"/,
      ],
      ["gradients of other scores", () => scores.pullback(tensor([1, 2])), "shape", "scoreGradients", /\[1\]/],
      ["a number", () => scores.pullback(wrong(1)), "argument", "scoreGradients", /policyChosen/],
      ["whole numbers", () => scores.pullback(tensor(Int32Array.of(1))), "dtype", "scoreGradients", /float/],
      ["another call option", () => scores.pullback(tensor([1]), wrong({ scale: 2 })), "unknown", "scale", /into/],
    ]);
  });
});
