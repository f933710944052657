import { objectiveFrom } from "../../losses/index.js";
import type { AuditedStep } from "../audited-step.js";
import { aggregations } from "./aggregations.js";
import type { Explanation } from "./explain.js";
import { rowLoss } from "./row-losses.js";
import { transformed } from "./transform.js";
import { withoutGather } from "./without-gather.js";

/**
 * The loss that an explanation gives: its transforms carried out on the fields, its contract evaluated on the result,
 * part by part, and the parts put together by its aggregation. What was reported is not looked at.
 *
 * @throws what the objective throws for the transformed fields
 */
export function reevaluate(
  { searched }: Pick<AuditedStep, "searched">,
  { contract, transform, aggregation }: Pick<Explanation, "contract" | "transform" | "aggregation">,
): number {
  const objective = objectiveFrom(contract);
  const constant = typeof contract.reduction.divideBy === "object" ? contract.reduction.divideBy.constant : undefined;
  const sums = searched.map((part, i) => {
    const { batch, lossFactor, rowLoss: name } = transformed({ ...part, objective }, transform);
    const own =
      name === undefined
        ? objective.tally(batch).numerator
        : name.startsWith("gather")
          ? withoutGather(objective, batch, part.rowsOfParts ?? [], name === "gatherWithoutGradient").numerator
          : rowLoss(objective, batch, name).numerator;
    const counted = part.denominator ?? objective.denominator(batch).value;
    return {
      numerator: lossFactor * own + (part.missing ?? 0),
      // A constant divides the whole step once.
      denominator: constant === undefined ? counted : i === 0 ? constant : 0,
      rank: part.rank,
    };
  });
  const [byLoss] = aggregation.split(" (loss), ");
  return aggregations(sums)
    .find(({ name }) => name === byLoss)!
    .apply(sums).loss;
}
