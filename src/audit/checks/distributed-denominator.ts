import type { Check } from "../finding.js";
import { unitWord } from "../words.js";
import { arithmetic } from "./accumulation.js";
import {
  evidenceOf,
  explanationAbout,
  harmOf,
  isLoggedOnly,
  loggedOnly,
  mismatch,
  reproduction,
} from "./aggregation.js";

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
    if (isLoggedOnly(explanation)) return [loggedOnly("distributed-denominator", step, explanation)];
    return [
      {
        check: "distributed-denominator",
        severity: "error",
        message: mismatch(step),
        why: `${arithmetic(step, explanation)} ${causeOf(explanation.aggregation)} ${reproduction(step, explanation)}`,
        harm: harmOf(step, "part", unitWord(step)),
        evidence: { ...evidenceOf(step, explanation), aggregation: explanation.aggregation, parts: step.parts.length },
        fix: "reduce the count over all ranks first, and undo the engine's average:\ndist.all_reduce(count)\nloss = loss_sum * dist.get_world_size() / count",
      },
    ];
  },
};

function causeOf(aggregation: string): string {
  if (/rank (mean|sum)/.test(aggregation)) return "Each rank divides by its own count.";
  return aggregation.includes("times the number of ranks")
    ? "The loss is multiplied by the number of ranks, and nothing averages over them."
    : "The engine's average over ranks divides once more.";
}
