import type { AnyBatch, Objective } from "../../losses/index.js";
import { type RowLossSums, rowLoss } from "./row-losses.js";
import { withoutGather } from "./without-gather.js";

/**
 * The numerator and the gradients of a loss that stands in the objective's place, by the name that a transform gives.
 *
 * @param rowsOfParts - how many rows of a joined coupled batch each part holds
 * @throws `unsupported` for a name, objective or batch it is not defined for
 */
export function namedLoss(
  objective: Objective,
  batch: AnyBatch,
  name: string,
  rowsOfParts: readonly number[] = [],
): RowLossSums {
  if (!name.startsWith("gather")) return rowLoss(objective, batch, name);
  return withoutGather(objective, batch, rowsOfParts, name === "gatherWithoutGradient");
}
