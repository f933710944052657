import { numberOption } from "../../contract/index.js";
import { float32Parameters } from "../pointwise-kernel.js";
import { defineResidualLoss } from "./residual.js";

/** Options of {@link expectile}. */
export interface ExpectileOptions {
  /** τ in (0, 1): the share of the weight on targets above the prediction. Default 0.5, the mean. */
  readonly expectile: number;
}

/**
 * Expectile loss (asymmetric squared error) of the residual r = target − prediction for the expectile τ.
 *   loss          = τ r²       where r ≥ 0,   (1 − τ) r²     where r < 0      (no factor ½)
 *   d/dprediction = −2τ r      where r ≥ 0,   −2(1 − τ) r    where r < 0
 * What quantile is to the absolute error, this is to the squared one: smooth at 0, but not robust. τ = 0.5 is half of
 * the squared error. r = ±∞ gives +∞ and ∓∞; NaN gives NaN. Newey and Powell 1987.
 */
export const expectile = /*#__PURE__*/ defineResidualLoss<ExpectileOptions>({
  name: "expectile",
  documentation: {
    summary: "Squared error with different prices above and below: its minimum is an expectile.",
    formula: "τ·r² where r ≥ 0,  (1 − τ)·r² where r < 0;  r = target − prediction",
    gradient: "d/dprediction = −2τ·r where r ≥ 0,  −2(1 − τ)·r where r < 0",
    likelihood: { target: "expectile of a real value", distribution: "asymmetric Gaussian of fixed scale" },
    pitfalls: [
      "An expectile is no quantile: τ = 0.9 does not leave a tenth of the targets above.",
      "At 0.5 it is half of squaredError, not equal to it.",
      "Squares: one outlier on the dear side moves it without bound.",
    ],
    metric: "meanSquaredError at 0.5; the loss itself elsewhere",
    source: "Newey and Powell 1987, eq. 2.1",
  },
  options: {
    expectile: numberOption("the weight of targets above the prediction; 0.5 gives the mean", 0.5, {
      above: 0,
      below: 1,
    }),
  },
  describe: ({ expectile }) => `expectile loss of each element at ${expectile}, without a factor 1/2`,
  loss: (r, { expectile }) => share(r, expectile) * r * r,
  slope: (r, { expectile }) => 2 * share(r, expectile) * r,
  kernel: ({ expectile }) => float32Parameters({ expectile, rest: 1 - expectile }),
});

function share(r: number, expectile: number): number {
  return r < 0 ? 1 - expectile : expectile;
}
