import { describe, it } from "vitest";
import { expectClose } from "./element.test-helper.js";
import { HALF_LOG_2_PI, stirlingRemainder } from "./stirling.js";

describe("stirlingRemainder", () => {
  // mpmath, 50 digits. Below 10 it is a difference of logarithms of Γ, exact to a few units of 2^−52 of those.
  it.each([
    [1e-3, 2.5422704679670947, 8],
    [0.5, 0.15342640972002736, 16],
    [1, 0.08106146679532726, 16],
    [3.7, 0.022468770580143144, 500],
    [9.99, 0.00833889679773433, 5000],
    [10, 0.00833056343336287, 20],
    [25, 0.003333155636728093, 2],
    [1e6, 8.333333333333056e-8, 2],
  ])("of %d is %d", (x, truth, ulps) => expectClose(stirlingRemainder(x), truth, ulps));

  it("is what is missing from Stirling's 1! = 1", () => expectClose(stirlingRemainder(1), 1 - HALF_LOG_2_PI, 16));
});
