import { expect, it } from "vitest";
import { allCases, difference, fromGolden, isGoldenTensor } from "../../test/instruments/golden.js";
import * as decisions from "./index.js";

const functions = decisions as unknown as Record<string, (...given: unknown[]) => never>;
const cases = allCases().filter((found) => found.function !== undefined && found.function in functions);

it.each(cases.map((found) => [found.id, found] as const))("agrees with its reference: %s", (_, found) => {
  const given = (found as unknown as { arguments: never[] }).arguments;
  const result = functions[found.function!]!(
    ...given.map((entry) => (isGoldenTensor(entry) ? fromGolden(entry) : entry)),
  );
  expect(
    difference(result, found.expected as never, { tolerance: found.tolerance, relativeOnly: false }),
  ).toBeUndefined();
});

it("has cases to agree with", () => expect(cases.length).toBeGreaterThan(10));
