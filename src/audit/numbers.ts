/** A number as a table shows it: four decimals where they tell something, whole numbers whole. */
export function short(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e7 ? value.toFixed(4) : value.toExponential(3);
}
