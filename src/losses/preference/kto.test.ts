import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { kto } from "./kto.js";

const batchOf = (ratio: number, desirable: number, klEstimate: number) => ({
  policy: tensor(Float64Array.of(ratio)),
  reference: tensor(Float64Array.of(0)),
  desirable: tensor(Uint8Array.of(desirable)),
  klEstimate,
});
const result = (options: object, batch: ReturnType<typeof batchOf>) => {
  const { value, gradients } = kto(options).valueAndGradients(batch);
  return [value, Number(gradients.policy.data[0])];
};

describe("kto", () => {
  it("is 1 − σ(±β (h − k)), with the slope of the logistic function", () => {
    const number = fc.double({ min: -30, max: 30, noNaN: true });
    fc.assert(
      fc.property(number, fc.constantFrom(0, 1), fc.double({ min: 0, max: 9, noNaN: true }), (ratio, desirable, kl) => {
        const sign = desirable ? 1 : -1;
        const share = 1 / (1 + Math.exp(-sign * 0.5 * (ratio - kl)));
        const [value, slope] = result({ beta: 0.5 }, batchOf(ratio, desirable, kl));
        expect(value).toBeCloseTo(1 - share, 12);
        expect(slope).toBeCloseTo(-sign * 0.5 * share * (1 - share), 12);
      }),
    );
  });

  it("mirrors desirable and undesirable answers around the reference point", () => {
    expect(result({}, batchOf(5, 1, 2))[0]).toBe(result({}, batchOf(-1, 0, 2))[0]);
    expect(result({}, batchOf(5, 1, 2))[1]).toBe(-result({}, batchOf(-1, 0, 2))[1]!);
  });

  it("takes a negative estimate as 0", () => {
    expect(result({}, batchOf(1, 1, -3))).toEqual(result({}, batchOf(1, 1, 0)));
  });

  it("scales by the two weights, which do not divide", () => {
    const batch = {
      policy: tensor(Float64Array.of(1, 1)),
      reference: tensor(Float64Array.of(0, 0)),
      desirable: tensor(Uint8Array.of(1, 0)),
      klEstimate: tensor(Float64Array.of(0.5), []),
    };
    const [plain, weighted] = [{}, { desirableWeight: 3, undesirableWeight: 0.5 }].map((o) => kto(o).evaluate(batch));
    expect(weighted!.denominator).toBe(plain!.denominator);
    const [first, second] = [...kto().perUnit(batch).data].map(Number);
    expect(weighted!.numerator).toBeCloseTo(3 * first! + 0.5 * second!, 15);
  });

  it("keeps small values and lets far answers go, on both sides", () => {
    expect(result({ beta: 1 }, batchOf(40, 1, 0))).toEqual([4.248354255291589e-18, -4.248354255291589e-18]);
    expect(result({ beta: 1 }, batchOf(-1e4, 1, 0))[0]).toBe(1);
    expect(Math.abs(result({ beta: 1 }, batchOf(-1e4, 1, 0))[1]!)).toBe(0);
    expect(result({}, batchOf(-Infinity, 1, 0))[0]).toBe(1);
    expect(result({}, batchOf(NaN, 1, 0))[0]).toBe(NaN);
  });

  it.each([NaN, Infinity, -Infinity])("refuses an estimate of %d, which a clamp would hide", (klEstimate) => {
    expect(() => kto().evaluate(batchOf(1, 1, klEstimate))).toThrow(
      expect.objectContaining({ code: "value", field: "klEstimate" }),
    );
  });

  it("refuses a missing estimate, and answers that are neither desirable nor not", () => {
    const { klEstimate: _, ...rest } = batchOf(1, 1, 0);
    expect(() => kto().evaluate(rest as never)).toThrow(
      expect.objectContaining({ code: "missing-field", field: "klEstimate" }),
    );
    expect(() => kto().evaluate(batchOf(1, 2, 0))).toThrow(
      expect.objectContaining({ code: "value", field: "desirable" }),
    );
  });

  it.each([
    ["beta", [0, -1, NaN, Infinity]],
    ["desirableWeight", [-1, NaN, Infinity]],
    ["undesirableWeight", [-1, NaN, Infinity]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => kto({ [field]: value })).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });
});
