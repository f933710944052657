import { expect, it } from "vitest";
import { allCases, difference, fromGolden, type GoldenTensor, isGoldenTensor } from "../../test/instruments/golden.js";
import type { Tensor } from "../tensor/index.js";
import * as calibration from "./index.js";

const fits = calibration as unknown as Record<string, (input: object) => Record<string, never>>;
const cases = allCases().filter((found) => found.function !== undefined && found.function in fits);

it.each(cases.map((found) => [found.id, found] as const))("agrees with its reference: %s", (_, found) => {
  const { arguments: given } = found as unknown as { arguments: Record<string, GoldenTensor | boolean> };
  const read = Object.entries(given).map(([name, entry]) => [name, isGoldenTensor(entry) ? fromGolden(entry) : entry]);
  const { apply, ...input } = Object.fromEntries(read) as Record<string, Tensor>;
  const calibrator = fits[found.function!]!(input) as never as calibration.IsotonicCalibrator;
  const compare = { tolerance: found.tolerance, relativeOnly: false };
  for (const [name, part] of Object.entries(found.expected as Record<string, GoldenTensor & { x: never; y: never }>)) {
    if (name === "thresholds") {
      expect(difference(calibrator.thresholds.x, part.x, compare), "x").toBeUndefined();
      expect(difference(calibrator.thresholds.y, part.y, compare), "y").toBeUndefined();
      continue;
    }
    const applied = { applied: apply, probabilities: input.scores }[name];
    const result = applied ? calibrator.apply(applied as never) : (calibrator as never)[name];
    expect(difference(result, part, compare), name).toBeUndefined();
  }
});

it("has cases of three fits", () => expect(new Set(cases.map((found) => found.function)).size).toBe(3));
