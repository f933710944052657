/** What is drawn alike for all steps: number formats, metrics, frameworks, sizes of parts. */
import type { StepContext } from "../../src/io/index.js";
import type { Random } from "../instruments/random.js";
import { type Precision, roundTo } from "./rounding.js";

/** float32 as a rule, float64 now and then. */
export function wideOrSingle(random: Random): Precision {
  return random.chance(0.2) ? "float64" : "float32";
}

/** int64 as PyTorch has labels, int32 as JAX and TensorFlow. */
export function labelDtype(random: Random): "int64" | "int32" {
  return random.chance(0.7) ? "int64" : "int32";
}

/** Numbers about normal. */
export function normals(random: Random, count: number, scale: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.real(scale));
}

/** Positive numbers of about one size. */
export function positives(random: Random, count: number, least: number, most: number): number[] {
  return Array.from({ length: count }, () => random.between(least, most));
}

/** A number as a person writes it, with two digits behind the point. */
export function written(random: Random, least: number, most: number): number {
  return Math.round(100 * (least + random.next() * (most - least))) / 100;
}

/** Numbers rounded to a format. */
export function rounded(numbers: Float64Array, precision: Precision): Float64Array {
  return numbers.map((x) => roundTo(precision, x));
}

/** Sizes of parts that are not all alike. */
export function unevenSizes(random: Random, parts: number, least: number, most: number): number[] {
  const sizes = Array.from({ length: parts }, () => random.integer(least, most));
  if (new Set(sizes).size === 1) sizes[0] = sizes[0] === least ? most : least;
  return sizes;
}

/** A task metric that reads nothing from probabilities, a framework, a step number: there or not. */
export function surroundings(random: Random, metric: string): StepContext {
  const value = written(random, 0.1, 0.95);
  return {
    ...(random.chance(0.5) && { metric: { name: metric, value, of: "validation" as const } }),
    ...(random.chance(0.4) && { framework: random.pick(["pytorch 2.9", "jax", "keras", "pytorch"]) }),
    ...(random.chance(0.2) && { phase: "train" }),
    ...(random.chance(0.2) && { run: "run", step: random.integer(0, 5000) }),
  };
}
