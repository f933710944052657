import { expect, test } from "vitest";
import { fingerprints, fnv1a } from "./fingerprint.test-helper.js";

test("the hash is FNV-1a, and one last bit changes it", () => {
  expect(fnv1a(new Float64Array(0))).toBe("811c9dc5");
  expect(fnv1a(new Float64Array([1]))).not.toBe(fnv1a(new Float64Array([1 + Number.EPSILON])));
  expect(fnv1a(new Float64Array([0]))).not.toBe(fnv1a(new Float64Array([-0])));
});

// A change here is a change of results: every engine must print these, and a release that changes them says so.
test("10,000 results of each function have the same bits on every engine", () => {
  expect(fingerprints()).toMatchInlineSnapshot(`
    {
      "acos": "2ce1ba20",
      "atan": "d6696e04",
      "cos": "e44bf1ee",
      "exp": "2b61dc58",
      "expm1": "c808eb3c",
      "lgamma": "28b78a21",
      "log": "ee05093c",
      "log1p": "924998de",
      "log1pExp": "2e9d78d6",
      "powOfBase": "2261b5e8",
      "powOfExponent": "5d87a8b8",
      "sigmoid": "167565c4",
      "sin": "bae04f33",
      "tanh": "dcb429b4",
    }
  `);
});
