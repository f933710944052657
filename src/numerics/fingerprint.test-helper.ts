/**
 * One number for the bits of 10,000 results of each function. It needs nothing but the functions, so that any engine can
 * compute it: two engines that print the same fingerprints computed the same bits.
 */
import { acos, atan, cos, exp, expm1, lgamma, log, log1p, log1pExp, pow, sigmoid, sin, tanh } from "./index.js";
import { seededRandom } from "./samples.test-helper.js";

/** FNV-1a, 32 bits, over the eight bytes of each number, the lowest first. NaN counts as one fixed pattern. */
export function fnv1a(numbers: Float64Array): string {
  const view = new DataView(new ArrayBuffer(8));
  let hash = 0x811c9dc5;
  for (const x of numbers) {
    if (Number.isNaN(x)) view.setBigUint64(0, 0x7ff8000000000000n, true);
    else view.setFloat64(0, x, true);
    for (let i = 0; i < 8; i++) hash = Math.imul(hash ^ view.getUint8(i), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Half of the points lie in the range where a function does its work, half over all the range it takes. */
function fingerprint(f: (x: number) => number, usual: [number, number], wide: [number, number]): string {
  const random = seededRandom(2024);
  const results = new Float64Array(10_000);
  for (let i = 0; i < results.length; i++) {
    const [low, high] = i % 2 === 0 ? usual : wide;
    results[i] = f(low + (high - low) * random());
  }
  return fnv1a(results);
}

export function fingerprints(): Record<string, string> {
  return {
    acos: fingerprint(acos, [-1, 1], [0.99, 1]),
    atan: fingerprint(atan, [-2, 2], [-100, 100]),
    cos: fingerprint(cos, [-4, 4], [-1e5, 1e5]),
    exp: fingerprint(exp, [-5, 5], [-750, 710]),
    expm1: fingerprint(expm1, [-0.5, 0.5], [-50, 710]),
    lgamma: fingerprint(lgamma, [0, 12], [0, 1e6]),
    log: fingerprint(log, [0.5, 2], [0, 1e9]),
    log1p: fingerprint(log1p, [-0.5, 0.5], [-1, 1e9]),
    log1pExp: fingerprint(log1pExp, [-5, 5], [-750, 100]),
    powOfBase: fingerprint((x) => pow(x, 2.2), [0, 2], [0, 1e9]),
    powOfExponent: fingerprint((y) => pow(0.9, y), [-5, 5], [-6000, 6000]),
    sigmoid: fingerprint(sigmoid, [-5, 5], [-750, 50]),
    sin: fingerprint(sin, [-4, 4], [-1e5, 1e5]),
    tanh: fingerprint(tanh, [-0.5, 0.5], [-25, 25]),
  };
}

/** What every engine must compute. A change here is a change of results, and a release that makes one says so. */
export const expectedFingerprints: Record<string, string> = {
  acos: "2ce1ba20",
  atan: "d6696e04",
  cos: "e44bf1ee",
  exp: "2b61dc58",
  expm1: "c808eb3c",
  lgamma: "28b78a21",
  log: "ee05093c",
  log1p: "924998de",
  log1pExp: "2e9d78d6",
  powOfBase: "2261b5e8",
  powOfExponent: "5d87a8b8",
  sigmoid: "167565c4",
  sin: "bae04f33",
  tanh: "dcb429b4",
};
