/**
 * Number formats as training code rounds to them, in plain arithmetic.
 *
 * A format is its bits of significand and the least exponent of a normal number; what lies above its largest number is
 * infinite, what lies below its least subnormal is 0.
 */
export type Precision = "float64" | "float32" | "float16" | "bfloat16";

interface Format {
  /** Bits behind the leading one. */
  readonly bits: number;
  readonly leastExponent: number;
  readonly largest: number;
}

const formats: Readonly<Record<"float16" | "bfloat16", Format>> = {
  float16: { bits: 10, leastExponent: -14, largest: 65504 },
  bfloat16: { bits: 7, leastExponent: -126, largest: 3.3895313892515355e38 },
};

/** The number of a format next to x, of two equally near the even one. */
export function roundTo(precision: Precision, x: number): number {
  if (precision === "float64") return x;
  if (precision === "float32") return Math.fround(x);
  if (x === 0 || !Number.isFinite(x)) return x;
  const { bits, leastExponent, largest } = formats[precision];
  const exponent = Math.max(exponentOf(Math.abs(x)), leastExponent);
  const step = 2 ** (exponent - bits);
  const rounded = evenInteger(x / step) * step;
  return Math.abs(rounded) > largest ? Math.sign(x) * Number.POSITIVE_INFINITY : rounded;
}

/** The whole number e with 2^e ≤ x < 2^(e + 1). */
function exponentOf(x: number): number {
  const guess = Math.floor(Math.log2(x));
  // The logarithm may round up to a whole number just below a power of two.
  if (2 ** guess > x) return guess - 1;
  return 2 ** (guess + 1) <= x ? guess + 1 : guess;
}

function evenInteger(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
