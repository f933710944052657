import { ctcCollapse } from "../sequence/index.js";
import { type AlignmentBatch, sequencesInWords } from "./alignment-batch.js";
import type { InspectedBatch, Inspection } from "./inspection.js";
import { itemsOf } from "./row-items.js";
import {
  fateNames,
  formatGrid,
  type Kind,
  kindOf,
  type Position,
  type TokenBatch,
  type Vocabulary,
} from "./token-batch.js";
import { clipped, columnsOf, visible } from "./visible.js";
import {
  brief,
  countsInWords,
  numbered,
  oddityInWords,
  plainName,
  rowSummary,
  rowsOf,
  sumInWords,
  type ViewOptions,
} from "./words.js";

/** How a terminal marks words; every function may give its argument back unchanged. */
export interface TokenPaint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  cyan(text: string): string;
  magenta(text: string): string;
  underline(text: string): string;
}

/** Where text goes: its colors, and how prose is wrapped to its columns. */
export interface Terminal {
  readonly paint: TokenPaint;
  wrap(label: string, text: string, indent: number): string[];
}

const width = 80;
const gutter = 7;
const longestToken = 20;

/**
 * An inspection as text of 80 columns: each row's tokens, their labels under them and under these the mask. Colors
 * repeat what the marks say; nothing is told by color alone.
 */
export function terminalText(inspection: Inspection, options: ViewOptions, terminal: Terminal): string {
  const { wrap } = terminal;
  const { task, rule, batches } = inspection;
  const name = plainName(inspection.name);
  const lines = [
    ...headed(name, " ".repeat(Math.max(2, 20 - name.length)), task ?? "", 20, terminal),
    ...wrap("  counted: ", rule, 11),
    "",
    ...legend(batches, terminal),
  ];
  for (const batch of batches) lines.push("", ...batchLines(batch, options, terminal));
  return lines.join("\n");
}

const marks: Readonly<Record<Kind, string>> = { trained: "^", prompt: "p", padding: "_", ignored: "." };

function legend(all: Inspection["batches"], { wrap }: Terminal): string[] {
  const batches = all.filter((batch) => batch.shows === "tokens");
  if (batches.length === 0) return wrap("  ", ". a frame that emits the blank", 2);
  const counted = batches.map(({ counts }) => counts);
  const some = (kind: Kind) => counted.some((counts) => counts[kind] > 0);
  const hasUnscored = batches.some(({ fates, roles }) =>
    fates.some((fate, unit) => isUnscored({ fate: fateNames[fate]!, kind: kindOf(roles[unit]!, fate) })),
  );
  const words = [
    "^ in the loss",
    some("prompt") && "p prompt",
    some("padding") && "_ padding",
    some("ignored") && ". left out",
    hasUnscored && "< nothing before it scores it",
    batches.some(({ segments }) => segments) && "| a segment begins",
    counted.some(({ oddities }) => oddities.length) && "! look here",
  ].filter((word) => word !== false);
  return wrap("  ", words.join(", "), 2);
}

function batchLines(batch: InspectedBatch, options: ViewOptions, terminal: Terminal): string[] {
  const { paint, wrap } = terminal;
  const shown = rowsOf(batch, options.rows);
  const head = batch.title ?? "batch";
  const what =
    batch.shows === "tokens" ? `${formatGrid(batch)}: ${countsInWords(batch.counts)}` : sequencesInWords(batch);
  const lines = headed(head, "  ", [what, sumInWords(batch)].filter(Boolean).join("; "), head.length + 2, terminal);
  const oddities = batch.shows === "tokens" ? batch.counts.oddities : [];
  for (const { oddity, count } of oddities) lines.push(paint.red(`  ! ${oddityInWords(oddity, count)}`));
  for (const note of batch.notes) lines.push(...wrap("  note: ", note, 8));
  for (const row of shown) {
    lines.push("");
    if (batch.shows === "tokens") lines.push(...rowLines(batch, row, options.textOf, terminal));
    else lines.push(...sequenceLines(batch, row, options.textOf, terminal));
  }
  const left = batch.rows - shown.length;
  const word = batch.shows === "tokens" ? "more row" : "more sequence";
  if (left > 0) lines.push("", paint.dim(`  ${numbered(left, word)} (--row N, --rows N)`));
  return lines;
}

/** A sequence with its labels, its most probable alignment, frame by frame, and what that collapses to. */
function sequenceLines(
  batch: AlignmentBatch,
  row: number,
  textOf: Vocabulary | undefined,
  terminal: Terminal,
): string[] {
  const { paint, wrap } = terminal;
  const { frames, labels, needed, counts, loss, path, share } = batch.sequences[row]!;
  const named = (label: number) => {
    const text = textOf?.(label);
    return text === undefined ? String(label) : visible(text);
  };
  const fits = needed > frames ? `, which need ${needed}` : "";
  const lossText = !counts ? "; left out" : loss === null ? "" : `; loss ${brief(loss)}`;
  const lines = [
    `  ${paint.bold(`sequence ${row}`)}  ${numbered(frames, "frame")}, ${numbered(labels.length, "label")}${fits}${lossText}`,
    ...wrap("  labels  ", labels.map(named).join(" "), 10),
  ];
  if (!path) return [...lines, paint.red("  best    no alignment")];
  const emitted = Array.from(path, (symbol) => (symbol === batch.blank ? "." : named(symbol)));
  const collapsed = Array.from(ctcCollapse(path, { blank: batch.blank }), named).join(" ");
  const part = share === null ? "" : ` (${brief(100 * share)} % of the probability of all alignments)`;
  return [
    ...lines,
    ...wrap("  frames  ", emitted.join(" "), 10).map((line) => paint.dim(line)),
    ...wrap("  best    ", collapsed + part, 10).map((line) => paint.green(line)),
  ];
}

/** A head in bold and words beside it. */
function headed(head: string, gap: string, text: string, indent: number, { paint, wrap }: Terminal): string[] {
  return wrap(head + gap, text, indent).map((line, i) => (i === 0 ? paint.bold(head) + line.slice(head.length) : line));
}

/** What stands in one column of the three lines. */
interface Cell {
  readonly at: number;
  readonly token: string;
  readonly label: string;
  readonly mark: string;
  paint(text: string): string;
}

function rowLines(batch: TokenBatch, row: number, textOf: Vocabulary | undefined, { paint }: Terminal): string[] {
  const { counts, mean } = rowSummary(batch, row);
  const loss = mean === null ? "" : `; mean loss ${brief(mean)}`;
  const lines = [`  ${paint.bold(`row ${row}`)}  ${countsInWords(counts)}${loss}`];
  const line = (head: string, cells: readonly Cell[], widths: readonly number[], what: "token" | "label" | "mark") => {
    const text = cells.map((cell, i) => {
      const filled = what === "mark" && cell.mark === "^" ? "^".repeat(widths[i]!) : cell[what];
      return cell.paint(filled) + " ".repeat(widths[i]! - columnsOf(filled));
    });
    return `${paint.dim(head.padStart(gutter - 1))} ${text.join(" ")}`.trimEnd();
  };
  for (const { cells, widths } of blocksOf(cellsOf(batch, row, textOf, paint))) {
    const at = String(cells[0]!.at);
    // Without ids the labels are the first line, and carry the position.
    if (batch.ids) lines.push(line(at, cells, widths, "token"), line("label", cells, widths, "label"));
    else lines.push(line(at, cells, widths, "label"));
    lines.push(line("", cells, widths, "mark"));
  }
  return lines;
}

/** The cells of a row, cut where a line is full. */
function blocksOf(cells: readonly Cell[]): { cells: Cell[]; widths: number[] }[] {
  const blocks: { cells: Cell[]; widths: number[] }[] = [];
  let room = 0;
  for (const cell of cells) {
    const columns = Math.max(columnsOf(cell.token), columnsOf(cell.label), cell.mark.length, 1);
    if (room < columns) {
      blocks.push({ cells: [], widths: [] });
      room = width - gutter;
    }
    blocks.at(-1)!.cells.push(cell);
    blocks.at(-1)!.widths.push(columns);
    room -= columns + 1;
  }
  return blocks;
}

function cellsOf(batch: TokenBatch, row: number, textOf: Vocabulary | undefined, paint: TokenPaint): Cell[] {
  const lone = (at: number, text: string, label: string, mark: string, color: Cell["paint"]): Cell =>
    batch.ids ? { at, token: text, label, mark, paint: color } : { at, token: "", label: text, mark, paint: color };
  return itemsOf(batch, row, textOf).map((item) => {
    if (item.is === "segment") return lone(item.at, `|${item.segment}`, "|", "|", paint.magenta);
    if (item.is === "padding") return lone(item.at, `[${item.count} padding]`, "-", "_", paint.dim);
    const cell = cellOf(item.position, batch, paint);
    return item.isOther ? { ...cell, paint: (text) => paint.underline(cell.paint(text)) } : cell;
  });
}

function cellOf(position: Position, batch: TokenBatch, paint: TokenPaint): Cell {
  const { at, id, text, label, labelText, fate, kind, oddity } = position;
  const shown = (word: string | null, number: number | null) =>
    word === null ? (number === null ? "" : brief(number)) : clipped(visible(word), longestToken);
  const own = isUnscored(position) ? "<" : marks[kind];
  const mark = oddity === null ? own : `!${oddMark(position)}`;
  const colors = { trained: paint.green, prompt: paint.cyan, padding: paint.dim, ignored: (plain: string) => plain };
  return {
    at,
    token: batch.ids ? shown(text, id) : "",
    label: fate === "ignored" ? "-" : batch.ids || batch.labels ? shown(labelText, label) : lossOf(position),
    mark,
    paint: oddity === null ? colors[kind] : paint.red,
  };
}

/** Where neither tokens nor labels are known, a position is its loss. */
function lossOf({ loss }: Position): string {
  return loss === null ? "-" : brief(loss);
}

/** Whether a position is left out for the one reason that nothing scores it; prompts and padding are what they are. */
function isUnscored({ fate, kind }: Pick<Position, "fate" | "kind">): boolean {
  return fate === "unscored" && kind === "ignored";
}

/** What an odd position is, beside its `!`: the mark of its role, or `|` where a segment was left. */
function oddMark({ role, kind, oddity }: Position): string {
  if (oddity === "scored across a segment boundary") return "|";
  return kind === "trained" && role !== "assistant" ? marks[role === "prompt" ? "prompt" : "padding"] : marks.ignored;
}
