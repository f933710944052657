import { describe, expect, it } from "vitest";
import { expectClose } from "./element.test-helper.js";
import { log1pSquare, SQUARE_ALONE } from "./log1p-square.js";

describe("log1pSquare", () => {
  it("is log(1 + w²), also where w² vanishes beside 1 or overflows", () => {
    expect(log1pSquare(0)).toBe(0);
    expectClose(log1pSquare(1), Math.LN2, 1);
    expectClose(log1pSquare(1e-9), 1e-18, 2);
    expectClose(log1pSquare(1e200), 400 * Math.LN10, 2);
    expect([log1pSquare(Infinity), log1pSquare(NaN)]).toEqual([Infinity, NaN]);
  });

  it("goes on without a step where the square alone remains", () => {
    expectClose(log1pSquare(SQUARE_ALONE * (1 + 2 ** -52)), log1pSquare(SQUARE_ALONE), 1);
  });
});
