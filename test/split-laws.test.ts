/**
 * Laws of splits, for every objective: a step may be cut anywhere, in any order, and whoever merges the parts has the
 * bits of the whole. The other laws are in `laws.test.ts`.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AnyBatch,
  type Denominator,
  LosswrightError,
  type Objective,
  objectiveFrom,
  objectiveNames,
  Tally,
  total,
} from "../src/index.js";
import { definitionOf } from "../src/losses/index.js";
import { placeOf, sizeOf, type Tensor } from "../src/tensor/index.js";
import {
  type Case,
  drawn,
  entryOf,
  fieldAxis,
  ofDtype,
  takeAlong,
  takePlaces,
  type Wishes,
} from "./instruments/batches.js";
import { bits, tensorBits } from "./instruments/bits.js";
import type { Random } from "./instruments/random.js";

const names = objectiveNames();
const independent = names.filter((name) => definitionOf(name).couples !== true);
const coupled = names.filter((name) => definitionOf(name).couples);

function forAll(name: string, check: (found: Case) => void, wishes: Wishes = {}, numRuns = 150): void {
  fc.assert(
    fc.property(drawn(name, wishes), (found) => {
      check(found);
    }),
    { numRuns },
  );
}

/** Where options decide whether an objective couples its batch, the cases in which it does not. */
function forAllIndependent(name: string, check: (found: Case) => void, wishes?: Wishes, numRuns?: number): void {
  forAll(name, (found) => !found.objective.couples && check(found), wishes, numRuns);
}

/** The places of an axis dealt out to a few parts, in any order; a part may be empty. */
function dealt(length: number, random: Random): number[][] {
  const parts: number[][] = Array.from({ length: random.integer(1, 4) }, () => []);
  for (const place of random.shuffled(Array.from({ length }, (_, i) => i))) random.pick(parts).push(place);
  return parts;
}

/** Everything that merged parts must share with the whole, as text. */
function tallyBits(objective: Objective, tally: Tally) {
  return {
    value: bits(objective.value(tally)),
    numerator: bits(tally.numerator),
    denominator: bits(tally.denominator.value),
    exact: tally.denominator.toJSON().counted,
  };
}

function mergedDenominator(objective: Objective, parts: readonly AnyBatch[]): Denominator {
  return parts.map((part) => objective.denominator(part)).reduce((left, right) => left.merge(right));
}

describe.each(independent)("%s: rows dealt out to parts in any order", (name) => {
  const cut = (found: Case) => {
    const places = dealt(found.unitShape[0]!, found.random);
    return { places, parts: places.map((rows) => takeAlong(found, 0, rows)) };
  };

  it("merge to the value, numerator and denominator of the whole, to the bit", () => {
    forAllIndependent(
      name,
      (found) => {
        const { objective, batch, random } = found;
        const tallies = cut(found).parts.map((part) => objective.tally(part));
        const whole = tallyBits(objective, objective.tally(batch));
        expect(tallyBits(objective, total(tallies))).toEqual(whole);
        expect(tallyBits(objective, total(random.shuffled(tallies)))).toEqual(whole);
        const sent = tallies.map((tally) => Tally.fromJSON(JSON.parse(JSON.stringify(tally))));
        expect(tallyBits(objective, total(sent))).toEqual(whole);
        expect(total(sent).toJSON()).toEqual(total(tallies).toJSON());
      },
      { wholeRows: true },
    );
  });

  it("merge as integers that an all-reduce adds lane by lane", () => {
    forAllIndependent(
      name,
      (found) => {
        const tallies = cut(found).parts.map((part) => found.objective.tally(part));
        const sum = tallies
          .map((tally) => tally.toLimbs())
          .reduce((left, right) => left.map((lane, i) => lane + right[i]!));
        expect(Tally.fromLimbs(sum, tallies[0]!).toJSON()).toEqual(total(tallies).toJSON());
      },
      { wholeRows: true },
    );
  });

  it("give the rows of the whole's gradient, to the bit, when divided by the denominator of the whole", () => {
    forAllIndependent(
      name,
      (found) => {
        const { objective, batch } = found;
        const { places, parts } = cut(found);
        const denominator = mergedDenominator(objective, parts);
        expect(denominator.toJSON()).toEqual(objective.denominator(batch).toJSON());
        const whole = objective.valueAndGradients(batch);
        for (const [i, part] of parts.entries()) {
          const result = objective.valueAndGradients(part, { denominator });
          expect(result.denominator).toBe(whole.denominator);
          expectRows(found, 0, places[i]!, whole.gradients, result.gradients);
        }
      },
      { wholeRows: true },
    );
  });

  it("have losses a unit that do not depend on which other rows are present", () => {
    forAllIndependent(
      name,
      (found) => {
        const whole = found.objective.perUnit(found.batch);
        for (const rows of cut(found).places) {
          const part = found.objective.perUnit(takeAlong(found, 0, rows));
          expect(tensorBits(part)).toBe(tensorBits(takePlaces(whole, 0, rows)));
        }
      },
      { wholeRows: true },
    );
  });
});

/** Gradients of a part are those of the whole at its places; fields that units share agree to rounding alone. */
function expectRows(
  found: Case,
  unitAxis: number,
  places: readonly number[],
  whole: Readonly<Record<string, Tensor>>,
  part: Readonly<Record<string, Tensor>>,
): void {
  for (const [field, gradient] of Object.entries(part)) {
    if (found.objective.definition.fields[field]!.gradient !== "row") continue;
    const wanted = takePlaces(whole[field]!, fieldAxis(found, field, unitAxis), places);
    expect({ field, bits: tensorBits(gradient) }).toEqual({ field, bits: tensorBits(wanted) });
  }
}

const spread = independent.filter((name) => definitionOf(name).unitShape.includes("..."));

describe.each(spread)("%s: sequences cut into pieces", (name) => {
  const wishes = { axes: 2, options: "labelShift" in definitionOf(name).options ? { labelShift: 0 } : {} };

  /** Parts of a batch cut along the second axis of the units, each piece under the key of its group. */
  const cut = (found: Case) => {
    const { batch, unitShape, objective } = found;
    const keys = Array.from({ length: sizeOf(unitShape) }, (_, unit) => {
      const [row] = placeOf(unit, unitShape);
      const segment =
        objective.reduction.per === "sequence" && batch.segmentIds ? entryOf(found, "segmentIds", unit) : 0;
      return 10 * row! + segment;
    });
    const keyed = { ...found, batch: { ...batch, groupKeys: ofDtype("int64", keys, unitShape) } };
    const places = dealt(unitShape[1]!, found.random).map((part) => part.sort((a, b) => a - b));
    return { keyed: keyed.batch, places, parts: places.map((part) => takeAlong(keyed, 1, part)) };
  };
  /** Reductions that form groups; a list with one number a place of the last axis cannot be cut along that axis. */
  const applies = ({ unitShape, objective, options }: Case) => {
    const { per } = objective.reduction;
    const perClass = Object.values(objective.definition.fields).some(({ shape }) => shape.includes("K"));
    const listOfLastAxis = !perClass && unitShape.length === 2 && Object.values(options).some(Array.isArray);
    return unitShape.length > 1 && !listOfLastAxis && (per === "sequence" || per === "sample");
  };

  it("merge under groupKeys to the bits of the whole", () => {
    forAllIndependent(
      name,
      (found) => {
        if (!applies(found)) return;
        const { objective, batch, random } = found;
        const { keyed, parts } = cut(found);
        const whole = objective.tally(batch);
        const tallies = random.shuffled(parts.map((part) => objective.tally(part)));
        const sent = tallies.map((tally) => Tally.fromJSON(JSON.parse(JSON.stringify(tally))));
        for (const merged of [total(tallies), total(sent), objective.tally(keyed)]) {
          expect(bits(objective.value(merged))).toBe(bits(objective.value(whole)));
          expect(bits(merged.numerator)).toBe(bits(whole.numerator));
          expect(bits(merged.denominator.value)).toBe(bits(whole.denominator.value));
        }
        expect(() => total(tallies).toLimbs()).toThrow(expect.objectContaining({ code: "merge", field: "groupKeys" }));
      },
      wishes,
      300,
    );
  });

  it("give the gradients of the whole under its denominator, and values that add up to that of the whole", () => {
    forAllIndependent(
      name,
      (found) => {
        if (!applies(found)) return;
        const { objective, batch } = found;
        const { parts, places } = cut(found);
        const denominator = mergedDenominator(objective, parts);
        const whole = objective.valueAndGradients(batch);
        let shares = 0;
        for (const [i, part] of parts.entries()) {
          const result = objective.valueAndGradients(part, { denominator });
          expect(result.denominator).toBe(whole.denominator);
          expectRows(found, 1, places[i]!, whole.gradients, result.gradients);
          shares += result.value;
        }
        expect(Math.abs(shares - whole.value)).toBeLessThanOrEqual(1e-9 * Math.abs(whole.value));
      },
      wishes,
      300,
    );
  });
});

describe.each(coupled)("%s: a coupled batch", (name) => {
  it("says so, and its tallies merge only when each batch is accepted as one of its own", () => {
    forAll(
      name,
      ({ objective, batch }) => {
        if (!objective.couples) return;
        expect(objective.describe()).toContain("depends on its whole batch");
        const tally = objective.tally(batch);
        expect(() => tally.merge(tally)).toThrow(expect.objectContaining({ code: "merge" }));
        expect(() => total([tally, tally])).toThrow(expect.objectContaining({ code: "merge" }));
        expect(total([tally]).toJSON()).toEqual(tally.toJSON());
        const twice = tally.merge(tally, { acrossBatches: "independent" });
        expect(bits(objective.value(twice))).toBe(bits(objective.value(tally)));
        expect(twice.batches).toBe(2);
        expect(Tally.fromJSON(JSON.parse(JSON.stringify(twice))).toJSON()).toEqual(twice.toJSON());
        const limbs = tally.toLimbs().map((lane) => 2n * lane);
        expect(() => Tally.fromLimbs(limbs, tally)).toThrow(expect.objectContaining({ code: "merge" }));
        const read = Tally.fromLimbs(limbs, tally, { acrossBatches: "independent" });
        expect(read.toJSON()).toEqual(twice.toJSON());
      },
      { reduction: { divideBy: "weight" } },
    );
  });
});

describe.each(names)("%s: tallies that do not belong together", (name) => {
  it("are refused: another contract, another number of unit axes", () => {
    const check = ({ objective, batch }: Case) => {
      const other = objectiveFrom({
        ...objective.contract,
        reduction: { ...objective.reduction, divideBy: { constant: 3 } },
      });
      const [tally, foreign] = [objective.tally(batch), other.tally(batch)];
      const refused = { code: "merge", field: "contract" };
      expect(() => tally.merge(foreign)).toThrow(expect.objectContaining(refused));
      expect(() => objective.value(foreign)).toThrow(expect.objectContaining(refused));
      const sum = tally.toLimbs().map((lane, i) => lane + foreign.toLimbs()[i]!);
      expect(() => Tally.fromLimbs(sum, tally)).toThrow(expect.objectContaining(refused));
      const axes = Tally.fromJSON({ ...tally.toJSON(), unitAxes: tally.unitAxes + 1 });
      expect(() => tally.merge(axes)).toThrow(LosswrightError);
    };
    forAll(name, check, { reduction: { divideBy: "weight" } }, 20);
  });
});
