import type { Check } from "../finding.js";
import { accumulation } from "./accumulation.js";
import { contrastiveOffset } from "./contrastive-offset.js";
import { ctcBlank } from "./ctc-blank.js";
import { ctcLayout } from "./ctc-layout.js";
import { ctcLengths } from "./ctc-lengths.js";
import { denominator } from "./denominator.js";
import { detachedModulation } from "./detached-modulation.js";
import { distributedDenominator } from "./distributed-denominator.js";
import { gatherGradient } from "./gather-gradient.js";
import { labelDtype } from "./label-dtype.js";
import { labelShift } from "./label-shift.js";
import { lossMask } from "./loss-mask.js";
import { metricMissing } from "./metric-missing.js";
import { nonFinite } from "./non-finite.js";
import { probabilitiesAsLogits } from "./probabilities-as-logits.js";
import { scoreNormalization } from "./score-normalization.js";
import { shape } from "./shape.js";
import { smoothing } from "./smoothing.js";
import { temperature } from "./temperature.js";
import { unexplained } from "./unexplained.js";
import { weightingCalibration } from "./weighting-calibration.js";

/**
 * Every check of this version, in the order findings are listed and hypotheses are tried: what the loss was given, over
 * which positions, in which mathematics, over which denominator.
 */
export const checks: readonly Check[] = [
  probabilitiesAsLogits,
  labelDtype,
  shape,
  labelShift,
  lossMask,
  ctcLayout,
  ctcBlank,
  ctcLengths,
  contrastiveOffset,
  gatherGradient,
  scoreNormalization,
  detachedModulation,
  temperature,
  smoothing,
  weightingCalibration,
  nonFinite,
  accumulation,
  distributedDenominator,
  denominator,
  metricMissing,
  unexplained,
];
