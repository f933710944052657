import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contractOf, resolveReduction } from "../contract/index.js";
import { Denominator, ExactSum, Tally, type TallyParts, total } from "./index.js";

const sumOf = (...terms: number[]) => {
  const sum = new ExactSum();
  for (const term of terms) sum.add(term);
  return sum;
};

const contract = (per: string) => contractOf("test", {}, resolveReduction("test", "position", { per }));

/** A tally of some losses and weights, grouped under keys where they are given. */
function tallyOf(
  terms: readonly (readonly [loss: number, weight: number, key?: string | undefined])[],
  per = "token",
): Tally {
  const [numerators, weights] = [new Map<string, ExactSum>(), new Map<string, ExactSum>()];
  const [numerator, counted] = [new ExactSum(), new ExactSum()];
  for (const [loss, weight, key] of terms) {
    if (key === undefined) {
      numerator.add(loss * weight);
      counted.add(weight);
      continue;
    }
    numerators.set(key, (numerators.get(key) ?? new ExactSum()).merge(sumOf(loss * weight)));
    weights.set(key, (weights.get(key) ?? new ExactSum()).merge(sumOf(weight)));
  }
  const denominator = new Denominator(counted, null, weights);
  return new Tally({ ...parts, contract: contract(per), numerator, denominator, openNumerators: numerators });
}

const parts: TallyParts = {
  contract: contract("token"),
  engines: ["reference"],
  unitAxes: 1,
  batches: 1,
  couples: false,
  numerator: new ExactSum(),
  denominator: new Denominator(new ExactSum()),
  openNumerators: new Map(),
};

const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const weight = fc.double({ min: 0, max: 10, noNaN: true });
const key = fc.option(fc.constantFrom("1", "2", "-3"), { nil: undefined });
const tallies = fc.array(fc.array(fc.tuple(number, weight, key), { maxLength: 6 }), { minLength: 3, maxLength: 3 });

describe("Tally", () => {
  it.each(["token", "sequence", "sample"])("merges in any order and grouping to the same bits, per %s", (per) => {
    fc.assert(
      fc.property(tallies, (terms) => {
        const [a, b, c] = terms.map((part) => tallyOf(part, per)) as [Tally, Tally, Tally];
        const left = a.merge(b).merge(c);
        for (const other of [a.merge(b.merge(c)), c.merge(a).merge(b), total([b, c, a])]) {
          expect(other.toJSON()).toEqual(left.toJSON());
          expect([other.numerator, other.denominator.value]).toEqual([left.numerator, left.denominator.value]);
        }
      }),
    );
  });

  it("leaves its parts as they were", () => {
    const [a, b] = [
      tallyOf([
        [1, 1, "1"],
        [2, 1],
      ]),
      tallyOf([
        [3, 2, "1"],
        [4, 1],
      ]),
    ];
    const before = JSON.stringify([a, b]);
    a.merge(b);
    expect(JSON.stringify([a, b])).toBe(before);
  });

  it("forms a keyed group's quotient only when its pieces are together", () => {
    const [a, b] = [
      tallyOf([[1, 1, "1"]], "sequence"),
      tallyOf(
        [
          [4, 2, "1"],
          [7, 1, "2"],
        ],
        "sequence",
      ),
    ];
    const whole = a.merge(b);
    expect(whole.numerator).toBe(9 / 3 + 7);
    expect(whole.denominator.value).toBe(2);
    expect([...whole.openKeys].sort()).toEqual(["1", "2"]);
  });

  it("does not count a keyed group whose weight is 0", () => {
    const tally = tallyOf(
      [
        [5, 0, "1"],
        [7, 2, "2"],
      ],
      "sequence",
    );
    expect([tally.numerator, tally.denominator.value]).toEqual([7, 1]);
  });

  it("comes back from JSON and from its integers", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(number, weight), { maxLength: 6 }), (terms) => {
        const tally = tallyOf(terms);
        expect(Tally.fromJSON(JSON.parse(JSON.stringify(tally))).toJSON()).toEqual(tally.toJSON());
        expect(Tally.fromLimbs(tally.toLimbs(), tally).toJSON()).toEqual(tally.toJSON());
      }),
    );
    const keyed = tallyOf([[1, 2, "1"]], "sequence");
    expect(Tally.fromJSON(JSON.parse(JSON.stringify(keyed))).toJSON()).toEqual(keyed.toJSON());
  });

  it("has no integer form while groups are open", () => {
    expect(() => tallyOf([[1, 2, "1"]], "sequence").toLimbs()).toThrow(
      expect.objectContaining({ code: "merge", field: "groupKeys", fix: expect.stringContaining("JSON") }),
    );
  });

  it("notes engines that were mixed, and refuses neither", () => {
    const [reference, wasm] = [new Tally(parts), new Tally({ ...parts, engines: ["wasm"] })];
    const mixed = wasm.merge(reference);
    expect(reference.notes).toEqual([]);
    expect(mixed.engines).toEqual(["reference", "wasm"]);
    expect(mixed.notes).toEqual([expect.objectContaining({ code: "mixed-engines" })]);
    const lanes = reference.toLimbs().map((lane, i) => lane + wasm.toLimbs()[i]!);
    expect(Tally.fromLimbs(lanes, reference).toJSON()).toEqual(mixed.toJSON());
  });

  it("refuses added integers of parts that do not belong together", () => {
    const [one, other] = [new Tally(parts), new Tally({ ...parts, unitAxes: 2 })];
    const lanes = one.toLimbs().map((lane, i) => lane + other.toLimbs()[i]!);
    expect(() => Tally.fromLimbs(lanes, one)).toThrow(expect.objectContaining({ code: "merge", field: "unitAxes" }));
    expect(() => Tally.fromLimbs(one.toLimbs().fill(0n), one)).toThrow(expect.objectContaining({ code: "merge" }));
  });
});

describe("Denominator", () => {
  it("is the constant where one divides, but for nothing counted, which is 0", () => {
    expect(new Denominator(sumOf(3), 8)).toMatchObject({ value: 8, count: 3, isEmpty: false });
    expect(new Denominator(new ExactSum(), 8)).toMatchObject({ value: 0, count: 0, isEmpty: true });
    expect(new Denominator(sumOf(0.25)).value).toBe(0.25);
  });

  it("counts open groups that weigh something, once each, after a merge", () => {
    const open = (entries: Record<string, number>) =>
      new Denominator(sumOf(2), null, new Map(Object.entries(entries).map(([name, sum]) => [name, sumOf(sum)])));
    const merged = open({ a: 1, b: 0 }).merge(open({ a: 2, b: 0, c: 1 }));
    expect(merged.value).toBe(4 + 2);
    expect(Denominator.fromJSON(JSON.parse(JSON.stringify(merged))).toJSON()).toEqual(merged.toJSON());
  });

  it.each([{}, null, { counted: 3 }, { counted: { mantissa: "12", exponent: 0 } }])("refuses the JSON %j", (json) => {
    expect(() => Denominator.fromJSON(json as never)).toThrow(expect.objectContaining({ code: "argument" }));
  });
});
