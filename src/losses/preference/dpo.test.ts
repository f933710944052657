import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { type DpoKind, type DpoOptions, dpo } from "./dpo.js";
import { pairwiseLogistic } from "./pairwise-logistic.js";

const row = (numbers: readonly number[]) => tensor(Float64Array.from(numbers));
/** Pairs [policyChosen, policyRejected, referenceChosen, referenceRejected]. */
const batchOf = (...pairs: readonly (readonly number[])[]) => ({
  policyChosen: row(pairs.map((pair) => pair[0]!)),
  policyRejected: row(pairs.map((pair) => pair[1]!)),
  referenceChosen: row(pairs.map((pair) => pair[2]!)),
  referenceRejected: row(pairs.map((pair) => pair[3]!)),
});
const result = (options: Partial<DpoOptions>, ...pairs: readonly (readonly number[])[]) => {
  const { value, gradients } = dpo(options).valueAndGradients(batchOf(...pairs));
  return { value, chosen: [...gradients.policyChosen.data], rejected: [...gradients.policyRejected.data] };
};
const kinds: readonly DpoKind[] = [
  ...(["sigmoid", "hinge", "ipo", "robust", "exoPair", "ncaPair", "sppoHard", "aot", "aotUnpaired"] as const),
  ...(["apoZero", "apoDown", "discopop", "bcoPair"] as const),
];
/** Smoothing where a kind must have it. */
const optionsOf = (kind: DpoKind): Partial<DpoOptions> => ({
  kind,
  ...(kind === "exoPair" && { labelSmoothing: 0.1 }),
});
const score = fc.double({ min: -60, max: 0, noNaN: true });
const pair = fc.tuple(score, score, score, score);
const { exp, log, log1p } = Math;
const share = (x: number) => 1 / (1 + exp(-x));

/** The kinds as TRL writes them, of log ratios c and r. */
const formulas: Partial<Record<DpoKind, (c: number, r: number, beta: number, smoothing: number) => number>> = {
  sigmoid: (c, r, b, e) => (1 - e) * -log(share(b * (c - r))) + e * -log(share(b * (r - c))),
  hinge: (c, r, b) => Math.max(0, 1 - b * (c - r)),
  ipo: (c, r, b) => (c - r - 1 / (2 * b)) ** 2,
  robust: (c, r, b, e) => (-(1 - e) * log(share(b * (c - r))) + e * log(share(b * (r - c)))) / (1 - 2 * e),
  exoPair: (c, r, b, e) => {
    const p = share(b * (c - r));
    return p * (log(p) - log(1 - e)) + (1 - p) * (log(share(b * (r - c))) - log(e));
  },
  ncaPair: (c, r, b) => -log(share(b * c)) - 0.5 * log(share(-b * c)) - 0.5 * log(share(-b * r)),
  sppoHard: (c, r, b) => (c - 0.5 / b) ** 2 + (r + 0.5 / b) ** 2,
  apoZero: (c, r, b) => 1 - share(b * c) + share(b * r),
  apoDown: (c, r, b) => share(b * c) + 1 - share(b * (c - r)),
  discopop: (c, r, b) => {
    const [z, mix] = [b * (c - r), share((b * (c - r)) / 0.05)];
    return (1 - mix) * -log(share(z)) + mix * exp(-z);
  },
  bcoPair: (c, r, b) => -log(share(b * c)) - log(share(-b * r)),
};

describe("dpo: kinds", () => {
  it.each(Object.entries(formulas))("%s is its formula", (kind, formula) => {
    const small = fc.double({ min: -9, max: 0, noNaN: true });
    const smoothing = kind === "exoPair" || kind === "robust" || kind === "sigmoid" ? 0.2 : 0;
    fc.assert(
      fc.property(fc.tuple(small, small, small, small), fc.constantFrom(0.1, 0.5, 1), (scores, beta) => {
        const [policyChosen, policyRejected, referenceChosen, referenceRejected] = scores;
        const [c, r] = [policyChosen - referenceChosen, policyRejected - referenceRejected];
        const { value } = result({ kind: kind as DpoKind, beta, labelSmoothing: smoothing }, scores);
        const wanted = formula!(c, r, beta, smoothing);
        expect(Math.abs(value - wanted)).toBeLessThanOrEqual(1e-12 * Math.max(1, Math.abs(wanted)));
      }),
    );
  });

  it("sigmoid is the pairwise logistic loss of rewards β log π/π_ref", () => {
    fc.assert(
      fc.property(pair, (scores) => {
        const { value } = result({ beta: 0.5 }, scores);
        const rewards = pairwiseLogistic().evaluate({
          chosen: row([0.5 * (scores[0] - scores[1])]),
          rejected: row([0.5 * (scores[2] - scores[3])]),
        });
        expect(value).toBeCloseTo(rewards.value, 12);
      }),
    );
  });

  it.each(kinds)(
    "%s pulls on the policy alone, and on both answers oppositely where only their margin counts",
    (kind) => {
      const { gradients } = dpo(optionsOf(kind)).valueAndGradients(batchOf([-3, -4, -3.5, -3], [-1, -9, -2, -5]));
      expect(Object.keys(gradients)).toEqual(["policyChosen", "policyRejected"]);
      if (!["sigmoid", "hinge", "ipo", "robust", "exoPair", "discopop", "aot"].includes(kind)) return;
      const negated = [...gradients.policyRejected.data].map((slope) => 0 - Number(slope));
      expect([...gradients.policyChosen.data]).toEqual(negated);
    },
  );

  it.each(kinds)("%s is finite at scores of ±1e4, with the slope of its limit", (kind) => {
    for (const scores of [
      [1e4, -1e4, 0, 0],
      [-1e4, 1e4, 0, 0],
      [-1e4, -1e4, 0, 0],
    ]) {
      const { value, chosen, rejected } = result({ ...optionsOf(kind), beta: 1 }, scores);
      expect([value, ...chosen, ...rejected].every((found) => Number.isFinite(found))).toBe(true);
    }
  });

  it("forms the margin of close scores without loss", () => {
    const { value } = result({ kind: "ipo", beta: 0.5 }, [-1000, -1001 - 2 ** -40, -1000, -1000]);
    expect(value).toBe(2 ** -80);
  });
});

describe("dpo: corners and limits", () => {
  it("hinge has no slope at its corner and beyond", () => {
    expect(result({ kind: "hinge", beta: 1 }, [1, 0, 0, 0]).chosen).toEqual([0]);
    expect(result({ kind: "hinge", beta: 1 }, [1 - 2 ** -53, 0, 0, 0]).chosen).toEqual([-1]);
    expect(result({ kind: "hinge", beta: 1 }, [NaN, 0, 0, 0]).chosen).toEqual([NaN]);
  });

  it("robust is sigmoid without smoothing, and its slope is bounded away from 0 with it", () => {
    fc.assert(
      fc.property(pair, (scores) => {
        expect(result({ kind: "robust" }, scores)).toEqual(result({}, scores));
      }),
    );
    expect(result({ kind: "robust", beta: 1, labelSmoothing: 0.25 }, [1e4, 0, 0, 0])).toMatchObject({
      value: -5e3,
      chosen: [-0.5],
    });
  });

  it("exoPair is 0 with no slope where the policy has the target's odds", () => {
    const z = log(0.9) - log(0.1);
    const { value, chosen } = result({ kind: "exoPair", beta: 1, labelSmoothing: 0.1 }, [z, 0, 0, 0]);
    expect(value).toBeCloseTo(0, 15);
    expect(chosen[0]).toBeCloseTo(0, 15);
    const near = result({ kind: "exoPair", beta: 1, labelSmoothing: 0.5 }, [2 ** -20, 0, 0, 0]);
    expect(near.value / (2 ** -40 / 8)).toBeCloseTo(1, 9);
    expect(result({ kind: "exoPair", labelSmoothing: 0.1 }, [0, -Infinity, 0, 0]).value).toBeCloseTo(-log(0.9), 15);
  });

  it("discopop is logistic far below 0 and exponential far above", () => {
    expect(result({ kind: "discopop", beta: 1 }, [-50, 0, 0, 0])).toMatchObject({ value: 50, chosen: [-1] });
    const far = result({ kind: "discopop", beta: 1 }, [50, 0, 0, 0]);
    expect(far.value / exp(-50)).toBeCloseTo(1, 12);
    expect(Number(far.chosen[0]) / -exp(-50)).toBeCloseTo(1, 12);
    expect(result({ kind: "discopop" }, [-Infinity, 0, 0, 0]).value).toBe(Infinity);
    expect(result({ kind: "discopop" }, [0, -Infinity, 0, 0]).value).toBe(0);
    // Where both sides meet the exponential is alone at τ → ∞: half of each at z = 0.
    expect(result({ kind: "discopop", beta: 1 }, [0, 0, 0, 0]).value).toBeCloseTo((Math.LN2 + 1) / 2, 15);
  });

  it("keeps what 1 − σ would lose", () => {
    expect(result({ kind: "apoZero", beta: 1 }, [40, -40, 0, 0]).value).toBe(2 * 4.248354255291589e-18);
    expect(result({ beta: 1 }, [40, 0, 0, 0]).value).toBe(4.248354255291589e-18);
  });

  it.each([
    ["chosen of probability 0", [-Infinity, -1, -1, -1], Infinity],
    ["rejected of probability 0", [-1, -Infinity, -1, -1], 0],
    ["both", [-Infinity, -Infinity, -1, -1], NaN],
    ["NaN", [NaN, -1, -1, -1], NaN],
  ])("sigmoid at infinite scores: %s", (_, scores, loss) => {
    expect(result({}, scores).value).toBe(loss);
  });
});

describe("dpo: kinds that match ranks", () => {
  const pairs = fc.array(pair, { minLength: 1, maxLength: 8 });

  it.each(["aot", "aotUnpaired"] as const)("%s is sigmoid for one pair", (kind) => {
    fc.assert(
      fc.property(pair, fc.constantFrom(0, 0.2), (scores, labelSmoothing) => {
        const [matched, plain] = [kind, "sigmoid" as const].map((k) => result({ kind: k, labelSmoothing }, scores));
        expect(matched!.value).toBeCloseTo(plain!.value, 12);
      }),
    );
  });

  it.each(["aot", "aotUnpaired"] as const)("%s does not see the order of the pairs", (kind) => {
    fc.assert(
      fc.property(pairs, (drawn) => {
        const [there, back] = [drawn, [...drawn].reverse()].map((list) => result({ kind }, ...list));
        expect(back!.value).toBe(there!.value);
        // Tied pairs may change places: what is pulled is the same.
        const sorted = (slopes: readonly (number | bigint)[]) => slopes.map(Number).sort((left, right) => left - right);
        expect(sorted(back!.chosen)).toEqual(sorted(there!.chosen));
        expect(sorted(back!.rejected)).toEqual(sorted(there!.rejected));
      }),
    );
  });

  it("compares quantiles: ranks of the policy's margins with ranks of the reference's", () => {
    const perUnit = dpo({ kind: "aot", beta: 1 }).perUnit(batchOf([5, 0, 0, 0], [1, 0, 2, 0], [3, 0, 1, 0]));
    // Margins 1, 3, 5 against 0, 1, 2, from the lowest rank up.
    expect([...perUnit.data]).toEqual([1, 2, 3].map((h) => expect.closeTo(log1p(exp(-h)), 14)));
  });

  it("gives a rejected answer the pull of the rank it is matched with", () => {
    // Ratios: chosen 0, 5; rejected 7, 1. Ranks match 0 with 1 and 5 with 7.
    const { chosen, rejected } = result({ kind: "aotUnpaired", beta: 1 }, [0, 7, 0, 0], [5, 1, 0, 0]);
    expect(chosen).toEqual([expect.closeTo(-share(1) / 2, 14), expect.closeTo(-share(2) / 2, 14)]);
    expect(rejected).toEqual([expect.closeTo(share(2) / 2, 14), expect.closeTo(share(1) / 2, 14)]);
  });

  it("sorts live pairs only, whose r-th stands for the r-th rank", () => {
    const three = batchOf([5, 0, 0, 0], [NaN, NaN, NaN, NaN], [3, 0, 1, 0]);
    const two = batchOf([5, 0, 0, 0], [3, 0, 1, 0]);
    const objective = dpo({ kind: "aot" });
    const masked = objective.valueAndGradients({ ...three, mask: tensor(Uint8Array.of(1, 0, 1)) });
    const alone = objective.valueAndGradients(two);
    expect(masked.value).toBe(alone.value);
    const [first, second] = alone.gradients.policyChosen.data;
    expect([...masked.gradients.policyChosen.data]).toEqual([first, 0, second]);
  });

  it("says that it couples the batch, and no other kind does", () => {
    for (const kind of kinds) {
      const objective = dpo(optionsOf(kind));
      expect(objective.couples).toBe(kind.startsWith("aot"));
      expect(objective.describe().includes("rank")).toBe(objective.couples);
    }
    const tally = dpo({ kind: "aot" }).tally(batchOf([-1, -2, -1, -1]));
    expect(() => tally.merge(tally)).toThrow(expect.objectContaining({ code: "merge" }));
    const free = dpo().tally(batchOf([-1, -2, -1, -1]));
    expect(free.merge(free).denominator.value).toBe(2);
  });

  it("puts NaN at the end, where it harms one pair", () => {
    const perUnit = dpo({ kind: "aot" }).perUnit(batchOf([NaN, 0, 0, 0], [1, 0, 0, 0]));
    expect([...perUnit.data].map(Number.isNaN)).toEqual([false, true]);
  });
});

describe("dpo: reference and contract", () => {
  it("stands alone with referenceFree, and does not read a reference that is given", () => {
    const batch = batchOf([-3, -4, NaN, NaN]);
    const { value } = dpo({ referenceFree: true }).evaluate(batch);
    const { policyChosen, policyRejected } = batch;
    expect(dpo({ referenceFree: true }).evaluate({ policyChosen, policyRejected }).value).toBe(value);
    expect(value).toBe(result({}, [-3, -4, 0, 0]).value);
  });

  it.each(["referenceChosen", "referenceRejected"])("names %s when it is missing", (field) => {
    expect(() => dpo().evaluate({ ...batchOf([-1, -2, -1, -1]), [field]: undefined })).toThrow(
      expect.objectContaining({ code: "missing-field", field, fix: expect.stringContaining("referenceFree") }),
    );
  });

  it("writes what the scores are, and computes the same", () => {
    expect(dpo().contract.options).toEqual({
      beta: 0.1,
      discopopTau: 0.05,
      kind: "sigmoid",
      labelSmoothing: 0,
      referenceFree: false,
      score: "sum",
    });
    expect(dpo({ score: "mean" }).describe()).toContain("means of token log-probabilities");
    expect(result({ score: "mean" }, [-3, -4, -2, -2])).toEqual(result({}, [-3, -4, -2, -2]));
  });

  it("refuses log-probabilities of tokens: a score is one number an answer", () => {
    const tokens = tensor(new Float64Array(6), [2, 3]);
    expect(() => dpo({ referenceFree: true }).evaluate({ policyChosen: tokens, policyRejected: tokens })).toThrow(
      expect.objectContaining({ code: "shape", field: "policyChosen" }),
    );
  });

  it.each(kinds.filter((kind) => !["sigmoid", "robust", "exoPair", "aot", "aotUnpaired"].includes(kind)))(
    "refuses label smoothing in %s",
    (kind) => {
      expect(() => dpo({ kind, labelSmoothing: 0.1 })).toThrow(
        expect.objectContaining({ code: "option", field: "labelSmoothing" }),
      );
    },
  );

  it("refuses smoothing at which a kind does not exist", () => {
    for (const options of [
      { kind: "exoPair", labelSmoothing: 0 },
      { kind: "exoPair" },
      { kind: "robust", labelSmoothing: 0.5 },
    ] as const) {
      expect(() => dpo(options)).toThrow(expect.objectContaining({ code: "option", field: "labelSmoothing" }));
    }
  });

  it.each([
    ["beta", [0, -1, NaN, Infinity]],
    ["kind", ["dpo", "SIGMOID", null, 1]],
    ["labelSmoothing", [-0.1, 0.6, NaN]],
    ["referenceFree", [0, "true", null]],
    ["discopopTau", [0, -1, NaN]],
    ["score", ["total", null]],
  ] as const)("refuses values of %s out of range", (field, values) => {
    for (const value of values) {
      expect(() => dpo({ [field]: value } as never)).toThrow(expect.objectContaining({ code: "option", field }));
    }
  });
});
