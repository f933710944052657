import type { AuditedStep } from "../audited-step.js";
import { referenceObjective } from "../reference.js";
import { aggregations } from "./aggregations.js";
import type { Explanation } from "./explain.js";
import { namedLoss } from "./named-loss.js";
import { transformed } from "./transform.js";

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
  const objective = referenceObjective(contract);
  const constant = typeof contract.reduction.divideBy === "object" ? contract.reduction.divideBy.constant : undefined;
  const sums = searched.map((part, i) => {
    const { batch, lossFactor, rowLoss: name } = transformed({ ...part, objective }, transform);
    const { numerator } =
      name === undefined ? objective.tally(batch) : namedLoss(objective, batch, name, part.rowsOfParts);
    const counted = part.denominator ?? objective.denominator(batch).value;
    return {
      numerator: lossFactor * numerator + (part.missing ?? 0),
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
