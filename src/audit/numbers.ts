/** A number as a table shows it, in ten characters at most: whole numbers whole, four decimals where they tell something. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return String(value);
  if (size >= 1e-3 && size < 1e7) return size < 1e4 ? value.toFixed(4) : value.toPrecision(8);
  return value.toExponential(3);
}
