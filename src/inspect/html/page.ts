import { type ComponentChild, h } from "preact";
import { renderToString } from "preact-render-to-string";
import { sequencesInWords } from "../alignment-batch.js";
import type { InspectedBatch, Inspection } from "../inspection.js";
import { formatGrid, kinds } from "../token-batch.js";
import { countsInWords, numbered, oddityInWords, plainName, rowsOf, sumInWords, type ViewOptions } from "../words.js";
import { alignmentLegend, alignmentView } from "./alignment-view.js";
import { style } from "./style.js";
import { legend, rowView } from "./token-view.js";

/**
 * An inspection as one HTML page that needs no other file and runs no script: the tokens of every row with their labels
 * under them, filled by their loss; sequences without known frames as heat maps of their alignments. What is known of a
 * position stands at the foot of the window while the pointer is on it.
 *
 * Everything that comes from the record is escaped; the page may load nothing, by its own policy.
 */
export function inspectionPage(inspection: Inspection, options: ViewOptions): string {
  const { task, rule, batches } = inspection;
  const name = plainName(inspection.name);
  const page = h(
    "html",
    { lang: "en" },
    h(
      "head",
      null,
      h("meta", { charset: "utf-8" }),
      h("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; style-src 'unsafe-inline'" }),
      h("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      h("title", null, `${name} · losswright inspect`),
      h("style", { dangerouslySetInnerHTML: { __html: style } }),
    ),
    h(
      "body",
      null,
      h("header", null, h("h1", null, name), task && h("p", { class: "task" }, task), h("p", { class: "rule" }, rule)),
      batches.some(({ shows }) => shows === "tokens") && legend(batches.filter((batch) => batch.shows === "tokens")),
      batches.some(({ shows }) => shows === "alignments") && alignmentLegend(),
      batches.length > 1 && overview(batches),
      ...batches.map((batch, index) => batchView(batch, index, options)),
      h("footer", null, "Point at a position to read it here."),
    ),
  );
  return `<!doctype html>\n${renderToString(page)}\n`;
}

/** One line a part, each leading to its rows. */
function overview(batches: readonly InspectedBatch[]): ComponentChild {
  const heads = ["part", ...kinds, "sum of losses / weight"];
  const cells = (batch: InspectedBatch): (string | number)[] =>
    batch.shows === "tokens" ? kinds.map((kind) => batch.counts[kind]) : [batch.rows, "", "", ""];
  return h(
    "table",
    { class: "overview" },
    h("thead", null, h("tr", null, ...heads.map((head) => h("th", null, head)))),
    h(
      "tbody",
      null,
      ...batches.map((batch, index) =>
        h(
          "tr",
          null,
          h("td", null, h("a", { href: `#part-${index}` }, batch.title)),
          ...cells(batch).map((cell) => h("td", null, cell)),
          h("td", null, sumInWords(batch)),
        ),
      ),
    ),
  );
}

function batchView(batch: InspectedBatch, index: number, options: ViewOptions): ComponentChild {
  const shown = rowsOf(batch, options.rows);
  const left = batch.rows - shown.length;
  const isTokens = batch.shows === "tokens";
  return h(
    "section",
    { id: `part-${index}` },
    h("h2", null, batch.title ?? "batch", isTokens && h("small", null, formatGrid(batch))),
    h(
      "p",
      { class: "sum" },
      [isTokens ? countsInWords(batch.counts) : sequencesInWords(batch), sumInWords(batch)]
        .filter((words) => words !== null)
        .join(" · "),
    ),
    isTokens &&
      h(
        "div",
        { class: "share" },
        ...kinds.map((kind) => h("span", { class: kind, style: `flex-grow:${batch.counts[kind]}` })),
      ),
    isTokens &&
      batch.counts.oddities.map(({ oddity, count }) => h("p", { class: "look" }, oddityInWords(oddity, count))),
    ...batch.notes.map((note) => h("p", { class: "note" }, note)),
    ...shown.map((row) => (isTokens ? rowView(batch, row, options.textOf) : alignmentView(batch, row, options.textOf))),
    left > 0 &&
      h(
        "p",
        { class: "more" },
        `${numbered(left, isTokens ? "more row" : "more sequence")}, not on this page (--row N, --rows N)`,
      ),
  );
}
