/**
 * Every call of a group, over parts of the same, of uneven and of no length, some larger than what threads hand over at
 * once. Gives one number over the bits of what this rank got. The same program runs in one process, on threads and in a page.
 */

/** A small generator (mulberry32): every rank and call has a seed of its own. */
function random(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 5e-324, 1.7976931348623157e308];

/** Values of very different sizes, so that another order of adding shows, with a few special ones where asked for. */
export function reals(seed, length, withSpecial = false) {
  const next = random(seed);
  return Float64Array.from({ length }, () => {
    const scale = [1e-9, 1, 1e12][Math.floor(3 * next())];
    const value = scale * (next() - 0.5);
    return withSpecial && next() < 0.1 ? special[Math.floor(special.length * next())] : value;
  });
}

function integers(seed, length) {
  const next = random(seed);
  return BigInt64Array.from({ length }, () => BigInt.asIntN(64, BigInt(Math.floor(next() * 2 ** 53)) ** 2n));
}

/** Lengths of the parts of `size` ranks: some have nothing. */
function parts(seed, size, most) {
  const next = random(seed);
  return Array.from({ length: size }, () => (next() < 0.3 ? 0 : Math.floor(most * next())));
}

/** A hash of 64 bits over the bytes of what was got. */
class Bits {
  low = 0x9e3779b9;
  high = 0x85ebca6b;

  add(given) {
    // NaN is one value, of whose bits JavaScript promises nothing.
    const values = given.map((value) => (Number.isNaN(value) ? Number.NaN : value));
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.word(bytes.length);
    for (const byte of bytes) this.word(byte);
  }

  word(word) {
    this.low = Math.imul(this.low ^ word, 0x01000193);
    this.high = Math.imul(this.high + word, 31) ^ this.low;
  }

  get hash() {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }
}

export async function everyCall(group, { rounds = 10, large = 90_000 } = {}) {
  const { rank, size } = group;
  const bits = new Bits();
  const seedOf = (round, call, of = rank) => 7919 * round + 101 * call + of;
  for (let round = 0; round < rounds; round++) {
    // Every rank knows everybody's lengths, so it can give its own; a round is large now and then.
    const most = round % 5 === 4 ? large : 60;
    const length = Math.floor(most * random(seedOf(round, 1, 0))());
    bits.add(await group.allReduceSum(reals(seedOf(round, 2), length)));
    bits.add(await group.allReduceSum(integers(seedOf(round, 3), Math.min(length, 700))));
    bits.add(await group.allReduceMax(reals(seedOf(round, 4), length, true)));
    const counts = parts(seedOf(round, 5, 0), size, most);
    const total = counts.reduce((sum, count) => sum + count, 0);
    bits.add(await group.reduceScatterSum(reals(seedOf(round, 6), total), counts));
    const own = parts(seedOf(round, 7, 0), size, most)[rank];
    const values = reals(seedOf(round, 8), own);
    const kinds = [
      values,
      Float32Array.from(values),
      Int32Array.from(values),
      Uint8Array.from(values),
      integers(9, own),
    ];
    for (const part of await group.allGather(kinds[round % kinds.length])) bits.add(part);
    await group.barrier();
  }
  return bits.hash;
}

/** Everybody's number, as text, on every rank. */
export async function everybody(group, hash) {
  const all = await group.allGather(BigInt64Array.of(BigInt.asIntN(64, hash)));
  return all.map(([one]) => BigInt.asUintN(64, one).toString(16));
}
