import { scaleBand, scaleLinear } from "d3-scale";
import { h } from "preact";
import {
  type Axis,
  at,
  type Box,
  type Chart,
  checkDomain,
  defaultWidth,
  fitted,
  frame,
  notesAt,
  type Picture,
  textWidth,
} from "./frame.js";
import { shortNumber, tickWords } from "./short-number.js";
import { seriesColors } from "./style.js";

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** An interval around the value, drawn as a whisker: both ends or none. */
  readonly low?: number;
  readonly high?: number;
  /** Which color it has; bars of one group share one. */
  readonly group?: number;
}

export interface BarChart extends Omit<Chart, "height"> {
  /** What the bars' length is. */
  readonly value: Omit<Axis, "log">;
  readonly bars: readonly Bar[];
}

const thickness = 24;

/**
 * Bars from left to right, one under the other, each with its name and its number. A value that is not finite has no
 * bar; its number says what it is.
 *
 * @throws `argument` for a domain that is none
 */
export function barChart(chart: BarChart): Picture {
  checkDomain("barChart", "value", chart.value);
  const { width = defaultWidth, bars } = chart;
  const ends = bars.flatMap(({ value, low = value, high = value }) => [value, low, high]).filter(Number.isFinite);
  // A bar begins at 0: a shorter axis would show a small difference as a large one.
  const needed: [number, number] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  if (needed[0] === needed[1]) needed[1] = 1;
  const domain = chart.value.domain ?? scaleLinear().domain(needed).nice(5).domain();
  const names = bars.map(({ label }) => fitted(label, width / 3));
  const left = Math.ceil(Math.max(20, ...names.map((name) => textWidth(name))) + 12);
  const numberRoom = Math.max(...bars.map(({ value }) => textWidth(shortNumber(value))), 20) + 14;
  const notes = bars.length === 0 ? ["no bars"] : [];
  const box: Box = { left, top: 34, width: width - left - numberRoom, height: Math.max(1, bars.length) * thickness };
  const x = scaleLinear([...domain], [box.left, box.left + box.width]).clamp(true);
  const y = scaleBand(bars.keys(), [box.top, box.top + box.height]).padding(0.22);
  const ticks = x.ticks(Math.max(2, Math.round(box.width / 90)));
  const words = tickWords(ticks);
  const [right, bottom] = [box.left + box.width, box.top + box.height];
  const whole = bottom + 40 + notes.length * 15;
  return frame(
    chart,
    { width, height: whole },
    chart.description ?? describe(chart),
    ...ticks.flatMap((tick, i) => [
      h("line", { class: "grid", x1: at(x(tick)), x2: at(x(tick)), y1: box.top, y2: bottom }),
      h("text", { class: "soft", x: at(x(tick)), y: bottom + 16, "text-anchor": "middle" }, words[i]),
    ]),
    h("text", { class: "soft", x: right, y: bottom + 33, "text-anchor": "end" }, chart.value.label),
    ...bars.map((bar, i) => {
      const [top, height] = [y(i)!, y.bandwidth()];
      const middle = top + height / 2;
      const zero = x(0);
      const end = Number.isFinite(bar.value) ? x(bar.value) : zero;
      const hasInterval = Number.isFinite(bar.low) && Number.isFinite(bar.high);
      const [low, high] = hasInterval ? [x(bar.low!), x(bar.high!)] : [end, end];
      return h(
        "g",
        { class: "bar" },
        h("title", null, wordsOf(bar)),
        h("text", { x: box.left - 8, y: at(middle + 4), "text-anchor": "end" }, names[i]),
        Number.isFinite(bar.value) &&
          h("rect", {
            class: `fill series-${(bar.group ?? 0) % seriesColors}`,
            x: at(Math.min(zero, end)),
            y: at(top),
            width: at(Math.abs(end - zero)),
            height: at(height),
          }),
        hasInterval && h("path", { class: "whisker", d: whisker(low, high, middle, height / 4), fill: "none" }),
        h("text", { class: "soft", x: at(Math.max(end, high, zero) + 6), y: at(middle + 4) }, shortNumber(bar.value)),
      );
    }),
    h("line", { class: "axis", x1: at(x(0)), x2: at(x(0)), y1: box.top, y2: bottom }),
    ...notesAt(notes, whole),
  );
}

function whisker(low: number, high: number, middle: number, half: number): string {
  const [top, bottom] = [at(middle - half), at(middle + half)];
  return `M${at(low)} ${top}V${bottom}M${at(low)} ${at(middle)}H${at(high)}M${at(high)} ${top}V${bottom}`;
}

const wordsOf = ({ label, value, low, high }: Bar) =>
  `${label} ${shortNumber(value)}${low !== undefined && high !== undefined ? ` (${shortNumber(low)} to ${shortNumber(high)})` : ""}`;

function describe({ value, bars }: BarChart): string {
  return `${value.label}: ${bars.length > 0 ? bars.map(wordsOf).join(", ") : "no bars"}.`;
}
