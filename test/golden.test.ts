/**
 * The golden files against every objective of this version: a loss that is added is covered by its cases at once.
 * Cases of objectives, metrics and functions that do not exist yet wait, and are counted aloud.
 */
import { describe, expect, it } from "vitest";
import { objectiveFrom, objectiveNames } from "../src/index.js";
import { resultBits, tensorBits } from "./instruments/bits.js";
import { allCases, difference, objectiveCases } from "./instruments/golden.js";

const names = objectiveNames();
const cases = objectiveCases().filter(({ objective }) => names.includes(objective));
const waiting = allCases().length - cases.length;
console.log(`golden files: ${cases.length} cases run, ${waiting} wait for what they are of`);

it("has cases for every objective", () => {
  expect(names.filter((name) => !cases.some(({ objective }) => objective === name))).toEqual([]);
});

describe.each(names)("%s", (name) => {
  const ofObjective = cases.filter(({ objective }) => objective === name).map((found) => [found.id, found] as const);
  it.each(ofObjective)("agrees with its reference: %s", (_id, found) => {
    const { contract, batch, expected, compare } = found;
    const objective = objectiveFrom(contract);
    if (expected.error) {
      expect(() => objective.evaluate(batch)).toThrow();
      return;
    }
    const result = objective.valueAndGradients(batch);
    const differences = {
      value: expected.value !== undefined && difference(result.value, expected.value, compare),
      numerator: expected.numerator !== undefined && difference(result.numerator, expected.numerator, compare),
      denominator: expected.denominator !== undefined && difference(result.denominator, expected.denominator, compare),
      perUnit: expected.perUnit && difference(objective.perUnit(batch), expected.perUnit, compare),
      ...Object.fromEntries(
        Object.entries(expected.gradients ?? {}).map(([field, want]) => [
          `gradient of ${field}`,
          difference(result.gradients[field], want, compare),
        ]),
      ),
    };
    expect(Object.entries(differences).filter(([, words]) => words)).toEqual([]);
    for (const [field, gradient] of Object.entries(result.gradients)) {
      const given = batch[field];
      const dtype = typeof given === "object" ? given.dtype : "float64";
      expect({ field, dtype: gradient.dtype }).toEqual({ field, dtype });
    }
  });

  it.each(ofObjective)("repeats itself to the bit: %s", (_id, found) => {
    if (found.expected.error) return;
    const objective = objectiveFrom(found.contract);
    const first = objective.valueAndGradients(found.batch);
    expect(resultBits(objective.valueAndGradients(found.batch))).toEqual(resultBits(first));
    const { gradients: _gradients, ...values } = first;
    expect(resultBits(objective.evaluate(found.batch))).toEqual(resultBits(values));
    expect(tensorBits(objective.perUnit(found.batch))).toBe(tensorBits(objective.perUnit(found.batch)));
    expect(objectiveFrom(objective.contract).contract).toEqual(objective.contract);
    expect(objectiveFrom(JSON.parse(JSON.stringify(objective.contract))).contract).toEqual(objective.contract);
  });
});
