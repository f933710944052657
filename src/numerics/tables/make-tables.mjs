/**
 * Computes every table of `src/numerics` from its definition, in BigInt fixed point, and writes the `.ts` files beside
 * this script.
 *
 *   node src/numerics/tables/make-tables.mjs            rewrites the files
 *   node src/numerics/tables/make-tables.mjs --print    prints them as one JSON object, name → text (for the test)
 *
 * A fixed-point number is a BigInt that counts units of 2^−BITS. Every step below loses at most a few units, so a
 * constant that went through a thousand steps still has more than 300 good bits; the tables keep 106 at most.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BITS = 320n;
const ONE = 1n << BITS;

// ---------------------------------------------------------------------------------------------- fixed-point arithmetic

const product = (a, b) => (a * b) >> BITS;

/** ⌊√n⌋ by Newton's iteration from above, which falls until it has arrived. */
function integerSquareRoot(n) {
  let root = 1n << BigInt((n.toString(2).length >> 1) + 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

const squareRoot = (a) => integerSquareRoot(a << BITS);

/** Σ sign^n z^(2n+1)/(2n+1) for z = numerator/denominator: artanh z for sign = 1, arctan z for sign = −1. */
function oddSeries(numerator, denominator, sign) {
  let power = (numerator * ONE) / denominator;
  let sum = 0n;
  for (let n = 1n; power !== 0n; n += 2n) {
    sum += power / n;
    power = (sign * power * numerator * numerator) / (denominator * denominator);
  }
  return sum;
}

/** ln(a/b) = 2 artanh((a − b)/(a + b)); quick for a/b near 1. */
const logOfRatio = (a, b) => 2n * oddSeries(a - b, a + b, 1n);

/** ln 2 = ln(4/3) + ln(3/2). */
const LN2 = logOfRatio(4n, 3n) + logOfRatio(3n, 2n);

/** Machin 1706: π/4 = 4 arctan(1/5) − arctan(1/239). */
const PI = 4n * (4n * oddSeries(1n, 5n, -1n) - oddSeries(1n, 239n, -1n));

/** arctan(a/b): beyond 1 by the complement, above 1/2 by taking arctan(1/2) off first, so that the series stays quick. */
function arctangent(a, b) {
  if (a > b) return (PI >> 1n) - arctangent(b, a);
  if (2n * a > b) return arctangent(1n, 2n) + oddSeries(2n * a - b, 2n * b + a, -1n);
  return oddSeries(a, b, -1n);
}

/**
 * Euler's γ (Brent and McMillan 1980): with U = Σ (n^k/k!)² H_k and V = Σ (n^k/k!)², γ = U/V − ln n + O(e^−4n).
 * For n = 64 the error is below 2^−360, and ln 64 = 6 ln 2.
 */
function eulerGamma() {
  let term = ONE;
  let harmonic = 0n;
  let u = 0n;
  let v = 0n;
  for (let k = 1n; term !== 0n; k++) {
    u += product(term, harmonic);
    v += term;
    term = (term * 4096n) / (k * k);
    harmonic += ONE / k;
  }
  return (u * ONE) / v - 6n * LN2;
}

/**
 * ζ(s) (Borwein 2000, algorithm 2): with d_k = n Σ_{i≤k} (n+i−1)! 4^i / ((n−i)! (2i)!),
 * ζ(s) = −1/(d_n (1 − 2^(1−s))) Σ_{k<n} (−1)^k (d_k − d_n)/(k+1)^s, to 8^−n. Here n = 120: 360 bits.
 */
function zeta(s) {
  const n = 120n;
  const d = [1n];
  // The i-th summand n (n+i−1)! 4^i / ((n−i)! (2i)!) starts at 1 and grows by a ratio of small integers.
  let summand = 1n;
  for (let i = 0n; i < n; i++) {
    summand = (summand * (n + i) * (n - i) * 4n) / ((2n * i + 1n) * (2n * i + 2n));
    d.push(d.at(-1) + summand);
  }
  const whole = d.at(-1);
  let sum = 0n;
  for (let k = 0n; k < n; k++) {
    let power = 1n;
    for (let i = 0; i < s; i++) power *= k + 1n;
    const part = ((d[Number(k)] - whole) * ONE) / power;
    sum += k % 2n === 0n ? part : -part;
  }
  const half = 1n << BigInt(s - 1); // 1 − 2^(1−s) = (half − 1)/half
  return (-sum * half) / (whole * (half - 1n));
}

// -------------------------------------------------------------------------------------------------- fixed point → double

/** 2^n, exactly, for −1022 ≤ n ≤ 1023. */
function powerOfTwo(n) {
  let power = 1;
  for (let i = 0; i < n; i++) power *= 2;
  for (let i = 0; i > n; i--) power /= 2;
  return power;
}

/** Nearest multiple of 2^−bits, as a fixed-point number; ties go up (no table value is a tie). */
function roundToBits(a, bits) {
  const drop = BITS - BigInt(bits);
  return ((a + (1n << (drop - 1n))) >> drop) << drop;
}

/** The double nearest to a; the tables hold no subnormals and no ties. */
function nearestDouble(a) {
  if (a < 0n) return -nearestDouble(-a);
  const drop = a.toString(2).length - 53;
  if (drop <= 0) return Number(a) * powerOfTwo(-Number(BITS));
  const rounded = (a + (1n << BigInt(drop - 1))) >> BigInt(drop);
  return Number(rounded) * powerOfTwo(drop - Number(BITS));
}

/** The exact value of a double whose last bit is worth at least 2^−BITS. */
const exactly = (x) => (BigInt(x * powerOfTwo(200)) << BITS) >> 200n;

/** a ≈ high + low, both doubles: about 106 bits. */
function highAndLow(a) {
  const high = nearestDouble(a);
  const scaled = exactly(high);
  return [high, nearestDouble(a - scaled)];
}

/** a ≈ high + low with high a multiple of 2^−bits, so that sums and small multiples of highs are exact. */
function shortHighAndLow(a, bits) {
  const high = roundToBits(a, bits);
  return [nearestDouble(high), nearestDouble(a - high)];
}

// ------------------------------------------------------------------------------------------------------------ the tables

const header = "// Generated by make-tables.mjs, which holds the derivation. Do not edit.\n";

const literal = (x) => String(x).replace("e+", "e");

const constant = (doc, name, x) => `\n/** ${doc} */\nexport const ${name} = ${literal(x)};\n`;

/** A Float64Array filled as the formatter fills it: as many numbers a line as 120 columns hold. */
function array(doc, name, numbers) {
  const lines = [];
  let line = " ";
  for (const x of numbers) {
    const item = ` ${literal(x)},`;
    if (line.length + item.length > 120) {
      lines.push(line);
      line = " ";
    }
    line += item;
  }
  lines.push(line);
  return `\n/** ${doc} */\nexport const ${name} = new Float64Array([\n${lines.join("\n")}\n]);\n`;
}

/**
 * exp: 2^(j/128) for j = 0 … 127, and the step ln2/128.
 * The step's high part is a multiple of 2^−42 (35 bits), so that k · high is exact for |k| < 2^18: |x| < 1419.
 */
function expTable() {
  let root = 2n * ONE;
  for (let i = 0; i < 7; i++) root = squareRoot(root); // 2^(1/128)
  const powers = [];
  let power = ONE;
  for (let j = 0; j < 128; j++) {
    powers.push(...highAndLow(power));
    power = product(power, root);
  }
  const [stepHigh, stepLow] = shortHighAndLow(LN2 >> 7n, 42);
  return (
    header +
    "// biome-ignore-all lint/suspicious/noApproximativeNumericConstant: √2 is one entry among its neighbors.\n" +
    constant("128/ln 2.", "STEPS_PER_UNIT", nearestDouble((128n * ONE * ONE) / LN2)) +
    constant("ln 2/128, high part: a multiple of 2^−42.", "STEP_HIGH", stepHigh) +
    constant("ln 2/128, low part.", "STEP_LOW", stepLow) +
    array("2^(j/128) as high and low part, at 2j and 2j + 1.", "ROOTS_OF_TWO", powers)
  );
}

/**
 * log: a mantissa m in [0.704…, 1.408…) is multiplied by a short reciprocal c of its interval's middle, and
 * log m = −log c + log(1 + (mc − 1)).
 *
 * Interval i holds the doubles whose high word lies in [FIRST + i·2^13, FIRST + (i+1)·2^13): width 1/256 below 1 and
 * 1/128 above. c is a multiple of 2^−10. The two intervals that touch 1 take c = 1 and log c = 0: there mc − 1 = m − 1
 * is exact and nothing cancels.
 * −log c has a high part that is a multiple of 2^−42, as has ln 2's, so that e·ln2 − log c is exact in the high parts.
 */
function logTable() {
  const first = 0x3fe68000; // the high word of 0.703125
  const rows = [];
  for (let i = 0; i < 128; i++) {
    const word = first + i * 8192;
    // Middle of the interval in units of 2^−22: below 1 a unit of the high word is 2^−21, above it is 2^−20.
    const below = word < 0x3ff00000;
    const middle = below
      ? (1n << 21n) + BigInt(word - 0x3fe00000 + 4096) * 2n
      : (1n << 22n) + BigInt(word - 0x3ff00000 + 4096) * 4n;
    const touchesOne = word === 0x3ff00000 || word === 0x3ff00000 - 8192;
    const c = touchesOne ? 1024n : ((1n << 33n) / middle + 1n) >> 1n; // round(2^32/middle) = round(2^10 / (middle/2^22))
    const minusLog = touchesOne ? 0n : logOfRatio(1024n, c);
    rows.push(Number(c) / 1024, ...shortHighAndLow(minusLog, 42));
  }
  const [ln2High, ln2Low] = shortHighAndLow(LN2, 42);
  return (
    header +
    constant("High word of the smallest mantissa, 0.703125.", "FIRST_WORD", first) +
    constant("ln 2, high part: a multiple of 2^−42.", "LN2_HIGH", ln2High) +
    constant("ln 2, low part.", "LN2_LOW", ln2Low) +
    array("c, then −log c as high and low part, at 3i, 3i + 1 and 3i + 2.", "RECIPROCALS", rows)
  );
}

/**
 * atan: the middles c of sixteen intervals a binade from 2^−4 to 2^5, and arctan c. Interval i holds the doubles whose
 * high word lies in [FIRST + i·2^16, FIRST + (i+1)·2^16).
 */
function atanTable() {
  const rows = [];
  for (let binade = -4; binade < 5; binade++) {
    for (let i = 0; i < 16; i++) {
      const c = (1 + (2 * i + 1) / 32) * powerOfTwo(binade);
      rows.push(c, ...highAndLow(arctangent(BigInt(c * 512), 512n)));
    }
  }
  const [halfPiHigh, halfPiLow] = highAndLow(PI >> 1n);
  return (
    header +
    constant("High word of 2^−4, where the table starts.", "FIRST_WORD", 0x3fb00000) +
    constant("π/2, the nearest double.", "HALF_PI_HIGH", halfPiHigh) +
    constant("π/2, what the nearest double leaves.", "HALF_PI_LOW", halfPiLow) +
    array("c, then arctan c as high and low part, at 3i, 3i + 1 and 3i + 2.", "ARCTANGENTS", rows)
  );
}

/**
 * sin and cos: π/2 in four parts. The first three have 33 bits each, so that their multiples by |k| < 2^20 are exact.
 */
function quarterTurnTable() {
  const halfPi = PI >> 1n;
  const first = roundToBits(halfPi, 32);
  const second = roundToBits(halfPi - first, 66);
  const third = roundToBits(halfPi - first - second, 100);
  return (
    header +
    constant("2/π.", "QUARTERS_PER_RADIAN", nearestDouble((2n * ONE * ONE) / PI)) +
    constant("π/2, first part: a multiple of 2^−32.", "QUARTER_FIRST", nearestDouble(first)) +
    constant("π/2, second part: a multiple of 2^−66.", "QUARTER_SECOND", nearestDouble(second)) +
    constant("π/2, third part: a multiple of 2^−100.", "QUARTER_THIRD", nearestDouble(third)) +
    constant("π/2, the rest.", "QUARTER_FOURTH", nearestDouble(halfPi - first - second - third))
  );
}

/**
 * lgamma: the Taylor series at 2, log Γ(2 + z) = (1 − γ) z + Σ_{k≥2} (−1)^k (ζ(k) − 1) z^k / k.
 * The coefficient of z^k is near 2^−k/k, so on |z| ≤ 1/2 the first one left out, k = 28, is worth 2^−61 z.
 */
function lgammaTable() {
  const [firstHigh, firstLow] = highAndLow(ONE - eulerGamma());
  const series = [];
  for (let k = 2; k <= 27; k++) {
    const magnitude = nearestDouble((zeta(k) - ONE) / BigInt(k));
    series.push(k % 2 === 0 ? magnitude : -magnitude);
  }
  // ½ ln(2π) − ½ = ½ (ln 2 + ln π − 1), with ln π = 2 ln 2 + ln(π/4) and π/4 = 1 − 0.21… near enough to 1.
  const lnPi = 2n * LN2 + logOfRatio(PI >> 2n, ONE);
  return (
    header +
    constant("½ ln(2π) − ½.", "STIRLING_CONSTANT", nearestDouble((LN2 + lnPi - ONE) >> 1n)) +
    constant("1 − γ, the coefficient of z in log Γ(2 + z), high part.", "SLOPE_HIGH", firstHigh) +
    constant("1 − γ, low part.", "SLOPE_LOW", firstLow) +
    array("Coefficients of z², z³, …, z²⁷ in log Γ(2 + z).", "SERIES_AT_TWO", series)
  );
}

const files = {
  "exp.ts": expTable(),
  "log.ts": logTable(),
  "atan.ts": atanTable(),
  "quarter-turn.ts": quarterTurnTable(),
  "lgamma.ts": lgammaTable(),
};

if (process.argv.includes("--print")) {
  process.stdout.write(JSON.stringify(files));
} else {
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(fileURLToPath(new URL(name, import.meta.url)), text);
  }
}
