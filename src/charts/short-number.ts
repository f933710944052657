/** What stands for thousands, millions, billions and trillions. */
const suffixes = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/**
 * A number as it stands beside an axis or in a cell: at most `digits` significant digits, "12k" and "3.5M" from
 * `thousandsFrom` on, an exponent where zeros would hide the digits.
 */
export function shortNumber(value: number, digits = 4, thousandsFrom = 1e4): string {
  if (value === Number.POSITIVE_INFINITY) return "∞";
  if (value === Number.NEGATIVE_INFINITY) return "−∞";
  if (Number.isNaN(value)) return "NaN";
  const rounded = Number(value.toPrecision(digits));
  const size = Math.abs(rounded);
  const sign = rounded < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e15) return sign + exponential(size, digits);
  if (size < thousandsFrom) return sign + String(size);
  const [unit, suffix] = suffixes.find(([unit]) => size >= unit)!;
  return `${sign}${Number((size / unit).toPrecision(digits))}${suffix}`;
}

function exponential(size: number, digits: number): string {
  const [mantissa, exponent] = size.toExponential(digits - 1).split("e") as [string, string];
  return `${Number(mantissa)}e${exponent.replace("+", "").replace("-", "−")}`;
}

/** The ticks of one axis, with as few digits as tell them apart and keep their places. */
export function tickWords(ticks: readonly number[]): string[] {
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) : Math.abs(ticks[0] ?? 0);
  let digits = 1;
  while (digits < 15 && ticks.some((tick) => Math.abs(Number(tick.toPrecision(digits)) - tick) > step * 1e-3)) digits++;
  // "5000" beside "10k" would be two ways to count on one axis.
  const hasThousands = ticks.some((tick) => Math.abs(tick) >= 1e4);
  return ticks.map((tick) => shortNumber(tick, digits, hasThousands ? 1e3 : 1e4));
}
