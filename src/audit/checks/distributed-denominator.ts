import type { Check } from "../finding.js";
import { aboutAggregation } from "./aggregation.js";
import { explanationAbout } from "./explained.js";

/**
 * Ranks that divide by what they count themselves, before an engine averages over ranks.
 *
 * Long and short samples on different ranks then weigh differently; the engine's average over ranks is right only for
 * sums over the global count, times the number of ranks.
 */
export const distributedDenominator: Check = {
  id: "distributed-denominator",
  inspect(step) {
    const explanation = explanationAbout(step, "ranks");
    if (!explanation) return [];
    return [
      aboutAggregation("distributed-denominator", step, explanation, {
        part: "part",
        cause: causeOf(explanation.aggregation),
        fix: "reduce the count over all ranks first, and undo the engine's average:\ndist.all_reduce(count)\nloss = loss_sum * dist.get_world_size() / count",
      }),
    ];
  },
};

function causeOf(aggregation: string): string {
  if (/rank (mean|sum)/.test(aggregation)) return "Each rank divides by its own count.";
  return aggregation.includes("times the number of ranks")
    ? "The loss is multiplied by the number of ranks, and nothing averages over them."
    : "The engine's average over ranks divides once more.";
}
