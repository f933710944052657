import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { binaryCrossEntropy } from "./binary/binary-cross-entropy.js";
import { crossEntropy } from "./categorical/cross-entropy.js";
import { huber } from "./elementwise/huber.js";
import { objectiveFrom } from "./registry.js";
import { type WeightedSumContract, WeightedTally, weightedSum } from "./weighted-sum.js";

const objective = weightedSum({
  tokens: { objective: crossEntropy(), weight: 1 },
  value: { objective: huber({ delta: 2 }), weight: 0.5 },
});

function batchOf(rows: number, seed: number) {
  const number = (i: number) => Math.sin(seed + 12.9898 * i) * 3;
  return {
    tokens: {
      logits: tensor(
        Float64Array.from({ length: rows * 3 }, (_, i) => number(i)),
        [rows, 3],
      ),
      labels: tensor(Int32Array.from({ length: rows }, (_, i) => (seed + i) % 3)),
    },
    value: {
      predictions: tensor(Float64Array.from({ length: rows + 1 }, (_, i) => number(i + 50))),
      targets: tensor(Float64Array.from({ length: rows + 1 }, (_, i) => number(i + 90))),
    },
  };
}

describe("weightedSum", () => {
  it("adds the weighted values of its parts, each divided by its own denominator", () => {
    const batch = batchOf(4, 1);
    const { value, parts } = objective.evaluate(batch);
    expect(value).toBe(
      crossEntropy().evaluate(batch.tokens).value + 0.5 * huber({ delta: 2 }).evaluate(batch.value).value,
    );
    expect(parts.tokens.denominator).toBe(4);
    expect(parts.value.denominator).toBe(5);
  });

  it("scales the gradients of each part by its weight", () => {
    const batch = batchOf(3, 2);
    const { gradients } = objective.valueAndGradients(batch, { scale: 8 });
    const alone = huber({ delta: 2 }).valueAndGradients(batch.value, { scale: 4 }).gradients.predictions;
    expect(gradients.value.predictions!.data).toEqual(alone.data);
  });

  it("is exact in any split: tallies merge part by part and denominators divide each part", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.nat(99)), { minLength: 2, maxLength: 5 }),
        (sizes) => {
          const batches = sizes.map(([rows, seed]) => batchOf(rows, seed));
          const tallies = batches.map((batch) => objective.tally(batch));
          const forward = tallies.reduce((sum, tally) => sum.merge(tally));
          const backward = tallies.toReversed().reduce((sum, tally) => sum.merge(tally));
          expect(JSON.stringify(forward)).toBe(JSON.stringify(backward));
          const read = WeightedTally.fromJSON(JSON.parse(JSON.stringify(forward)));
          expect(objective.value(read)).toBe(objective.value(forward));
          const denominator = batches
            .map((batch) => objective.denominator(batch))
            .reduce((sum, next) => sum.merge(next));
          expect(denominator.parts.tokens!.value).toBe(sizes.reduce((sum, [rows]) => sum + rows, 0));
          const shares = batches.map((batch) => objective.valueAndGradients(batch, { denominator }).value);
          expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(objective.value(forward), 12);
        },
      ),
    );
  });

  it("comes back from its contract", () => {
    const { contract } = objective;
    const back = objectiveFrom(JSON.parse(JSON.stringify(contract)) as WeightedSumContract);
    expect(back.contract).toEqual(contract);
    expect(back.evaluate(batchOf(4, 3)).value).toBe(objective.evaluate(batchOf(4, 3)).value);
    expect(back.describe()).toContain("0.5 times value");
  });

  it("logs a part of weight 0 without letting it into the sum", () => {
    const batch = batchOf(2, 4);
    const spoiled = { ...batch, value: { ...batch.value, predictions: tensor(new Float64Array(3).fill(Number.NaN)) } };
    const logged = weightedSum({
      tokens: { objective: crossEntropy(), weight: 1 },
      value: { objective: huber(), weight: 0 },
    });
    expect(logged.evaluate(spoiled).value).toBe(crossEntropy().evaluate(batch.tokens).value);
    expect(logged.evaluate(spoiled).parts.value.value).toBeNaN();
    expect(logged.evaluate(spoiled).notes[0]).toMatchObject({ code: "non-finite-input" });
  });

  it.each<[string, () => unknown, string]>([
    ["no part", () => weightedSum({}), "argument"],
    ["a weight that is no number", () => weightedSum({ a: { objective: huber(), weight: Number.NaN } }), "argument"],
    ["a part that is no objective", () => weightedSum({ a: { objective: {} as never, weight: 1 } }), "argument"],
    ["another key in a part", () => weightedSum({ a: { objective: huber(), weigth: 1 } as never }), "unknown"],
    [
      "a batch without one of its parts",
      () => objective.evaluate({ tokens: batchOf(2, 1).tokens } as never),
      "missing-field",
    ],
    ["a batch of another part", () => objective.evaluate({ ...batchOf(2, 1), extra: {} } as never), "unknown"],
    [
      "a denominator of another part",
      () => objective.valueAndGradients(batchOf(2, 1), { denominator: { x: 1 } as never }),
      "unknown",
    ],
    ["a contract of another version", () => objectiveFrom({ ...objective.contract, version: 2 }), "contract"],
    [
      "tallies of other parts",
      () =>
        objective
          .tally(batchOf(1, 1))
          .merge(weightedSum({ a: { objective: huber(), weight: 1 } }).tally({ a: batchOf(1, 1).value })),
      "merge",
    ],
    [
      "a number as denominator of several parts",
      () => objective.valueAndGradients(batchOf(2, 1), { denominator: 4 as never }),
      "argument",
    ],
    [
      "a denominator for one part only",
      () => objective.valueAndGradients(batchOf(2, 1), { denominator: { tokens: 4 } as never }),
      "denominator",
    ],
    ["an objective without its weight", () => weightedSum({ a: huber() as never }), "argument"],
  ])("refuses %s", (_, make, code) => {
    expect(make).toThrow(expect.objectContaining({ code }));
  });

  it("keeps the types of its parts' batches", () => {
    const typed = weightedSum({ labels: { objective: binaryCrossEntropy(), weight: 1 } });
    // @ts-expect-error: binaryCrossEntropy reads targets, not labels
    expect(() => typed.evaluate({ labels: { logits: tensor([0.5]), labels: tensor([1]) } })).toThrow();
  });
});
