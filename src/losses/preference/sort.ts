/**
 * Sorts places by their keys, ascending; equal keys keep the order of their places, NaN comes last.
 *
 * The order is total, so that every engine finds the same one.
 */
export function placeSorter(keys: Float64Array): (places: Int32Array) => void {
  const byKey = (a: number, b: number) => {
    const [left, right] = [keys[a]!, keys[b]!];
    if (left < right) return -1;
    if (left > right) return 1;
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
  };
  return (places) => {
    places.sort(byKey);
  };
}
