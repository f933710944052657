import { type ComponentChild, h } from "preact";
import { numbered } from "../../inspect/index.js";
import type { AuditedStep } from "../audited-step.js";
import { type CellTokens, type FieldPattern, type PartPulls, predictedUnits, tokensOfCells } from "./pattern.js";
import { type PullKind, pullCode, pullKinds, type UnitPulls } from "./unit-pulls.js";
import { capitalized, figure, partName, times, told, unitsInWords } from "./words.js";

/** Height of a line, and width of a cell, in the units of its drawing; a page stretches lines to its own width. */
const height = 30;
const width = 10;
/** The widest a cell is drawn, in pixels. */
const widestCell = 26;

/** Cells that say what they are while a pointer is on them; more would make the page too large. */
const mostTips = 800;

/**
 * The gradient of a step as lines of cells, one a unit: what was reported as a bar, what the contract gives as a tick.
 * A bar that does not reach its tick pulls too little, one that passes it too much; a bar without a tick should not be
 * there. Every kind has a shape of its own beside its color.
 */
export function patternView(step: AuditedStep, patterns: readonly FieldPattern[]): ComponentChild {
  const seen = patterns.flatMap(({ parts }) => parts).reduce((sum, { pulls }) => sum + cellsSeen(pulls), 0);
  const withTips = seen <= mostTips;
  return h(
    "div",
    { class: "pattern" },
    hatches(),
    patterns.some(({ parts }) => parts.length > 0) && h("p", { class: "words" }, signsInWords(patterns)),
    ...patterns.map((pattern) => fieldView(step, pattern, patterns.length > 1, withTips)),
  );
}

function cellsSeen({ kinds }: UnitPulls): number {
  return kinds.reduce((sum, kind) => sum + (kind === pullCode.none ? 0 : 1), 0);
}

/** The fillings that are no plain color, once a page. */
function hatches(): ComponentChild {
  const hatch = (id: string, d: string) =>
    h(
      "pattern",
      { id, width: 5, height: 5, patternUnits: "userSpaceOnUse" },
      h("rect", { width: 5, height: 5 }),
      h("path", { d }),
    );
  return h(
    "svg",
    { class: "hatches", width: 0, height: 0, "aria-hidden": "true" },
    h("defs", null, hatch("turned", "M0 5L5 0M-1 1L1 -1M4 6L6 4"), hatch("extra", "M0 5L5 0M0 0L5 5")),
  );
}

function fieldView(step: AuditedStep, pattern: FieldPattern, isOneOfSeveral: boolean, tips: boolean): ComponentChild {
  const { field, parts, scalars, partsLeftOut } = pattern;
  return h(
    "div",
    { class: "field" },
    isOneOfSeveral && h("h4", null, "Gradient of ", h("code", null, told(field, 80))),
    parts.length > 0 && pullLegend(step, pattern),
    parts.length > 0 && rolesView(pattern),
    ...parts.map((part) => partView(step, pattern, part, tips)),
    scalars.length > 0 && scalarsView(step, pattern),
    partsLeftOut > 0 &&
      h(
        "p",
        { class: "more" },
        `${numbered(partsLeftOut, "more part")}, nearer to their declared gradients, not drawn`,
      ),
  );
}

// ---- what the signs mean, with how many there are ----

const meanings: Readonly<Record<PullKind, string>> = {
  none: "that pull nothing",
  same: "as declared",
  weaker: "that pull less than declared",
  stronger: "that pull harder than declared",
  turned: "in another direction",
  missing: "that should pull, and do not",
  extra: "that should not pull, and do",
  broken: "not finite",
};

/** The kinds that occur, gravest first, each with its sign and how many units are of it. */
function pullLegend(step: AuditedStep, { counts, weakest, strongest, parts }: FieldPattern): ComponentChild {
  const used = pullKinds.filter((kind) => counts[kind] > 0).reverse();
  const { pulls } = parts[0]!;
  const total = used.reduce((sum, kind) => sum + counts[kind], 0);
  const extent: Readonly<Partial<Record<PullKind, string>>> = {
    none: ` (less than 1/${Math.round(1 / pulls.nothing)} of the longest)`,
    weaker: ` (down to ${times(weakest)})`,
    stronger: ` (up to ${times(strongest)})`,
  };
  return h(
    "ul",
    { class: "legend" },
    h("li", null, `Of ${placesInWords(step, pulls, total)}:`),
    ...used.map((kind) =>
      h(
        "li",
        { class: "sample" },
        sample(kind),
        h("span", null, h("b", null, counts[kind]), ` ${meanings[kind]}${extent[kind] ?? ""}`),
      ),
    ),
  );
}

/** What the cells of a field are of: units, or the positions inside them. */
function placesInWords(step: AuditedStep, { isLine }: UnitPulls, count: number): string {
  const { unit } = step.objective.definition;
  const isInside = !isLine && unit !== "position" && unit !== "element";
  return isInside ? numbered(count, "position") : `${count} ${unitsInWords(step, count)}`;
}

/** What each sort of band is called. */
const bandWords: Readonly<Partial<Record<CellTokens["kind"], string>>> = {
  trained: "full for one to learn",
  prompt: "dashed for a prompt",
  padding: "hatched for padding",
};

/** How the lines are read, once a page. */
function signsInWords(patterns: readonly FieldPattern[]): string {
  const cells = patterns.flatMap(({ parts }) => parts).flatMap((part) => tokensOfCells(part) ?? []);
  const bands = new Set(cells.map(({ kind }) => kind));
  const known = Object.entries(bandWords).flatMap(([kind, words]) =>
    bands.has(kind as CellTokens["kind"]) ? [words] : [],
  );
  return [
    "Bar: reported; tick: declared; heights as the square root of the length. On the right: how hard the line pulls along the declared gradient.",
    known.length > 0 && ` Under a line: the token that a position predicts, ${known.join(", ")}.`,
    cells.some(({ isOdd }) => isOdd) && " A red ! is a mask that meets a role as masks seldom do.",
  ]
    .filter(Boolean)
    .join("");
}

/** One cell of a kind, drawn as the lines draw it. */
function sample(kind: PullKind): ComponentChild {
  const [reported, declared] = sampleHeights[kind];
  const cell = { kind, left: 0, reported, declared };
  return h(
    "svg",
    { class: "lines key", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    ...shapesOf([cell]),
  );
}

const sampleHeights: Readonly<Record<PullKind, readonly [reported: number, declared: number]>> = {
  none: [0, 0],
  same: [20, 20],
  weaker: [10, 22],
  stronger: [25, 12],
  turned: [20, 20],
  missing: [0, 20],
  extra: [20, 0],
  broken: [height, 0],
};

/** How many tokens of each role pull: where prompts or padding do, it is seen here first. */
function rolesView({ byRole }: FieldPattern): ComponentChild {
  if (byRole.length === 0) return null;
  return h(
    "p",
    { class: "roles" },
    "Of the tokens predicted: ",
    byRole
      .map(({ role, tokens, pulling, declared }) => {
        const should = pulling === declared ? "" : `, ${declared} should`;
        return `${pulling} of ${tokens} ${role} ${role === "padding" ? "" : "tokens "}pull${should}`;
      })
      .join("; "),
    ".",
  );
}

// ---- lines ----

function partView(step: AuditedStep, pattern: FieldPattern, part: PartPulls, tips: boolean): ComponentChild {
  const { pulls } = part;
  const cellTokens = tokensOfCells(part);
  const predicted = part.tokens && predictedUnits(part.tokens);
  const isOneOfSeveral = step.parts.length > 1;
  const own = pulls.columnsEach > 1 || pulls.rowsEach > 1 ? `each cell: ${eachInWords(pulls)}` : "";
  return h(
    "div",
    { class: pulls.isLine && pulls.lines < 2 ? "part nameless" : "part" },
    (isOneOfSeveral || own) &&
      h("h5", null, isOneOfSeveral && capitalized(partName(step, part.part)), own && h("small", null, own)),
    ...Array.from({ length: pulls.lines }, (_, line) => {
      const cells = cellsOf(pulls, line, pattern.longest);
      const name = lineName(pulls, line);
      const factor = pulls.factors[line]!;
      const strip = { style: `max-width:${pulls.cells * widestCell}px` };
      return h(
        "div",
        { class: "line" },
        h("span", { class: "name" }, name),
        h(
          "div",
          { class: "strip", role: "img", "aria-label": lineInWords(step, part, line, name), ...strip },
          h(
            "svg",
            { class: "lines", viewBox: `0 0 ${pulls.cells * width} ${height}`, preserveAspectRatio: "none" },
            ...shapesOf(cells),
            tips && tipsOf(part, predicted, line, name),
          ),
          cellTokens && bandView(cellTokens.slice(line * pulls.cells, (line + 1) * pulls.cells)),
        ),
        h("span", { class: "factor" }, Number.isNaN(factor) ? "" : times(factor)),
      );
    }),
    h("div", { class: "line" }, h("span", { class: "name" }), axisView(pulls), h("span", { class: "factor" })),
  );
}

function eachInWords({ rowsEach, columnsEach, isLine }: UnitPulls): string {
  const columns = numbered(columnsEach, isLine ? "unit" : "position");
  return rowsEach > 1 ? `${columns} of ${numbered(rowsEach, "row")}` : columns;
}

function lineName({ isLine, rows, columns, rowsEach, cells, columnsEach, lines }: UnitPulls, line: number): string {
  if (isLine) {
    if (lines === 1) return "";
    const from = line * cells * columnsEach;
    return `${from}–${Math.min(columns, from + cells * columnsEach) - 1}`;
  }
  if (rowsEach === 1) return `row ${line}`;
  return `rows ${line * rowsEach}–${Math.min(rows, (line + 1) * rowsEach) - 1}`;
}

interface Cell {
  readonly kind: PullKind;
  readonly left: number;
  /** Heights of bar and tick. */
  readonly reported: number;
  readonly declared: number;
}

function cellsOf({ cells, kinds, reported, declared }: UnitPulls, line: number, longest: number): readonly Cell[] {
  return Array.from({ length: cells }, (_, cell): Cell => {
    const at = line * cells + cell;
    return {
      kind: pullKinds[kinds[at]!]!,
      left: cell * width,
      reported: heightOf(reported[at]!, longest),
      declared: heightOf(declared[at]!, longest),
    };
  });
}

/** The height of a length: its square root, so that small pulls are seen beside large ones; never too low to be seen. */
function heightOf(length: number, longest: number): number {
  if (length === 0 || longest === 0) return 0;
  // Several units in a cell may be longer together than the longest alone.
  if (!(length < longest)) return height - 2;
  return Math.max(1.5, Math.round(10 * (height - 2) * Math.sqrt(length / longest)) / 10);
}

/** One path for the bars of each kind, one for the ticks: a line of many cells stays small. */
function shapesOf(cells: readonly Cell[]): ComponentChild[] {
  const bars = new Map<PullKind, string>();
  const add = (kind: PullKind, path: string) => bars.set(kind, `${bars.get(kind) ?? ""}${path}`);
  let ticks = "";
  for (const { kind, left, reported, declared } of cells) {
    if (kind === "none") continue;
    const tall = kind === "missing" ? declared : kind === "broken" ? height : reported;
    add(kind, `M${left + 1} ${height}v${-tall}h${width - 2}v${tall}z`);
    if (kind === "broken") add(kind, `M${left + 2} 3l6 24M${left + 8} 3l-6 24`);
    if (declared > 0 && kind !== "broken") ticks += `M${left} ${round(height - declared)}h${width}`;
  }
  const paths = [...bars].map(([kind, d]) => h("path", { class: kind, d }));
  return ticks ? [...paths, h("path", { class: "ticks", d: ticks })] : paths;
}

function round(number: number): number {
  return Math.round(10 * number) / 10;
}

/** What is known of each cell, shown by the browser while the pointer is on it. */
function tipsOf(
  { pulls, tokens }: PartPulls,
  predicted: Int32Array | undefined,
  line: number,
  name: string,
): ComponentChild[] {
  const { cells, kinds, reported, declared, columnsEach, columns, rowsEach, isLine } = pulls;
  return Array.from({ length: cells }, (_, cell) => {
    const at = line * cells + cell;
    const kind = pullKinds[kinds[at]!]!;
    if (kind === "none") return null;
    const from = (isLine ? line * cells * columnsEach : 0) + cell * columnsEach;
    const to = Math.min(columns, from + columnsEach) - 1;
    const place = `${from === to ? `position ${from}` : `positions ${from}–${to}`}`;
    const one =
      predicted && columnsEach === 1 && rowsEach === 1 ? predicted[(isLine ? 0 : line) * columns + from]! : -1;
    const label = one >= 0 && tokens?.labels ? `, predicts label ${Number(tokens.labels.data[one])}` : "";
    const lengths = `reported ${figure(reported[at]!)}, declared ${figure(declared[at]!)}`;
    const words = `${isLine || !name ? "" : `${name}, `}${place}${label}: ${spelledKinds[kind]}; ${lengths}`;
    return h("rect", { x: cell * width, width, height }, h("title", null, words));
  });
}

const spelledKinds: Readonly<Record<PullKind, string>> = {
  none: "no pull",
  same: "as declared",
  weaker: "too weak",
  stronger: "too strong",
  turned: "another direction",
  missing: "should pull",
  extra: "should not pull",
  broken: "not finite",
};

function lineInWords(step: AuditedStep, { part, pulls }: PartPulls, line: number, name: string): string {
  const own = pulls.kinds.subarray(line * pulls.cells, (line + 1) * pulls.cells);
  const counted = pullKinds
    .map((kind, code) => ({ kind, count: own.reduce((sum, each) => sum + (each === code ? 1 : 0), 0) }))
    .filter(({ kind, count }) => kind !== "none" && count > 0)
    .map(({ kind, count }) => `${count} ${spelledKinds[kind]}`);
  const place = [step.parts.length > 1 ? partName(step, part) : "", name].filter(Boolean).join(", ");
  const factor = pulls.factors[line]!;
  const words = [
    counted.length ? counted.join(", ") : "nothing pulls",
    Number.isNaN(factor) ? "" : `along the declared gradient ${times(factor)}`,
  ];
  return `${place ? `${place}: ` : ""}${words.filter(Boolean).join("; ")}`;
}

/** What the predicted tokens are, under a line: prompt, padding, in the loss; `!` over what is to be looked at. */
function bandView(tokens: NonNullable<ReturnType<typeof tokensOfCells>>): ComponentChild {
  const runs: { kind: string; isOdd: boolean; cells: number }[] = [];
  for (const { kind, isOdd } of tokens) {
    const last = runs.at(-1);
    if (last && last.kind === kind && last.isOdd === isOdd) last.cells++;
    else runs.push({ kind, isOdd, cells: 1 });
  }
  return h(
    "div",
    { class: "band" },
    ...runs.map(({ kind, isOdd, cells }) =>
      h("span", { class: kind, style: `flex-grow:${cells}` }, isOdd && h("b", null, "!")),
    ),
  );
}

/** Numbers under the lines: ten or so. */
function axisView({ cells, columnsEach, columns, isLine, lines }: UnitPulls): ComponentChild {
  if (cells === 0 || (isLine && lines > 1)) return h("div", { class: "axis" });
  const step = [1, 2, 4, 8, 16, 32, 64].find((each) => cells / each <= 16) ?? cells;
  const marks = Array.from({ length: Math.ceil(cells / step) }, (_, i) => i * step);
  return h(
    "div",
    { class: "axis", style: `max-width:${cells * widestCell}px` },
    ...marks.map((cell) =>
      h(
        "span",
        { style: `left:${round((100 * (cell + 0.5)) / cells)}%` },
        Math.min(cell * columnsEach, Math.max(0, columns - 1)),
      ),
    ),
  );
}

// ---- scalars ----

function scalarsView(step: AuditedStep, { scalars }: FieldPattern): ComponentChild {
  const isOneOfSeveral = step.parts.length > 1;
  const heads = [...(isOneOfSeveral ? ["part"] : []), "reported", "declared"];
  return h(
    "table",
    null,
    h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h(
      "tbody",
      null,
      ...scalars.map(({ part, reported, declared }) =>
        h(
          "tr",
          null,
          isOneOfSeveral && h("th", { scope: "row" }, partName(step, part)),
          h("td", null, figure(reported)),
          h("td", null, figure(declared)),
        ),
      ),
    ),
  );
}
