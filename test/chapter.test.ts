/** The three smoke tests at the end of the chapter on loss functions, in its words, and the mistakes it warns of. */
import { describe, expect, it } from "vitest";
import {
  binaryCrossEntropy,
  crossEntropy,
  ctc,
  LosswrightError,
  logSoftmax,
  metricNames,
  mismatchOf,
  ObjectiveLog,
  objectiveNames,
  sigmoid,
  softmax,
  splitNextToken,
  tensor,
} from "../src/index.js";
import { Random } from "./instruments/random.js";

const random = new Random(29);
const randn = (...shape: number[]) => {
  const size = shape.reduce((product, length) => product * length, 1);
  return tensor(
    Float32Array.from({ length: size }, () => random.real(1)),
    shape,
  );
};

describe("the chapter's smoke tests", () => {
  it("1. logits can be any real values, labels are class ids, the loss is a scalar", () => {
    const logits = randn(4, 7);
    const labels = tensor([0, 3, 2, 6]);
    const { value } = crossEntropy().evaluate({ logits, labels });
    expect(value).toBeTypeOf("number");
    expect(value).toBeGreaterThan(0);
    expect(value).toBeLessThan(10);
  });

  it("2. the language model's label shift preserves one fewer timestep", () => {
    const [batch, steps, vocabulary] = [2, 8, 11];
    const ids = tensor(
      Int32Array.from({ length: batch * steps }, () => random.integer(0, vocabulary - 1)),
      [batch, steps],
    );
    const { inputs, targets } = splitNextToken(ids);
    const logits = randn(...inputs.shape, vocabulary);
    expect(logits.shape.slice(0, 2)).toEqual(targets.shape);
    expect(targets.shape).toEqual([2, 7]);
    expect(crossEntropy().evaluate({ logits, labels: targets }).denominator).toBe(14);
  });

  it("2b. splitting before and labelShift inside give the same bits", () => {
    const ids = tensor(Int32Array.from([3, 1, 4, 1, 5, 9, 2, 6]), [2, 4]);
    const full = randn(2, 4, 10);
    const data = full.data as Float32Array;
    const kept = tensor(Float32Array.from([...data.subarray(0, 30), ...data.subarray(40, 70)]), [2, 3, 10]);
    const split = crossEntropy().evaluate({ logits: kept, labels: splitNextToken(ids).targets });
    const shifted = crossEntropy({ labelShift: 1 }).evaluate({ logits: full, labels: ids });
    expect([shifted.value, shifted.numerator, shifted.denominator]).toEqual([
      split.value,
      split.numerator,
      split.denominator,
    ]);
  });

  it("3. the masked denominator counts only valid tokens", () => {
    const labels = tensor([
      [1, 2, -100],
      [3, -100, -100],
    ]);
    const logits = randn(2, 3, 4);
    expect(crossEntropy().denominator({ logits, labels }).value).toBe(3);
    expect(crossEntropy().evaluate({ logits, labels }).denominator).toBe(3);
    const mask = tensor([
      [true, true, false],
      [true, false, false],
    ]);
    const unmasked = tensor([
      [1, 2, 0],
      [3, 0, 0],
    ]);
    expect(crossEntropy().evaluate({ logits, labels: unmasked, mask }).value).toBe(
      crossEntropy().evaluate({ logits, labels }).value,
    );
  });
});

describe("the chapter's token against sequence normalization", () => {
  // Two sequences, of three tokens and of one; the losses of their tokens are log 4 and log 3/2.
  const logits = tensor([[0, 0, 0].map(() => [0, 0, 0, 0]), [0, 0, 0].map(() => [Math.log(6), 0, 0, 0])]);
  const labels = tensor([
    [1, 2, 3],
    [0, -100, -100],
  ]);
  const [long, short] = [Math.log(4), Math.log(3 / 2)];
  const value = (per: "token" | "sequence") => crossEntropy({ per }).valueAndGradients({ logits, labels });

  it("weighs long sequences more by token, and every sequence alike by sequence", () => {
    expect(value("token")).toMatchObject({ denominator: 4, value: expect.closeTo((3 * long + short) / 4, 14) });
    expect(value("sequence")).toMatchObject({ denominator: 2, value: expect.closeTo((long + short) / 2, 14) });
  });

  it("gives a sequence's gradient its share: three quarters by token, one half by sequence", () => {
    const [byToken, bySequence] = [value("token"), value("sequence")].map(({ gradients }) => gradients.logits.data);
    for (let at = 0; at < 24; at++) {
      // A token of the long sequence has 1/4 by token and 1/6 by sequence; that of the short one 1/4 and 1/2.
      const ratio = at < 12 ? 4 / 6 : 2;
      expect(Number(bySequence![at])).toBeCloseTo(ratio * Number(byToken![at]), 15);
    }
  });
});

describe("the chapter's first mistake", () => {
  const labels = tensor([0, 3, 2, 6]);
  it.each([
    ["softmax", softmax(randn(4, 7))],
    ["logSoftmax", logSoftmax(randn(4, 7))],
    ["sigmoid", sigmoid(randn(4, 7))],
  ])("is refused: what came out of %s is no logits", (_, probabilities) => {
    const call = () => crossEntropy().evaluate({ logits: probabilities as never, labels });
    expect(call).toThrow(LosswrightError);
    expect(call).toThrow(expect.objectContaining({ code: "role", field: "logits" }));
    const targets = tensor(new Float32Array(28), [4, 7]);
    expect(() => binaryCrossEntropy().evaluate({ logits: probabilities as never, targets })).toThrow(
      expect.objectContaining({ code: "role", field: "logits" }),
    );
  });
});

describe("the chapter's three pitfalls of CTC", () => {
  const ids = (...values: number[]) => tensor(Int32Array.from(values));
  const frames = (shape: number[]) =>
    tensor(
      Float64Array.from({ length: 2 * 5 * 4 }, (_, i) => Math.sin(i)),
      shape,
    );
  const lengths = { inputLengths: ids(5, 5), labelLengths: ids(2, 2) };
  const labels = tensor(Int32Array.of(1, 2, 3, 3), [2, 2]);

  it("log_probs are [T, B, C]: a [B, T, C] tensor is refused, with the layout to say", () => {
    const batch = { logits: frames([2, 5, 4]), labels, ...lengths };
    expect(() => ctc().evaluate(batch)).toThrow(/layout: "BTC"/);
    expect(ctc({ layout: "BTC" }).evaluate(batch).denominator).toBe(2);
  });

  it("the input must be long enough for what its labels collapse from, or no alignment exists", () => {
    const short = { logits: frames([5, 2, 4]), labels, inputLengths: ids(5, 2), labelLengths: ids(2, 2) };
    const { value, notes } = ctc().evaluate(short);
    expect(value).toBe(Number.POSITIVE_INFINITY);
    // 3 3 needs a blank between its two: three frames, and there are two.
    expect(notes.map(({ message }) => message).join(" ")).toMatch(/\[1\].*3|3.*\[1\]/);
    expect(ctc({ zeroInfinity: true }).evaluate(short).value).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it("the blank is no label", () => {
    expect(() => ctc({ blank: 3 }).evaluate({ logits: frames([5, 2, 4]), labels, ...lengths })).toThrow(/blank/);
  });
});

describe("the chapter's objective against metric", () => {
  it.each([
    ["classification", "crossEntropy", ["accuracy", "fBeta", "auroc"]],
    ["language modeling", "crossEntropy", ["perplexity", "exactMatch"]],
    ["retrieval", "infoNce", ["recallAtK", "meanReciprocalRank"]],
    ["generation", "dpo", ["winRate", "pairAccuracy"]],
    ["regression", "squaredError", ["rootMeanSquaredError", "meanAbsoluteError", "r2"]],
  ])("has the loss and the metrics of %s", (_task, objective, metrics) => {
    expect(objectiveNames()).toContain(objective);
    for (const metric of metrics) expect(metricNames()).toContain(metric);
    expect(new ObjectiveLog({ objective: { objective }, metrics }).header.contract.objective).toBe(objective);
  });

  it.each([
    ["crossEntropy", "fBeta", /class weights/, /threshold/],
    ["crossEntropy", "exactMatch", /data/, /preference/],
    ["squaredError", "spearman", /pairwise/, /objective/],
    ["infoNce", "recallAtK", /hard negatives/, /global negatives/],
    ["pairwiseLogistic", "pairAccuracy", /held-out preference/, /length/],
  ])("knows what %s against %s leads to, and what to try", (objective, metric, first, second) => {
    const advice = mismatchOf(objective, metric)!.mitigations.join("; ");
    expect(advice).toMatch(first);
    expect(advice).toMatch(second);
  });

  it("keeps no log of an objective without its metric, unless it is told to", () => {
    expect(() => new ObjectiveLog({ objective: crossEntropy() })).toThrow(/withoutMetric/);
    expect(new ObjectiveLog({ objective: crossEntropy(), withoutMetric: true }).entries).toEqual([]);
  });
});
