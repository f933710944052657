import { type ComponentChild, h } from "preact";
import { itemsOf, type PositionRange, type RowItem } from "../row-items.js";
import { type Kind, kinds, type TokenBatch, type Vocabulary } from "../token-batch.js";
import { visible } from "../visible.js";
import { brief, countsInWords, positionInWords, rowSummary } from "../words.js";

/** The signs of the page, as far as its batches use them, and what a full cell stands for. */
export function legend(batches: readonly TokenBatch[]): ComponentChild {
  const words: Readonly<Record<Kind, string>> = {
    trained: "in the loss; the bar is its share of the highest",
    prompt: "prompt",
    padding: "padding",
    ignored: "left out",
  };
  const used = kinds.filter((kind) => batches.some(({ counts }) => counts[kind] > 0));
  const sample = (kind: string, text: string) =>
    h("span", { class: "sample" }, h("span", { class: `t ${kind}`, style: "--l:.4" }, h("b", null, "ab")), text);
  return h(
    "div",
    { class: "legend" },
    ...used.map((kind) => sample(kind, words[kind])),
    batches.some(({ counts }) => counts.oddities.length > 0) && sample("trained odd", "look here"),
    batches.some(({ segments }) => segments) &&
      h(
        "span",
        { class: "sample" },
        h("span", { class: "segment" }, "2"),
        "a segment begins; every second one has a line above",
      ),
    h("span", { class: "sample" }, "upper line: token, lower line: label"),
  );
}

/**
 * A row: what it counts, and its tokens with their labels.
 *
 * @param range - the positions to show, where the row is too long for a page; all of them without it
 */
export function rowView(
  batch: TokenBatch,
  row: number,
  textOf: Vocabulary | undefined,
  range?: PositionRange,
): ComponentChild {
  const { counts, mean } = rowSummary(batch, row);
  const isCut = range && range.to - range.from < batch.length;
  const words = [
    countsInWords(counts),
    mean === null ? null : `mean loss ${brief(mean)}`,
    isCut ? `positions ${range.from}..${range.to - 1} of ${batch.length}` : null,
  ];
  const most = highestOf(batch);
  return h(
    "div",
    { class: "row" },
    h("h3", null, `row ${row}`, h("small", null, words.filter(Boolean).join(" · "))),
    h(
      "div",
      { class: "tokens" },
      ...itemsOf(batch, row, textOf, range).map((item) => itemView(item, batch, row, most)),
    ),
  );
}

function itemView(item: RowItem, batch: TokenBatch, row: number, most: number): ComponentChild {
  if (item.is === "segment") return h("span", { class: "segment" }, item.segment);
  if (item.is === "position") return positionView(item, batch, row, most);
  const last = item.at + item.count - 1;
  return h(
    "span",
    {
      class: "t padding run",
      role: "img",
      "aria-label": `row ${row} · positions ${item.at}..${last} · padding, left out`,
    },
    h("b", null, `${item.count} × padding`),
  );
}

type PositionItem = Extract<RowItem, { readonly is: "position" }>;

function positionView(
  { position, isOther }: PositionItem,
  batch: TokenBatch,
  row: number,
  most: number,
): ComponentChild {
  const { id, text, label, labelText, kind, fate, loss, oddity } = position;
  const named = (word: string | null, number: number | null) =>
    word === null ? (number === null ? "" : brief(number)) : visible(word);
  const under = fate === "ignored" ? "–" : named(labelText, label);
  const first = batch.ids ? named(text, id) : batch.labels ? under : loss === null ? "–" : brief(loss);
  const words = [`row ${row}`, ...positionInWords(position, (word) => `“${visible(word)}”`)];
  return h(
    "span",
    {
      class: ["t", kind, oddity !== null && "odd", isOther && "other"].filter(Boolean).join(" "),
      ...(loss !== null && fate === "trained" && { style: `--l:${filling(loss, most)}` }),
      role: "img",
      "aria-label": words.join(" · "),
    },
    h("b", null, first || "\u00A0"),
    batch.ids && batch.labels ? h("i", null, under || "\u00A0") : null,
  );
}

/** The highest finite loss of a batch, which fills a cell. */
function highestOf({ losses }: TokenBatch): number {
  let most = 0;
  for (const loss of losses ?? []) if (loss > most && loss < Number.POSITIVE_INFINITY) most = loss;
  return most;
}

/** How far a loss fills its cell; what is not finite fills it. */
function filling(loss: number, most: number): number {
  if (!Number.isFinite(loss)) return 1;
  return most === 0 ? 0 : Math.round((Math.max(loss, 0) / most) * 1000) / 1000;
}
