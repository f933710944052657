/**
 * Murmur3's 32-bit hash of whole words (Appleby 2011): the same on every machine, and fast where 64-bit integers are
 * not. Not for secrets.
 */
export function hashWords(seed: number, words: ArrayLike<number>): number {
  let hash = seed | 0;
  for (let i = 0; i < words.length; i++) {
    let word = Math.imul(words[i]!, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= words.length * 4;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A whole number below 2^53 that depends on every word. */
export function hash53(seed: number, words: ArrayLike<number>): number {
  const low = hashWords(seed, words);
  const high = hashWords(seed ^ 0x9e3779b9, words) >>> 11;
  return high * 4294967296 + low;
}
