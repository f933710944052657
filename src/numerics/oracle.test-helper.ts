/**
 * The truth that tests measure against: elementary functions in multi-precision arithmetic on BigInt, from exact doubles
 * to 256 bits, and the distance of a double from such a truth in ulp.
 *
 *   const truth = oracleLog(exactly(0.1));      // log of the double 0.1, not of one tenth
 *   expect(ulpError(log(0.1), truth)).toBeLessThan(0.52);
 *
 * A loss composes: `add` and `multiply` are exact, everything else is good to PRECISION bits of its own result.
 *
 *   // log Σ exp(z)
 *   oracleLog(logits.map((z) => oracleExp(exactly(z))).reduce(add))
 *
 * Nothing here is shared with the functions under test, nor with the script that makes their tables: other series, other
 * reductions, so that one mistake cannot sit on both sides.
 */

/** The number mantissa · 2^exponent, exactly. */
export interface Real {
  readonly mantissa: bigint;
  readonly exponent: number;
}

/** Bits to which an inexact result is right, relative to itself. */
export const PRECISION = 256;

/** Bits that intermediate steps carry: the guard covers the few hundred roundings of a series. */
const WORKING = 320;

/** Fixed-point constants and the reduction of large arguments carry more. */
const CONSTANT_BITS = 512;

// ------------------------------------------------------------------------------------------ from doubles and to doubles

const view = new DataView(new ArrayBuffer(8));

/** The value of a finite double, exactly. Throws on NaN and ±Infinity. */
export function exactly(x: number): Real {
  if (!Number.isFinite(x)) throw new RangeError(`exactly: expected a finite number, received ${x}`);
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const field = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const mantissa = field === 0 ? fraction : fraction | 0x10000000000000n;
  return { mantissa: bits >> 63n ? -mantissa : mantissa, exponent: Math.max(field, 1) - 1075 };
}

export const zero: Real = { mantissa: 0n, exponent: 0 };
export const one: Real = { mantissa: 1n, exponent: 0 };

/** The double nearest to r, ties to even, with gradual underflow; ±Infinity where it overflows. Zero comes out as +0. */
export function toNearestDouble(r: Real): number {
  if (r.mantissa < 0n) return -toNearestDouble(negate(r));
  // A double keeps 53 bits, and none below 2^−1074.
  const drop = Math.max(bitLength(r.mantissa) - 53, -1074 - r.exponent);
  if (drop <= 0) return timesPowerOfTwo(Number(r.mantissa), r.exponent);
  const kept = r.mantissa >> BigInt(drop);
  const rest = r.mantissa - (kept << BigInt(drop));
  const half = 1n << BigInt(drop - 1);
  const up = rest > half || (rest === half && (kept & 1n) === 1n);
  return timesPowerOfTwo(Number(up ? kept + 1n : kept), r.exponent + drop);
}

/** x · 2^n, exactly where the result is a double; ±Infinity where it is too large. */
function timesPowerOfTwo(x: number, n: number): number {
  let result = x;
  for (; n > 1000 && Number.isFinite(result); n -= 1000) result *= powerOfTwo(1000);
  for (; n < -1000 && result !== 0; n += 1000) result *= powerOfTwo(-1000);
  return Number.isFinite(result) && result !== 0 ? result * powerOfTwo(n) : result;
}

function powerOfTwo(n: number): number {
  view.setBigUint64(0, BigInt(n + 1023) << 52n);
  return view.getFloat64(0);
}

// --------------------------------------------------------------------------------------------------------- measuring

/**
 * |got − truth| in units in the last place of the truth: the spacing of doubles there, 2^−1074 among subnormals.
 * A correctly rounded result is at most 0.5 away. Infinity for NaN, and for ±Infinity unless the truth rounds to it.
 */
export function ulpError(got: number, truth: Real): number {
  if (!Number.isFinite(got)) return got === toNearestDouble(truth) ? 0 : Infinity;
  const ulp = truth.mantissa === 0n ? -1074 : Math.max(magnitude(truth) - 53, -1074);
  const error = subtract(exactly(got), truth);
  return Math.abs(toNearestDouble({ mantissa: error.mantissa, exponent: error.exponent - ulp }));
}

/** How many doubles lie between a and b: 0 for equal (+0 and −0 count as equal), 1 for neighbors. */
export function ulpDistance(a: number, b: number): number {
  const distance = ordinal(a) - ordinal(b);
  return Number(distance < 0n ? -distance : distance);
}

/** The double n steps above x (below, for negative n). */
export function neighbor(x: number, n: number): number {
  const target = ordinal(x) + BigInt(n);
  view.setBigUint64(0, target < 0n ? -target : target);
  const size = view.getFloat64(0);
  return target < 0n ? -size : size;
}

/** Doubles in their order as consecutive integers, ±0 as 0. */
function ordinal(x: number): bigint {
  view.setFloat64(0, Math.abs(x));
  const size = view.getBigUint64(0);
  return x < 0 ? -size : size;
}

// -------------------------------------------------------------------------------------------------------- arithmetic

function bitLength(n: bigint): number {
  const digits = (n < 0n ? -n : n).toString(16);
  return n === 0n ? 0 : 4 * digits.length - Math.clz32(Number.parseInt(digits[0], 16)) + 28;
}

/** The m with 2^(m−1) ≤ |r| < 2^m, for r ≠ 0. */
const magnitude = (r: Real): number => bitLength(r.mantissa) + r.exponent;

/** r to WORKING bits. */
function shorten(r: Real): Real {
  const drop = bitLength(r.mantissa) - WORKING;
  return drop <= 0 ? r : { mantissa: r.mantissa >> BigInt(drop), exponent: r.exponent + drop };
}

/** r as an integer count of 2^−bits, rounded down. */
function toFixed(r: Real, bits: number): bigint {
  const shift = r.exponent + bits;
  return shift >= 0 ? r.mantissa << BigInt(shift) : r.mantissa >> BigInt(-shift);
}

const fromFixed = (mantissa: bigint, bits: number): Real => ({ mantissa, exponent: -bits });

export const negate = (a: Real): Real => ({ mantissa: -a.mantissa, exponent: a.exponent });

/** a + b, exactly. */
export function add(a: Real, b: Real): Real {
  const exponent = Math.min(a.exponent, b.exponent);
  return { mantissa: toFixed(a, -exponent) + toFixed(b, -exponent), exponent };
}

/** a − b, exactly. */
export const subtract = (a: Real, b: Real): Real => add(a, negate(b));

/** a · b, exactly. */
export const multiply = (a: Real, b: Real): Real => ({
  mantissa: a.mantissa * b.mantissa,
  exponent: a.exponent + b.exponent,
});

/** a / b to PRECISION bits. */
export function divide(a: Real, b: Real): Real {
  if (b.mantissa === 0n) throw new RangeError("divide: expected a divisor other than 0");
  const shift = Math.max(0, WORKING + bitLength(b.mantissa) - bitLength(a.mantissa));
  return shorten({ mantissa: (a.mantissa << BigInt(shift)) / b.mantissa, exponent: a.exponent - b.exponent - shift });
}

/** −1, 0 or 1 as a is below, equal to or above b. */
export function compare(a: Real, b: Real): number {
  const { mantissa } = subtract(a, b);
  return mantissa === 0n ? 0 : mantissa < 0n ? -1 : 1;
}

/** √a to PRECISION bits, by Newton's iteration from above, which falls until it has arrived. */
export function squareRoot(a: Real): Real {
  if (a.mantissa < 0n) throw new RangeError("squareRoot: expected a number of at least 0");
  if (a.mantissa === 0n) return zero;
  let shift = Math.max(0, 2 * WORKING - bitLength(a.mantissa));
  if ((a.exponent - shift) % 2 !== 0) shift++;
  const n = a.mantissa << BigInt(shift);
  let root = 1n << BigInt((bitLength(n) >> 1) + 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return shorten({ mantissa: root, exponent: (a.exponent - shift) / 2 });
    root = next;
  }
}

/** Fractional bits that leave WORKING bits of a number as small as r. */
const bitsFor = (r: Real): number => WORKING - Math.min(0, magnitude(r));

// --------------------------------------------------------------------------------------------------------- constants

/** artanh(1/n) or arctan(1/n) in units of 2^−CONSTANT_BITS, by the odd power series. */
function inverseSeries(n: bigint, sign: bigint): bigint {
  let sum = 0n;
  let power = (1n << BigInt(CONSTANT_BITS)) / n;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += power / k;
    power = (sign * power) / (n * n);
  }
  return sum;
}

/** ln 2 = 18 artanh(1/26) − 2 artanh(1/4801) + 8 artanh(1/8749). */
const LN2 = 18n * inverseSeries(26n, 1n) - 2n * inverseSeries(4801n, 1n) + 8n * inverseSeries(8749n, 1n);

/** Gauss: π = 48 arctan(1/18) + 32 arctan(1/57) − 20 arctan(1/239). */
const PI = 48n * inverseSeries(18n, -1n) + 32n * inverseSeries(57n, -1n) - 20n * inverseSeries(239n, -1n);

/** ln 2 and π, to more than PRECISION bits. */
export const ln2: Real = fromFixed(LN2, CONSTANT_BITS);
export const pi: Real = fromFixed(PI, CONSTANT_BITS);

// ---------------------------------------------------------------------------------------------- exponential and its kin

/** e^x. */
export function oracleExp(x: Real): Real {
  if (x.mantissa === 0n) return one;
  // x = k ln2 + r, and e^r = (e^(r/2^s))^(2^s): the series is short and each squaring doubles the error.
  const squarings = 12;
  const bits = WORKING + 32;
  const fixed = toFixed(x, CONSTANT_BITS);
  const k = fixed / LN2;
  const r = (fixed - k * LN2) >> BigInt(CONSTANT_BITS - bits + squarings);
  let sum = 0n;
  let term = 1n << BigInt(bits);
  for (let n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = ((term * r) >> BigInt(bits)) / n;
  }
  for (let i = 0; i < squarings; i++) sum = (sum * sum) >> BigInt(bits);
  return shorten({ mantissa: sum, exponent: Number(k) - bits });
}

/** e^x − 1. */
export function oracleExpm1(x: Real): Real {
  if (x.mantissa === 0n) return zero;
  if (magnitude(x) > -8) return shorten(subtract(oracleExp(x), one));
  // Near 0 the difference would cancel: the series itself, in units small enough for x.
  const bits = bitsFor(x) + 32;
  const fixed = toFixed(x, bits);
  let sum = 0n;
  let term = fixed;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = ((term * fixed) >> BigInt(bits)) / n;
  }
  return shorten(fromFixed(sum, bits));
}

/** log x for x > 0, right to PRECISION bits next to 1 too. */
export function oracleLog(x: Real): Real {
  if (x.mantissa <= 0n) throw new RangeError("oracleLog: expected a number above 0");
  // x = 2^k m with m in [3/4, 3/2), and log m = 2 artanh((m − 1)/(m + 1)).
  const top = bitLength(x.mantissa);
  const low = 4n * x.mantissa < 3n << BigInt(top);
  const k = x.exponent + top - (low ? 1 : 0);
  const m: Real = { mantissa: x.mantissa, exponent: x.exponent - k };
  const whole = multiply(ln2, exactly(k));
  const difference = subtract(m, one);
  if (difference.mantissa === 0n) return shorten(whole);
  const z = divide(difference, add(m, one));
  const bits = bitsFor(z) + 32;
  let power = toFixed(z, bits);
  const square = (power * power) >> BigInt(bits);
  let sum = 0n;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = (power * square) >> BigInt(bits);
  }
  return shorten(add(whole, fromFixed(2n * sum, bits)));
}

/** log(1 + x) for x > −1. */
export const oracleLog1p = (x: Real): Real => oracleLog(add(one, x));

/** 1/(1 + e^−x). */
export const oracleSigmoid = (x: Real): Real => divide(one, add(one, oracleExp(negate(x))));

/** log(1 + e^x). */
export const oracleLog1pExp = (x: Real): Real => oracleLog1p(oracleExp(x));

/** tanh x = (e^2x − 1)/(e^2x + 1). */
export function oracleTanh(x: Real): Real {
  const below = oracleExpm1(add(x, x));
  return divide(below, add(below, exactly(2)));
}

/** x^y = e^(y log x) for x > 0; y log x below 2^60 keeps PRECISION − 60 bits at worst. */
export const oraclePow = (x: Real, y: Real): Real => oracleExp(multiply(y, oracleLog(x)));

// ------------------------------------------------------------------------------------------------------- trigonometry

/** r − r³/3! + r⁵/5! − … for `first` = 1 and r's cosine series for `first` = 0, |r| ≤ 1, in units small enough for r. */
function circularSeries(r: Real, first: 0 | 1): Real {
  if (r.mantissa === 0n) return first === 1 ? zero : one;
  const bits = bitsFor(r) + 32;
  const fixed = toFixed(r, bits);
  const square = (fixed * fixed) >> BigInt(bits);
  let sum = 0n;
  let term = first === 1 ? fixed : 1n << BigInt(bits);
  for (let n = BigInt(first) + 1n; term !== 0n; n += 2n) {
    sum += term;
    term = -((term * square) >> BigInt(bits)) / (n * (n + 1n));
  }
  return shorten(fromFixed(sum, bits));
}

/** sin(x + quarters · π/2) for |x| < 2^60. */
function sineWithPhase(x: Real, quarters: bigint): Real {
  const halfPi = PI >> 1n;
  const fixed = toFixed(x, CONSTANT_BITS);
  const turns = (2n * fixed + halfPi) / (2n * halfPi);
  // Small x is not reduced, so that none of its bits are lost.
  const r = turns === 0n ? x : fromFixed(fixed - turns * halfPi, CONSTANT_BITS);
  const quadrant = (((turns + quarters) % 4n) + 4n) % 4n;
  const size = circularSeries(r, quadrant % 2n === 0n ? 1 : 0);
  return quadrant >= 2n ? negate(size) : size;
}

/** sin x and cos x for |x| < 2^60 (next to a zero with as many bits fewer as the argument reduction cancels). */
export const oracleSin = (x: Real): Real => sineWithPhase(x, 0n);
export const oracleCos = (x: Real): Real => sineWithPhase(x, 1n);

/** arctan x. */
export function oracleAtan(x: Real): Real {
  if (x.mantissa === 0n) return zero;
  if (x.mantissa < 0n) return negate(oracleAtan(negate(x)));
  if (compare(x, one) > 0) return shorten(subtract({ ...pi, exponent: pi.exponent - 1 }, oracleAtan(divide(one, x))));
  // Each half-angle step arctan x = 2 arctan(x/(1 + √(1 + x²))) halves the argument of the series.
  const halvings = 4;
  let z = x;
  for (let i = 0; i < halvings; i++) z = divide(z, add(one, squareRoot(shorten(add(one, multiply(z, z))))));
  const bits = bitsFor(z) + 32;
  let power = toFixed(z, bits);
  const square = (power * power) >> BigInt(bits);
  let sum = 0n;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = -((power * square) >> BigInt(bits));
  }
  return shorten(fromFixed(sum << BigInt(halvings), bits));
}

/** arccos x for |x| ≤ 1. */
export function oracleAcos(x: Real): Real {
  const above = add(one, x);
  if (above.mantissa === 0n) return pi;
  const half = oracleAtan(squareRoot(divide(subtract(one, x), above)));
  return add(half, half);
}

// ----------------------------------------------------------------------------------------------------------- log gamma

/** Stirling's series is used from here up with this many terms: the next one is below 2^−300. */
const STIRLING_FROM = 50;
const STIRLING_TERMS = 50;

/** B_2k/(2k(2k − 1)) for k = 1 …, from the tangent numbers T_k (Knuth and Buckholtz 1967): B_2k = ±2k T_k/(4^k(4^k − 1)). */
function stirlingCoefficients(): Real[] {
  const tangents: bigint[] = [1n];
  for (let k = 1n; k < STIRLING_TERMS; k++) tangents.push(k * tangents[Number(k) - 1]);
  for (let k = 1; k < STIRLING_TERMS; k++) {
    for (let j = k; j < STIRLING_TERMS; j++) {
      tangents[j] = BigInt(j - k) * tangents[j - 1] + BigInt(j - k + 2) * tangents[j];
    }
  }
  return tangents.map((tangent, i) => {
    const k = BigInt(i + 1);
    const power = 1n << (2n * k);
    const numerator: Real = { mantissa: i % 2 === 0 ? tangent : -tangent, exponent: 0 };
    return divide(numerator, { mantissa: power * (power - 1n) * (2n * k - 1n), exponent: 0 });
  });
}

const STIRLING = stirlingCoefficients();

/** log Γ(x) for x > 0, right to 2^−PRECISION in absolute value next to its zeros at 1 and 2, where it is exactly 0. */
export function oracleLgamma(x: Real): Real {
  if (x.mantissa <= 0n) throw new RangeError("oracleLgamma: expected a number above 0");
  if (compare(x, one) === 0 || compare(x, exactly(2)) === 0) return zero;
  let product = one;
  let y = x;
  while (compare(y, exactly(STIRLING_FROM)) < 0) {
    product = shorten(multiply(product, y));
    y = add(y, one);
  }
  const inverse = divide(one, y);
  const square = multiply(inverse, inverse);
  let power = inverse;
  let series = zero;
  for (const coefficient of STIRLING) {
    const term = multiply(power, coefficient);
    if (magnitude(term) < -WORKING - 8) break;
    series = shorten(add(series, term));
    power = shorten(multiply(power, square));
  }
  const half: Real = { mantissa: 1n, exponent: -1 };
  const main = subtract(multiply(subtract(y, half), oracleLog(y)), y);
  const constant = multiply(half, oracleLog(add(pi, pi)));
  return shorten(subtract(add(add(main, constant), series), oracleLog(product)));
}
