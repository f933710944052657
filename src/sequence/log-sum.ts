import { exp, log1p, log1pExp } from "../numerics/index.js";

/** log(e^a + e^b); −∞ stands for nothing. */
export function logAdd(a: number, b: number): number {
  if (a < b) return a === Number.NEGATIVE_INFINITY ? b : b + log1pExp(a - b);
  return b === Number.NEGATIVE_INFINITY ? a : a + log1pExp(b - a);
}

/** log(e^a + e^b + e^c); −∞ stands for nothing. */
export function logAddThree(a: number, b: number, c: number): number {
  if (c === Number.NEGATIVE_INFINITY) return logAdd(a, b);
  if (a >= b && a >= c) return a + log1p(exp(b - a) + exp(c - a));
  return b >= c ? b + log1p(exp(a - b) + exp(c - b)) : c + log1p(exp(a - c) + exp(b - c));
}

/** log Σ e^v over a run of values; −∞ where it is empty or holds nothing but −∞. */
export function logSum(values: Float64Array, from: number, to: number): number {
  const top = topOf(values, from, to);
  if (!(values[top]! > Number.NEGATIVE_INFINITY)) return Number.NEGATIVE_INFINITY;
  return values[top]! + log1p(othersOf(values, from, to, top));
}

/** The largest of a run of values; −∞ where it is empty. */
export function largest(values: Float64Array, from: number, to: number): number {
  return from < to ? values[topOf(values, from, to)]! : Number.NEGATIVE_INFINITY;
}

/** Replaces a run of values, one of them finite at least, by e^v / Σ e^v. */
export function softmaxOf(values: Float64Array, from: number, to: number): void {
  const top = topOf(values, from, to);
  const peak = values[top]!;
  const mass = 1 + othersOf(values, from, to, top);
  for (let k = from; k < to; k++) values[k] = (k === top ? 1 : exp(values[k]! - peak)) / mass;
}

/** Replaces a run of values, one of them finite at least, by v − log Σ e^v. */
export function logSoftmaxOf(values: Float64Array, from: number, to: number): void {
  const top = topOf(values, from, to);
  const peak = values[top]!;
  const rest = log1p(othersOf(values, from, to, top));
  for (let k = from; k < to; k++) values[k] = (k === top ? 0 : values[k]! - peak) - rest;
}

/**
 * Moves a run of values so that the largest is 0, and says by how much: log-scores of a chain of thousands of steps
 * keep their last digits where only their differences are carried. A run of −∞ stays.
 */
export function settle(values: Float64Array, from: number, to: number): number {
  const peak = largest(values, from, to);
  if (peak === Number.NEGATIVE_INFINITY) return peak;
  for (let k = from; k < to; k++) values[k] = values[k]! - peak;
  return peak;
}

/** The place of the first largest value. */
export function topOf(values: Float64Array, from: number, to: number): number {
  let top = from;
  for (let k = from + 1; k < to; k++) if (values[k]! > values[top]!) top = k;
  return top;
}

/** Σ e^(v − top) over all but the top, so that a mass far below 1 keeps its digits. */
function othersOf(values: Float64Array, from: number, to: number, top: number): number {
  const peak = values[top]!;
  let sum = 0;
  for (let k = from; k < to; k++) if (k !== top) sum += exp(values[k]! - peak);
  return sum;
}
