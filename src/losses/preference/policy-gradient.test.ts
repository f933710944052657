import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { policyGradient } from "./policy-gradient.js";

/** One token with the ratio ρ = e^x. */
const batchOf = (x: number, advantage: number) => ({
  logProbs: tensor(Float64Array.of(x - 2), [1, 1]),
  oldLogProbs: tensor(Float64Array.of(-2), [1, 1]),
  advantages: tensor(Float64Array.of(advantage)),
});
const result = (options: object, batch: ReturnType<typeof batchOf>) => {
  const { value, gradients } = policyGradient(options).valueAndGradients(batch);
  return [value, Number(gradients.logProbs.data[0])];
};

describe("policyGradient", () => {
  it("cuts only where the bound holds the objective back", () => {
    const [low, high] = [Math.log(0.5), Math.log(2)];
    expect(result({}, batchOf(high, 3))).toEqual([-3 * 1.2, 0]);
    expect(result({}, batchOf(low, -3))).toEqual([3 * 0.8, 0]);
    expect(result({}, batchOf(low, 3))).toEqual([expect.closeTo(-1.5, 14), expect.closeTo(-1.5, 14)]);
    expect(result({}, batchOf(high, -3))).toEqual([expect.closeTo(6, 14), expect.closeTo(6, 14)]);
  });

  it("passes the gradient at the bound itself, on both sides", () => {
    // The ratio is exactly 1 there.
    expect(result({ clipHigh: 0 }, batchOf(0, 3))).toEqual([-3, -3]);
    expect(result({ clipLow: 0 }, batchOf(0, -3))).toEqual([3, 3]);
    expect(result({ clipHigh: 0 }, batchOf(2 ** -50, 3))[1]).toBe(0);
  });

  it("is −A with the gradient −A on-policy, which is what equal policies give", () => {
    fc.assert(
      fc.property(fc.double({ min: -9, max: 0, noNaN: true }), fc.double({ min: -5, max: 5, noNaN: true }), (p, a) => {
        const logProbs = tensor(Float64Array.of(p), [1, 1]);
        const advantages = tensor(Float64Array.of(a));
        const [without, equal] = [{}, { oldLogProbs: logProbs }].map((old) =>
          policyGradient().valueAndGradients({ logProbs, advantages, ...old }),
        );
        expect(without!.value + 0).toBe(-a + 0);
        expect(Number(without!.gradients.logProbs.data[0]) + 0).toBe(-a + 0);
        expect(equal!.value).toBe(without!.value);
        expect(equal!.gradients.logProbs.data[0]).toBe(without!.gradients.logProbs.data[0]);
      }),
    );
  });

  it("takes an advantage a token or one a sequence", () => {
    const logProbs = tensor([
      [-1, -2, -0.5],
      [-3, -1, -2],
    ]);
    const oldLogProbs = tensor([
      [-1.2, -1.5, -0.5],
      [-2, -1, -2.5],
    ]);
    const [each, row] = [
      tensor([
        [2, 2, 2],
        [-1, -1, -1],
      ]),
      tensor([2, -1]),
    ].map((advantages) => policyGradient().valueAndGradients({ logProbs, oldLogProbs, advantages }));
    expect(row!.value).toBe(each!.value);
    expect([...row!.gradients.logProbs.data]).toEqual([...each!.gradients.logProbs.data]);
  });

  it("divides as the published trainers do", () => {
    const batch = {
      logProbs: tensor(new Float64Array(6), [2, 3]),
      advantages: tensor([
        [1, 1, 1],
        [4, 0, 0],
      ]),
      mask: tensor([
        [1, 1, 1],
        [1, 0, 0],
      ]),
    };
    expect(policyGradient().evaluate(batch).value).toBe(-7 / 4);
    expect(policyGradient({ per: "sequence" }).evaluate(batch).value).toBe(-(1 + 4) / 2);
    expect(policyGradient({ divideBy: { constant: 6 } }).evaluate(batch).value).toBe(-7 / 6);
  });

  it("adds the k3 estimate, without cancellation where the policies are close", () => {
    const withKl = (d: number) => ({
      ...batchOf(0, 0),
      referenceLogProbs: tensor(Float64Array.of(d - 2), [1, 1]),
    });
    for (const d of [1.5, 0.5, 0.25, -0.25, -0.5, -3]) {
      const [value, slope] = result({ klCoefficient: 2 }, withKl(d));
      expect(value! / (2 * (Math.expm1(d) - d))).toBeCloseTo(1, 12);
      expect(slope).toBeCloseTo(-2 * Math.expm1(d), 12);
    }
    for (const d of [2 ** -20, -(2 ** -26), 2 ** -40]) {
      const [value, slope] = result({ klCoefficient: 1 }, withKl(d));
      expect(value! / ((d * d) / 2 + (d * d * d) / 6)).toBeCloseTo(1, 12);
      expect(slope! / -Math.expm1(d)).toBeCloseTo(1, 14);
    }
    expect(result({ klCoefficient: 1 }, withKl(0))[0]).toBe(0);
    expect(result({ klCoefficient: 1 }, withKl(-1e4))).toEqual([1e4 - 1, 1]);
    expect(result({ klCoefficient: 1 }, withKl(Infinity))).toEqual([Infinity, -Infinity]);
  });

  it("overflows only where the formula does: an advantage of 0 or a bound asks for nothing", () => {
    expect(result({}, batchOf(1e4, 0)).map((x) => x! + 0)).toEqual([0, 0]);
    expect(result({}, batchOf(1e4, 1))).toEqual([-1.2, 0]);
    expect(result({}, batchOf(1e4, -1))).toEqual([Infinity, Infinity]);
    expect(result({ clipHigh: Infinity }, batchOf(1e4, 1))).toEqual([-Infinity, -Infinity]);
    expect(result({}, batchOf(NaN, 0))).toEqual([NaN, NaN]);
    expect(result({}, batchOf(-Infinity, 1)).map((x) => x! + 0)).toEqual([0, 0]);
  });

  it("refuses a divergence without a reference, and an advantage that is not finite", () => {
    expect(() => policyGradient({ klCoefficient: 0.1 }).evaluate(batchOf(0, 1))).toThrow(
      expect.objectContaining({ code: "missing-field", field: "referenceLogProbs" }),
    );
    expect(() => policyGradient().evaluate(batchOf(0, NaN))).toThrow(
      expect.objectContaining({ code: "value", field: "advantages" }),
    );
  });

  it.each([
    ["clipLow", [-0.1, NaN, "0.2", null]],
    ["clipHigh", [-0.1, NaN, "0.2", null]],
    ["klCoefficient", [-1, NaN, Infinity]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => policyGradient({ [field]: value } as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });
});
