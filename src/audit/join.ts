import { LosswrightError } from "../errors/index.js";
import type { AnyBatch } from "../losses/index.js";
import { dataOf, formatShape, isTensor, sizeOf, type Tensor, view } from "../tensor/index.js";

/** One batch from pieces of the same rows, cut along axis 1. @throws `shape` where the pieces do not fit */
export function joinAlongTime(pieces: readonly AnyBatch[]): AnyBatch {
  const names = Object.keys(pieces[0]!);
  return Object.fromEntries(
    names.map((name) => [
      name,
      joinField(
        name,
        pieces.map((piece) => piece[name]),
      ),
    ]),
  );
}

/** Gradients of the joined batch, cut as its pieces were. */
export function splitAlongTime(
  gradients: Readonly<Record<string, Tensor>>,
  pieces: readonly AnyBatch[],
): Record<string, Tensor>[] {
  const from: Record<string, number> = {};
  return pieces.map((piece) =>
    Object.fromEntries(
      Object.entries(gradients).map(([name, whole]) => {
        const like = piece[name];
        if (!isTensor(like) || like.shape.length < 2) return [name, whole];
        const start = from[name] ?? 0;
        from[name] = start + like.shape[1]!;
        return [name, cut(whole, start, like.shape[1]!)];
      }),
    ),
  );
}

function joinField(name: string, values: readonly (Tensor | number | undefined)[]): Tensor | number | undefined {
  const first = values[0];
  if (!isTensor(first) || first.shape.length < 2) return first;
  const tensors = values as readonly Tensor[];
  const [rows, , ...rest] = first.shape;
  const fits = tensors.every(
    (t) =>
      isTensor(t) &&
      t.dtype === first.dtype &&
      t.shape[0] === rows &&
      formatShape(t.shape.slice(2)) === formatShape(rest),
  );
  if (!fits) {
    throw new LosswrightError({
      code: "shape",
      where: "step",
      field: name,
      found: tensors.map((t) => (isTensor(t) ? formatShape(t.shape) : "nothing")).join(" and "),
      expected: "pieces of the same rows, cut along axis 1",
    });
  }
  const inner = sizeOf(rest);
  const length = tensors.reduce((sum, t) => sum + t.shape[1]!, 0);
  const data = dataOf(first.dtype, rows! * length * inner);
  let at = 0;
  for (let row = 0; row < rows!; row++) {
    for (const t of tensors) {
      const run = t.shape[1]! * inner;
      data.set(t.data.subarray(row * run, (row + 1) * run) as never, at);
      at += run;
    }
  }
  return view(data, [rows!, length, ...rest], first.role, first.dtype, first.weak);
}

function cut(whole: Tensor, start: number, length: number): Tensor {
  const [rows, all, ...rest] = whole.shape as [number, number, ...number[]];
  const inner = sizeOf(rest);
  const data = dataOf(whole.dtype, rows * length * inner);
  for (let row = 0; row < rows; row++) {
    const from = (row * all + start) * inner;
    data.set(whole.data.subarray(from, from + length * inner) as never, row * length * inner);
  }
  return view(data, [rows, length, ...rest], whole.role, whole.dtype);
}
