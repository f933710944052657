import { checkObject, closest, rejectUnknown } from "../errors/index.js";
import { sortedOrder } from "../numerics/index.js";
import { ExactSum } from "../tally/index.js";
import { type Tensor, view } from "../tensor/index.js";
import { type Numbers, wrong } from "./numbers.js";
import { type BinarySamples, checkBothClasses, readBinarySamples, type SampleWeights } from "./samples.js";

const where = "tuneThreshold";

/** What each outcome costs; being right costs nothing unless it says so. */
export interface DecisionCosts {
  readonly falsePositive: number;
  readonly falseNegative: number;
  readonly truePositive?: number;
  readonly trueNegative?: number;
}

/** What a threshold is to be best at. `{ cost }` is the least mean cost. */
export type ThresholdGoal = "f1" | "youden" | "accuracy" | { readonly cost: DecisionCosts };

/** What every threshold in question must reach. */
export interface ThresholdFloor {
  readonly precision?: number;
  readonly recall?: number;
}

export interface TuneThresholdInput extends SampleWeights {
  /** Of any shape; higher means rather positive. */
  readonly scores: Numbers<"scores" | "logits" | "probabilities">;
  /** 0 or 1, of the same shape. */
  readonly labels: Numbers<"classIndices" | "targets">;
  readonly maximize: ThresholdGoal;
  /** Only thresholds that reach these are in question: `{ precision: 0.9 }`. */
  readonly atLeast?: ThresholdFloor;
  /** How many points of the curve to keep, spread evenly over the thresholds, beside the chosen one. Default 1000. */
  readonly curvePoints?: number;
}

/** Sums of weights on each side of a threshold. */
export interface ThresholdOutcomes {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
}

/** What follows from each threshold, in ascending order, +∞ the last: `[P]` each. */
export interface ThresholdCurve {
  readonly threshold: Tensor<"scores", "float64">;
  readonly value: Tensor<"scores", "float64">;
  /** NaN where nothing is called positive. */
  readonly precision: Tensor<"scores", "float64">;
  /** NaN where nothing is positive. */
  readonly recall: Tensor<"scores", "float64">;
  readonly truePositives: Tensor<"scores", "float64">;
  readonly falsePositives: Tensor<"scores", "float64">;
  readonly trueNegatives: Tensor<"scores", "float64">;
  readonly falseNegatives: Tensor<"scores", "float64">;
}

export interface TunedThreshold extends ThresholdOutcomes {
  /** A score at least as high is called positive; +∞ calls nothing positive. */
  readonly threshold: number;
  /** What was maximized; of `{ cost }` the mean cost. */
  readonly value: number;
  readonly precision: number;
  readonly recall: number;
  readonly curve: ThresholdCurve;
}

/**
 * The threshold that is best on these samples: scores at least as high are called positive.
 *   f1        2 TP / (2 TP + FP + FN)
 *   youden    TP / (TP + FN) − FP / (FP + TN),  recall + specificity − 1
 *   accuracy  (TP + TN) / n
 *   { cost }  (c_FP FP + c_FN FN + c_TP TP + c_TN TN) / n, the least of it
 * In question are all distinct scores, and +∞; of thresholds equally good the lowest counts, which finds the most
 * positives. Equal scores cannot be separated. Weights make sums of weights of the counts; they are exact, and nothing
 * depends on the order of the samples.
 * The best of many thresholds is found on its own samples, hence optimistic: judge it on others.
 *
 * @throws `unknown`, `argument`, `role`, `shape`, `option`; `value` for labels other than 0 and 1, scores that are not
 * finite, or labels of one class where the goal asks for both; `empty`; `undefined` where no threshold reaches `atLeast`
 * @see Youden 1950; Elkan 2001, section 2 (with calibrated probabilities the costs alone tell the threshold: `decide`)
 *
 * @example
 * tuneThreshold({ scores, labels, maximize: "accuracy", atLeast: { precision: 0.9 } }).threshold;
 */
export function tuneThreshold(input: TuneThresholdInput): TunedThreshold {
  checkObject(where, "argument", input);
  const known = ["scores", "labels", "weights", "mask", "maximize", "atLeast", "curvePoints"];
  rejectUnknown(where, "argument", input, known);
  const goal = readGoal(input.maximize);
  const floor = readFloor(input.atLeast);
  const points = readPoints(input.curvePoints);
  const samples = readBinarySamples(where, input, ["scores", "logits", "probabilities"]);
  if (goal.needs === "both") checkBothClasses(where, samples.positives, samples.scores.length);
  else if ((goal.needs === "positives" || floor) && samples.positives === 0) {
    const fix = "pass samples with positives, or maximize accuracy or cost alone.";
    throw wrong(where, "value", "labels", "no positive", "at least one label of 1", fix);
  }
  const candidates = walk(samples);
  const outcomesAt = (i: number) => outcomesOf(candidates, i);
  const best = bestOf(candidates, goal, floor);
  return {
    threshold: candidates.thresholds[best]!,
    value: goal.value(outcomesAt(best)),
    precision: precisionOf(outcomesAt(best)),
    recall: recallOf(outcomesAt(best)),
    ...outcomesAt(best),
    curve: curveOf(candidates, goal, placesOf(candidates.thresholds.length, best, points)),
  };
}

interface Goal {
  readonly value: (outcomes: ThresholdOutcomes) => number;
  /** 1 where more is better, −1 where less is. */
  readonly sign: 1 | -1;
  readonly needs: "nothing" | "positives" | "both";
}

const goals: Readonly<Record<string, Goal>> = {
  f1: {
    value: ({ truePositives: tp, falsePositives: fp, falseNegatives: fn }) => (2 * tp) / (2 * tp + fp + fn),
    sign: 1,
    needs: "positives",
  },
  youden: {
    value: ({ truePositives: tp, falsePositives: fp, trueNegatives: tn, falseNegatives: fn }) =>
      // One division of whole products, so that equal values of counts are equal numbers.
      (tp * tn - fp * fn) / ((tp + fn) * (fp + tn)),
    sign: 1,
    needs: "both",
  },
  accuracy: {
    value: ({ truePositives: tp, falsePositives: fp, trueNegatives: tn, falseNegatives: fn }) =>
      (tp + tn) / (tp + tn + (fp + fn)),
    sign: 1,
    needs: "nothing",
  },
};

function readGoal(given: unknown): Goal {
  if (typeof given === "object" && given !== null && "cost" in given) return costGoal(given.cost);
  const name = String(given);
  if (typeof given === "string" && Object.hasOwn(goals, name)) return goals[name]!;
  const meant = typeof given === "string" ? closest(name, Object.keys(goals)) : undefined;
  const fix = meant
    ? `write "${meant}".`
    : 'write maximize: "f1", or { cost: { falsePositive: 1, falseNegative: 5 } } for the least mean cost.';
  const found = JSON.stringify(given) ?? name;
  throw wrong(where, "option", "maximize", found, '"f1", "youden", "accuracy" or { cost }', fix);
}

function costGoal(given: unknown): Goal {
  checkObject(where, "cost", given);
  const names = ["falsePositive", "falseNegative", "truePositive", "trueNegative"] as const;
  rejectUnknown(where, "cost", given as object, names);
  const costs = given as Partial<Record<string, unknown>>;
  const [falsePositive, falseNegative, truePositive, trueNegative] = names.map((name, i) => {
    const cost = costs[name] ?? (i < 2 ? undefined : 0);
    if (typeof cost === "number" && Number.isFinite(cost)) return cost;
    throw wrong(where, "option", name, String(cost), "a finite cost", `write cost: { ${name}: 1, … }.`);
  }) as [number, number, number, number];
  return {
    value: (outcomes) =>
      (falsePositive * outcomes.falsePositives +
        falseNegative * outcomes.falseNegatives +
        (truePositive * outcomes.truePositives + trueNegative * outcomes.trueNegatives)) /
      (outcomes.truePositives + outcomes.trueNegatives + (outcomes.falsePositives + outcomes.falseNegatives)),
    sign: -1,
    needs: "nothing",
  };
}

const floors = { precision: precisionOf, recall: recallOf } as const;
type FloorName = keyof typeof floors;
type Floor = readonly (readonly [name: FloorName, least: number])[];

/** The floors given, or undefined where there is none. */
function readFloor(given: ThresholdFloor | undefined): Floor | undefined {
  if (given === undefined) return undefined;
  checkObject(where, "atLeast", given);
  rejectUnknown(where, "atLeast", given, Object.keys(floors));
  const found = (Object.keys(floors) as FloorName[]).filter((name) => given[name] !== undefined);
  if (found.length === 0) {
    throw wrong(
      where,
      "option",
      "atLeast",
      "{}",
      "{ precision } or { recall }",
      "leave it out where nothing is asked.",
    );
  }
  return found.map((name) => {
    const least = given[name];
    if (typeof least === "number" && least >= 0 && least <= 1) return [name, least];
    throw wrong(where, "option", name, String(least), "a share in [0, 1]", `write atLeast: { ${name}: 0.9 }.`);
  });
}

function readPoints(given: number | undefined): number {
  if (given === undefined) return 1000;
  if (given === Number.POSITIVE_INFINITY || (Number.isSafeInteger(given) && given >= 2)) return given;
  throw wrong(where, "option", "curvePoints", String(given), "a whole number of at least 2, or Infinity for all");
}

/** The thresholds in question in descending order, +∞ first, and the weights that score at least as high. */
interface Candidates {
  readonly thresholds: Float64Array;
  readonly truePositives: Float64Array;
  readonly falsePositives: Float64Array;
}

function walk({ scores, positive, weights }: BinarySamples): Candidates {
  const count = scores.length;
  const order = sortedOrder(scores);
  let distinct = 1;
  for (let i = 1; i < count; i++) if (scores[order[i]!] !== scores[order[i - 1]!]) distinct++;
  const [thresholds, truePositives, falsePositives] = [0, 1, 2].map(() => new Float64Array(distinct + 1)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  thresholds[0] = Number.POSITIVE_INFINITY;
  const [above, below] = [new ExactSum(), new ExactSum()];
  for (let i = count - 1, at = 1; i >= 0; i--) {
    const index = order[i]!;
    (positive[index] ? above : below).add(weights ? weights[index]! : 1);
    if (i > 0 && scores[order[i - 1]!] === scores[index]) continue;
    // Adding +0 makes one zero of both.
    thresholds[at] = scores[index]! + 0;
    truePositives[at] = above.value;
    falsePositives[at++] = below.value;
  }
  return { thresholds, truePositives, falsePositives };
}

function outcomesOf({ truePositives, falsePositives }: Candidates, i: number): ThresholdOutcomes {
  const [tp, fp, last] = [truePositives[i]!, falsePositives[i]!, truePositives.length - 1];
  return {
    truePositives: tp,
    falsePositives: fp,
    trueNegatives: falsePositives[last]! - fp,
    falseNegatives: truePositives[last]! - tp,
  };
}

function precisionOf({ truePositives, falsePositives }: ThresholdOutcomes): number {
  return truePositives / (truePositives + falsePositives);
}

function recallOf({ truePositives, falseNegatives }: ThresholdOutcomes): number {
  return truePositives / (truePositives + falseNegatives);
}

/** The place of the best candidate that reaches the floors; of equal ones the last, whose threshold is the lowest. */
function bestOf(candidates: Candidates, { value, sign }: Goal, floor: Floor | undefined): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < candidates.thresholds.length; i++) {
    const outcomes = outcomesOf(candidates, i);
    // NaN, the precision of no prediction, reaches nothing.
    if (floor && !floor.every(([name, least]) => floors[name](outcomes) >= least)) continue;
    const found = sign * value(outcomes);
    if (found >= most) [best, most] = [i, found];
  }
  if (best >= 0) return best;
  throw unreachable(candidates, floor!);
}

/** The error that says how far one can get: the most of the first floor among thresholds that reach the others. */
function unreachable(candidates: Candidates, floor: Floor) {
  const [[name], ...others] = floor as [Floor[number], ...Floor];
  let best = -1;
  let most = -1;
  for (let i = 0; i < candidates.thresholds.length; i++) {
    const outcomes = outcomesOf(candidates, i);
    const found = floors[name](outcomes);
    if (found > most && others.every(([other, least]) => floors[other](outcomes) >= least)) [best, most] = [i, found];
  }
  const words = (parts: Floor) => parts.map(([part, least]) => `${part} ≥ ${least}`).join(" and ");
  const beside = others.length > 0 ? ` with ${words(others)}` : "";
  return wrong(
    where,
    "undefined",
    "atLeast",
    `a ${name} of at most ${most}${beside}, at threshold ${candidates.thresholds[best]}`,
    `a threshold of ${words(floor)}`,
    "ask for less, or for scores that separate the classes better.",
  );
}

/** Which candidates the curve shows: evenly spread ones, the ends and the chosen one among them. */
function placesOf(count: number, chosen: number, points: number): readonly number[] {
  if (count <= points) return Array.from({ length: count }, (_, i) => i);
  const places = new Set([chosen]);
  for (let i = 0; i < points; i++) places.add(Math.round((i * (count - 1)) / (points - 1)));
  return [...places].sort((a, b) => a - b);
}

function curveOf(candidates: Candidates, goal: Goal, descending: readonly number[]): ThresholdCurve {
  const places = [...descending].reverse();
  const outcomes = places.map((i) => outcomesOf(candidates, i));
  const column = (of: (found: ThresholdOutcomes) => number) =>
    view(Float64Array.from(outcomes, of), [places.length], "scores", "float64");
  return {
    threshold: view(
      Float64Array.from(places, (i) => candidates.thresholds[i]!),
      [places.length],
      "scores",
      "float64",
    ),
    value: column(goal.value),
    precision: column(precisionOf),
    recall: column(recallOf),
    truePositives: column((found) => found.truePositives),
    falsePositives: column((found) => found.falsePositives),
    trueNegatives: column((found) => found.trueNegatives),
    falseNegatives: column((found) => found.falseNegatives),
  };
}
