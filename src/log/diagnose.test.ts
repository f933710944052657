import { describe, expect, it } from "vitest";
import { crossEntropy } from "../losses/categorical/cross-entropy.js";
import { objectiveNames } from "../losses/index.js";
import { mismatches, mismatchOf, ObjectiveLog } from "./index.js";
import { trendOf } from "./trend.js";

/** A log of evaluations with these numbers. */
function logOf(objective: readonly number[], metric: readonly number[], goal: "maximize" | "minimize" = "maximize") {
  const log = new ObjectiveLog({
    objective: crossEntropy(),
    metrics: { macroF1: { goal, best: goal === "maximize" ? 1 : 0 } },
  });
  for (const [i, value] of objective.entries())
    log.evaluation(100 * i, { objective: value, metrics: { macroF1: metric[i]! } });
  return log;
}
const verdict = (log: ObjectiveLog) => log.diagnose().metrics[0]!.verdict;
const range = (count: number, read: (i: number) => number) => Array.from({ length: count }, (_, i) => read(i));

/** Normal noise of one seed: sums of twelve uniform numbers. */
function noise(seed: number) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => range(12, uniform).reduce((sum, each) => sum + each, -6);
}

describe("trendOf", () => {
  it("has Kendall's exact chances, with and without ties, as all orders counted give them", () => {
    const orders = (values: readonly number[]): number[][] =>
      values.length < 2
        ? [[...values]]
        : values.flatMap((v, i) => orders(values.toSpliced(i, 1)).map((rest) => [v, ...rest]));
    const pairs = (values: readonly number[], sign: number) =>
      values.reduce(
        (sum, later, j) => sum + values.slice(0, j).filter((earlier) => sign * (later - earlier) > 0).length,
        0,
      );
    for (const values of [
      [1, 2, 3, 5, 4, 6],
      [1, 1, 2, 3, 3, 3],
      [2, 2, 1, 1, 2, 1],
      [4, 4, 4, 4],
    ]) {
      const { pRise, pFall } = trendOf(range(values.length, Number), values);
      const all = orders(values);
      const share = (sign: number) => {
        // So few pairs against the trend, or fewer.
        const found = pairs(values, -sign);
        return all.filter((order) => pairs(order, -sign) <= found).length / all.length;
      };
      expect(pRise).toBeCloseTo(share(1), 12);
      expect(pFall).toBeCloseTo(share(-1), 12);
    }
  });

  it("has the median of all slopes, which one outlier does not move", () => {
    const values = [0, 1, 2, 300, 4, 5, 6];
    expect(
      trendOf(
        range(7, (i) => 10 * i),
        values,
      ).slope,
    ).toBeCloseTo(0.1, 12);
    expect(trendOf([1], [1])).toMatchObject({ tau: 0, pRise: 1, pFall: 1, slope: 0 });
  });
});

describe("diagnose", () => {
  it("names each of what can be seen", () => {
    const falling = range(12, (i) => 2 - i / 10);
    expect(
      verdict(
        logOf(
          falling,
          range(12, (i) => i / 20),
        ),
      ),
    ).toBe("together");
    expect(
      verdict(
        logOf(
          falling,
          range(12, (i) => 0.6 - i / 50),
        ),
      ),
    ).toBe("apart");
    expect(
      verdict(
        logOf(
          falling,
          range(12, () => 0.4),
        ),
      ),
    ).toBe("stalled");
    expect(
      verdict(
        logOf(
          falling,
          range(12, () => 1),
        ),
      ),
    ).toBe("at-best");
    expect(
      verdict(
        logOf(
          range(12, (i) => i),
          range(12, () => 0.4),
        ),
      ),
    ).toBe("no-fall");
    expect(
      verdict(
        logOf(
          falling.slice(0, 5),
          range(5, () => 0.4),
        ),
      ),
    ).toBe("too-few");
    expect(
      verdict(
        logOf(
          falling,
          range(12, (i) => 0.6 - i / 50),
          "minimize",
        ),
      ),
    ).toBe("together");
    expect(
      verdict(
        logOf(
          falling,
          range(12, (i) => 0.2 + i / 50),
          "minimize",
        ),
      ),
    ).toBe("apart");
  });

  it("brings the table's mismatch, in words and as data", () => {
    const [found] = logOf(
      range(12, (i) => 2 - i / 10),
      range(12, () => 0.4),
    ).diagnose().metrics;
    expect(found).toMatchObject({ isAlarm: true, from: 0, to: 1100, evaluations: 12, mismatch: { title: "CE vs F1" } });
    expect(found!.objectiveChange).toBeCloseTo(-1.1, 10);
    expect(found!.advice.join()).toContain("classWeights");
    expect(found!.message).toMatch(
      /crossEntropy falls over the last 12 evaluations \(steps 0 to 1100\) by about 1.1 .*macroF1 does not get better/,
    );
  });

  it("leaves out what is not finite, and looks at the window alone", () => {
    const objective = range(30, (i) => (i === 28 ? Number.NaN : 3 - i / 10));
    const log = logOf(
      objective,
      range(30, (i) => (i < 20 ? i / 40 : 0.5 - i / 1000)),
    );
    expect(log.diagnose({ window: 8 }).metrics[0]).toMatchObject({
      verdict: "apart",
      evaluations: 8,
      from: 2100,
      to: 2900,
    });
    expect(() => log.diagnose({ window: 5 })).toThrow(/whole number from 6 to 60/);
    expect(() => log.diagnose({ level: 0 })).toThrow(/level/);
  });

  it("gives no alarm on noise more often than its level says, nor on runs that go well; finds what stands still", () => {
    const runs = 1500;
    const rate = (objective: (i: number, draw: () => number) => number, metric: typeof objective) => {
      let alarms = 0;
      for (let run = 0; run < runs; run++) {
        const draw = noise(run * 7919 + 17);
        const log = logOf(
          range(12, (i) => objective(i, draw)),
          range(12, (i) => metric(i, draw)),
        );
        if (log.diagnose().isAlarm) alarms++;
      }
      return alarms / runs;
    };
    const falls = (i: number, draw: () => number) => 2 - i / 10 + 0.1 * draw();
    const onNoise = rate(
      (_, draw) => draw(),
      (_, draw) => draw(),
    );
    const onProgress = rate(falls, (i, draw) => 0.3 + i / 40 + 0.04 * draw());
    const onStandstill = rate(falls, (_, draw) => 0.5 + 0.03 * draw());
    const onWorse = rate(falls, (i, draw) => 0.6 - i / 50 + 0.03 * draw());
    console.log(`alarms: noise ${onNoise}, progress ${onProgress}, standstill ${onStandstill}, worse ${onWorse}`);
    // The level is 0.01; three standard errors of a share of 1500 runs are 0.008.
    expect(onNoise).toBeLessThan(0.018);
    expect(onProgress).toBeLessThan(0.01);
    expect(onStandstill).toBeGreaterThan(0.7);
    expect(onWorse).toBeGreaterThan(0.97);
  });
});

describe("mismatches", () => {
  it("are the chapter's five, about objectives that there are", () => {
    expect(mismatches).toHaveLength(5);
    const known = objectiveNames();
    expect(mismatches.flatMap(({ objectives }) => objectives).filter((name) => !known.includes(name))).toEqual([]);
    for (const { mitigations, consequence, why } of mismatches) {
      expect(mitigations.length).toBeGreaterThan(1);
      expect(`${consequence} ${why}`).not.toMatch(/undefined/);
    }
  });

  it.each([
    ["crossEntropy", "fBeta", "CE vs F1"],
    ["crossEntropy", "val/macro_F1", "CE vs F1"],
    ["crossEntropy", "balancedAccuracy", "CE vs F1"],
    ["crossEntropy", "exactMatch", "token NLL vs answer quality"],
    ["squaredError", "spearman", "MSE vs rank correlation"],
    ["squaredError", "kendallTau", "MSE vs rank correlation"],
    ["infoNce", "recall@10", "InfoNCE vs Recall@K"],
    ["clip", "mrr", "InfoNCE vs Recall@K"],
    ["pairwiseLogistic", "pairAccuracy", "reward loss vs human preference"],
    ["dpo", "winRate", "reward loss vs human preference"],
    ["crossEntropy", "accuracy", undefined],
    ["squaredError", "fBeta", undefined],
    ["crossEntropy", "recallOfTheRefrigerator", undefined],
  ])("of %s and %s: %s", (objective, metric, title) => {
    expect(mismatchOf(objective, metric)?.title).toBe(title);
  });
});
