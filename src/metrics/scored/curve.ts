import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import type { Scored, ScoredClasses } from "./class-scores.js";

/** Lists of numbers by name: the points of a curve. */
export type Curve<Name extends string> = Readonly<Record<Name, Tensor<Unlabeled, "float64">>>;

/**
 * The curve of one class, or those of several end to end: then `classes` (and `thresholdClasses`, where thresholds are
 * fewer than points) names the class of each point.
 */
export function curvesOf<Name extends string>(
  scored: ScoredClasses,
  names: readonly Name[],
  of: (one: Scored) => Readonly<Record<Name, readonly number[] | Float64Array>>,
): Curve<Name> & { readonly [name: string]: Tensor<Unlabeled, "float64"> } {
  const curves = Array.from({ length: scored.classes }, (_, k) => of(scored.of(k)));
  const list = (numbers: readonly number[]) =>
    view(Float64Array.from(numbers), [numbers.length], "unlabeled", "float64");
  const joined = (name: Name) => list(curves.flatMap((curve) => Array.from(curve[name])));
  const points = Object.fromEntries(names.map((name) => [name, joined(name)])) as Record<
    Name,
    Tensor<Unlabeled, "float64">
  >;
  if (scored.classes === 1) return points;
  const classOf = (name: Name) => list(curves.flatMap((curve, k) => Array.from(curve[name], () => k)));
  const [first, last] = [names[0]!, names.at(-1)!];
  const isShorter = curves.some((curve) => curve[last].length !== curve[first].length);
  return { ...points, classes: classOf(first), ...(isShorter && { thresholdClasses: classOf(last) }) };
}
