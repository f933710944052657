import { flagOption } from "../../contract/index.js";
import { type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import { Samples } from "../accumulators.js";
import { defineMetric, type MetricFactory } from "../metric.js";
import {
  type ClassScoresOptions,
  classScoresOptions,
  columns,
  openScores,
  readScores,
  type Scored,
  type ScoredClasses,
  type ScoreFields,
  scoreFields,
} from "./class-scores.js";

/** Lists of numbers by name: the points of a curve. */
export type Curve<Name extends string> = Readonly<Record<Name, Tensor<Unlabeled, "float64">>> & {
  readonly [name: string]: Tensor<Unlabeled, "float64">;
};

/** Options of curves. */
export interface CurveOptions extends ClassScoresOptions {
  /** Whether points that change nothing of the curve's picture are left out. Default false. */
  readonly dropIntermediate: boolean;
}

interface CurveState {
  readonly samples: Samples;
  readonly [name: string]: Samples;
}

/** A metric whose result is a curve over the distinct scores. */
export function defineCurve<Name extends string>(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  readonly dropIntermediate: string;
  readonly lists: readonly Name[];
  of(scored: Scored, dropIntermediate: boolean): Readonly<Record<Name, readonly number[] | Float64Array>>;
}): MetricFactory<ScoreFields, CurveOptions, Curve<Name>> {
  const { name, summary, formula, source, lists, of } = given;
  return defineMetric<ScoreFields, CurveOptions, CurveState, Curve<Name>>({
    name,
    documentation: { summary, formula, source },
    options: { ...classScoresOptions, dropIntermediate: flagOption(given.dropIntermediate, false) },
    fields: ({ multilabel }, fields) => scoreFields(multilabel, fields),
    forms: () => [["scores", "labels"]],
    ignored: "labels",
    state: () => ({ samples: new Samples(columns) }),
    open: (fields, { samples }, options) => openScores(name, fields, samples, options),
    compute: ({ samples }, { dropIntermediate }) =>
      curvesOf(readScores(name, samples), lists, (scored) => of(scored, dropIntermediate)),
  });
}

/**
 * The curve of one class, or those of several end to end: then `classes` (and `thresholdClasses`, where thresholds are
 * fewer than points) names the class of each point.
 */
function curvesOf<Name extends string>(
  scored: ScoredClasses,
  names: readonly Name[],
  of: (one: Scored) => Readonly<Record<Name, readonly number[] | Float64Array>>,
): Curve<Name> {
  const curves = Array.from({ length: scored.classes }, (_, k) => of(scored.of(k)));
  const list = (numbers: readonly number[]) =>
    view(Float64Array.from(numbers), [numbers.length], "unlabeled", "float64");
  const joined = (name: Name) => list(curves.flatMap((curve) => Array.from(curve[name])));
  const points = Object.fromEntries(names.map((name) => [name, joined(name)])) as Record<
    Name,
    Tensor<Unlabeled, "float64">
  >;
  if (scored.classes === 1) return points as Curve<Name>;
  const classOf = (name: Name) => list(curves.flatMap((curve, k) => Array.from(curve[name], () => k)));
  const [first, last] = [names[0]!, names.at(-1)!];
  const isShorter = curves.some((curve) => curve[last].length !== curve[first].length);
  return { ...(points as Curve<Name>), classes: classOf(first), ...(isShorter && { thresholdClasses: classOf(last) }) };
}
