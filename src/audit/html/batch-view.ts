import { type ComponentChild, h } from "preact";
import { LosswrightError } from "../../errors/index.js";
import {
  type AlignmentBatch,
  alignmentLegend,
  alignmentView,
  countsInWords,
  type InspectedBatch,
  inspectStep,
  numbered,
  oddityInWords,
  type PositionRange,
  rowView,
  sumInWords,
  type TokenBatch,
  tokenLegend,
  type Vocabulary,
} from "../../inspect/index.js";
import type { AuditedStep } from "../audited-step.js";
import { contextOf } from "../open-step.js";
import { capitalized, told } from "./words.js";

/** The batches of a step as they can be looked at, or why they cannot. */
export interface SeenBatches {
  /** One a part; empty where they cannot be laid out. */
  readonly batches: readonly InspectedBatch[];
  readonly reason: string | undefined;
}

/** How much of a batch a page has room for. */
export interface BatchLimits {
  /** Positions over all parts, and of one row. */
  readonly positions: number;
  readonly ofRow: number;
  readonly parts: number;
}

/** Lays the batches of a step out, position by position; fields that contradict the contract cannot be. */
export function seenBatches(step: AuditedStep): SeenBatches {
  if (step.contradiction) return { batches: [], reason: "The fields contradict the contract." };
  if (step.parts.some((part) => contextOf(step.record, part).sampled)) {
    return { batches: [], reason: "Only some units of the step were kept: its rows are not whole." };
  }
  try {
    return { batches: inspectStep(step.record).batches, reason: undefined };
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
    return { batches: [], reason: told(error.message) };
  }
}

/** Whether a batch has tokens or labels along time, or sequences without known frames: a picture of others tells little. */
export function isWorthALook(batch: InspectedBatch, { objective }: AuditedStep): boolean {
  if (batch.rows === 0) return false;
  if (batch.shows === "alignments" || batch.ids !== null) return true;
  const isAlongTime = objective.definition.unit === "position" && batch.rows > 1 && batch.length > 1;
  return isAlongTime && batch.labels !== null;
}

/**
 * The batch as colored tokens, each with its label and what it is, or the alignments of its sequences: rows with
 * something to look at first, as many as there is room for.
 */
export function batchView(
  batches: readonly InspectedBatch[],
  textOf: Vocabulary | undefined,
  limits: BatchLimits,
): ComponentChild {
  const tokens = batches.filter((batch) => batch.shows === "tokens");
  const chosen = partsToShow(batches, limits.parts);
  const room = Math.max(leastPositions, Math.floor(limits.positions / chosen.length));
  const briefly = textOf && ((id: number) => cut(textOf(id)));
  const left = batches.length - chosen.length;
  return h(
    "div",
    { class: "batch" },
    tokens.length > 0 && tokenLegend(tokens),
    tokens.length < batches.length && alignmentLegend(),
    ...chosen.map((batch) =>
      h(
        "div",
        { class: "part" },
        batch.title !== null && h("h4", null, capitalized(told(batch.title, 120))),
        batch.shows === "tokens"
          ? tokensView(batch, briefly, room, Math.min(room, limits.ofRow))
          : alignmentsView(batch, briefly, room),
      ),
    ),
    left > 0 && h("p", { class: "more" }, `${numbered(left, "more part")}, not on this page`),
  );
}

/** Positions of a part that are shown however many parts there are. */
const leastPositions = 24;

/** Letters of a token's text; a vocabulary may hold anything. */
const longestToken = 32;

function cut(text: string | undefined): string | undefined {
  return text !== undefined && text.length > longestToken ? `${text.slice(0, longestToken - 1)}…` : text;
}

/** Parts with something to look at first, in their order. */
function partsToShow(batches: readonly InspectedBatch[], most: number): readonly InspectedBatch[] {
  if (batches.length <= most) return batches;
  const isOdd = (batch: InspectedBatch) => batch.shows === "tokens" && batch.counts.oddities.length > 0;
  const first = [...batches.filter(isOdd), ...batches.filter((batch) => !isOdd(batch))].slice(0, most);
  return batches.filter((batch) => first.includes(batch));
}

function tokensView(batch: TokenBatch, textOf: Vocabulary | undefined, room: number, ofRow: number): ComponentChild[] {
  const shownOfRow = Math.min(batch.length, ofRow);
  const rows = rowsToShow(batch, Math.max(1, Math.floor(room / Math.max(1, shownOfRow))));
  const left = batch.rows - rows.length;
  return [
    h("p", { class: "sum" }, [countsInWords(batch.counts), sumInWords(batch)].filter(Boolean).join(" · ")),
    ...batch.counts.oddities.map(({ oddity, count }) => h("p", { class: "look" }, oddityInWords(oddity, count))),
    ...batch.notes.map((note) => h("p", { class: "note" }, told(note))),
    ...rows.map((row) => rowView(batch, row, textOf, rangeOf(batch, row, shownOfRow))),
    left > 0 ? h("p", { class: "more" }, `${numbered(left, "more row")}, not on this page`) : null,
  ];
}

/** Rows with something to look at first, in their order. */
function rowsToShow(batch: TokenBatch, most: number): readonly number[] {
  const all = Array.from({ length: batch.rows }, (_, row) => row);
  if (all.length <= most) return all;
  const odd = all.filter((row) => firstOf(batch, row, (unit) => batch.oddities[unit] !== 0) >= 0);
  const chosen = new Set([...odd, ...all.filter((row) => !odd.includes(row))].slice(0, most));
  return all.filter((row) => chosen.has(row));
}

/** Positions kept before the first that is to be looked at. */
const lead = 16;

/** The positions of a row that a page has room for: around the first to look at, or the first in the loss. */
function rangeOf(batch: TokenBatch, row: number, most: number): PositionRange {
  if (batch.length <= most) return { from: 0, to: batch.length };
  const odd = firstOf(batch, row, (unit) => batch.oddities[unit] !== 0);
  const first = odd >= 0 ? odd : firstOf(batch, row, (unit) => batch.fates[unit] === 0);
  const from = Math.max(0, Math.min(first - lead, batch.length - most));
  return { from, to: from + most };
}

/** The first position of a row for which something holds, or −1. */
function firstOf({ length }: TokenBatch, row: number, holds: (unit: number) => boolean): number {
  for (let at = 0; at < length; at++) if (holds(row * length + at)) return at;
  return -1;
}

/** Cells of a heat map, and labels, that a sequence may have. */
const largestMap = 3000;
const mostLabels = 300;

function alignmentsView(batch: AlignmentBatch, textOf: Vocabulary | undefined, room: number): ComponentChild[] {
  let used = 0;
  const shown: number[] = [];
  let tooLarge = 0;
  for (const [row, { frames, labels }] of batch.sequences.entries()) {
    const cells = frames * (2 * labels.length + 1);
    if (cells > largestMap || labels.length > mostLabels) tooLarge++;
    else if (used + cells <= 3 * room) {
      shown.push(row);
      used += cells;
    }
  }
  const left = batch.rows - shown.length;
  const why = tooLarge > 0 ? ` (${tooLarge} of them too long for a picture)` : "";
  return [
    ...batch.notes.map((note) => h("p", { class: "note" }, told(note))),
    ...shown.map((row) => alignmentView(batch, row, textOf)),
    left > 0 ? h("p", { class: "more" }, `${numbered(left, "more sequence")}, not on this page${why}`) : null,
  ];
}
