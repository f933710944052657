import { type ComponentChild, h } from "preact";
import { renderToString } from "preact-render-to-string";
import type { Picture } from "./frame.js";
import { chartStyle } from "./style.js";

/** A number that is read first, large. */
export interface PageTile {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
}

export interface PageTable {
  readonly head: readonly string[];
  /** Numbers come as the strings they are to be read as; a column of them is aligned to the right. */
  readonly rows: readonly (readonly string[])[];
}

export interface PageSection {
  readonly title?: string;
  /** A warning or an all-clear that stands out; nothing for plain text. */
  readonly tone?: "alarm" | "calm";
  readonly paragraphs?: readonly string[];
  readonly items?: readonly string[];
  readonly tiles?: readonly PageTile[];
  readonly charts?: readonly Picture[];
  readonly table?: PageTable;
  /** Small print under the rest. */
  readonly notes?: readonly string[];
}

export interface ChartPage {
  readonly title: string;
  /** The command that made it, for the window's title. */
  readonly source?: string;
  readonly lead?: readonly string[];
  readonly sections: readonly PageSection[];
}

/**
 * One HTML document that needs no other file and runs no script. All text is escaped; the page may load nothing, by its
 * own policy.
 */
export function chartPage({ title, source, lead = [], sections }: ChartPage): string {
  const page = h(
    "html",
    { lang: "en" },
    h(
      "head",
      null,
      h("meta", { charset: "utf-8" }),
      h("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; style-src 'unsafe-inline'" }),
      h("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      h("title", null, source === undefined ? title : `${title} · ${source}`),
      h("style", { dangerouslySetInnerHTML: { __html: style } }),
    ),
    h(
      "body",
      null,
      h(
        "main",
        null,
        h("h1", null, title),
        ...lead.map((text) => h("p", { class: "lead" }, text)),
        ...sections.map(sectionView),
      ),
    ),
  );
  return `<!doctype html>\n${renderToString(page)}\n`;
}

function sectionView({ title, tone, paragraphs, items, tiles, charts, table, notes }: PageSection): ComponentChild {
  return h(
    "section",
    tone ? { class: tone } : null,
    title !== undefined && h("h2", null, title),
    tiles && h("dl", { class: "tiles" }, ...tiles.map(tileView)),
    ...(paragraphs ?? []).map((text) => h("p", null, text)),
    items && h("ul", null, ...items.map((text) => h("li", null, text))),
    charts && h("div", { class: "charts" }, ...charts.map((chart) => h("figure", null, chart))),
    table && tableView(table),
    ...(notes ?? []).map((text) => h("p", { class: "note" }, text)),
  );
}

function tileView({ label, value, note }: PageTile): ComponentChild {
  return h("div", null, h("dt", null, label), h("dd", null, value, note !== undefined && h("small", null, note)));
}

function tableView({ head, rows }: PageTable): ComponentChild {
  const isNumber = (cell: string | undefined) => cell === undefined || /^([−+-]?(\d|∞|NaN|\.\d).*|–|)$/.test(cell);
  const isNumeric = head.map((_, column) => rows.every((row) => isNumber(row[column])));
  const cell = (kind: "th" | "td", text: string, column: number) =>
    h(kind, isNumeric[column] ? { class: "number" } : null, text);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, ...head.map((text, column) => cell("th", text, column)))),
      h("tbody", null, ...rows.map((row) => h("tr", null, ...row.map((text, column) => cell("td", text, column))))),
    ),
  );
}

const style = `${chartStyle}
* { box-sizing: border-box; }
html { background: var(--chart-paper); }
body { margin: 0; color: var(--chart-ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif; }
main { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem 4rem; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; max-width: 52rem; overflow-wrap: anywhere; }
ul { margin: .3rem 0; padding-left: 1.3rem; max-width: 52rem; }
.lead, .note, dd small { color: var(--chart-soft); }
.note { font-size: .9rem; }
.alarm, .calm { margin-top: 1.4rem; padding: .2rem 1.2rem .9rem; border-left: 5px solid var(--chart-2); background: color-mix(in srgb, var(--chart-2) 8%, transparent); border-radius: 6px; }
.alarm { border-color: var(--chart-band); background: color-mix(in srgb, var(--chart-band) 8%, transparent); }
.alarm h2, .calm h2 { margin-top: .8rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.6rem 2rem; margin: 1rem 0; }
figure { margin: 0; min-width: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; margin: 1rem 0; }
.tiles > div { padding: .6rem 1rem .7rem; border: 1px solid var(--chart-grid); border-radius: 8px; overflow-wrap: anywhere; }
dt { color: var(--chart-soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.5rem; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dd small { display: block; font-size: .85rem; font-weight: 400; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid var(--chart-grid); }
th { color: var(--chart-soft); font-weight: 500; }
.number { text-align: right; }
@media print { .charts { grid-template-columns: 1fr 1fr; } }
`;
