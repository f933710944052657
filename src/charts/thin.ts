/** A series in pixels; a place that is not finite is a gap. */
export interface Pixels {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
}

/**
 * Indices of the points that a picture of a series needs: of neighbors in one column of pixels the first, the lowest,
 * the highest and the last, in their order; of neighboring gaps one. The line through them covers the same pixels
 * (Jugel et al. 2014, "M4").
 */
export function thin({ x, y }: Pixels): number[] {
  const kept: number[] = [];
  const isGap = (i: number) => !(Number.isFinite(x[i]) && Number.isFinite(y[i]));
  for (let from = 0; from < x.length; ) {
    const gap = isGap(from);
    const column = Math.floor(x[from]!);
    let [lowest, highest, to] = [from, from, from + 1];
    for (; to < x.length && isGap(to) === gap && (gap || Math.floor(x[to]!) === column); to++) {
      if (y[to]! < y[lowest]!) lowest = to;
      if (y[to]! > y[highest]!) highest = to;
    }
    const inOrder = gap ? [from] : [from, lowest, highest, to - 1].sort((a, b) => a - b);
    for (const index of inOrder) if (kept.at(-1) !== index) kept.push(index);
    from = to;
  }
  return kept;
}
