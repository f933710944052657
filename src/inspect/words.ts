import {
  type Counts,
  countKinds,
  type Fate,
  fateCode,
  kinds,
  type Position,
  type TokenBatch,
  type Vocabulary,
} from "./token-batch.js";

/** Where a view begins and how many rows of each batch it shows. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** What of an inspection is shown. */
export interface ViewOptions {
  readonly rows: RowRange;
  readonly textOf?: Vocabulary;
}

/** The rows of a batch that a range leaves. */
export function rowsOf({ rows }: Pick<TokenBatch, "rows">, { first, count }: RowRange): number[] {
  return Array.from({ length: Math.max(0, Math.min(count, rows - first)) }, (_, i) => first + i);
}

/** "15 trained, 52 prompt, 13 padding": trained always, the others where there are any. */
export function countsInWords(counts: Counts): string {
  return kinds
    .filter((kind) => kind === "trained" || counts[kind] > 0)
    .map((kind) => `${counts[kind]} ${kind}`)
    .join(", ");
}

/** "prompt in the loss: 5 positions". */
export function oddityInWords(oddity: string, count: number): string {
  return `${oddity}: ${numbered(count, "position")}`;
}

/** "1 row", "2 rows". */
export function numbered(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** Counts of one row, and the mean loss of its trained positions; `null` where no losses are known or none is trained. */
export function rowSummary(batch: TokenBatch, row: number): { readonly counts: Counts; readonly mean: number | null } {
  const [from, to] = [row * batch.length, (row + 1) * batch.length];
  const counts = countKinds(batch, from, to);
  if (!batch.losses || counts.trained === 0) return { counts, mean: null };
  let sum = 0;
  for (let unit = from; unit < to; unit++) if (batch.fates[unit] === fateCode.trained) sum += batch.losses[unit]!;
  return { counts, mean: sum / counts.trained };
}

/** "17.38 / 15 = 1.159"; `null` where no losses are known. */
export function sumInWords({ sum }: Pick<TokenBatch, "sum">): string | null {
  if (!sum) return null;
  const { numerator, denominator } = sum;
  return denominator === 0
    ? "nothing counted"
    : `${brief(numerator)} / ${brief(denominator)} = ${brief(numerator / denominator)}`;
}

/** A name out of a record without what acts on a terminal. */
export function plainName(name: string): string {
  return name.replace(/\p{C}+/gu, " ");
}

/** A number in four digits. */
export function brief(value: number): string {
  return String(Number.isFinite(value) ? Number(value.toPrecision(4)) : value);
}

/** Why a position is not trained, in words. */
export const fatesInWords: Readonly<Record<Fate, string>> = {
  trained: "in the loss",
  ignored: "left out: its label is the ignored one",
  masked: "left out by the mask",
  unscored: "left out: no logits of its row and segment come before it",
  weightless: "counted with weight 0",
  absent: "left out by the objective",
};

/** All that is known of a position, one thing a line. */
export function positionInWords(position: Position, name: (text: string) => string): string[] {
  const { at, id, text, label, labelText, role, fate, oddity, segment, scoredBy, loss, weight } = position;
  const token = id === null ? [] : [`token ${id}${text === null ? "" : ` ${name(text)}`}`];
  const target = label === null ? [] : [`label ${brief(label)}${labelText === null ? "" : ` ${name(labelText)}`}`];
  const isLogits = scoredBy !== null && scoredBy !== at;
  return [
    `position ${at}`,
    ...token,
    ...target,
    ...(role === null ? [] : [role]),
    ...(segment === null ? [] : [`segment ${segment}`]),
    fatesInWords[fate],
    ...(isLogits && fate === "trained" ? [`scored by the logits at ${scoredBy}`] : []),
    ...(loss === null ? [] : [`loss ${brief(loss)}`]),
    ...(weight !== 1 && fate === "trained" ? [`weight ${brief(weight)}`] : []),
    ...(oddity === null ? [] : [`look: ${oddity}`]),
  ];
}
