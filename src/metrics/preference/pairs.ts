import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { BoundFields, CommonFields, MetricField } from "../fields.js";
import { defineMetric, type MetricFactory, onlySums } from "../metric.js";

/** Scores or rewards of preferred answers beside those of the others. */
export interface ChosenFields extends CommonFields {
  readonly chosen: Tensor<"scores" | "logits" | "logProbabilities" | Unlabeled>;
  readonly rejected: Tensor<"scores" | "logits" | "logProbabilities" | Unlabeled>;
}

const roles = ["scores", "logits", "logProbabilities"] as const;

/** Scores of two sides. */
function pairFields(
  [first, second]: readonly [string, string],
  meanings: readonly [string, string],
  infinite: boolean,
): Record<string, MetricField> {
  const field = (meaning: string): MetricField => ({ meaning, axes: ["..."], holds: "reals", infinite, roles });
  return { [first]: field(meanings[0]), [second]: field(meanings[1]) };
}

/** A metric that is the mean of one number a pair. */
export function definePairMean<Fields>(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  readonly sides: readonly [string, string];
  readonly meanings: readonly [string, string];
  /** Whether a score may be ±∞: where only the order counts. */
  readonly infinite: boolean;
  term(first: number, second: number): number;
}): MetricFactory<Fields, object, number> {
  const { name, summary, formula, source, sides, meanings, infinite, term } = given;
  return defineMetric<Fields, object, ReturnType<typeof onlySums>, number>({
    name,
    documentation: { summary, formula, source, goal: "maximize" },
    options: {},
    fields: () => pairFields(sides, meanings, infinite),
    forms: () => [sides],
    state: onlySums,
    open: (fields: BoundFields, { sums }) => {
      const [first, second] = [fields.reals(sides[0]), fields.reals(sides[1])];
      const [values, weights] = [sums.of("value"), sums.of("weight")];
      return (pair, weight) => {
        values.add(weight * term(first(pair), second(pair)));
        weights.add(weight);
      };
    },
    compute: ({ sums }) => sums.value("value") / sums.value("weight"),
  });
}
