/** The function cases of `test/golden/sequence.json`: the reference's results, called through the main entry. */
import { expect, it } from "vitest";
import { allCases, type Comparison, difference, fromGolden, isGoldenTensor } from "../../test/instruments/golden.js";
import * as losswright from "../index.js";

const names = ["sequenceScores", "shiftLabels"];
const functions = losswright as unknown as Record<string, (input: object) => losswright.Tensor>;
const cases = allCases().filter((found) => names.includes(found.function!));

it.each(cases.map((found) => [found.id, found] as const))("agrees with its reference: %s", (_, found) => {
  const { arguments: given } = found as unknown as { arguments: Record<string, unknown> };
  const input = Object.entries(given).map(([name, entry]) => [name, isGoldenTensor(entry) ? fromGolden(entry) : entry]);
  const result = functions[found.function!]!(Object.fromEntries(input));
  const comparison: Comparison = { tolerance: found.tolerance, relativeOnly: false };
  expect(difference(result, found.expected as never, comparison)).toBeUndefined();
});

it("has cases of each", () => {
  expect(names.map((name) => cases.filter((found) => found.function === name).length)).toEqual([6, 4]);
});
