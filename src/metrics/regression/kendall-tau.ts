import { choiceOption } from "../../contract/index.js";
import { sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import { defineRankCorrelation } from "./rank-correlation.js";

/** Options of {@link kendallTau}. */
export interface KendallTauOptions {
  /** `"b"` (default) adjusts for ties; `"c"` for a table of few values (Stuart). */
  readonly variant: "b" | "c";
}

/**
 * Kendall's rank correlation: pairs that predictions and targets order alike, less those they order against each other:
 *   τ_b = (C − D) / √((n₀ − n₁)(n₀ − n₂)),  τ_c = 2 (C − D) m / (n² (m − 1))
 * with n₀ all pairs, n₁ and n₂ those tied in one of them, m the smaller number of distinct values. A weight says how
 * often a sample stands there. O(n log n). NaN where predictions or targets are all tied.
 *
 * Kendall 1938; Knight 1966; scipy `kendalltau`.
 */
export const kendallTau = /*#__PURE__*/ defineRankCorrelation<KendallTauOptions>({
  name: "kendallTau",
  summary: "Pairs that predictions and targets order alike, less those they order against each other.",
  formula: "(C − D) / √((n₀ − n₁)(n₀ − n₂))",
  source: "Kendall 1938; Knight 1966; scipy kendalltau",
  options: { variant: choiceOption("adjusted for ties (b), or for a table of few values (c)", "b", ["b", "c"]) },
  of: ({ predictions, targets, weights }, { variant }) => {
    const points = distinctPoints(predictions, targets, weights);
    const whole = totalOf(points.map(({ weight }) => weight));
    const tied = (of: (point: Point) => number) => {
      const sums = new Map<number, ExactSum>();
      for (const point of points)
        sums.set(of(point), (sums.get(of(point)) ?? new ExactSum()).merge(sumOf(point.weight)));
      const groups = [...sums.values()].map((sum) => sum.value);
      return { squares: totalOf(groups.map((weight) => weight * weight)), count: groups.length };
    };
    const [x, y] = [tied(({ x }) => x), tied(({ y }) => y)];
    const joint = totalOf(points.map(({ weight }) => weight * weight));
    // Twice the pairs that are tied in neither, less four times those ordered against each other.
    const balance = whole * whole - x.squares - y.squares + joint - 4 * discordant(points, y.count);
    const [spreadX, spreadY] = [whole * whole - x.squares, whole * whole - y.squares];
    if (!(spreadX > 0 && spreadY > 0)) return Number.NaN;
    if (variant === "b") return clipped(balance / Math.sqrt(spreadX) / Math.sqrt(spreadY));
    const least = Math.min(x.count, y.count);
    return clipped((balance * least) / (whole * whole * (least - 1)));
  },
});

/** Rounding must not leave the range of a correlation. */
const clipped = (value: number) => Math.max(-1, Math.min(1, value));

/** Samples of one prediction and one target together; `rank` is the place of the target among the distinct ones. */
interface Point {
  readonly x: number;
  readonly y: number;
  readonly rank: number;
  readonly weight: number;
}

/** The distinct points in order of prediction, then target: the same list for any order of the samples. */
function distinctPoints(
  predictions: Float64Array,
  targets: Float64Array,
  weights: Float64Array | undefined,
): readonly Point[] {
  const byTarget = sortedOrder(targets);
  const ranks = new Float64Array(targets.length);
  for (const [place, i] of byTarget.entries()) {
    const before = byTarget[place - 1];
    ranks[i] = before === undefined ? 0 : ranks[before]! + (targets[i] === targets[before] ? 0 : 1);
  }
  // Sorting by prediction keeps the order by target among equal predictions.
  const order = sortedOrder(Float64Array.from(byTarget, (i) => predictions[i]!)).map((place) => byTarget[place]!);
  const points: Point[] = [];
  let sum = new ExactSum();
  for (const [place, i] of order.entries()) {
    sum.add(weights?.[i] ?? 1);
    const next = order[place + 1];
    if (next !== undefined && predictions[next] === predictions[i] && targets[next] === targets[i]) continue;
    points.push({ x: predictions[i]! + 0, y: targets[i]! + 0, rank: ranks[i]!, weight: sum.value });
    sum = new ExactSum();
  }
  return points;
}

/** The weight of pairs whose predictions are ordered one way and whose targets the other. */
function discordant(points: readonly Point[], ranks: number): number {
  // Fenwick's tree: the weight of what was seen, by rank of its target.
  const tree = new Float64Array(ranks + 1);
  const found = new ExactSum();
  let seen = 0;
  for (let start = 0; start < points.length; ) {
    let end = start;
    while (end < points.length && points[end]!.x === points[start]!.x) end++;
    // Points of one prediction are tied: they are counted against those before, and only then join them.
    for (let i = start; i < end; i++) {
      let atMost = 0;
      for (let node = points[i]!.rank + 1; node > 0; node -= node & -node) atMost += tree[node]!;
      found.add(points[i]!.weight * (seen - atMost));
    }
    for (let i = start; i < end; i++) {
      seen += points[i]!.weight;
      for (let node = points[i]!.rank + 1; node <= ranks; node += node & -node) tree[node]! += points[i]!.weight;
    }
    start = end;
  }
  return found.value;
}

function sumOf(value: number): ExactSum {
  const sum = new ExactSum();
  sum.add(value);
  return sum;
}

function totalOf(values: readonly number[]): number {
  const sum = new ExactSum();
  for (const value of values) sum.add(value);
  return sum.value;
}
