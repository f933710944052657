import { ExactSum } from "../../tally/index.js";
import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import type { Scored, ScoredClasses } from "./class-scores.js";

/** How the values of classes become one. */
export type ClassAverage = "macro" | "micro" | "weighted" | "samples" | "none";

/**
 * A score of one class against the others, averaged: over classes, by the weight of their positives, of all entries
 * together, over rows; or one a class. Of one class alone it is that class's.
 */
export function averageClasses(
  scored: ScoredClasses,
  average: ClassAverage,
  of: (one: Scored) => number,
): number | Tensor<Unlabeled, "float64"> {
  const { classes, rows } = scored;
  if (classes === 1 && average !== "none") return of(scored.of(0));
  if (average === "micro") return of(scored.all);
  if (average === "samples") {
    return mean(rows, (row) => [of(scored.row(row)), scored.weightOf(row)]);
  }
  const values = Float64Array.from({ length: classes }, (_, k) => of(scored.of(k)));
  if (average === "none") return view(values, [classes], "unlabeled", "float64");
  if (average === "macro") return mean(classes, (k) => [values[k]!, 1]);
  return mean(classes, (k) => [values[k]!, positiveWeight(scored.of(k))]);
}

/** The mean of values by weight; a value of weight 0 is not looked at. */
export function mean(count: number, at: (index: number) => readonly [value: number, weight: number]): number {
  const [above, below] = [new ExactSum(), new ExactSum()];
  for (let i = 0; i < count; i++) {
    const [value, weight] = at(i);
    if (weight === 0) continue;
    above.add(weight * value);
    below.add(weight);
  }
  return above.value / below.value;
}

function positiveWeight({ positive, weights }: Scored): number {
  const sum = new ExactSum();
  for (const [i, flag] of positive.entries()) if (flag) sum.add(weights?.[i] ?? 1);
  return sum.value;
}
