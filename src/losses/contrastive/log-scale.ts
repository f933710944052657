import { LosswrightError } from "../../errors/index.js";
import { exp } from "../../numerics/index.js";
import type { BatchView, FieldSpec } from "../definition.js";

/** The learned logarithm of the factor on similarities, 1/τ. */
export const logScaleField = {
  meaning: "the logarithm of the factor on dot products, log 1/τ; a learned scalar",
  holds: "reals",
  roles: [],
  shape: [],
  read: "whole",
  gradient: "shared",
} as const satisfies FieldSpec;

/**
 * exp(logScale), the factor on similarities.
 *
 * @throws `value` where it is no finite number
 */
export function scaleOf(batch: BatchView<object>): number {
  const logScale = batch.scalar("logScale");
  const scale = exp(logScale);
  if (Number.isFinite(logScale) && Number.isFinite(scale)) return scale;
  throw new LosswrightError({
    code: "value",
    where: batch.where,
    field: "logScale",
    found: String(logScale),
    expected: "a finite number whose exponential is finite, so at most 709.78",
    fix: "it is the logarithm of the scale: for temperature 0.07 log(1/0.07) = 2.66; clamp a learned one at log 100.",
  });
}
