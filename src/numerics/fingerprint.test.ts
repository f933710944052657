import { expect, test } from "vitest";
import { expectedFingerprints, fingerprints, fnv1a } from "./fingerprint.test-helper.js";

test("the hash is FNV-1a, and one last bit changes it", () => {
  expect(fnv1a(new Float64Array(0))).toBe("811c9dc5");
  expect(fnv1a(new Float64Array([1]))).not.toBe(fnv1a(new Float64Array([1 + Number.EPSILON])));
  expect(fnv1a(new Float64Array([0]))).not.toBe(fnv1a(new Float64Array([-0])));
});

test("10,000 results of each function have the same bits on every engine", () => {
  expect(fingerprints()).toEqual(expectedFingerprints);
});
