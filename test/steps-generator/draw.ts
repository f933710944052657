/**
 * Draws steps: the even ones right, the odd ones with one bug each, check after check in turn. Every step has a
 * generator of its own, so that one of a thousand can be drawn alone.
 */
import { Random } from "../instruments/random.js";
import { accumulation } from "./bugs/accumulation.js";
import { contrastiveOffset } from "./bugs/contrastive-offset.js";
import { ctcBlank, ctcLayout, ctcLengths } from "./bugs/ctc.js";
import { denominator } from "./bugs/denominator.js";
import { detachedModulation } from "./bugs/detached-modulation.js";
import { distributedDenominator } from "./bugs/distributed-denominator.js";
import { gatherGradient } from "./bugs/gather-gradient.js";
import { labelDtype } from "./bugs/label-dtype.js";
import { labelShift } from "./bugs/label-shift.js";
import { lossMask } from "./bugs/loss-mask.js";
import { metricMissing } from "./bugs/metric-missing.js";
import { nonFinite } from "./bugs/non-finite.js";
import { probabilitiesAsLogits } from "./bugs/probabilities-as-logits.js";
import { scoreNormalization } from "./bugs/score-normalization.js";
import { shape } from "./bugs/shape.js";
import { smoothing } from "./bugs/smoothing.js";
import { temperature } from "./bugs/temperature.js";
import { weightingCalibration } from "./bugs/weighting-calibration.js";
import { cleanStory } from "./clean.js";
import { type CheckId, checkIds, type Draft, type Story } from "./story.js";

export const bugs: Readonly<Record<CheckId, Story>> = {
  "probabilities-as-logits": probabilitiesAsLogits,
  "label-dtype": labelDtype,
  shape,
  "label-shift": labelShift,
  "loss-mask": lossMask,
  denominator,
  accumulation,
  "distributed-denominator": distributedDenominator,
  "weighting-calibration": weightingCalibration,
  "contrastive-offset": contrastiveOffset,
  "gather-gradient": gatherGradient,
  "score-normalization": scoreNormalization,
  "ctc-lengths": ctcLengths,
  "ctc-blank": ctcBlank,
  "ctc-layout": ctcLayout,
  "metric-missing": metricMissing,
  "detached-modulation": detachedModulation,
  temperature,
  smoothing,
  "non-finite": nonFinite,
};

export interface DrawnStep extends Required<Draft> {
  /** The number that draws it again. */
  readonly index: number;
  /** The check that should find something; undefined where the step is right. */
  readonly bug: CheckId | undefined;
}

/** The seed of the thousand steps of the documentation. */
export const defaultSeed = 20240229;

/** Draws one of the steps of a seed. */
export function drawStep(index: number, seed = defaultSeed): DrawnStep {
  const bug = index % 2 === 0 ? undefined : checkIds[Math.floor(index / 2) % checkIds.length];
  const story = bug ? bugs[bug] : cleanStory;
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  for (;;) {
    const draft = story(random);
    // Chance may make a bug that changes nothing: then another is drawn.
    if (!draft) continue;
    const record = { ...draft.record, name: `step ${index}` };
    return { tolerated: [], shows: "numbers", ...draft, record, index, bug };
  }
}
