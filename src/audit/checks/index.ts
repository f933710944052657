import type { Check } from "../finding.js";
import { accumulation } from "./accumulation.js";
import { labelDtype, shape } from "./contradiction.js";
import { denominator } from "./denominator.js";
import { distributedDenominator } from "./distributed-denominator.js";
import { nonFinite } from "./non-finite.js";
import { unexplained } from "./unexplained.js";

/** Every check of this version, in the order findings are listed. */
export const checks: readonly Check[] = [
  shape,
  labelDtype,
  nonFinite,
  accumulation,
  distributedDenominator,
  denominator,
  unexplained,
];
