/** Reproducible points at which the elementary functions are tried, and how they are judged there. */
import { neighbor, type Real, ulpDistance, ulpError } from "./oracle.test-helper.js";

/** Uniform numbers in [0, 1) of 32 bits, the same on every engine: a Weyl sequence through an integer mixer. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
  };
}

/** `count` numbers spread evenly over [low, high). */
export function evenly(low: number, high: number, count: number, seed = 1): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => low + (high - low) * (random() + random() / 4294967296));
}

/** `count` numbers between low and high, every binade as often as every other. */
export function byMagnitude(low: number, high: number, count: number, seed = 1): number[] {
  const steps = ulpDistance(low, high);
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => neighbor(low, Math.floor(steps * (random() + random() / 4294967296))));
}

/** The numbers and their opposites. */
export const bothSigns = (xs: number[]): number[] => xs.flatMap((x) => [x, -x]);

/** Each number with two neighbors on either side: what lies about a threshold. */
export const withNeighbors = (xs: number[]): number[] =>
  xs.flatMap((x) => [-2, -1, 0, 1, 2].map((n) => neighbor(x, n)));

/** The point of the largest error, and that error. */
export interface Worst {
  ulp: number;
  x: number;
}

/** Where f is farthest from the oracle. As an object it shows the point when an expectation of it fails. */
export function worst(f: (x: number) => number, oracle: (x: number) => Real, xs: number[]): Worst {
  let ulp = 0;
  let at = xs[0];
  for (const x of xs) {
    const error = ulpError(f(x), oracle(x));
    if (error > ulp) {
      ulp = error;
      at = x;
    }
  }
  return { ulp, x: at };
}

/** For `expect(worst(…)).toSatisfy(below(0.52))`. */
export const below = (bound: number) => (found: Worst) => found.ulp < bound;

/**
 * Whether f keeps the order of a and b as far as an error below 1 ulp lets one demand it of a rising function: the lower
 * argument's result is at most one double above the other's.
 */
export function rises(f: (x: number) => number, a: number, b: number): boolean {
  const low = f(Math.min(a, b));
  const high = f(Math.max(a, b));
  return low <= high || ulpDistance(low, high) <= 1;
}
