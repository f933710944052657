/**
 * What every function of a group gives, held against what one process computes: every rank knows the values of all, for
 * they come from one seed.
 */
import assert from "node:assert/strict";

/** Uniform numbers in [0, 1): mulberry32. */
function generator(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const ofKind = {
  Float64Array: (random, length) => Float64Array.from({ length }, () => (random() - 0.5) * 10 ** (20 * random() - 10)),
  Float32Array: (random, length) => Float32Array.from({ length }, () => random() - 0.5),
  Int32Array: (random, length) => Int32Array.from({ length }, () => random() * 2 ** 32 - 2 ** 31),
  Uint8Array: (random, length) => Uint8Array.from({ length }, () => random() * 256),
  BigInt64Array: (random, length) =>
    BigInt64Array.from({ length }, () => BigInt(Math.floor((random() - 0.5) * 2 ** 53)) * 1024n + 7n),
};
const kinds = Object.keys(ofKind);

/** One value for each rank, from the seed. */
const forAll = (group, make) => Array.from({ length: group.size }, (_, rank) => make(rank));

function sumInOrder(parts) {
  const sum = parts[0].slice();
  for (const part of parts.slice(1)) {
    for (let i = 0; i < sum.length; i++) sum[i] += part[i];
  }
  return sum;
}

async function gathers(group, random, lengthOf, kind) {
  const all = forAll(group, (rank) => ofKind[kind](random, lengthOf(rank)));
  const given = all[group.rank];
  const before = given.slice();
  const gathered = await group.allGather(given);
  assert.deepEqual(gathered, all);
  assert.deepEqual(given, before);
  // What came is a copy, at hand for changes.
  if (given.length > 0) {
    gathered[group.rank][0] = kind === "BigInt64Array" ? 1n : 1;
    assert.deepEqual(given, before);
  }
}

async function sums(group, random, length) {
  const floats = forAll(group, () => ofKind.Float64Array(random, length));
  assert.deepEqual(await group.allReduceSum(floats[group.rank]), sumInOrder(floats));
  const largest = floats[0].map((_, i) => Math.max(...floats.map((part) => part[i])));
  assert.deepEqual(await group.allReduceMax(floats[group.rank]), largest);
  const integers = forAll(group, () => ofKind.BigInt64Array(random, length));
  const given = integers[group.rank].slice();
  assert.deepEqual(await group.allReduceSum(given), sumInOrder(integers));
  assert.deepEqual(given, integers[group.rank]);
}

async function scatters(group, random, counts) {
  const total = counts.reduce((a, b) => a + b, 0);
  const all = forAll(group, () => ofKind.Float64Array(random, total));
  const from = counts.slice(0, group.rank).reduce((a, b) => a + b, 0);
  const own = await group.reduceScatterSum(all[group.rank], counts);
  assert.deepEqual(own, sumInOrder(all).slice(from, from + counts[group.rank]));
}

/** Every function, uneven and empty parts, values at the ends of their range. */
export async function checkEveryFunction(group, seed) {
  const random = generator(seed);
  const { rank, size } = group;
  for (const kind of kinds) {
    await gathers(group, random, () => 5, kind);
    await gathers(group, random, (r) => 3 * r, kind);
    await gathers(group, random, (r) => (r === size - 1 ? 1001 : 0), kind);
    await gathers(group, random, () => 0, kind);
  }
  for (const length of [0, 1, 7, 1000]) await sums(group, random, length);
  await scatters(
    group,
    random,
    Array.from({ length: size }, () => 4),
  );
  await scatters(
    group,
    random,
    Array.from({ length: size }, (_, r) => 5 * r),
  );
  await scatters(
    group,
    random,
    Array.from({ length: size }, (_, r) => (r === 0 ? 9 : 0)),
  );
  await scatters(
    group,
    random,
    Array.from({ length: size }, () => 0),
  );

  // Integers that no double holds, and their wrap.
  const large = 2n ** 62n + 1n;
  const wrapped = BigInt.asIntN(64, large * BigInt(size));
  assert.deepEqual(
    await group.allReduceSum(BigInt64Array.of(2n ** 53n + 1n, -1n, large)),
    BigInt64Array.of((2n ** 53n + 1n) * BigInt(size), BigInt(-size), wrapped),
  );
  // NaN on one rank, and both zeros.
  const last = rank === size - 1;
  const most = await group.allReduceMax(
    Float64Array.of(last ? Number.NaN : 5, last ? 0 : -0, last ? Number.POSITIVE_INFINITY : 1),
  );
  // As lists: among typed arrays assert takes NaN for unlike itself.
  assert.deepEqual([...most], [Number.NaN, 0, Number.POSITIVE_INFINITY]);
  // A view into the middle of memory that is shared, as the kernels' is.
  const shared = new Float64Array(new SharedArrayBuffer(80), 16, 4).fill(rank + 1);
  const sum = (size * (size + 1)) / 2;
  assert.deepEqual(await group.allReduceSum(shared), new Float64Array(4).fill(sum));
  await group.barrier();
}

/** Thousands of small messages while garbage is made and collected: memory that MPI writes to must not move. */
export async function checkSmallMessages(group, seed, count) {
  const random = generator(seed);
  let garbage = [];
  for (let i = 0; i < count; i++) {
    const draw = random();
    const lengths = forAll(group, () => Math.floor(random() * 9));
    const kind = kinds[Math.floor(random() * kinds.length)];
    if (draw < 0.5) await gathers(group, random, (r) => lengths[r], kind);
    else if (draw < 0.8) await sums(group, random, lengths[0]);
    else await scatters(group, random, lengths);
    garbage.push(new Float64Array(1 + (i % 7)), { i }, new Array(64).fill(i));
    if (garbage.length > 3000) garbage = [];
  }
}

/** Messages that go part by part: sums of which each rank forms its own part, and uneven parts of megabytes. */
export async function checkLargeMessages(group, seed, scale) {
  const random = generator(seed);
  const { size } = group;
  await sums(group, random, 20011 * scale);
  await gathers(group, random, (r) => 30011 * scale * r + 3, "Uint8Array");
  await gathers(group, random, (r) => (r === 0 ? 50021 * scale : 0), "Float32Array");
  await scatters(
    group,
    random,
    Array.from({ length: size }, (_, r) => 3001 * scale * (r % 3)),
  );
}
