import { formatShape, sizeOf, type Tensor } from "../tensor/index.js";

/** What a token is, as the record says; `null` where it does not say. */
export const roleNames = [null, "padding", "prompt", "assistant", "other"] as const;
export type TokenRole = (typeof roleNames)[number];

/**
 * What an objective does with a position.
 *
 * - `trained`     its loss counts, with a weight above 0
 * - `ignored`     its label is the ignored one
 * - `masked`      the mask leaves it out
 * - `unscored`    no logits score it: the first of a row or segment under a label shift
 * - `weightless`  it counts, with weight 0
 * - `absent`      the objective leaves it out by a rule of its own
 */
export const fateNames = ["trained", "ignored", "masked", "unscored", "weightless", "absent"] as const;
export type Fate = (typeof fateNames)[number];

/** What a reader should look at: a mask that meets a role as masks seldom do. Not always a mistake. */
export const oddityNames = [
  null,
  "padding in the loss",
  "prompt in the loss",
  "assistant token left out",
  "scored across a segment boundary",
] as const;
export type Oddity = (typeof oddityNames)[number];

/** The four kinds that cover all positions of a batch: trained, and what is left out by what it is. */
export const kinds = ["trained", "prompt", "padding", "ignored"] as const;
export type Kind = (typeof kinds)[number];

/** How many positions of each kind, and what there is to look at. */
export type Counts = Readonly<Record<Kind, number>> & {
  readonly positions: number;
  readonly oddities: readonly { readonly oddity: string; readonly count: number }[];
};

/** The positions of a batch in columns of `rows · length` entries, row-major. */
export interface TokenBatch {
  readonly shows: "tokens";
  /** Which part of the step it is; `null` for the whole. */
  readonly title: string | null;
  readonly rows: number;
  readonly length: number;
  /** Token ids; `null` where none were recorded. */
  readonly ids: Tensor | null;
  /** Labels, or targets with one entry a position; `null` where there are none. */
  readonly labels: Tensor | null;
  /** The segment of each position. */
  readonly segments: Float64Array | null;
  /** Places in `roleNames`, `fateNames`, `oddityNames`. */
  readonly roles: Uint8Array;
  readonly fates: Uint8Array;
  readonly oddities: Uint8Array;
  /** The position of the row whose logits score the label; −1 where none does. */
  readonly sources: Int32Array;
  /** Loss of each position, 0 where it does not count; `null` where no scores were given. */
  readonly losses: Float64Array | null;
  readonly weights: Float64Array;
  readonly counts: Counts;
  /** The undivided tally of the batch. */
  readonly sum: { readonly numerator: number; readonly denominator: number } | null;
  /** What must be said of how it was read. */
  readonly notes: readonly string[];
}

/** One position as a view shows it. */
export interface Position {
  /** Place in its row, from 0. */
  readonly at: number;
  readonly id: number | null;
  /** Text of the token, where a vocabulary gives it. */
  readonly text: string | null;
  readonly label: number | null;
  readonly labelText: string | null;
  readonly role: TokenRole;
  readonly fate: Fate;
  readonly kind: Kind;
  readonly oddity: Oddity;
  readonly segment: number | null;
  readonly scoredBy: number | null;
  /** `null` where it does not count or is not known. */
  readonly loss: number | null;
  readonly weight: number;
}

/** From a token id to its text. */
export type Vocabulary = (id: number) => string | undefined;

/** One position of a batch. */
export function positionOf(batch: TokenBatch, row: number, at: number, textOf?: Vocabulary): Position {
  const unit = row * batch.length + at;
  const [id, label] = [numberAt(batch.ids, unit), numberAt(batch.labels, unit)];
  const [role, fate] = [roleNames[batch.roles[unit]!]!, fateNames[batch.fates[unit]!]!];
  const source = batch.sources[unit]!;
  return {
    at,
    id,
    text: id === null ? null : (textOf?.(id) ?? null),
    label,
    // Targets and labels left out are numbers, not tokens.
    labelText: label === null || fate === "ignored" ? null : (textOf?.(label) ?? null),
    role,
    fate,
    kind: kindOf(batch.roles[unit]!, batch.fates[unit]!),
    oddity: oddityNames[batch.oddities[unit]!]!,
    segment: batch.segments?.[unit] ?? null,
    scoredBy: source < 0 ? null : source,
    loss: fate === "trained" || fate === "weightless" ? (batch.losses?.[unit] ?? null) : null,
    weight: batch.weights[unit]!,
  };
}

/** Counts of some consecutive positions, given as places in the columns. */
export function countKinds(
  { roles, fates, oddities }: Pick<TokenBatch, "roles" | "fates" | "oddities">,
  from = 0,
  to = roles.length,
): Counts {
  const count = { trained: 0, prompt: 0, padding: 0, ignored: 0 };
  const odd = new Uint32Array(oddityNames.length);
  for (let unit = from; unit < to; unit++) {
    count[kindOf(roles[unit]!, fates[unit]!)]++;
    odd[oddities[unit]!]!++;
  }
  const found = oddityNames.map((oddity, code) => ({ oddity: oddity ?? "", count: odd[code]! }));
  return { ...count, positions: to - from, oddities: found.filter((each) => each.oddity && each.count) };
}

/** Codes of roles and fates, for those who fill the columns. */
export const roleCode = { unknown: 0, padding: 1, prompt: 2, assistant: 3, other: 4 } as const;
export const fateCode = { trained: 0, ignored: 1, masked: 2, unscored: 3, weightless: 4, absent: 5 } as const;
export const oddityCode = { none: 0, padding: 1, prompt: 2, assistant: 3, across: 4 } as const;

/** The kind of a position, from the codes of its role and fate. */
export function kindOf(role: number, fate: number): Kind {
  if (fate === fateCode.trained) return "trained";
  return role === roleCode.prompt ? "prompt" : role === roleCode.padding ? "padding" : "ignored";
}

function numberAt(tensor: Tensor | null, unit: number): number | null {
  return tensor && Number(tensor.data[unit]);
}

/** Rows and positions a row of units of some shape: axis 0, and all axes after it; one axis is one row. */
export function gridOf(shape: readonly number[]): { readonly rows: number; readonly length: number } {
  if (shape.length < 2) return { rows: 1, length: sizeOf(shape) };
  return { rows: shape[0]!, length: sizeOf(shape.slice(1)) };
}

/** Rows and positions of a batch as a shape: `[2, 9]`. */
export function formatGrid({ rows, length }: Pick<TokenBatch, "rows" | "length">): string {
  return formatShape([rows, length]);
}
