import { renderToString } from "preact-render-to-string";
import { describe, expect, it } from "vitest";
import { barChart, chartPage, chartStyle, heatMap, type LineChart, lineChart, shortNumber } from "./index.js";
import { tickWords } from "./short-number.js";
import { thin } from "./thin.js";

const svgOf = (picture: ReturnType<typeof lineChart>) =>
  renderToString(picture as Parameters<typeof renderToString>[0]);

/** A square of known places: [0, 10] on both axes. */
const square = { x: { label: "step", domain: [0, 10] }, y: { label: "loss", domain: [0, 10] } } as const;
const chartOf = (chart: Partial<LineChart>): string =>
  svgOf(lineChart({ title: "A chart", ...square, series: [], ...chart }));

/** The plot's rectangle: where 0 and 10 of both axes are. */
function plotOf(svg: string) {
  const [, ...numbers] = /class="plot" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/.exec(svg)!;
  const [x, y, width, height] = numbers.map(Number) as [number, number, number, number];
  return { left: x + 2, right: x + width - 2, top: y + 2, bottom: y + height - 2 };
}

const pathOf = (svg: string, series = 0) =>
  new RegExp(`class="line series-${series}[^"]*" d="([^"]*)"><title>`).exec(svg)?.[1];
const texts = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);

describe("lineChart", () => {
  it("puts points where they belong", () => {
    const svg = chartOf({ series: [{ name: "a", x: [0, 5, 10], y: [0, 10, 5] }] });
    const { left, right, top, bottom } = plotOf(svg);
    const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
    expect(pathOf(svg)).toBe(`M${left},${bottom}L${middleX},${top}L${right},${middleY}`);
  });

  it("breaks the line where a value is not finite, and says how many", () => {
    const y = [1, 2, Number.NaN, Number.POSITIVE_INFINITY, 5, 6];
    const svg = chartOf({ series: [{ name: "a", x: [0, 1, 2, 3, 4, 5], y }] });
    expect(pathOf(svg)!.match(/M/g)).toHaveLength(2);
    expect(pathOf(svg)!.match(/L/g)).toHaveLength(2);
    expect(pathOf(svg)).not.toMatch(/NaN|Infinity/);
    expect(texts(svg)).toContain("a: 2 points not finite, left as gaps");
  });

  it("says that there is nothing, as a whole and of each series", () => {
    expect(texts(chartOf({}))).toContain("no points");
    const svg = chartOf({
      series: [
        { name: "empty", x: [], y: [] },
        { name: "full", x: [1], y: [1], points: true },
      ],
    });
    expect(texts(svg)).not.toContain("no points");
    expect(texts(svg)).toContain("empty (no points)");
  });

  it("has on a logarithmic axis a place for each factor, and none for 0", () => {
    const x = { label: "step", domain: [1, 100], log: true } as const;
    const svg = chartOf({ x, series: [{ name: "a", x: [0, 1, 10, 100], y: [0, 0, 0, 0] }] });
    const { left, right, bottom } = plotOf(svg);
    expect(pathOf(svg)).toBe(`M${left},${bottom}L${(left + right) / 2},${bottom}L${right},${bottom}`);
    expect(texts(svg)).toContain("a: 1 point not above 0, which have no place on a logarithmic axis");
    expect(texts(svg)).toEqual(expect.arrayContaining(["1", "10", "100"]));
  });

  it("holds a step until the next x", () => {
    const svg = chartOf({ series: [{ name: "a", x: [0, 5], y: [0, 10], step: true }] });
    const { left, right, top, bottom } = plotOf(svg);
    const middle = (left + right) / 2;
    expect(pathOf(svg)).toBe(`M${left},${bottom}L${middle},${bottom}L${middle},${top}`);
  });

  it("draws the diagonal through equal values, straight on equal axes and bent on unequal ones", () => {
    const svg = chartOf({ reference: "diagonal", y: { label: "loss", domain: [5, 20] } });
    const { left, right, top, bottom } = plotOf(svg);
    const third = bottom - (bottom - top) / 3;
    const d = /class="reference" d="([^"]*)"/.exec(svg)![1]!;
    const [from, to] = d
      .slice(1)
      .split("L")
      .map((place) => place.split(",").map(Number));
    expect(from).toEqual([(left + right) / 2, bottom]);
    expect(to![0]).toBe(right);
    expect(to![1]).toBeCloseTo(third, 1);
    const bent = chartOf({ reference: "diagonal", y: { label: "loss", domain: [1, 100], log: true } });
    expect(/class="reference" d="([^"]*)"/.exec(bent)![1]!.split("L").length).toBeGreaterThan(10);
  });

  it("marks points that lie inside with their numbers", () => {
    const svg = chartOf({ series: [{ name: "a", x: [1, 2, 50], y: [3, 4, 5], points: true }] });
    const told = [...svg.matchAll(/class="point"[^>]*><title>([^<]*)/g)].map(([, text]) => text);
    expect(told).toEqual(["a: step 1, loss 3", "a: step 2, loss 4"]);
  });

  it("shades a range and names it", () => {
    const svg = chartOf({
      marks: [
        { axis: "x", at: 5, to: 10, label: "no rise" },
        { axis: "y", at: 10, label: "chance" },
      ],
    });
    const { left, right, top } = plotOf(svg);
    const [, x, width] = /class="band" x="([\d.]+)"[^>]* width="([\d.]+)"/.exec(svg)!;
    expect(Number(x)).toBeCloseTo((left + right) / 2, 1);
    expect(Number(width)).toBeCloseTo((right - left) / 2, 1);
    expect(svg).toContain(`d="M${left} ${top}H${right}"`);
    expect(texts(svg)).toEqual(expect.arrayContaining(["no rise", "chance"]));
  });

  it("stays small for a long series, and keeps its single spike and its single gap", () => {
    const count = 1_000_000;
    const x = Float64Array.from({ length: count }, (_, i) => (i * 10) / count);
    const y = new Float64Array(count).fill(2);
    y[123_456] = 9;
    y[777_777] = Number.NaN;
    const svg = chartOf({ series: [{ name: "a", x, y }] });
    const { top, bottom } = plotOf(svg);
    const path = pathOf(svg)!;
    expect(svg.length).toBeLessThan(60_000);
    expect(path).toContain(`,${Number((bottom - (bottom - top) * 0.9).toFixed(2))}L`);
    expect(path.match(/M/g)).toHaveLength(2);
  });

  it("tells who hears it what it shows", () => {
    const svg = chartOf({ series: [{ name: "a", x: [0, 1, 2], y: [3, 1, 2] }] });
    expect(svg).toMatch(/^<svg[^>]*role="img"/);
    expect(svg).toContain("<title>A chart</title>");
    expect(svg).toContain("a: 3 points, from 3 at 0 to 2 at 2, lowest 1, highest 3.");
  });

  it("escapes what comes from outside", () => {
    const svg = chartOf({
      title: "<script>",
      series: [
        { name: '"><img>', x: [1], y: [1], points: true },
        { name: "b", x: [], y: [] },
      ],
    });
    expect(svg).not.toMatch(/<script|<img/);
  });

  it.each([
    [{ x: { label: "x", domain: [2, 1] as const } }, /x.domain: found \[2, 1\]/],
    [{ y: { label: "y", domain: [0, 1] as const, log: true } }, /above 0 on a logarithmic axis/],
    [{ series: [{ name: "a", x: [1, 2], y: [1] }] }, /series "a".y: found 1 values; expected 2 values/],
  ])("refuses what it cannot draw (%#)", (chart, message) => {
    expect(() => chartOf(chart)).toThrow(message);
  });

  it("finds domains that hold the data, and a 0 that nothing lies below", () => {
    const svg = chartOf({
      x: { label: "x" },
      y: { label: "y" },
      series: [{ name: "a", x: [3, 4], y: [0.01, 0.99], points: true }],
    });
    expect(texts(svg)).toEqual(expect.arrayContaining(["0", "0.2", "1", "3"]));
    expect(texts(svg).some((text) => text!.startsWith("−"))).toBe(false);
    expect(svg.match(/class="point"/g)!.length).toBe(2);
    const flat = chartOf({ x: { label: "x" }, y: { label: "y" }, series: [{ name: "a", x: [1, 1], y: [7, 7] }] });
    expect(pathOf(flat)).not.toContain("NaN");
  });
});

describe("thinning", () => {
  it("keeps first, lowest, highest and last of each column of pixels, and one of neighboring gaps", () => {
    const x = [0.1, 0.2, 0.3, 0.4, 0.5, 1.1, 1.2, Number.NaN, Number.NaN, 2];
    const y = [5, 9, 1, 4, 4, 2, 2, 3, 3, 8];
    expect(thin({ x, y })).toEqual([0, 1, 2, 4, 5, 6, 7, 9]);
  });
});

interface Span {
  readonly x: number;
  readonly width: number;
}

describe("barChart", () => {
  const bars = [
    { label: "a", value: 1, low: 0.5, high: 2 },
    { label: "b", value: -1 },
    { label: "c", value: Number.NaN },
  ];
  const svg = svgOf(barChart({ title: "Bars", value: { label: "recall", domain: [-2, 2] }, bars }));
  const rectangles = [...svg.matchAll(/<rect class="fill series-0" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)];

  it("draws lengths from 0 to both sides, and no bar for what is not finite", () => {
    const [a, b] = rectangles.map(([, x, width]) => ({ x: Number(x), width: Number(width) })) as [Span, Span];
    expect(rectangles).toHaveLength(2);
    expect(a.width).toBeCloseTo(b.width, 1);
    expect(b.x + b.width).toBeCloseTo(a.x, 1);
    expect(texts(svg)).toContain("NaN");
  });

  it("draws one whisker for the one interval, and says all in words", () => {
    expect(svg.match(/class="whisker"/g)).toHaveLength(1);
    expect(svg).toContain("recall: a 1 (0.5 to 2), b −1, c NaN.");
    expect(texts(svgOf(barChart({ title: "None", value: { label: "x" }, bars: [] })))).toContain("no bars");
  });
});

describe("heatMap", () => {
  const map = { title: "Confusion", rowLabel: "label", columnLabel: "prediction" };

  it("writes the number into each cell, the stronger the larger", () => {
    const svg = svgOf(heatMap({ ...map, rows: ["cat", "dog"], columns: ["cat", "dog"], values: [8, 2, 0, 40] }));
    expect([...svg.matchAll(/fill-opacity="([\d.]+)"/g)].map(([, share]) => Number(share))).toEqual([
      0.25, 0.11, 0.06, 1,
    ]);
    expect(texts(svg)).toEqual(expect.arrayContaining(["8", "2", "0", "40", "cat", "dog"]));
    expect(svg).toContain("label dog, prediction cat: 0");
  });

  it("shades by the row where it is told to", () => {
    const svg = svgOf(heatMap({ ...map, shade: "row", rows: ["a", "b"], columns: ["a", "b"], values: [1, 0, 50, 50] }));
    expect([...svg.matchAll(/fill-opacity="([\d.]+)"/g)].map(([, share]) => Number(share))).toEqual([
      1, 0.06, 0.53, 0.53,
    ]);
    expect(svg).toContain("label b, prediction a: 50 (50 % of the row)");
  });

  it("leaves numbers out where they do not fit, but says them to who points", () => {
    const names = Array.from({ length: 50 }, (_, i) => `class ${i}`);
    const values = Array.from({ length: 2500 }, (_, i) => 100_000 + i);
    const svg = svgOf(heatMap({ ...map, rows: names, columns: names, values }));
    expect(texts(svg)).not.toContain("100k");
    expect(svg).toContain("label class 0, prediction class 1: 100.001k");
  });

  it("leaves a cell that is not finite open, and says that there is none at all", () => {
    const svg = svgOf(heatMap({ ...map, rows: ["a"], columns: ["b", "c"], values: [Number.NaN, 1] }));
    expect(svg.match(/class="blank"/g)).toHaveLength(1);
    expect(texts(svgOf(heatMap({ ...map, rows: [], columns: [], values: [] })))).toContain("no cells");
  });

  it("refuses values that are no rectangle, and a million cells", () => {
    expect(() => heatMap({ ...map, rows: ["a"], columns: ["a", "b"], values: [1] })).toThrow(
      /found 1 values; expected 2/,
    );
    const names = Array.from({ length: 1000 }, String);
    expect(() => heatMap({ ...map, rows: names, columns: names, values: new Float64Array(1e6) })).toThrow(
      /at most 40000 cells/,
    );
  });
});

describe("chartPage", () => {
  const chart = lineChart({ title: "A chart", ...square, series: [] });
  const page = chartPage({
    title: "Run <1>",
    source: "losswright log",
    sections: [
      { title: "Alarm", tone: "alarm", paragraphs: ["<b>"], items: ["one"] },
      {
        charts: [chart],
        table: {
          head: ["step", "name"],
          rows: [
            ["1", "a"],
            ["2.5", "b"],
          ],
        },
        tiles: [{ label: "loss", value: "0.5" }],
      },
    ],
  });

  it("is one document without scripts and without anything to load", () => {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
    expect(page).not.toMatch(/<script|<b>|https?:|url\(|@import/);
    expect(page).toContain("<title>Run &lt;1> · losswright log</title>");
  });

  it("aligns columns of numbers to the right, and others to the left", () => {
    expect(page).toContain('<th class="number">step</th><th>name</th>');
    expect(page).toContain('<td class="number">2.5</td><td>b</td>');
  });

  it("has every color in light and in dark", () => {
    const [light, dark] = chartStyle.split("prefers-color-scheme: dark") as [string, string];
    const colors = (style: string) => [...new Set([...style.matchAll(/(--chart-[\w]+):/g)].map(([, name]) => name))];
    expect(colors(dark)).toEqual(colors(light));
    expect([...chartStyle.matchAll(/var\((--[\w-]+)\)/g)].every(([, name]) => light.includes(`${name}:`))).toBe(true);
  });
});

describe("numbers", () => {
  it.each([
    [0, "0"],
    [-0, "0"],
    [0.25, "0.25"],
    [1234.5678, "1235"],
    [12_345, "12.35k"],
    [3.5e6, "3.5M"],
    [2e9, "2G"],
    [-0.00012, "−1.2e−4"],
    [1e20, "1e20"],
    [9999.9, "10k"],
    [999_999, "1M"],
    [Number.NaN, "NaN"],
    [Number.NEGATIVE_INFINITY, "−∞"],
  ])("%d are short: %s", (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });

  it("on ticks have the digits that tell them apart, and one way to count", () => {
    expect(tickWords([0, 0.2, 0.4, 0.6000000000000001])).toEqual(["0", "0.2", "0.4", "0.6"]);
    expect(tickWords([0.51234, 0.51235, 0.51236])).toEqual(["0.51234", "0.51235", "0.51236"]);
    expect(tickWords([5000, 10_000, 15_000])).toEqual(["5k", "10k", "15k"]);
    expect(tickWords([5000, 6000])).toEqual(["5000", "6000"]);
    expect(tickWords([])).toEqual([]);
  });
});
