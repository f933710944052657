import { LosswrightError } from "../errors/index.js";
import type { AnyBatch, Objective } from "../losses/index.js";
import { dataOf, formatShape, isTensor, sameShape, sizeOf, type Tensor, view } from "../tensor/index.js";

/** One batch from pieces of the same rows, cut along axis 1. @throws `shape` where the pieces do not fit */
export function joinAlongTime(pieces: readonly AnyBatch[]): AnyBatch {
  const names = [...new Set(pieces.flatMap((piece) => Object.keys(piece)))];
  return Object.fromEntries(
    names.map((name) => [name, runsAlongTime(name, pieces) ? joinField(name, pieces) : sharedField(name, pieces)]),
  );
}

/**
 * One batch of a coupled objective from the rows of its parts, in their order. Scalars are shared by all; those of
 * gradients are shares that add up.
 *
 * @throws `shape` where the parts do not fit each other, `unsupported` for fields of pairs of rows, which no part can
 * hold for all
 */
export function joinRows(objective: Objective, parts: readonly AnyBatch[], { addScalars = false } = {}): AnyBatch {
  const names = [...new Set(parts.flatMap((part) => Object.keys(part)))];
  const joined = names.map((name) => {
    const values = parts.map((part) => part[name]);
    const scalar = values.every((value) => !isTensor(value) || value.shape.length === 0);
    if (scalar && addScalars) return [name, sumOfScalars(name, values)] as const;
    if (scalar) return [name, sharedField(name, parts)] as const;
    const pairs = objective.definition.fields[name]?.holds === "flags" && (values[0] as Tensor).shape.length > 1;
    if (pairs) {
      throw new LosswrightError({
        code: "unsupported",
        where: objective.name,
        field: name,
        found: "a field of pairs of rows in every part",
        expected: "one batch, or parts without it",
        fix: "record the gathered embeddings with the whole table.",
      });
    }
    return [name, concatenated(name, values, objective)] as const;
  });
  return Object.fromEntries(joined);
}

/** Tensors over the joined rows, cut as {@link joinRows} put them together. */
export function splitRows(
  objective: Objective,
  whole: Readonly<Record<string, Tensor>>,
  parts: readonly AnyBatch[],
): Record<string, Tensor>[] {
  const views = viewsOf(objective);
  const rows = parts.map(rowCountOf);
  const all = rows.reduce((sum, each) => sum + each, 0);
  let start = 0;
  return rows.map((count) => {
    const from = start / views;
    start += count;
    const cut = ([name, tensor]: [string, Tensor]): [string, Tensor][] => {
      // The gradient of a shared scalar is nobody's alone.
      if (tensor.shape.length === 0 || all === 0) return [];
      const inner = tensor.data.length / all;
      const data = dataOf(tensor.dtype, count * inner);
      for (let each = 0; each < views; each++) {
        const first = (each * all) / views + from;
        const piece = tensor.data.subarray(first * inner, (first + count / views) * inner);
        data.set(piece as never, (each * count * inner) / views);
      }
      return [[name, view(data, [count, ...tensor.shape.slice(1)], "unlabeled", tensor.dtype)]];
    };
    return Object.fromEntries(Object.entries(whole).flatMap(cut));
  });
}

/** How many rows of axis 0 a part of a coupled step holds. */
export function rowCountOf(batch: AnyBatch): number {
  const [first] = Object.values(batch).filter((value) => isTensor(value) && value.shape.length > 0) as Tensor[];
  return first?.shape[0] ?? 0;
}

/** How many views of each example the rows of a batch hold, one after the other. */
function viewsOf({ definition }: Objective): number {
  return Math.max(1, ...Object.values(definition.fields).map(({ views = 1 }) => views));
}

function sumOfScalars(name: string, values: readonly (Tensor | number | undefined)[]): Tensor {
  if (values.some((value) => value === undefined)) throw misfit(name, values, "a share in every part");
  const sum = values.reduce<number>((total, value) => total + Number(isTensor(value) ? value.data[0] : value), 0);
  return view(Float64Array.of(sum), [], "unlabeled", "float64");
}

function concatenated(name: string, values: readonly (Tensor | number | undefined)[], objective: Objective): Tensor {
  const tensors = values.filter(isTensor);
  const first = tensors[0]!;
  const fits = tensors.every(
    ({ dtype, shape }) => dtype === first.dtype && shape.length > 0 && sameShape(shape.slice(1), first.shape.slice(1)),
  );
  if (!fits || tensors.length < values.length) throw misfit(name, values, "rows of one width and dtype in every part");
  // Several views of each example, one after the other: each view is put together on its own.
  const views = viewsOf(objective);
  const length = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const data = dataOf(first.dtype, length);
  let at = 0;
  for (let each = 0; each < views; each++) {
    for (const { data: own } of tensors) {
      const run = own.length / views;
      data.set(own.subarray(each * run, (each + 1) * run) as never, at);
      at += run;
    }
  }
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return view(data, [rows, ...first.shape.slice(1)], first.role, first.dtype, first.weak);
}

/** Gradients of the joined batch, cut as its pieces were. */
export function splitAlongTime(
  gradients: Readonly<Record<string, Tensor>>,
  pieces: readonly AnyBatch[],
): Record<string, Tensor>[] {
  let start = 0;
  return pieces.map((piece) => {
    const [from, length] = [start, lengthOf(piece)];
    start += length;
    return Object.fromEntries(
      Object.entries(gradients).map(([name, whole]) => [
        name,
        runsAlongTime(name, pieces) ? cut(whole, from, length) : whole,
      ]),
    );
  });
}

/** For each piece, the mask of the joined batch that leaves its own positions. */
export function masksOfPieces(joined: AnyBatch, pieces: readonly AnyBatch[]): Tensor[] {
  const [rows, length] = [rowsOf(joined), lengthOf(joined)];
  const given = joined.mask as Tensor | undefined;
  const everyPosition = given?.data.length === rows * length;
  let start = 0;
  return pieces.map((piece) => {
    const end = start + lengthOf(piece);
    const flags = dataOf("bool", rows * length);
    for (let row = 0; row < rows; row++) {
      for (let at = row * length + start; at < row * length + end; at++) {
        flags[at] = Number(given?.data[everyPosition ? at : row] ?? 1);
      }
    }
    start = end;
    return view(flags, [rows, length], "mask", "bool");
  });
}

function rowsOf(batch: AnyBatch): number {
  const timed = Object.keys(batch).find((name) => runsAlongTime(name, [batch]));
  return timed === undefined ? 0 : (batch[timed] as Tensor).shape[0]!;
}

/** How many positions of its rows a piece holds: the longest axis 1 of its fields. */
export function lengthOf(piece: AnyBatch): number {
  return Math.max(0, ...Object.values(piece).map((value) => (isTensor(value) ? (value.shape[1] ?? 0) : 0)));
}

/** Whether a field has an entry a position in every piece; one of `[B]` or `[B, 1]` has an entry a row. */
function runsAlongTime(name: string, pieces: readonly AnyBatch[]): boolean {
  return pieces.every((piece) => {
    const value = piece[name];
    return isTensor(value) && value.shape.length > 1 && value.shape[1] === lengthOf(piece);
  });
}

/** A field of the rows, the same in every piece. */
function sharedField(name: string, pieces: readonly AnyBatch[]): Tensor | number | undefined {
  const values = pieces.map((piece) => piece[name]);
  const [first] = values;
  if (values.every((value) => isSame(value, first))) return first;
  throw misfit(name, values, "one entry a position, or the same in every piece");
}

function isSame(left: Tensor | number | undefined, right: Tensor | number | undefined): boolean {
  if (!isTensor(left) || !isTensor(right)) return Object.is(left, right);
  const sameKind = left.dtype === right.dtype && sameShape(left.shape, right.shape);
  return sameKind && left.data.every((entry, i) => Object.is(entry, right.data[i]));
}

function misfit(field: string, values: readonly (Tensor | number | undefined)[], expected: string): LosswrightError {
  const shown = values.map((value) => (isTensor(value) ? formatShape(value.shape) : String(value ?? "nothing")));
  return new LosswrightError({ code: "shape", where: "step", field, found: shown.join(" and "), expected });
}

function joinField(name: string, pieces: readonly AnyBatch[]): Tensor {
  const tensors = pieces.map((piece) => piece[name] as Tensor);
  const first = tensors[0]!;
  const [rows, , ...rest] = first.shape;
  const fits = tensors.every(
    ({ dtype, shape }) => dtype === first.dtype && shape[0] === rows && sameShape(shape.slice(2), rest),
  );
  if (!fits) throw misfit(name, tensors, "pieces of the same rows, cut along axis 1");
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
