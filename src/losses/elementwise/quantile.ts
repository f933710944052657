import { eitherOption, numberOption, numbersOption, type OptionSpec } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { formatShape } from "../../tensor/index.js";
import type { BatchView } from "../definition.js";
import { defineElementLoss } from "./element.js";
import { elementKernel } from "./residual.js";

/** Options of {@link quantile}. */
export interface QuantileOptions {
  /** The quantile to predict, in [0, 1]: one for all elements, or one an entry of the last axis. Default 0.5. */
  readonly quantiles: number | readonly number[];
}

/**
 * Quantile (pinball) loss of the residual r = target − prediction for the quantile q.
 *   loss          = q r        where r > 0,   (1 − q)|r|   where r < 0
 *   d/dprediction = −q         where r > 0,   1 − q        where r < 0,   0 at r = 0
 * The expected loss is least where a share q of the targets lies below the prediction. q = 0.5 is half of the absolute
 * error. A side of weight 0 (q = 0 or 1) costs nothing however far out. r = ±∞ gives +∞ and the slope of its side; NaN
 * gives NaN. Koenker and Bassett 1978; scikit-learn `mean_pinball_loss`.
 */
export const quantile = /*#__PURE__*/ defineElementLoss<QuantileOptions>({
  name: "quantile",
  documentation: {
    summary: "Absolute error with different prices above and below: its minimum is a quantile.",
    formula: "q·r where r > 0,  (1 − q)·|r| where r < 0;  r = target − prediction",
    gradient: "d/dprediction = −q where r > 0,  1 − q where r < 0,  0 at r = 0",
    likelihood: { target: "quantile of a real value", distribution: "asymmetric Laplace of fixed scale" },
    pitfalls: [
      "Quantiles predicted side by side may cross: sort them, or predict positive steps between them.",
      "At 0.5 it is half of absoluteError, not equal to it.",
      "A list of quantiles needs one prediction for each on the last axis, and the targets repeated to the same shape.",
      "Quantiles near 0 or 1 see few targets on the thin side: their gradient is rare and noisy.",
    ],
    metric: "pinball",
    source: "Koenker and Bassett 1978; scikit-learn mean_pinball_loss",
  },
  options: {
    quantiles: eitherOption(
      numberOption("the quantile to predict, one for all or one an entry of the last axis", 0.5, {
        atLeast: 0,
        atMost: 1,
      }),
      listOfShares(),
    ),
  },
  describe: ({ quantiles }) =>
    typeof quantiles === "number"
      ? `quantile loss of each element at ${quantiles}`
      : `quantile loss of each element at ${JSON.stringify(quantiles)} along the last axis`,
  math(batch) {
    const quantileOf = perEntry(batch);
    /** Derivative by the residual; a residual of 0 or NaN is its own. */
    const side = (r: number, q: number) => (r > 0 ? q : r < 0 ? q - 1 : r);
    return {
      loss(prediction, target, unit) {
        const r = target - prediction;
        const slope = side(r, quantileOf(unit));
        return slope === 0 ? 0 : slope * r;
      },
      slope: (prediction, target, unit) => -side(target - prediction, quantileOf(unit)),
    };
  },
  kernel: ({ options: { quantiles } }) =>
    elementKernel("quantile", typeof quantiles === "number" ? [quantiles] : "quantiles differ along the last axis"),
});

/** A list of numbers in [0, 1]; unlike lists that may be left out, never null. */
function listOfShares(): OptionSpec<readonly number[]> {
  const list = numbersOption("", { atLeast: 0, atMost: 1 });
  return { ...list, accepts: "a list of such numbers", fallback: [], read: (value) => list.read(value) ?? undefined };
}

/** The quantile of a unit. @throws `option` for a list of another length than the last axis */
function perEntry({ options, where, unitShape }: BatchView<QuantileOptions>): (unit: number) => number {
  const { quantiles } = options;
  if (typeof quantiles === "number") return () => quantiles;
  const last = unitShape.at(-1) ?? 1;
  if (quantiles.length === last) return (unit) => quantiles[unit % last]!;
  throw new LosswrightError({
    code: "option",
    where,
    field: "quantiles",
    found: `${quantiles.length} quantiles for predictions ${formatShape(unitShape)}`,
    expected: `one number, or ${last}, one an entry of the last axis`,
    fix: "predict one number for each quantile on the last axis, and repeat the targets along it.",
  });
}
