import fc from "fast-check";
import { expect, it } from "vitest";
import { short } from "./numbers.js";

it.each([
  [0, "0"],
  [-0, "0"],
  [219, "219"],
  [-3, "-3"],
  [999_999_999, "999999999"],
  [1e9, "1.000e+9"],
  [2 ** 80, "1.209e+24"],
  [0.38583, "0.3858"],
  [0.001, "0.0010"],
  [0.00099, "9.900e-4"],
  [4.46e-18, "4.460e-18"],
  [84.49677, "84.4968"],
  [9999.12345, "9999.1234"],
  [12345.678912, "12345.679"],
  [9999999.5, "9999999.5"],
  [10000000.5, "1.000e+7"],
  [-1234.5, "-1234.5000"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  [Number.NEGATIVE_INFINITY, "-Infinity"],
])("%d is shown as %s", (value, text) => {
  expect(short(value)).toBe(text);
});

it("every number is shown in eleven characters at most and keeps four digits", () => {
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, noDefaultInfinity: true, maxExcluded: true, max: 1e99, min: -1e99 }),
      (value) => {
        const text = short(value);
        expect(text.length).toBeLessThanOrEqual(11);
        if (Math.abs(value) >= 1e-99) expect(Math.abs(Number(text) / value - 1)).toBeLessThanOrEqual(0.05);
      },
    ),
  );
});
