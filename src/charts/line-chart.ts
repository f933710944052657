import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from "d3-scale";
import {
  curveStepAfter,
  line,
  type SymbolType,
  symbol,
  symbolCircle,
  symbolDiamond,
  symbolSquare,
  symbolStar,
  symbolTriangle,
  symbolWye,
} from "d3-shape";
import { h } from "preact";
import {
  type Axis,
  at,
  axes,
  type Box,
  type Chart,
  checkDomain,
  checkLengths,
  defaultHeight,
  defaultWidth,
  fitted,
  frame,
  type LegendEntry,
  legendOf,
  notesAt,
  type Picture,
  textWidth,
} from "./frame.js";
import { shortNumber, tickWords } from "./short-number.js";
import { seriesColors } from "./style.js";
import { thin } from "./thin.js";

export interface Series {
  readonly name: string;
  readonly x: ArrayLike<number>;
  /** What is not finite is a gap in the line. */
  readonly y: ArrayLike<number>;
  /** Each value holds until the next x. */
  readonly step?: boolean;
  readonly dashed?: boolean;
  /** A mark on every point that is drawn, with its numbers. */
  readonly points?: boolean;
  /** Another series' color, by its place in the list: a run's training line beside its evaluations. */
  readonly colorOf?: number;
}

/** A place or a range on an axis, with its name. */
export interface Mark {
  readonly axis: "x" | "y";
  readonly at: number;
  /** The end of a range; without it the mark is a line. */
  readonly to?: number;
  readonly label: string;
}

export interface LineChart extends Chart {
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** `"diagonal"`: where x and y are the same. */
  readonly reference?: "diagonal";
  readonly marks?: readonly Mark[];
}

/** Room beyond the plot for the width of a line that runs along its edge. */
const edge = 2;

type Scale = ScaleContinuousNumeric<number, number>;

const symbols: readonly SymbolType[] = [
  symbolCircle,
  symbolSquare,
  symbolTriangle,
  symbolDiamond,
  symbolStar,
  symbolWye,
];

/**
 * Lines over one pair of axes. A series longer than the picture has pixels is thinned to what they show: its extremes
 * stay. What is not finite, and on a logarithmic axis what is not above 0, is a gap, and the chart says how many there are.
 *
 * @throws `argument` for a domain that is none, and for x and y of different lengths
 */
export function lineChart(chart: LineChart): Picture {
  checkDomain("lineChart", "x", chart.x);
  checkDomain("lineChart", "y", chart.y);
  for (const { name, x, y } of chart.series) checkLengths("lineChart", `series "${name}".y`, y.length, x.length);
  const { width = defaultWidth, height = defaultHeight } = chart;
  const counted = chart.series.map((series) => drawable(series, chart));
  const notes = gapNotes(counted);

  const isNamed = chart.series.length > 1 || chart.series[0]?.name !== chart.y.label;
  const legend = legendOf(
    isNamed ? chart.series.map((series, i) => entry(series, i, counted[i]!.drawn)) : [],
    width,
    34,
  );
  const marks = chart.marks ?? [];
  const domains = [domainOf("x", chart), domainOf("y", chart)] as const;
  const top = 54 + legend.height;
  const ticksOfY = scaleOf(chart.y, domains[1], [1, 0]).ticks(Math.max(2, Math.round(height / 60)));
  const left = Math.ceil(Math.max(20, ...tickWords(ticksOfY).map((word) => textWidth(word))) + 12);
  const box: Box = { left, top, width: width - left - 14, height: Math.max(40, height - top - 40 - notes.length * 15) };
  const x = scaleOf(chart.x, domains[0], [box.left, box.left + box.width]);
  const y = scaleOf(chart.y, domains[1], [box.top + box.height, box.top]);
  const whole = box.top + box.height + 40 + notes.length * 15;

  const ticksOfX = x.ticks(Math.max(2, Math.round(box.width / 90)));
  return frame(
    chart,
    { width, height: whole },
    chart.description ?? describe(chart, counted),
    ...legend.parts,
    axes(
      box,
      { label: chart.x.label, ticks: spread(ticksOfX, x), place: x },
      { label: chart.y.label, ticks: spread(ticksOfY, y, 22), place: y },
    ),
    // A nested picture clips what lies outside the domains, without a name that two charts of a page could share.
    h(
      "svg",
      {
        class: "plot",
        x: box.left - edge,
        y: box.top - edge,
        width: box.width + 2 * edge,
        height: box.height + 2 * edge,
        viewBox: `${box.left - edge} ${box.top - edge} ${box.width + 2 * edge} ${box.height + 2 * edge}`,
      },
      ...marks.map((mark) => markLine(mark, box, x, y)),
      chart.reference === "diagonal" && diagonal(x, y, Boolean(chart.x.log) === Boolean(chart.y.log)),
      ...chart.series.map((series, i) => linePath(series, i, x, y)),
    ),
    ...markLabels(marks, box, x, y),
    ...chart.series.flatMap((series, i) => (series.points ? [pointMarks(series, i, x, y, chart)] : [])),
    counted.every(({ drawn }) => drawn === 0) &&
      h(
        "text",
        { class: "soft empty", x: box.left + box.width / 2, y: box.top + box.height / 2, "text-anchor": "middle" },
        "no points",
      ),
    ...notesAt(notes, whole),
  );
}

/** How many points of a series have a place, and how many have none for which reason. */
interface Counted {
  readonly name: string;
  readonly drawn: number;
  readonly notFinite: number;
  readonly notPositive: number;
}

function drawable({ name, x, y }: Series, chart: LineChart): Counted {
  let [drawn, notFinite, notPositive] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) notFinite++;
    else if ((chart.x.log && x[i]! <= 0) || (chart.y.log && y[i]! <= 0)) notPositive++;
    else drawn++;
  }
  return { name, drawn, notFinite, notPositive };
}

function gapNotes(counted: readonly Counted[]): string[] {
  return counted.flatMap(({ name, notFinite, notPositive }) => [
    ...(notFinite > 0 ? [`${name}: ${points(notFinite)} not finite, left as gaps`] : []),
    ...(notPositive > 0
      ? [`${name}: ${points(notPositive)} not above 0, which have no place on a logarithmic axis`]
      : []),
  ]);
}

const points = (count: number) => (count === 1 ? "1 point" : `${count} points`);

function domainOf(which: "x" | "y", chart: LineChart): readonly [number, number] {
  const { domain, log } = chart[which];
  if (domain) return domain;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const see = (value: number) => {
    if (value < low) low = value;
    if (value > high) high = value;
  };
  const hasPlace = (value: number, isLog?: boolean) => Number.isFinite(value) && !(isLog && value <= 0);
  for (const { x, y } of chart.series) {
    for (let i = 0; i < x.length; i++) {
      // A point without a place on one axis does not stretch the other.
      if (hasPlace(x[i]!, chart.x.log) && hasPlace(y[i]!, chart.y.log)) see(which === "x" ? x[i]! : y[i]!);
    }
  }
  for (const mark of chart.marks ?? []) {
    if (mark.axis === which && hasPlace(mark.at, log)) see(mark.at);
    if (mark.axis === which && mark.to !== undefined && hasPlace(mark.to, log)) see(mark.to);
  }
  if (low > high) return log ? [1, 10] : [0, 1];
  if (low === high) {
    if (log) return [low / 2, high * 2];
    const around = Math.abs(low) / 10 || 0.5;
    return [low - around, high + around];
  }
  if (log || which === "x") return [low, high];
  const margin = (high - low) / 25;
  // A line at the very top or bottom is hard to see; a quantity that starts at 0 keeps its 0.
  return [low >= 0 && low - margin < 0 ? 0 : low - margin, high + margin];
}

function scaleOf(
  { log, domain: given }: Axis,
  domain: readonly [number, number],
  range: readonly [number, number],
): Scale {
  const scale = (log ? scaleLog() : scaleLinear()).domain([...domain]).range([...range]);
  // The x axis ends where the data ends: nice ends would leave a part without data.
  return given || log || range[0] < range[1] ? scale : scale.nice(5);
}

/** Ticks that have room; a logarithmic scale gives ten a decade. */
function spread(ticks: readonly number[], scale: Scale, room = 44): number[] {
  const words = tickWords(ticks);
  // 1, 10, 100: a single 1 is all their digits.
  const isPower = (tick: number) => tick.toExponential().startsWith("1e");
  const fits = (list: readonly number[]) =>
    list.every((tick, i) => i === 0 || Math.abs(scale(tick) - scale(list[i - 1]!)) >= room);
  const needed = Math.max(...words.map((word) => textWidth(word)));
  if (fits(ticks) && needed < 80) return [...ticks];
  const powers = ticks.filter(isPower);
  if (powers.length > 1 && fits(powers)) return powers;
  const from = powers.length > 1 ? powers : ticks;
  for (let every = 2; every < from.length; every++) {
    const fewer = from.filter((_, i) => i % every === 0);
    if (fits(fewer)) return fewer;
  }
  return from.slice(0, 1);
}

/** A series in pixels, thinned where it is longer than the picture is wide. */
function pixelsOf(series: Series, x: Scale, y: Scale): { places: [number, number][]; indices: number[] } {
  const count = series.x.length;
  const [across, up] = [new Float64Array(count), new Float64Array(count)];
  for (let i = 0; i < count; i++) {
    across[i] = placed(series.x[i]!, x);
    up[i] = placed(series.y[i]!, y);
  }
  const [from, to] = x.range() as [number, number];
  const indices = count > 2 * (to - from) ? thin({ x: across, y: up }) : Array.from(across.keys());
  return { places: indices.map((i) => [across[i]!, up[i]!]), indices };
}

/** NaN where there is no place: scales turn 0 on a logarithmic axis into an infinity. */
function placed(value: number, scale: Scale): number {
  const place = Number.isFinite(value) ? scale(value) : Number.NaN;
  return Number.isFinite(place) ? place : Number.NaN;
}

const hasPlace = ([across, up]: readonly [number, number]) => Number.isFinite(across) && Number.isFinite(up);

/** Color and dash: beyond the colors there are, lines of one color differ in their dash. */
function lineClass({ dashed, colorOf }: Series, index: number): string {
  const color = colorOf ?? index;
  const dash = dashed ? " dashed" : color >= seriesColors ? " dotted" : "";
  return `line series-${color % seriesColors}${dash}`;
}

function linePath(series: Series, index: number, x: Scale, y: Scale): Picture {
  const { places } = pixelsOf(series, x, y);
  const draw = line<[number, number]>()
    .defined(hasPlace)
    .x(([across]) => across)
    .y(([, up]) => up)
    .digits(2);
  if (series.step) draw.curve(curveStepAfter);
  return h("path", { class: lineClass(series, index), d: draw(places) ?? "" }, h("title", null, series.name));
}

function pointMarks(series: Series, index: number, x: Scale, y: Scale, chart: LineChart): Picture {
  const color = series.colorOf ?? index;
  const shape = symbol(symbols[color % symbols.length], 42).digits(2)() ?? "";
  const { places, indices } = pixelsOf(series, x, y);
  const isInside = (value: number, scale: Scale) => {
    const [from, to] = scale.domain() as [number, number];
    return value >= from && value <= to;
  };
  return h(
    "g",
    { class: `fill series-${color % seriesColors}` },
    ...indices.flatMap((i, place) => {
      if (!hasPlace(places[place]!) || !isInside(series.x[i]!, x) || !isInside(series.y[i]!, y)) return [];
      const [across, up] = places[place]!;
      const words = `${series.name}: ${chart.x.label} ${shortNumber(series.x[i]!, 6)}, ${chart.y.label} ${shortNumber(series.y[i]!, 6)}`;
      return [
        h(
          "path",
          { class: "point", d: shape, transform: `translate(${at(across)} ${at(up)})` },
          h("title", null, words),
        ),
      ];
    }),
  );
}

function entry(series: Series, index: number, drawn: number): LegendEntry {
  const color = series.colorOf ?? index;
  const mark = h(
    "g",
    null,
    h("path", { class: lineClass(series, index), d: "M0 0H20" }),
    series.points &&
      h("path", {
        class: `point fill series-${color % seriesColors}`,
        d: symbol(symbols[color % symbols.length], 42).digits(2)() ?? "",
        transform: "translate(10 0)",
      }),
  );
  return { name: drawn === 0 ? `${series.name} (no points)` : series.name, mark };
}

/** Where x and y are the same, as far as both axes reach. */
function diagonal(x: Scale, y: Scale, isStraight: boolean): Picture {
  const [[fromX, toX], [fromY, toY]] = [x.domain(), y.domain()] as [number[], number[]];
  const [from, to] = [Math.max(fromX!, fromY!), Math.min(toX!, toY!)];
  if (from >= to) return null;
  // Where both axes are of one kind it is straight.
  const count = isStraight ? 1 : 64;
  const places = Array.from({ length: count + 1 }, (_, i): [number, number] => {
    const value = from + ((to - from) * i) / count;
    return [x(value), y(value)];
  });
  return h("path", { class: "reference", d: line<[number, number]>().digits(2)(places) ?? "" });
}

/** Where a mark begins and ends in pixels, in order. */
function markRange({ axis, at: from, to = from }: Mark, x: Scale, y: Scale): [number, number] {
  const scale = axis === "x" ? x : y;
  const ends = [placed(from, scale), placed(to, scale)] as const;
  return [Math.min(...ends), Math.max(...ends)];
}

function markLine(mark: Mark, box: Box, x: Scale, y: Scale): Picture {
  const [from, to] = markRange(mark, x, y);
  if (!Number.isFinite(from) || !Number.isFinite(to)) return null;
  const { left, top, width, height } = box;
  const isX = mark.axis === "x";
  if (mark.to !== undefined) {
    const place = isX
      ? { x: at(from), y: top, width: at(to - from), height }
      : { x: left, y: at(from), width, height: at(to - from) };
    return h("rect", { class: "band", ...place }, h("title", null, mark.label));
  }
  const d = isX ? `M${at(from)} ${top}V${top + height}` : `M${left} ${at(from)}H${left + width}`;
  return h("path", { class: "reference", d }, h("title", null, mark.label));
}

function markLabels(marks: readonly Mark[], box: Box, x: Scale, y: Scale): Picture[] {
  return marks.flatMap((mark, i) => {
    const [from] = markRange(mark, x, y);
    const isInside =
      mark.axis === "x"
        ? from >= box.left && from <= box.left + box.width
        : from >= box.top && from <= box.top + box.height;
    if (!isInside) return [];
    const right = box.left + box.width;
    if (mark.axis === "y")
      return [h("text", { class: "soft mark", x: right, y: at(from - 5), "text-anchor": "end" }, mark.label)];
    const label = fitted(mark.label, box.width);
    // Turned inwards where it would leave the picture; one below the other, so that neighbors do not overlap.
    const isTurned = from + 5 + textWidth(label) > right;
    const place = { x: at(isTurned ? from - 5 : from + 5), y: box.top + 12 + (i % 3) * 14 };
    return [h("text", { class: "soft mark", ...place, "text-anchor": isTurned ? "end" : "start" }, label)];
  });
}

/** The chart in words: each series from its first to its last point, with its extremes. */
function describe(chart: LineChart, counted: readonly Counted[]): string {
  const lines = chart.series.map(({ name, x, y }, i) => {
    const { drawn } = counted[i]!;
    if (drawn === 0) return `${name}: no points`;
    let [first, last, low, high] = [-1, -1, -1, -1];
    for (let at = 0; at < x.length; at++) {
      if (!Number.isFinite(x[at]) || !Number.isFinite(y[at])) continue;
      if (first < 0) [first, low, high] = [at, at, at];
      last = at;
      if (y[at]! < y[low]!) low = at;
      if (y[at]! > y[high]!) high = at;
    }
    const words = (value: number) => shortNumber(value);
    return `${name}: ${points(drawn)}, from ${words(y[first]!)} at ${words(x[first]!)} to ${words(y[last]!)} at ${words(x[last]!)}, lowest ${words(y[low]!)}, highest ${words(y[high]!)}`;
  });
  return `${chart.y.label} over ${chart.x.label}. ${lines.length > 0 ? `${lines.join(". ")}.` : "No series."}`;
}
