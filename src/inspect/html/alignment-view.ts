import { type ComponentChild, h } from "preact";
import { ctcCollapse } from "../../sequence/index.js";
import type { AlignedSequence, AlignmentBatch } from "../alignment-batch.js";
import type { Vocabulary } from "../token-batch.js";
import { visible } from "../visible.js";
import { brief, numbered } from "../words.js";

/** Width of a frame and height of a state, in pixels, as far as the page has room. */
const widest = 34;
const room = 1000;
const state = 20;
const margin = { left: 64, top: 6, bottom: 24 };

/** Frames this wide have a dot each on the path. */
const roomForDots = 12;

/** A posterior below it would not be seen. */
const faintest = 0.004;

/** The signs of the heat maps. */
export function alignmentLegend(): ComponentChild {
  const shade = (p: number, i: number) => h("rect", { x: 18 * i, y: 0, width: 18, height: 16, "fill-opacity": p });
  return h(
    "div",
    { class: "legend" },
    h(
      "span",
      { class: "sample" },
      h("svg", { class: "key" }, ...[0.1, 0.4, 0.7, 1].map(shade)),
      "posterior of a state",
    ),
    h(
      "span",
      { class: "sample" },
      h("svg", { class: "key" }, h("polyline", { class: "path", points: "0,3 26,3 42,13 72,13" })),
      "the most probable alignment",
    ),
    h("span", { class: "sample" }, "left: labels between blanks ∅, below: frames"),
  );
}

/**
 * A label sequence and its frames: how probable it is that a frame is in each state of ∅ y₁ ∅ … y_n ∅, darker for more,
 * and the most probable alignment drawn over it.
 */
export function alignmentView(batch: AlignmentBatch, row: number, textOf: Vocabulary | undefined): ComponentChild {
  const sequence = batch.sequences[row]!;
  const { frames, labels, needed, counts, loss, path, share } = sequence;
  const named = (label: number) => {
    const text = textOf?.(label);
    return text === undefined ? String(label) : visible(text);
  };
  const words = [
    `${numbered(frames, "frame")}, ${numbered(labels.length, "label")}${needed > frames ? `, which need ${needed} frames` : ""}`,
    !counts ? "left out" : loss === null ? null : `loss ${brief(loss)}`,
    share === null ? null : `the path drawn has ${brief(100 * share)} % of the probability of all`,
  ];
  const collapsed = path && Array.from(ctcCollapse(path, { blank: batch.blank }), named).join(" ");
  return h(
    "div",
    { class: "row" },
    h("h3", null, `sequence ${row}`, h("small", null, words.filter((word) => word !== null).join(" · "))),
    h("p", { class: "best" }, `labels: ${labels.map(named).join(" ")}`),
    collapsed === null
      ? h("p", { class: "look" }, needed > frames ? "no alignment: too few frames" : "no alignment")
      : h("p", { class: "best" }, `best:   ${collapsed}`),
    path && h("div", { class: "alignment" }, heatMap(sequence, named)),
  );
}

function heatMap({ frames, labels, posterior, positions }: AlignedSequence, named: (label: number) => string) {
  if (!posterior || !positions || frames === 0) return null;
  const states = 2 * labels.length + 1;
  const frame = Math.max(2, Math.min(widest, Math.floor(room / frames)));
  const nameOf = (s: number) => (s % 2 === 1 ? named(labels[(s - 1) / 2]!) : "∅");
  const [width, height] = [frames * frame, states * state];
  const path = pathOf(positions);
  const middle = (t: number) => `${t * frame + frame / 2},${heightOf(path[t]!)}`;
  return h(
    "svg",
    {
      width: margin.left + width + 8,
      height: margin.top + height + margin.bottom,
      role: "group",
    },
    h(
      "g",
      { transform: `translate(${margin.left},${margin.top})` },
      h("rect", { class: "ground", width, height }),
      ...cells(posterior.data as Float64Array, states, frames, frame, nameOf),
      h("polyline", { class: "path", points: Array.from({ length: frames }, (_, t) => middle(t)).join(" ") }),
      ...(frame < roomForDots ? [] : dots(path, frame)),
      ...Array.from({ length: states }, (_, s) =>
        h(
          "text",
          { class: s % 2 === 1 ? "label" : undefined, x: -8, y: heightOf(s) + 4, "text-anchor": "end" },
          nameOf(s).slice(0, 8),
        ),
      ),
      ...ticks(frames, frame).map((t) =>
        h("text", { x: t * frame + frame / 2, y: height + 16, "text-anchor": "middle" }, t),
      ),
    ),
  );
}

/** The middle of a state. */
function heightOf(s: number): number {
  return s * state + state / 2;
}

function dots(path: Int32Array, frame: number): ComponentChild[] {
  return Array.from(path, (s, t) => h("circle", { class: "dot", cx: t * frame + frame / 2, cy: heightOf(s), r: 3 }));
}

/** The cells that can be seen. */
function cells(
  posterior: Float64Array,
  states: number,
  frames: number,
  frame: number,
  nameOf: (state: number) => string,
): ComponentChild[] {
  const seen: ComponentChild[] = [];
  for (let t = 0; t < frames; t++) {
    for (let s = 0; s < states; s++) {
      const p = posterior[t * states + s]!;
      if (p < faintest) continue;
      const place = { class: "cell", x: t * frame, y: s * state, width: frame, height: state };
      const tip = h("title", null, `frame ${t}, ${nameOf(s)}: ${brief(p)}`);
      seen.push(h("rect", { ...place, "fill-opacity": Math.round(p * 1000) / 1000 }, tip));
    }
  }
  return seen;
}

/** The state of each frame, from the label it emits; a blank lies after the last label emitted. */
function pathOf(positions: Int32Array): Int32Array {
  let after = 0;
  return positions.map((position) => {
    if (position >= 0) after = 2 * position + 2;
    return position >= 0 ? 2 * position + 1 : after;
  });
}

/** Frames with a number under them: ten or so. */
function ticks(frames: number, frame: number): number[] {
  const least = Math.max(frames / 12, 28 / frame);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find((each) => each >= least) ?? frames;
  return Array.from({ length: Math.ceil(frames / step) }, (_, i) => i * step);
}
