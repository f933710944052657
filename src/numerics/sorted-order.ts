/** Below it, comparing beats counting. */
const FEW = 256;
const DIGIT_BITS = 11;
const BUCKETS = 1 << DIGIT_BITS;

/**
 * The ascending order of keys, equal keys in their given order; −0 and +0 are equal. A radix sort of the bits of the
 * numbers: six passes over 11 bits each, those left out in which all keys agree.
 *
 * @param keys - without NaN
 * @returns the index of the smallest key, of the next, …
 */
export function sortedOrder(keys: Float64Array): Uint32Array {
  const count = keys.length;
  let order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  if (count < FEW) return order.sort((a, b) => keys[a]! - keys[b]! || a - b);
  const [low, high] = orderedWords(keys);
  let spare = new Uint32Array(count);
  const starts = new Uint32Array(BUCKETS);
  for (let shift = 0; shift < 64; shift += DIGIT_BITS) {
    const digit = digitAt(low, high, shift);
    starts.fill(0);
    for (let i = 0; i < count; i++) starts[digit(i)]!++;
    if (starts[digit(0)] === count) continue;
    let start = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const held = starts[bucket]!;
      starts[bucket] = start;
      start += held;
    }
    for (let i = 0; i < count; i++) {
      const index = order[i]!;
      spare[starts[digit(index)]!++] = index;
    }
    [order, spare] = [spare, order];
  }
  return order;
}

/** The bits of numbers as two unsigned words each, whose order as integers is the order of the numbers. */
function orderedWords(keys: Float64Array): readonly [low: Uint32Array, high: Uint32Array] {
  const [low, high] = [new Uint32Array(keys.length), new Uint32Array(keys.length)];
  const cell = new Float64Array(1);
  const words = new Uint32Array(cell.buffer);
  const top = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;
  for (let i = 0; i < keys.length; i++) {
    // Adding +0 makes one zero of both.
    cell[0] = keys[i]! + 0;
    const [below, above] = [words[1 - top]!, words[top]!];
    const isNegative = above >>> 31 === 1;
    low[i] = isNegative ? ~below : below;
    high[i] = isNegative ? ~above : above ^ 0x80000000;
  }
  return [low, high];
}

/** Reads 11 bits of a key, from a place up. */
function digitAt(low: Uint32Array, high: Uint32Array, shift: number): (index: number) => number {
  const mask = BUCKETS - 1;
  if (shift >= 32) return (index) => (high[index]! >>> (shift - 32)) & mask;
  if (shift + DIGIT_BITS <= 32) return (index) => (low[index]! >>> shift) & mask;
  return (index) => ((low[index]! >>> shift) | (high[index]! << (32 - shift))) & mask;
}
