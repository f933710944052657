import { expect, it } from "vitest";
import { allCases, difference, fromGolden, isGoldenTensor } from "../../test/instruments/golden.js";
import * as decisions from "./index.js";

const functions = decisions as unknown as Record<string, (...given: unknown[]) => never>;
const cases = allCases().filter((found) => found.function !== undefined && found.function in functions);
const read = (entry: unknown) => (isGoldenTensor(entry) ? fromGolden(entry) : entry);

it.each(cases.map((found) => [found.id, found] as const))("agrees with its reference: %s", (_, found) => {
  const { arguments: given } = found as unknown as { arguments: Record<string, unknown> | unknown[] };
  // A list holds positional arguments, an object the one argument of named ones.
  const list = Array.isArray(given)
    ? given.map(read)
    : [Object.fromEntries(Object.entries(given).map(([name, entry]) => [name, read(entry)]))];
  const result = functions[found.function!]!(...list);
  const compare = { tolerance: found.tolerance, relativeOnly: false };
  const { expected } = found;
  if (typeof expected !== "object" || expected === null || isGoldenTensor(expected)) {
    expect(difference(result, expected as never, compare)).toBeUndefined();
    return;
  }
  for (const [name, part] of Object.entries(expected)) {
    expect(difference(result[name], part as never, compare), name).toBeUndefined();
  }
});

it("has cases to agree with", () => expect(cases.length).toBeGreaterThan(10));
it("has cases of thresholds", () =>
  expect(cases.filter((c) => c.function === "tuneThreshold").length).toBeGreaterThan(5));
