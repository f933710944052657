import { gridOf } from "../../inspect/index.js";
import { axesOf, type Objective } from "../../losses/index.js";
import { sizeOf, type Tensor } from "../../tensor/index.js";

/**
 * How the reported gradient of a unit stands to the declared one, from what needs no look to what does.
 *
 * - `none`      neither pulls
 * - `same`      as declared
 * - `weaker`    the declared direction, shorter
 * - `stronger`  the declared direction, longer
 * - `turned`    another direction
 * - `missing`   it should pull, and does not
 * - `extra`     it should not pull, and does
 * - `broken`    NaN or infinity in one of both
 */
export const pullKinds = ["none", "same", "weaker", "stronger", "turned", "missing", "extra", "broken"] as const;
export type PullKind = (typeof pullKinds)[number];

/** Codes of the kinds: their places in {@link pullKinds}, and so the order of what is worth a look. */
export const pullCode = Object.fromEntries(pullKinds.map((kind, code) => [kind, code])) as Readonly<
  Record<PullKind, number>
>;

/** What two gradients may differ in and still be the same. */
interface Closeness {
  /** Lengths whose ratio differs from 1 by less are the same. */
  readonly ratio: number;
  /** What is shorter than this share of the longest is no pull: rounding leaves as much. */
  readonly nothing: number;
}

/** For a relative error that whole gradients may have: a unit alone may be off by more, and short ones by all they are. */
function closenessOf(tolerance: number): Closeness {
  return { ratio: Math.max(0.02, 2 * tolerance), nothing: Math.max(1e-4, tolerance / 10) };
}

/** Directions whose cosine is higher are the same: 11 degrees, well above what half precision turns. */
const sameDirection = 0.98;

/** Beside a pull so many times as long, another is none: squares of lengths that differ a thousandfold. */
const besides = 1e-6;

/** The units of a gradient as rows and positions; `place` is row-major, in the order of the tensor's other axes. */
export interface PlacesOfGradient {
  readonly rows: number;
  readonly columns: number;
  /** Axes before the one that a unit's own entries lie along, entries along it, and axes after. */
  readonly outer: number;
  readonly entries: number;
  readonly inner: number;
  /** Where the unit of a place lies in the grid, row-major; −1 where it is none of it. */
  cell(place: number): number;
}

/** Which units of a whole batch a gradient holds, where it does not hold all: their places, and the shape of all. */
export interface KeptUnits {
  readonly units: Tensor;
  readonly shape: readonly number[];
}

/** Lengths of a field's gradient in a grid of cells, each of one unit or, where there are too many, of several. */
export interface UnitPulls {
  readonly field: string;
  /** Units in the grid, before they were put together. */
  readonly rows: number;
  readonly columns: number;
  /** Whether the units have one axis, cut into lines where it is long. */
  readonly isLine: boolean;
  /** Lines and cells of each line, and how many units a cell is of. */
  readonly lines: number;
  readonly cells: number;
  readonly rowsEach: number;
  readonly columnsEach: number;
  /** Lengths, `lines · cells`; infinite where one of a cell is not finite. */
  readonly reported: Float64Array;
  readonly declared: Float64Array;
  /** The gravest kind in each cell, as a place in {@link pullKinds}. */
  readonly kinds: Uint8Array;
  /** ⟨reported, declared⟩ / ⟨declared, declared⟩ of each line; NaN where nothing is declared. */
  readonly factors: Float64Array;
  /** How many units there are of each kind. */
  readonly counts: Uint32Array;
  /** The least and the greatest ‖reported‖ / ‖declared‖ of units that pull the declared way. */
  readonly weakest: number;
  readonly strongest: number;
  /** The share of the longest below which a pull is none. */
  readonly nothing: number;
  /** The longest pull, finite. */
  readonly longest: number;
  /** Calls back for every unit with its row, its position and the code of its kind. */
  eachUnit(visit: (row: number, column: number, kind: number) => void): void;
}

/** Names of axes that lie inside a unit: classes, their thresholds, symbols, dimensions. */
const innerAxes = new Set(["K", "K-1", "C", "D"]);

/**
 * How the entries of a field's gradient belong to units: one unit has all entries along the axis of classes or
 * dimensions. Units of axis `B` are rows, all other axes positions in them.
 *
 * @param grid - rows and positions of the batch, where units on one axis are known to lie in rows
 */
export function placesOf(
  objective: Objective,
  field: string,
  shape: readonly number[],
  grid?: { readonly rows: number; readonly length: number },
  kept?: KeptUnits,
): PlacesOfGradient {
  const names = axisNames(objective, field, shape);
  const own = names.length > 1 ? names.findLastIndex((name) => innerAxes.has(name)) : -1;
  const axes = shape.map((length, axis) => ({ name: names[axis]!, length })).filter((_, axis) => axis !== own);
  const [outer, entries, inner] =
    own < 0 ? [sizeOf(shape), 1, 1] : [sizeOf(shape.slice(0, own)), shape[own]!, sizeOf(shape.slice(own + 1))];
  const strides = { outer, entries, inner };
  const count = outer * inner;
  if (kept && kept.units.data.length === count) {
    const all = gridOf(kept.shape);
    const cells = all.rows * all.length;
    const at = kept.units.data;
    const cell = (place: number) => {
      const unit = Number(at[place]);
      return unit >= 0 && unit < cells ? unit : -1;
    };
    return { rows: all.rows, columns: all.length, ...strides, cell };
  }
  const rowAxis = Math.max(
    0,
    axes.findIndex(({ name }) => name === "B"),
  );
  const rows = axes[rowAxis]?.length ?? 1;
  const columns = rows === 0 ? 0 : count / rows;
  if (rowAxis === 0) {
    if (grid && grid.rows * grid.length === count && (columns === 1 || axes.length === 1)) {
      return { rows: grid.rows, columns: grid.length, ...strides, cell: (place) => place };
    }
    const flat = columns === 1 || axes.length < 2;
    return { rows: flat ? 1 : rows, columns: flat ? count : columns, ...strides, cell: (place) => place };
  }
  const after = sizeOf(axes.slice(rowAxis + 1).map(({ length }) => length));
  const cell = (place: number) => {
    const rest = Math.floor(place / after);
    return (rest % rows) * columns + Math.floor(rest / rows) * after + (place % after);
  };
  return { rows, columns, ...strides, cell };
}

/** One name for each axis of a field's gradient: `"..."` as often as it stands for one. */
function axisNames({ definition, options }: Objective, field: string, shape: readonly number[]): readonly string[] {
  const spec = definition.fields[field];
  if (!spec) return shape.map(() => "...");
  const names = axesOf(spec, options, shape.length);
  const spread = names.findIndex((name) => name === "..." || name === "*");
  if (spread < 0) return names.length === shape.length ? names : shape.map(() => "...");
  const times = Math.max(0, shape.length - names.length + 1);
  const every = [...names.slice(0, spread), ...Array<string>(times).fill("..."), ...names.slice(spread + 1)];
  const classAxis = spec.followsClassAxis ? (definition.alignment?.(options).classAxis ?? -1) : -1;
  if (classAxis === -1 || every.length !== shape.length) return every;
  const last = every.pop()!;
  every.splice(classAxis < 0 ? classAxis + shape.length : classAxis, 0, last);
  return every;
}

/**
 * The length of every unit's gradient, reported and declared, and how the one stands to the other.
 *
 * Nothing is allocated a unit: units are read twice, once for the longest and once for the cells.
 *
 * @param limits - the most lines and cells a line; units beyond share a cell
 * @param tolerance - the relative error that the whole gradient may have
 */
export function unitPulls(
  field: string,
  places: PlacesOfGradient,
  reported: Tensor,
  declared: Tensor,
  limits: { readonly lines: number; readonly cells: number },
  tolerance: number,
): UnitPulls {
  const { rows, columns } = places;
  const isLine = rows === 1;
  const layout = isLine ? lineLayout(columns, limits) : gridLayout(rows, columns, limits);
  const { lines, cells, rowsEach, columnsEach } = layout;
  const unitsALine = cells * columnsEach;
  const walk = walker(places, reported, declared);
  let longest = 0;
  walk((_, mine, theirs) => {
    const length = Math.max(mine, theirs);
    if (length > longest && length < Number.POSITIVE_INFINITY) longest = length;
  });
  // The walk gives squares; roots are taken of what is kept.
  const { ratio: sameLength, nothing } = closenessOf(tolerance);
  const least = nothing * nothing * longest;
  longest = Math.sqrt(longest);
  const squares = { reported: new Float64Array(lines * cells), declared: new Float64Array(lines * cells) };
  const kinds = new Uint8Array(lines * cells);
  const counts = new Uint32Array(pullKinds.length);
  const along = new Float64Array(lines);
  const declaredOfLine = new Float64Array(lines);
  let [weakest, strongest] = [Number.POSITIVE_INFINITY, 0];
  walk((unit, mine, theirs, product) => {
    const row = Math.floor(unit / columns);
    const column = unit - row * columns;
    const line = isLine ? Math.floor(column / unitsALine) : Math.floor(row / rowsEach);
    const cell = line * cells + Math.floor((isLine ? column - line * unitsALine : column) / columnsEach);
    const kind = kindOfPull(mine, theirs, product, least, sameLength);
    counts[kind]!++;
    if (kind > kinds[cell]!) kinds[cell] = kind;
    squares.reported[cell]! += mine;
    squares.declared[cell]! += theirs;
    if (kind === pullCode.broken) return;
    along[line]! += product;
    declaredOfLine[line]! += theirs;
    if (kind < pullCode.same || kind > pullCode.stronger) return;
    const ratio = Math.sqrt(mine / theirs);
    if (ratio < weakest) weakest = ratio;
    if (ratio > strongest) strongest = ratio;
  });
  return {
    field,
    rows,
    columns,
    isLine,
    ...layout,
    reported: squares.reported.map(lengthOf),
    declared: squares.declared.map(lengthOf),
    kinds,
    factors: along.map((product, line) => (declaredOfLine[line]! > 0 ? product / declaredOfLine[line]! : Number.NaN)),
    counts,
    weakest,
    strongest,
    nothing,
    longest,
    eachUnit: (visit) =>
      walk((unit, mine, theirs, product) => {
        const row = Math.floor(unit / columns);
        visit(row, unit - row * columns, kindOfPull(mine, theirs, product, least, sameLength));
      }),
  };
}

interface Layout {
  readonly lines: number;
  readonly cells: number;
  readonly rowsEach: number;
  readonly columnsEach: number;
}

/** Rows put together where there are too many, and so positions. */
function gridLayout(rows: number, columns: number, limits: { readonly lines: number; readonly cells: number }): Layout {
  const rowsEach = Math.max(1, Math.ceil(rows / limits.lines));
  const columnsEach = Math.max(1, Math.ceil(columns / limits.cells));
  return { lines: Math.ceil(rows / rowsEach), cells: Math.ceil(columns / columnsEach), rowsEach, columnsEach };
}

/** Units on one axis, cut into lines where they are many. */
function lineLayout(columns: number, limits: { readonly lines: number; readonly cells: number }): Layout {
  const lines = Math.max(1, Math.min(limits.lines, Math.ceil(columns / limits.cells)));
  const columnsEach = Math.max(1, Math.ceil(columns / (lines * limits.cells)));
  const cells = lines === 1 ? Math.ceil(columns / columnsEach) : limits.cells;
  return { lines: cells === 0 ? 0 : Math.ceil(columns / (cells * columnsEach)), cells, rowsEach: 1, columnsEach };
}

/** Squared lengths of both gradients and their product, unit by unit. */
type Visit = (unit: number, reported: number, declared: number, product: number) => void;

function walker(
  { outer, entries, inner, cell }: PlacesOfGradient,
  { data: reported }: Tensor,
  { data: declared }: Tensor,
): (visit: Visit) => void {
  return (visit) => {
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const unit = cell(o * inner + i);
        if (unit < 0) continue;
        let [mine, theirs, product] = [0, 0, 0];
        for (let at = o * entries * inner + i, k = 0; k < entries; k++, at += inner) {
          const [x, y] = [reported[at] as number, declared[at] as number];
          mine += x * x;
          theirs += y * y;
          product += x * y;
        }
        visit(unit, mine, theirs, product);
      }
    }
  };
}

/** The code of a unit's kind, from squared lengths and the product. */
function kindOfPull(mine: number, theirs: number, product: number, least: number, sameLength: number): number {
  if (!(mine < Number.POSITIVE_INFINITY && theirs < Number.POSITIVE_INFINITY)) return pullCode.broken;
  if (mine <= least && theirs <= least) return pullCode.none;
  if (theirs <= besides * mine) return pullCode.extra;
  if (mine <= besides * theirs) return pullCode.missing;
  if (product < sameDirection * Math.sqrt(mine) * Math.sqrt(theirs)) return pullCode.turned;
  const ratio = Math.sqrt(mine / theirs);
  if (Math.abs(ratio - 1) <= sameLength) return pullCode.same;
  return ratio > 1 ? pullCode.stronger : pullCode.weaker;
}

/** The length of a square; infinite for what is no number. */
function lengthOf(square: number): number {
  return Number.isNaN(square) ? Number.POSITIVE_INFINITY : Math.sqrt(square);
}
