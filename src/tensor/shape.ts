/** The number of elements of a shape; a scalar (`[]`) has one. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (let axis = 0; axis < shape.length; axis++) size *= shape[axis]!;
  return size;
}

/** A shape as a person writes it: `[2, 3]`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** The place of a row-major flat index, one number an axis. */
export function placeOf(index: number, shape: readonly number[]): number[] {
  const place = new Array<number>(shape.length);
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis]!;
    place[axis] = rest % length;
    rest = Math.floor(rest / length);
  }
  return place;
}

/** Whether two shapes are the same, axis by axis. */
export function sameShape(left: readonly number[], right: readonly number[]): boolean {
  if (left.length !== right.length) return false;
  for (let axis = 0; axis < left.length; axis++) if (left[axis] !== right[axis]) return false;
  return true;
}
