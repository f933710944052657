import type { Inspection } from "./inspection.js";
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
import { brief, countsInWords, plainName, rowSummary, rowsOf, sumInWords, type ViewOptions } from "./words.js";

/** How a terminal marks words; every function may give its argument back unchanged. */
export interface TokenPaint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  cyan(text: string): string;
  magenta(text: string): string;
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

function legend(batches: Inspection["batches"], { wrap }: Terminal): string[] {
  const all = batches.map(({ counts }) => counts);
  const some = (kind: Kind) => all.some((counts) => counts[kind] > 0);
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
    all.some(({ oddities }) => oddities.length) && "! look here",
  ].filter((word) => word !== false);
  return wrap("  ", words.join(", "), 2);
}

function batchLines(batch: TokenBatch, options: ViewOptions, terminal: Terminal): string[] {
  const { paint, wrap } = terminal;
  const { title, counts, notes, rows } = batch;
  const shown = rowsOf(batch, options.rows);
  const head = title ?? "batch";
  const text = [`${formatGrid(batch)}: ${countsInWords(counts)}`, sumInWords(batch)].filter(Boolean).join("; ");
  const lines = headed(head, "  ", text, head.length + 2, terminal);
  for (const { oddity, count } of counts.oddities) lines.push(paint.red(`  ! ${count} ${oddity}`));
  for (const note of notes) lines.push(...wrap("  note: ", note, 8));
  for (const row of shown) lines.push("", ...rowLines(batch, row, options.textOf, terminal));
  const left = rows - shown.length;
  if (left > 0) lines.push("", paint.dim(`  ${left} more ${left === 1 ? "row" : "rows"} (--row N, --rows N)`));
  return lines;
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
    if (item.is === "padding") return lone(item.at, `[${item.count} padding]`, ".", "_", paint.dim);
    return cellOf(item.position, batch, paint);
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
    label: fate === "ignored" ? "." : shown(labelText, label),
    mark,
    paint: oddity === null ? colors[kind] : paint.red,
  };
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
