import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { tversky } from "./tversky.js";

const batchOf = (logits: number[], targets: number[]) => ({
  logits: tensor(Float64Array.from(logits), [1, logits.length]),
  targets: tensor(Float64Array.from(targets), [1, targets.length]),
});
const row = fc.array(
  fc.record({ z: fc.double({ min: -8, max: 8, noNaN: true }), y: fc.double({ min: 0, max: 1, noNaN: true }) }),
  {
    minLength: 1,
    maxLength: 12,
  },
);

describe("tversky", () => {
  it("is its formula", () => {
    fc.assert(
      fc.property(row, (elements) => {
        const [alpha, beta, smooth] = [0.3, 0.7, 0.1];
        let [found, extra, missed] = [0, 0, 0];
        for (const { z, y } of elements) {
          const p = 1 / (1 + Math.exp(-z));
          found += p * y;
          extra += p * (1 - y);
          missed += (1 - p) * y;
        }
        const index = (found + smooth) / (found + alpha * extra + beta * missed + smooth);
        const batch = batchOf(
          elements.map(({ z }) => z),
          elements.map(({ y }) => y),
        );
        expect(tversky({ alpha, beta, smooth }).evaluate(batch).value).toBeCloseTo(1 - index, 12);
      }),
    );
  });

  it("weighs false positives by alpha and false negatives by beta", () => {
    const missing = batchOf([-50, 50], [1, 1]);
    const extra = batchOf([50, 50], [0, 1]);
    const value = (options: object, batch: typeof missing) => tversky({ smooth: 0, ...options }).evaluate(batch).value;
    expect(value({ alpha: 1, beta: 0 }, missing)).toBeCloseTo(0, 12);
    expect(value({ alpha: 0, beta: 1 }, missing)).toBeCloseTo(1 / 2, 12);
    expect(value({ alpha: 1, beta: 0 }, extra)).toBeCloseTo(1 / 2, 12);
    expect(value({ alpha: 0, beta: 1 }, extra)).toBeCloseTo(0, 12);
  });

  it("is one minus the soft Jaccard index at alpha = beta = 1", () => {
    const batch = batchOf([0, 0, 2], [1, 0, 1]);
    const p = [0.5, 0.5, 1 / (1 + Math.exp(-2))];
    const both = p[0]! + p[2]!;
    const union = p[0]! + p[1]! + p[2]! + 2 - both;
    expect(tversky({ alpha: 1, beta: 1, smooth: 0 }).evaluate(batch).value).toBeCloseTo(1 - both / union, 14);
  });

  it("keeps the digits of a row that is all but right", () => {
    const { value, gradients } = tversky({ smooth: 0 }).valueAndGradients(batchOf([40, -40], [1, 0]));
    const small = Math.exp(-40);
    expect(value / small).toBeCloseTo(1, 12); // (½ e^−40 + ½ e^−40) / 1
    expect(Number(gradients.logits.data[0]) / (-small / 2)).toBeCloseTo(1, 12);
    expect(Number(gradients.logits.data[1]) / (small / 2)).toBeCloseTo(1, 12);
  });

  it.each([
    ["0/0: nothing true, nothing predicted", [-1e4, -1e4], [0, 0], { smooth: 0 }, 0],
    ["0/0: nothing true and false positives free", [3, 1], [0, 0], { smooth: 0, alpha: 0 }, 0],
    ["nothing true, something predicted", [-700, -700], [0, 0], { smooth: 0 }, 1],
    ["wrong everywhere", [1e4, -1e4], [0, 1], { smooth: 0 }, 1],
    ["right everywhere", [1e4, -1e4], [1, 0], {}, 0],
    ["a logit of −∞ is p = 0", [-Infinity, 1e4], [0, 1], {}, 0],
    ["+∞", [Infinity, 0], [1, 0], {}, NaN],
    ["NaN", [NaN, 0], [1, 0], {}, NaN],
  ])("at the limit: %s", (_, logits, targets, options, wanted) => {
    const { value, gradients } = tversky(options).valueAndGradients(batchOf(logits, targets));
    expect(value).toBe(wanted);
    for (const slope of gradients.logits.data) expect(Number(slope) + 0).toBe(Number.isNaN(wanted) ? NaN : 0);
  });

  it.each(["alpha", "beta", "smooth"])("refuses values of %s out of range", (field) => {
    for (const value of [-0.1, NaN, Infinity, null]) {
      expect(() => tversky({ [field]: value } as never)).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });
});
