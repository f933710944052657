import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tensor, tensor } from "../../tensor/index.js";
import { crossEntropy } from "./cross-entropy.js";

const sum = { divideBy: { constant: 1 } } as const;
const row = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 2, maxLength: 6 });
const rowAndLabel = row.chain((logits) => fc.tuple(fc.constant(logits), fc.nat(logits.length - 1)));
const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array, (entry) => entry + 0);

function hard(logits: readonly number[], label: number) {
  return { logits: tensor(Float64Array.from(logits), [1, logits.length]), labels: tensor(Int32Array.of(label)) };
}

function soft(logits: readonly number[], targets: readonly number[]) {
  const shape = [1, logits.length];
  return { logits: tensor(Float64Array.from(logits), shape), targets: tensor(Float64Array.from(targets), shape) };
}

const oneHot = (length: number, label: number) => Array.from({ length }, (_, k) => Number(k === label));

describe("crossEntropy of hard labels", () => {
  it("does not change, but for rounding, when all logits shift", () => {
    fc.assert(
      fc.property(rowAndLabel, fc.integer({ min: -64, max: 64 }), ([logits, label], shift) => {
        const moved = logits.map((logit) => logit + shift);
        const [at, there] = [hard(logits, label), hard(moved, label)].map((batch) =>
          crossEntropy().valueAndGradients(batch),
        );
        expect(there!.value).toBeCloseTo(at!.value, 10);
        for (const [k, slope] of list(at!.gradients.logits).entries()) {
          expect(list(there!.gradients.logits)[k]).toBeCloseTo(slope, 10);
        }
      }),
    );
  });

  it("has a gradient that sums to 0 over the classes", () => {
    fc.assert(
      fc.property(rowAndLabel, ([logits, label]) => {
        const slopes = list(crossEntropy().valueAndGradients(hard(logits, label)).gradients.logits);
        expect(slopes.reduce((total, slope) => total + slope)).toBeCloseTo(0, 14);
      }),
    );
  });

  it("is log K where all logits are equal", () => {
    expect(crossEntropy().evaluate(hard([7, 7, 7, 7], 2)).value).toBeCloseTo(Math.log(4), 15);
  });

  it("is that of one-hot targets, to the bit", () => {
    fc.assert(
      fc.property(rowAndLabel, ([logits, label]) => {
        const left = crossEntropy().valueAndGradients(hard(logits, label));
        const right = crossEntropy().valueAndGradients(soft(logits, oneHot(logits.length, label)));
        expect(right.value).toBe(left.value);
        expect(list(right.gradients.logits)).toEqual(list(left.gradients.logits));
      }),
    );
  });

  it("is 0 with the gradient 0 where there is one class", () => {
    const { value, gradients } = crossEntropy().valueAndGradients(hard([3], 0));
    expect([value, list(gradients.logits)]).toEqual([0, [0]]);
  });
});

describe("crossEntropy's special values", () => {
  it("forbids a class at −∞: loss and gradient 0 there, the others as if it were absent", () => {
    const { value, gradients, notes } = crossEntropy().valueAndGradients(hard([1, -Infinity, 2], 0));
    const without = crossEntropy().valueAndGradients(hard([1, 2], 0));
    expect(value).toBe(without.value);
    const [first, second] = list(without.gradients.logits);
    expect(list(gradients.logits)).toEqual([first, 0, second]);
    expect(notes).toEqual([]);
  });

  it("is +∞, with a note, where the label itself is at −∞", () => {
    const { value, notes } = crossEntropy().valueAndGradients(hard([1, -Infinity, 2], 1));
    expect([value, notes.length]).toEqual([Infinity, 1]);
  });

  it.each([
    ["all logits are −∞", [-Infinity, -Infinity]],
    ["a logit is +∞", [0, Infinity]],
    ["a logit is NaN, first", [NaN, 0]],
    ["a logit is NaN, last", [0, NaN]],
    ["the one logit is NaN", [NaN]],
    ["the one logit is +∞", [Infinity]],
  ])("is NaN with NaN gradients and a note where %s", (_, logits) => {
    const { value, gradients, notes } = crossEntropy().valueAndGradients(hard(logits, 0));
    expect(value).toBeNaN();
    expect(list(gradients.logits)).toEqual(logits.map(() => NaN));
    expect(notes).toHaveLength(1);
  });

  it("gives +∞ at a −∞ logit under smoothing", () => {
    expect(crossEntropy({ labelSmoothing: 0.1 }).evaluate(hard([1, -Infinity, 2], 0)).value).toBe(Infinity);
  });

  it("leaves −∞ what it is under a soft cap", () => {
    const { value, gradients } = crossEntropy({ logitSoftCap: 5 }).valueAndGradients(hard([1, -Infinity, 2], 0));
    expect(value).toBe(crossEntropy({ logitSoftCap: 5 }).evaluate(hard([1, 2], 0)).value);
    expect(list(gradients.logits)[1]).toBe(0);
  });

  it("keeps what a naive form loses: logits [40, 0, −3]", () => {
    const { value, gradients } = crossEntropy().valueAndGradients(hard([40, 0, -3], 0));
    expect(value / (Math.exp(-40) + Math.exp(-43))).toBeCloseTo(1, 14);
    expect(list(gradients.logits)[0]! / value).toBeCloseTo(-1, 14);
  });
});

describe("crossEntropy of soft targets", () => {
  it("is Σ q (−log p), linear in the targets, which need not sum to 1", () => {
    fc.assert(
      fc.property(row, (logits) => {
        const targets = logits.map((_, k) => (k + 1) / 10);
        const parts = logits.map((_, k) => targets[k]! * crossEntropy().evaluate(hard(logits, k)).value);
        const whole = crossEntropy().evaluate(soft(logits, targets)).value;
        expect(whole).toBeCloseTo(
          parts.reduce((left, right) => left + right),
          9,
        );
      }),
    );
  });

  it("notes a row that sums above 1 + 1e-6, and no other", () => {
    expect(crossEntropy().evaluate(soft([1, 2], [1, 1])).notes).toEqual([
      expect.objectContaining({
        code: "targets-above-one",
        field: "targets",
        count: 1,
        unit: [0],
        message: expect.stringContaining("binaryCrossEntropy"),
      }),
    ]);
    expect(crossEntropy().evaluate(soft([1, 2], [0.5, 0.5 + 1e-7])).notes).toEqual([]);
    expect(crossEntropy().evaluate(soft([1, 2], [0.2, 0.3])).notes).toEqual([]);
  });

  it("is silent about a class of target 0 whose logit is −∞", () => {
    expect(crossEntropy().evaluate(soft([1, -Infinity], [1, 0])).value).toBe(0);
  });

  it("keeps class weights out of the denominator, and in the loss of the unit", () => {
    const batch = soft([0.3, 1, -1], [0.2, 0.3, 0.5]);
    const weighted = crossEntropy({ classWeights: [2, 4, 8] });
    const byHand = crossEntropy().perUnit(soft([0.3, 1, -1], [0.4, 1.2, 4]));
    expect(weighted.evaluate(batch).denominator).toBe(1);
    expect(weighted.perUnit(batch).data[0]).toBe(byHand.data[0]);
  });

  it("is smoothed to (1 − ε) q + ε/K", () => {
    const [logits, targets] = [
      [0.3, 1, -1, 2],
      [0.25, 0.5, 0.25, 0],
    ];
    const smoothed = crossEntropy({ labelSmoothing: 0.5 }).evaluate(soft(logits, targets)).value;
    const byHand = crossEntropy().evaluate(
      soft(
        logits,
        targets.map((q) => 0.5 * q + 0.125),
      ),
    ).value;
    expect(smoothed).toBe(byHand);
  });
});

describe("crossEntropy's label smoothing", () => {
  it("decomposes into (1 − ε) of the label and ε of the mean over classes", () => {
    fc.assert(
      fc.property(rowAndLabel, ([logits, label]) => {
        const smoothed = crossEntropy({ labelSmoothing: 0.2 }).evaluate(hard(logits, label)).value;
        const mean = logits.map((_, k) => crossEntropy().evaluate(hard(logits, k)).value);
        const spread = mean.reduce((left, right) => left + right) / logits.length;
        expect(smoothed).toBeCloseTo(0.8 * crossEntropy().evaluate(hard(logits, label)).value + 0.2 * spread, 10);
      }),
    );
  });

  it("weighs class by class, and divides by the weights of the labels", () => {
    const [logits, classWeights] = [
      [0.3, 1, -1],
      [0.5, 2, 4],
    ];
    const nll = logits.map((_, k) => crossEntropy().evaluate(hard(logits, k)).value);
    const { numerator, denominator } = crossEntropy({ labelSmoothing: 0.3, classWeights }).evaluate(hard(logits, 1));
    const spread = classWeights.reduce((total, weight, k) => total + weight * nll[k]!, 0);
    expect(numerator).toBeCloseTo(0.7 * 2 * nll[1]! + 0.1 * spread, 12);
    expect(denominator).toBe(2);
  });

  it("keeps a unit whose class weight is 0", () => {
    const objective = crossEntropy({ labelSmoothing: 0.3, classWeights: [0, 1, 1], divideBy: { constant: 1 } });
    const logits = tensor(Float64Array.of(0.3, 1, -1, 0, 0, 0), [2, 3]);
    const { numerator, tally, gradients } = objective.valueAndGradients({ logits, labels: tensor([0, 1]) });
    expect(tally.denominator.count).toBe(1);
    expect(numerator).toBeGreaterThan(0.8 * Math.log(3));
    expect(list(gradients.logits)[0]).not.toBe(0);
  });
});

describe("crossEntropy's class weights", () => {
  const logits = tensor(Float64Array.of(1, 0, 2, 0.5, -1, 3, 0, 0, 1), [3, 3]);
  const labels = tensor([0, 2, 2]);

  it("scale hard labels and divide; perUnit is without them", () => {
    const weighted = crossEntropy({ classWeights: [0.5, 1, 2] });
    const losses = list(crossEntropy().perUnit({ logits, labels }));
    expect(list(weighted.perUnit({ logits, labels }))).toEqual(losses);
    const { numerator, denominator } = weighted.evaluate({ logits, labels });
    expect(denominator).toBe(4.5);
    expect(numerator).toBeCloseTo(0.5 * losses[0]! + 2 * losses[1]! + 2 * losses[2]!, 14);
  });

  it('of 0 take the unit out, even a NaN, without smoothing; under divideBy: "count" it still counts', () => {
    const poisoned = tensor(Float64Array.of(NaN, 0, 2, 0.5, -1, 3, 0, 0, 1), [3, 3]);
    const batch = { logits: poisoned, labels };
    const weighted = crossEntropy({ classWeights: [0, 1, 1] }).valueAndGradients(batch);
    expect(weighted.denominator).toBe(2);
    expect(weighted.value).not.toBeNaN();
    expect(list(weighted.gradients.logits).slice(0, 3)).toEqual([0, 0, 0]);
    expect(crossEntropy({ classWeights: [0, 1, 1], divideBy: "count" }).evaluate(batch).denominator).toBe(3);
  });

  it.each(["sequence", "sample"] as const)(
    "of 0 leave a %s no weight: it is out, though smoothing gives it a loss",
    (per) => {
      const objective = crossEntropy({ labelSmoothing: 0.5, classWeights: [0, 1, 1], per });
      const batch = { logits: tensor(Float64Array.of(NaN, 1, 2, 1, 0, 0), [2, 1, 3]), labels: tensor([[0], [1]]) };
      const { value, denominator, gradients } = objective.valueAndGradients(batch);
      expect(denominator).toBe(1);
      expect(value).not.toBeNaN();
      expect(list(gradients.logits).slice(0, 3)).toEqual([0, 0, 0]);
      const keyed = objective.valueAndGradients({ ...batch, groupKeys: tensor([1, 2]) });
      expect(keyed.value).toBe(value);
      expect(list(keyed.gradients.logits)).toEqual(list(gradients.logits));
    },
  );
});

describe("crossEntropy's logits", () => {
  const [logits, label] = [[2, -1, 0.5, 7], 1];

  it("are divided by the temperature, whose slope is in the gradient", () => {
    const cold = crossEntropy({ temperature: 2 }).valueAndGradients(hard(logits, label));
    const halved = crossEntropy().valueAndGradients(
      hard(
        logits.map((z) => z / 2),
        label,
      ),
    );
    expect(cold.value).toBe(halved.value);
    expect(list(cold.gradients.logits)).toEqual(list(halved.gradients.logits).map((slope) => slope / 2));
    expect(Object.keys(cold.gradients)).toEqual(["logits"]);
  });

  it("are capped first, then divided by the temperature, then shifted by the priors", () => {
    const options = { logitSoftCap: 3, temperature: 0.5, priors: [0.1, 0.2, 0.3, 0.4], logitAdjustment: 2 };
    const byHand = logits.map((z, k) => (3 * Math.tanh(z / 3)) / 0.5 + 2 * Math.log(options.priors[k]!));
    expect(crossEntropy(options).evaluate(hard(logits, label)).value).toBeCloseTo(
      crossEntropy().evaluate(hard(byHand, label)).value,
      12,
    );
  });

  it("are adjusted by 1 when priors are given alone", () => {
    expect(crossEntropy({ priors: [0.5, 0.5] }).contract.options.logitAdjustment).toBe(1);
    expect(crossEntropy().contract.options.logitAdjustment).toBeNull();
    expect(() => crossEntropy({ logitAdjustment: 1 })).toThrow(
      expect.objectContaining({ code: "option", field: "logitAdjustment" }),
    );
  });

  it("gain c · lse² of the final logits by zLoss, weighted as the hard label is", () => {
    const options = { temperature: 2, classWeights: [1, 3, 1, 1] };
    const lse = Math.log(logits.reduce((total, z) => total + Math.exp(z / 2), 0));
    const [plain, withZ] = [0, 0.1].map((zLoss) =>
      crossEntropy({ ...options, ...sum, zLoss }).evaluate(hard(logits, label)),
    );
    expect(withZ!.value - plain!.value).toBeCloseTo(3 * 0.1 * lse * lse, 12);
    const targets = soft(logits, [0, 1, 0, 0]);
    const [plainSoft, softZ] = [0, 0.1].map((zLoss) => crossEntropy({ ...options, ...sum, zLoss }).evaluate(targets));
    expect(softZ!.value - plainSoft!.value).toBeCloseTo(0.1 * lse * lse, 12);
    const smoothed = [0, 0.1].map((zLoss) =>
      crossEntropy({ ...options, ...sum, zLoss, labelSmoothing: 0.5 }).evaluate(hard(logits, label)),
    );
    expect(smoothed[1]!.value - smoothed[0]!.value).toBeCloseTo(3 * 0.1 * lse * lse, 12);
  });

  it("have their classes on classAxis", () => {
    const last = tensor(
      Float64Array.from({ length: 12 }, (_, i) => Math.sin(i)),
      [2, 2, 3],
    );
    const first = new Float64Array(12);
    for (let n = 0; n < 2; n++)
      for (let d = 0; d < 2; d++)
        for (let k = 0; k < 3; k++) first[n * 6 + k * 2 + d] = Number(last.data[n * 6 + d * 3 + k]);
    const labels = tensor([
      [0, 1],
      [2, 0],
    ]);
    const left = crossEntropy().valueAndGradients({ logits: last, labels });
    const right = crossEntropy({ classAxis: 1 }).valueAndGradients({ logits: tensor(first, [2, 3, 2]), labels });
    expect(right.value).toBe(left.value);
    expect(right.gradients.logits.shape).toEqual([2, 3, 2]);
    expect(right.gradients.logits.data[1 * 2 + 1]).toBe(left.gradients.logits.data[1 * 3 + 1]);
    expect(crossEntropy({ classAxis: -1 }).evaluate({ logits: last, labels }).value).toBe(left.value);
  });
});

describe("crossEntropy's options", () => {
  it.each([
    ["ignoreIndex", [0.5, NaN, Infinity, "1", null]],
    ["labelShift", [-1, 0.5, "1"]],
    ["classAxis", [0.5, null]],
    ["labelSmoothing", [-0.1, 1, NaN]],
    ["classWeights", [[-1], [], [Infinity], 2, "w"]],
    ["temperature", [0, -1, Infinity, "field"]],
    ["zLoss", [-1, Infinity]],
    ["logitSoftCap", [0, -5]],
    ["priors", [[0, 1], [-1], 3]],
  ] as const)("refuse values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => crossEntropy({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it.each(["classWeights", "priors"])("refuse %s of another length than the classes", (field) => {
    expect(() => crossEntropy({ [field]: [1, 2] }).evaluate(hard([1, 2, 3], 0))).toThrow(
      expect.objectContaining({ code: "option", field, expected: expect.stringContaining("3") }),
    );
  });

  it("take typed arrays for lists, and the contract holds plain numbers", () => {
    const { contract } = crossEntropy({ classWeights: Float32Array.of(1, 2) as never });
    expect(contract.options.classWeights).toEqual([1, 2]);
  });
});

describe("crossEntropy over parts of a keyed sample", () => {
  it("shares the value out: what each part adds is its numerator over the step's denominator", () => {
    // The first piece weighs nothing by itself, but its group does over the step.
    const objective = crossEntropy({ per: "sample", labelSmoothing: 0.5, classWeights: [0, 1, 1] });
    const groupKeys = tensor([1]);
    const pieces = [
      { logits: tensor(Float64Array.of(1, 2, 3), [1, 1, 3]), labels: tensor([[0]]), groupKeys },
      { logits: tensor(Float64Array.of(3, 1, 0), [1, 1, 3]), labels: tensor([[1]]), groupKeys },
    ];
    const [first, second] = pieces.map((piece) => objective.tally(piece));
    const denominator = pieces.map((piece) => objective.denominator(piece)).reduce((left, right) => left.merge(right));
    const shares = pieces.map((piece) => objective.valueAndGradients(piece, { denominator }).value);
    expect(shares[0]! + shares[1]!).toBeCloseTo(objective.value(first!.merge(second!)), 12);
  });
});
