/** Below it, comparing beats counting. */
const FEW = 256;
/** Of a digit of 11 bits. */
const BUCKETS = 2048;
const MASK = BUCKETS - 1;

/** Where the six digits of a key begin, from the low end of its 64 bits up. */
const SHIFTS = [0, 11, 22, 33, 44, 55] as const;

/**
 * The ascending order of keys, equal keys in their given order; −0 and +0 are equal. A radix sort of the bits of the
 * numbers: six passes over 11 bits each, those left out in which all keys agree. Keys move along with their indices, so
 * that every pass reads memory in order.
 *
 * @param keys - without NaN
 * @returns the index of the smallest key, of the next, …
 */
export function sortedOrder(keys: Float64Array): Uint32Array {
  const count = keys.length;
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  if (count < FEW) return order.sort((a, b) => keys[a]! - keys[b]! || a - b);
  const [low, high] = orderedWords(keys);
  const counts = countDigits(low, high);
  let from: Words = { low, high, order };
  let to: Words = { low: new Uint32Array(count), high: new Uint32Array(count), order: new Uint32Array(count) };
  for (const [digit, shift] of SHIFTS.entries()) {
    const starts = counts.subarray(digit * BUCKETS, (digit + 1) * BUCKETS);
    if (starts[digitOf(from.low[0]!, from.high[0]!, shift)] === count) continue;
    let start = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const held = starts[bucket]!;
      starts[bucket] = start;
      start += held;
    }
    if (shift < 32) moveByLow(from, to, starts, shift);
    else moveByHigh(from, to, starts, shift - 32);
    [from, to] = [to, from];
  }
  return from.order;
}

/** Keys as two words each, beside the indices they came from. */
interface Words {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  readonly order: Uint32Array;
}

/** Puts everything where its digit says, a digit that begins in the low word. */
function moveByLow(from: Words, to: Words, starts: Uint32Array, shift: number): void {
  const { low, high, order } = from;
  const { low: lowTo, high: highTo, order: orderTo } = to;
  for (let i = 0; i < order.length; i++) {
    const [below, above] = [low[i]!, high[i]!];
    const place = starts[digitOf(below, above, shift)]!++;
    lowTo[place] = below;
    highTo[place] = above;
    orderTo[place] = order[i]!;
  }
}

/** The same for a digit of the high word: the low one is not asked again. */
function moveByHigh(from: Words, to: Words, starts: Uint32Array, shift: number): void {
  const { high, order } = from;
  const { high: highTo, order: orderTo } = to;
  for (let i = 0; i < order.length; i++) {
    const above = high[i]!;
    const place = starts[(above >>> shift) & MASK]!++;
    highTo[place] = above;
    orderTo[place] = order[i]!;
  }
}

/** How often each value of each digit occurs: order does not change it, so one look counts all. */
function countDigits(low: Uint32Array, high: Uint32Array): Uint32Array {
  const counts = new Uint32Array(SHIFTS.length * BUCKETS);
  for (let i = 0; i < low.length; i++) {
    const [below, above] = [low[i]!, high[i]!];
    counts[below & MASK]!++;
    counts[BUCKETS + ((below >>> 11) & MASK)]!++;
    counts[2 * BUCKETS + (((below >>> 22) | (above << 10)) & MASK)]!++;
    counts[3 * BUCKETS + ((above >>> 1) & MASK)]!++;
    counts[4 * BUCKETS + ((above >>> 12) & MASK)]!++;
    counts[5 * BUCKETS + (above >>> 23)]!++;
  }
  return counts;
}

/** The 11 bits of a key from a place up. */
function digitOf(low: number, high: number, shift: number): number {
  if (shift >= 32) return (high >>> (shift - 32)) & MASK;
  if (shift === 0) return low & MASK;
  return ((low >>> shift) | (high << (32 - shift))) & MASK;
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
