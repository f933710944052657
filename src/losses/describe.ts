import type { Reduction, UnitKind } from "../contract/index.js";
import { couplesBatch, type LossDefinition } from "./definition.js";

/** Names of what is averaged, by the natural unit of the objective. */
const plural: Record<UnitKind, string> = {
  position: "positions",
  element: "elements",
  row: "rows",
  pair: "pairs",
  sequence: "sequences",
};

/** The contract of an objective in words: the loss of a unit, then what is averaged over what. */
export function describeObjective<Options extends object>(
  definition: LossDefinition<Options>,
  options: Options,
  reduction: Reduction,
): string {
  const parts = [definition.describe(options), describeReduction(definition.unit, reduction)];
  if (couplesBatch(definition, options)) parts.push(`the loss of a ${definition.unit} depends on its whole batch`);
  parts.push(describeEmpty(reduction));
  return parts.join("; ");
}

/** What is averaged over what, and what divides. */
export function describeReduction(unit: UnitKind, { per, divideBy }: Reduction): string {
  const units = plural[unit];
  const inner = divideBy === "count" ? `weighted sum over count of the ${units}` : `weighted mean of the ${units}`;
  const constant = typeof divideBy === "object" ? divideBy.constant : null;
  if (unit === "sequence" && per !== "sample") {
    const weights = divideBy === "count" ? "counts" : "weights";
    const whole = per === "token" ? `the sum of ${weights} times lengths` : `the sum of ${weights}`;
    const loss = per === "token" ? "sum over all sequences" : "sum over all sequences, each loss divided by its length";
    return `${loss}, divided by ${constant ?? whole}`;
  }
  if (per === "sequence") {
    const outer = constant === null ? "mean over all sequences that have one" : `their sum divided by ${constant}`;
    return `${inner} inside each sequence, then ${outer}`;
  }
  if (per === "sample" && (unit === "element" || unit === "position")) {
    const outer = constant === null ? "mean over all samples that have one" : `divided by ${constant}`;
    return `weighted sum of the ${units} inside each sample, ${outer} (weights stay out of the denominator)`;
  }
  if (constant !== null) return `sum over all ${units} of the step, divided by ${constant}`;
  if (divideBy === "count") return `weighted sum over all ${units} of the whole step, divided by their count`;
  return `mean over all ${units} of the whole step (weights enter the denominator)`;
}

function describeEmpty({ onEmpty }: Reduction): string {
  if (onEmpty === "throw") return "nothing counted is an error";
  return `nothing counted gives ${onEmpty === "nan" ? "NaN" : "0"}`;
}
