import { scaleBand, scaleLinear } from "d3-scale";
import { h } from "preact";
import { LosswrightError } from "../errors/index.js";
import {
  at,
  type Chart,
  checkLengths,
  defaultWidth,
  fitted,
  frame,
  notesAt,
  type Picture,
  textWidth,
} from "./frame.js";
import { shortNumber } from "./short-number.js";

export interface HeatMap extends Omit<Chart, "height"> {
  /** Names of the rows, from the top, and of the columns, from the left. */
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** Row by row. */
  readonly values: ArrayLike<number>;
  /** What rows and columns are: "label", "prediction". */
  readonly rowLabel: string;
  readonly columnLabel: string;
  /** What color is measured against: all cells (default), or the sum of the cell's row, as recall is. */
  readonly shade?: "whole" | "row";
  /** The value that is palest, and the one that is strongest; 0 and the largest where it is left out. */
  readonly domain?: readonly [number, number];
}

/**
 * Cells in rows and columns, the stronger the larger, with their numbers where these fit; every cell says its numbers when
 * it is pointed at. A value that is not finite is an empty cell with a broken edge.
 *
 * @throws `argument` where there is not one value a cell, and for more cells than a page can draw
 */
export function heatMap(chart: HeatMap): Picture {
  const { rows, columns, values, shade = "whole", width = defaultWidth } = chart;
  checkLengths("heatMap", "values", values.length, rows.length * columns.length);
  if (values.length > mostCells) throw tooMany(rows.length, columns.length);
  const names = rows.map((name) => fitted(name, width / 4));
  const left = Math.ceil(Math.max(20, ...names.map((name) => textWidth(name))) + 14);
  // Cells are squares as long as they stay in sight: neither postage stamps nor barn doors.
  const side = Math.max(2, Math.min(64, (width - left - 4) / Math.max(1, columns.length)));
  const tall = Math.min(side, 48);
  const top = 76;
  const x = scaleBand(columns.keys(), [left, left + side * columns.length]);
  const y = scaleBand(rows.keys(), [top, top + tall * rows.length]);
  const isEmpty = rows.length === 0 || columns.length === 0;
  const notes = isEmpty ? ["no cells"] : [];
  const height = top + tall * rows.length + 12 + notes.length * 15;
  const strength = strengthsOf(chart, shade);
  const words = Array.from(values, (value) => shortNumber(value, 3));
  const fits = Math.max(0, ...words.map((word) => textWidth(word))) <= side - 4 && tall >= 15;
  // Names of columns that have no room are left out one for another, evenly; so are those of rows.
  const everyColumn = everyFor(
    columns.map((name) => textWidth(fitted(name, 64))),
    side,
  );
  const everyRow = Math.ceil(14 / tall);
  return frame(
    chart,
    { width, height },
    chart.description ?? describe(chart),
    h("text", { class: "soft", x: 0, y: 40 }, `rows: ${chart.rowLabel} · columns: ${chart.columnLabel}`),
    ...columns.flatMap((name, column) =>
      column % everyColumn === 0
        ? [
            h(
              "text",
              { x: at(x(column)! + side / 2), y: 66, "text-anchor": "middle" },
              fitted(name, Math.max(side * everyColumn - 2, 12)),
            ),
          ]
        : [],
    ),
    ...names.flatMap((name, row) =>
      row % everyRow === 0
        ? [h("text", { x: left - 8, y: at(y(row)! + tall / 2 + 4), "text-anchor": "end" }, name)]
        : [],
    ),
    ...rows.flatMap((row, i) =>
      columns.map((column, j) => {
        const index = i * columns.length + j;
        const value = values[index]!;
        const share = strength[index]!;
        const place = { x: at(x(j)!), y: at(y(i)!), width: at(side), height: at(tall) };
        const told = `${chart.rowLabel} ${row}, ${chart.columnLabel} ${column}: ${shortNumber(value, 6)}${
          shade === "row" && Number.isFinite(share) ? ` (${shortNumber(share * 100, 3)} % of the row)` : ""
        }`;
        return h(
          "g",
          null,
          h("title", null, told),
          Number.isFinite(share)
            ? h("rect", { class: "cell", ...place, "fill-opacity": at(0.06 + 0.94 * share) })
            : h("rect", { class: "blank", ...place }),
          fits &&
            h(
              "text",
              {
                ...(share > 0.55 && { class: "strong" }),
                x: at(place.x + side / 2),
                y: at(place.y + tall / 2 + 4),
                "text-anchor": "middle",
              },
              words[index],
            ),
        );
      }),
    ),
    ...notesAt(notes, height),
  );
}

/** More would be megabytes of cells smaller than a pixel. */
const mostCells = 40_000;

function tooMany(rows: number, columns: number): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "heatMap",
    field: "values",
    found: `${rows} rows of ${columns} cells`,
    expected: `at most ${mostCells} cells`,
    fix: "draw the rows and columns that matter: the classes that are confused most.",
  });
}

/** How strong each cell is, from 0 to 1; NaN for a value without one. */
function strengthsOf({ rows, columns, values, domain }: HeatMap, shade: "whole" | "row"): Float64Array {
  const strengths = new Float64Array(values.length).fill(Number.NaN);
  const finite = Array.from(values).filter(Number.isFinite);
  const largest = finite.reduce((most, value) => Math.max(most, value), 0);
  const whole = scaleLinear([...(domain ?? [0, largest || 1])], [0, 1]).clamp(true);
  for (let row = 0; row < rows.length; row++) {
    let sum = 0;
    for (let j = 0; j < columns.length; j++)
      sum += Number.isFinite(values[row * columns.length + j]) ? values[row * columns.length + j]! : 0;
    for (let j = 0; j < columns.length; j++) {
      const value = values[row * columns.length + j]!;
      if (!Number.isFinite(value)) continue;
      strengths[row * columns.length + j] =
        shade === "row" ? (sum > 0 ? Math.min(1, Math.max(0, value / sum)) : 0) : whole(value);
    }
  }
  return strengths;
}

function everyFor(widths: readonly number[], side: number): number {
  return Math.max(1, Math.ceil((Math.max(0, ...widths) + 4) / side));
}

/** The map in words: the cells of small ones, the size and the largest of others. */
function describe({ rows, columns, values, rowLabel, columnLabel }: HeatMap): string {
  const size = `${rows.length} rows (${rowLabel}) by ${columns.length} columns (${columnLabel})`;
  if (values.length === 0) return `${size}: no cells.`;
  const cell = (i: number) =>
    `${rows[Math.floor(i / columns.length)]} and ${columns[i % columns.length]}: ${shortNumber(values[i]!)}`;
  const indices = Array.from({ length: values.length }, (_, i) => i);
  if (values.length <= 36) return `${size}. ${indices.map(cell).join(", ")}.`;
  const largest = indices.filter((i) => Number.isFinite(values[i])).sort((a, b) => values[b]! - values[a]!);
  return `${size}. Largest: ${largest.slice(0, 5).map(cell).join(", ")}.`;
}
