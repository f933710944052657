import { inWords, type OptionSpec } from "../../contract/index.js";
import { isTensor } from "../../tensor/index.js";
import { addExpectationGradient, expectation } from "./expectation.js";
import { describeLabels, type LabelOptions, labelOptions } from "./labels.js";
import { defineSoftmaxLoss } from "./softmax-loss.js";

/** Rows of a cost matrix: `costs[y][k]` is what deciding k costs where y is true. */
export type Costs = readonly (readonly number[])[];

/** Options of {@link expectedCost}. */
export interface ExpectedCostOptions extends LabelOptions {
  /** `[K, K]`, true class by decided class, as nested lists or a tensor; null: 0 where right, 1 elsewhere. */
  readonly costs: Costs | null;
}

/**
 * The cost to be expected of a decision drawn from the model's probabilities.
 *   loss     = Σ_k p_k c_{y,k},     Σ_y q_y Σ_k p_k c_{y,k} for targets
 *   d/dz_j   = p_j (c_{y,j} − Σ_k p_k c_{y,k})
 * Rows of the matrix are true classes, columns decisions. Without a matrix each wrong class costs 1, and the loss is
 * 1 − p_y. Costs may be negative (a gain). A class whose logit is −∞ is never decided: no cost, no gradient; NaN or +∞
 * gives NaN, with a note. The derivative keeps its digits where one p rounds to 1.
 */
export const expectedCost = /*#__PURE__*/ defineSoftmaxLoss<ExpectedCostOptions>({
  name: "expectedCost",
  documentation: {
    summary: "The mean cost of decisions drawn from the predicted probabilities, under a matrix of costs.",
    formula: "Σ_k p_k c_{y,k},  p = softmax(z);  averaged over the target's classes for targets",
    gradient: "d/dz_j = p_j (c_{y,j} − Σ_k p_k c_{y,k})",
    likelihood: {
      target: "single class, mistakes of unequal cost",
      distribution: "none: its least value is at the cheapest decision, not at the true probabilities",
    },
    pitfalls: [
      "Rows are true classes and columns decisions: a transposed matrix trains against the wrong mistakes and raises no error.",
      "The softmax it trains is a decision rule, no probability: train cross entropy, calibrate and use decide() where costs may change.",
      "The gradient vanishes where the model is sure, right or wrong: start from a model trained by cross entropy.",
    ],
    metric: "mean cost of the decisions",
    source: "formula; Elkan 2001, section 1, for costs and decisions",
  },
  options: { ...labelOptions, costs: costsOption("cost of deciding a class (column) where another is true (row)") },
  describe: (options) =>
    `expected cost of ${describeLabels(options)}, ${
      options.costs
        ? `under the costs ${inWords(options.costs)} (rows true, columns decided)`
        : "each wrong class at a cost of 1"
    }`,
  perClass: ["costs"],
  row({ costs }, { softmax, weights }) {
    const classes = weights.length;
    const ofTarget = new Float64Array(classes);
    return {
      loss() {
        ofTarget.fill(0);
        for (let y = 0; y < classes; y++) {
          const weight = weights[y]!;
          if (weight === 0) continue;
          for (let k = 0; k < classes; k++) ofTarget[k]! += weight * (costs ? costs[y]![k]! : Number(k !== y));
        }
        return expectation(softmax, ofTarget);
      },
      gradient(own) {
        own.fill(0);
        addExpectationGradient(softmax, ofTarget, own);
      },
    };
  },
});

/** A square matrix of finite numbers, or null. */
function costsOption(meaning: string): OptionSpec<Costs | null> {
  return {
    meaning: `${meaning}; without it 0 where right, 1 elsewhere`,
    accepts: "a square matrix of finite numbers, as lists in a list or a tensor [K, K], or null",
    fallback: null,
    read(value) {
      if (value === null) return null;
      const rows = isTensor(value) && value.shape.length === 2 ? rowsOf(value.data, value.shape[1]!) : value;
      if (!Array.isArray(rows) || rows.length === 0) return undefined;
      const isRow = (row: unknown) => Array.isArray(row) && row.length === rows.length && row.every(Number.isFinite);
      return rows.every(isRow) ? rows.map((row: number[]) => row.map((cost) => cost + 0)) : undefined;
    },
  };
}

function rowsOf(data: ArrayLike<number | bigint>, width: number): number[][] {
  const all = Array.from(data, Number);
  return Array.from({ length: width === 0 ? 0 : all.length / width }, (_, y) => all.slice(y * width, (y + 1) * width));
}
