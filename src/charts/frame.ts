import { type ComponentChild, h } from "preact";
import { LosswrightError } from "../errors/index.js";
import { tickWords } from "./short-number.js";

/** A chart, or a part of one, as the page takes it. */
export type Picture = ComponentChild;

/** What every chart has. */
export interface Chart {
  /** One line above it, and its name for whoever hears it. */
  readonly title: string;
  /** What it shows, for whoever hears it; composed from the data where it is left out. */
  readonly description?: string;
  /** In units of the picture, which scales with the page. */
  readonly width?: number;
  readonly height?: number;
}

export interface Axis {
  readonly label: string;
  /** From and to; what the data needs where it is left out. */
  readonly domain?: readonly [number, number];
  /** Logarithmic: what is not above 0 has no place on it, and the chart says so. */
  readonly log?: boolean;
}

/** The part of a picture that data is drawn in. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export const defaultWidth = 640;
export const defaultHeight = 360;

/** Width of a text in the charts' font, generously. */
export const textWidth = (text: string, size = 11.5) => [...text].length * size * 0.56;

/** A text shortened to a width, with an ellipsis for what is gone. */
export function fitted(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const kept = Math.max(1, Math.floor(width / textWidth("x")) - 1);
  return `${[...text].slice(0, kept).join("")}…`;
}

/** Digits of coordinates: a hundredth of a unit is below what any screen shows. */
export const at = (place: number) => Number(place.toFixed(2));

/** One row a line of the legend: names beside their marks, broken where the width ends. */
export interface LegendEntry {
  readonly name: string;
  readonly mark: Picture;
}

const legendLine = 18;
const markWidth = 26;

/** The entries of a legend, placed; each in a group of its own. */
export function legendOf(
  entries: readonly LegendEntry[],
  width: number,
  top: number,
): { parts: Picture[]; height: number } {
  let [x, y] = [0, top];
  const parts = entries.map(({ name, mark }) => {
    const shown = fitted(name, width - markWidth);
    const wide = markWidth + textWidth(shown) + 16;
    if (x > 0 && x + wide > width) [x, y] = [0, y + legendLine];
    const part = h(
      "g",
      { class: "key", transform: `translate(${at(x)} ${at(y)})` },
      mark,
      h("text", { x: markWidth, y: 4 }, shown),
    );
    x += wide;
    return part;
  });
  return { parts, height: entries.length > 0 ? y - top + legendLine : 0 };
}

/** The picture with title, description and notes around what is drawn in it. */
export function frame(
  chart: Chart,
  size: { readonly width: number; readonly height: number },
  description: string,
  ...parts: Picture[]
): Picture {
  const { width, height } = size;
  return h(
    "svg",
    { class: "chart", role: "img", viewBox: `0 0 ${width} ${height}`, "aria-label": `${chart.title}. ${description}` },
    h("title", null, chart.title),
    h("desc", null, description),
    h("text", { class: "title", x: 0, y: 14 }, fitted(chart.title, width / 1.25)),
    ...parts,
  );
}

/** Lines under a chart that say what could not be drawn. */
export function notesAt(notes: readonly string[], bottom: number): Picture[] {
  return notes.map((note, i) =>
    h("text", { class: "soft remark", x: 0, y: bottom - 4 - (notes.length - 1 - i) * 15 }, note),
  );
}

/** Left and bottom axis with grid lines; `places` turn ticks into coordinates. */
export interface DrawnAxis {
  readonly label: string;
  readonly ticks: readonly number[];
  readonly place: (tick: number) => number;
}

export function axes(box: Box, x: DrawnAxis, y: DrawnAxis): Picture {
  const [right, bottom] = [box.left + box.width, box.top + box.height];
  const [below, beside] = [tickWords(x.ticks), tickWords(y.ticks)];
  return h(
    "g",
    { class: "axes" },
    ...y.ticks.flatMap((tick, i) => {
      const place = at(y.place(tick));
      return [
        h("line", { class: "grid", x1: box.left, x2: right, y1: place, y2: place }),
        h("text", { class: "soft", x: box.left - 7, y: place + 4, "text-anchor": "end" }, beside[i]),
      ];
    }),
    ...x.ticks.flatMap((tick, i) => {
      const place = at(x.place(tick));
      return [
        h("line", { class: "axis", x1: place, x2: place, y1: bottom, y2: bottom + 4 }),
        h("text", { class: "soft", x: place, y: bottom + 16, "text-anchor": "middle" }, below[i]),
      ];
    }),
    h("line", { class: "axis", x1: box.left, x2: right, y1: bottom, y2: bottom }),
    h("text", { class: "soft", x: 0, y: box.top - 14 }, fitted(y.label, right)),
    h("text", { class: "soft", x: right, y: bottom + 33, "text-anchor": "end" }, fitted(x.label, box.width)),
  );
}

/** @throws `argument` for a domain that is not one */
export function checkDomain(where: string, field: string, { domain, log }: Axis): void {
  if (domain === undefined) return;
  const [from, to] = domain;
  if (Number.isFinite(from) && Number.isFinite(to) && from < to && !(log && from <= 0)) return;
  throw new LosswrightError({
    code: "argument",
    where,
    field: `${field}.domain`,
    found: `[${from}, ${to}]`,
    expected: `two finite numbers in order${log ? ", above 0 on a logarithmic axis" : ""}`,
    fix: "leave it out to have what the data needs.",
  });
}

/** @throws `argument` for columns of different lengths */
export function checkLengths(where: string, field: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new LosswrightError({
    code: "argument",
    where,
    field,
    found: `${found} values`,
    expected: `${expected} values`,
    fix: "give one value for each place.",
  });
}
