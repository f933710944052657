/** ‖x‖ without overflow or underflow on the way: entries are scaled by the largest first where that matters. */
export function normOf(data: Float64Array, start: number, width: number): number {
  let sum = 0;
  for (let d = start; d < start + width; d++) sum += data[d]! * data[d]!;
  if (sum > 1e-280 && sum < 1e280) return Math.sqrt(sum);
  let largest = 0;
  for (let d = start; d < start + width; d++) largest = Math.max(largest, Math.abs(data[d]!));
  if (!(largest > 0 && largest < Number.POSITIVE_INFINITY)) return Math.sqrt(sum);
  sum = 0;
  for (let d = start; d < start + width; d++) sum += (data[d]! / largest) * (data[d]! / largest);
  return largest * Math.sqrt(sum);
}
