import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { kendallTau } from "./kendall-tau.js";
import { pearson } from "./pearson.js";
import { r2 } from "./r2.js";
import { spearman } from "./spearman.js";

type Pair = readonly [x: number, y: number, times: number];

/** Few values, so that most samples are tied. */
const pairs = fc.array(
  fc.tuple(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -2, max: 2 }), fc.constantFrom(1, 2, 3)),
  {
    minLength: 2,
    maxLength: 12,
  },
);

const column = (values: readonly number[]) => tensor(Float64Array.from(values), [values.length]);
const fieldsOf = (list: readonly Pair[]) => ({
  predictions: column(list.map(([x]) => x)),
  targets: column(list.map(([, y]) => y)),
});
const repeated = (list: readonly Pair[]) => list.flatMap((pair) => Array.from({ length: pair[2] }, () => pair));

/** Kendall's tau by looking at every pair of samples. */
function naiveTau(list: readonly Pair[], variant: "b" | "c"): number {
  let [balance, untiedX, untiedY] = [0, 0, 0];
  for (const [i, [x, y]] of list.entries()) {
    for (const [otherX, otherY] of list.slice(0, i)) {
      balance += Math.sign(x - otherX) * Math.sign(y - otherY);
      if (x !== otherX) untiedX++;
      if (y !== otherY) untiedY++;
    }
  }
  if (untiedX === 0 || untiedY === 0) return Number.NaN;
  if (variant === "b") return balance / Math.sqrt(untiedX * untiedY);
  const least = Math.min(new Set(list.map(([x]) => x)).size, new Set(list.map(([, y]) => y)).size);
  return (2 * balance * least) / (list.length ** 2 * (least - 1));
}

/** Average ranks, by counting. */
const ranksOf = (values: readonly number[]) =>
  values.map((own) => values.filter((v) => v < own).length + values.filter((v) => v === own).length / 2);

describe("rank correlations", () => {
  it.each(["b", "c"] as const)("kendallTau %s counts as a look at every pair does", (variant) => {
    fc.assert(
      fc.property(pairs, (list) => {
        const found = kendallTau({ variant }).update(fieldsOf(list)).compute();
        const wanted = naiveTau(list, variant);
        if (Number.isNaN(wanted)) expect(found).toBeNaN();
        else expect(found).toBeCloseTo(wanted, 12);
      }),
    );
  });

  it("spearman is the correlation of average ranks", () => {
    fc.assert(
      fc.property(pairs, (list) => {
        const ranks = {
          predictions: column(ranksOf(list.map(([x]) => x))),
          targets: column(ranksOf(list.map(([, y]) => y))),
        };
        expect(spearman().update(fieldsOf(list)).compute()).toBe(pearson().update(ranks).compute());
      }),
    );
  });

  it.each([
    ["kendallTau", kendallTau],
    ["spearman", spearman],
    ["pearson", pearson],
  ] as const)("a weight of %s says how often a sample stands there", (_, metric) => {
    fc.assert(
      fc.property(pairs, (list) => {
        const weights = column(list.map(([, , times]) => times));
        const weighted = metric()
          .update({ ...fieldsOf(list), weights })
          .compute();
        expect(weighted).toBe(
          metric()
            .update(fieldsOf(repeated(list)))
            .compute(),
        );
      }),
    );
  });

  it("the moments of data around 1e9 keep every digit", () => {
    // The same data around 0: whole numbers, so that moving them rounds nothing.
    const near: readonly Pair[] = Array.from({ length: 101 }, (_, i) => [(i * 37) % 11, (i * 53) % 13, 1] as const);
    const far = near.map(([x, y]) => [x + 1e9, y + 1e9, 1] as const);
    for (const metric of [pearson, r2]) {
      expect(metric().update(fieldsOf(far)).compute()).toBe(metric().update(fieldsOf(near)).compute());
    }
  });

  refuses([
    [
      "NaN",
      () => spearman().update({ predictions: column([Number.NaN]), targets: column([1]) }),
      "value",
      "predictions",
      /finite/,
    ],
    [
      "another length",
      () => pearson().update({ predictions: column([1, 2]), targets: column([1]) }),
      "shape",
      "targets",
      /\[2\]/,
    ],
    ["another variant", () => kendallTau({ variant: "a" as never }), "option", "variant", /"b" or "c"/],
  ]);
});
