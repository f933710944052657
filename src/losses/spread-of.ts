import type { Contract } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { ExactSum, Spread } from "../tally/index.js";
import type { Counted } from "./divisor.js";
import type { Units } from "./units.js";

/**
 * The spread of a batch: what each unit, or each sequence or sample where the contract averages those, adds to numerator
 * and denominator.
 *
 * @param losses - the loss of every unit that counts
 * @throws `unsupported` for objectives that couple a batch, whose units are not drawn one by one, and for groups whose
 * pieces may lie in other parts of the step
 */
export function spreadOf(
  contract: Contract,
  couples: boolean,
  units: Units,
  counted: Counted,
  losses: ArrayLike<number>,
): Spread {
  const { groups } = units;
  const refuse = (found: string, fix: string) =>
    new LosswrightError({
      code: "unsupported",
      where: contract.objective,
      field: "standardError",
      found,
      expected: "units that were drawn independently, whole in this batch",
      fix,
    });
  if (couples) throw refuse("an objective that couples the units of a batch", "take the values of several batches.");
  if (groups?.keys) throw refuse("groupKeys", "evaluate whole sequences, without groupKeys.");
  const spread = new Spread(contract);
  const numeratorOf = (unit: number) => {
    const weight = units.numeratorWeight;
    return weight === 0 ? 0 : weight * (losses[unit]! / units.lossDivisor);
  };
  if (!groups) {
    for (let unit = 0; unit < units.count; unit++) {
      if (units.weigh(unit)) spread.add(numeratorOf(unit), units.denominatorWeight);
    }
    return spread;
  }
  const averages = contract.reduction.per === "sequence";
  const inner = new ExactSum();
  for (let group = 0; group < groups.count; group++) {
    const weight = counted.inner[group]!;
    if (weight === 0) continue;
    inner.clear();
    for (let place = groups.start(group); place < groups.start(group + 1); place++) {
      const unit = groups.order ? groups.order[place]! : place;
      if (units.weigh(unit)) inner.add(numeratorOf(unit));
    }
    spread.add(averages ? inner.value / weight : inner.value, 1);
  }
  return spread;
}
