import { hash53 } from "../../numerics/index.js";

/** P(X ≤ k) of a Poisson variable of mean 1, times 2^53: k = 0, 1, 2, … */
const cumulative = /*#__PURE__*/ (() => {
  const list: number[] = [];
  let term = 0.36787944117144233; // 1/e
  let total = 0;
  for (let k = 0; k < 18; k++) {
    total += term;
    list.push(total * 9007199254740992);
    term /= k + 1;
  }
  return list;
})();

const words = new Int32Array(3);

/**
 * How often a sample is drawn in a replicate: Poisson of mean 1, from nothing but seed, replicate and the sample's tag.
 * Every machine that sees the sample draws the same number, so that replicates stream and merge.
 *
 * @param tag - a whole number below 2^53
 * @see Chamandy et al. 2012, "Estimating uncertainty for massive data streams"
 */
export function poissonCount(seed: number, replicate: number, tag: number): number {
  words[0] = replicate;
  words[1] = tag | 0;
  words[2] = Math.floor(tag / 4294967296);
  const draw = hash53(seed, words);
  let count = 0;
  while (count < cumulative.length && draw >= cumulative[count]!) count++;
  return count;
}
