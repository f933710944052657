import { kindOf, roleCode, roleNames, type TokenBatch } from "../../inspect/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import { contextOf } from "../open-step.js";
import { placesOf, pullCode, pullKinds, type UnitPulls, unitPulls } from "./unit-pulls.js";

/** The gradient of one part's field in lines, and what the tokens are that its positions predict. */
export interface PartPulls {
  readonly part: number;
  readonly pulls: UnitPulls;
  /** The tokens whose positions the grid has; undefined where their roles are not known, or they lie otherwise. */
  readonly tokens: TokenBatch | undefined;
}

/** A field without units of its own: a shared scalar. */
export interface ScalarPull {
  readonly part: number;
  readonly reported: number;
  readonly declared: number;
}

/** The gradient of one field over the parts that are shown. */
export interface FieldPattern {
  readonly field: string;
  /** In the order of the parts. */
  readonly parts: readonly PartPulls[];
  readonly scalars: readonly ScalarPull[];
  /** Parts nearer to their declared gradients than those shown. */
  readonly partsLeftOut: number;
  /** Units of each kind over all parts, those left out as well. */
  readonly counts: Readonly<Record<(typeof pullKinds)[number], number>>;
  readonly weakest: number;
  readonly strongest: number;
  /** The longest pull of all parts: their lines have one scale. */
  readonly longest: number;
  /** For each role that is known: how many of the predicted tokens pull, and how many should. Empty without roles. */
  readonly byRole: readonly RoleCount[];
}

export interface RoleCount {
  readonly role: string;
  readonly tokens: number;
  readonly pulling: number;
  readonly declared: number;
}

/** How much of a gradient a page has room for. */
export interface PatternLimits {
  readonly parts: number;
  /** Lines over all parts, and cells in each. */
  readonly lines: number;
  readonly cells: number;
}

/**
 * The gradient of a step, field by field and part by part: what was reported, unit by unit, against what the contract
 * gives. Empty where no gradients were recorded or none can be declared.
 *
 * @param batches - the tokens of each part, where they are known
 */
export function patternsOf(
  step: AuditedStep,
  batches: readonly (TokenBatch | undefined)[],
  limits: PatternLimits,
): readonly FieldPattern[] {
  const { reported, declared } = step;
  if (!reported || !declared) return [];
  const fields = new Set(reported.flatMap((gradients) => Object.keys(gradients.byField)));
  return [...fields].flatMap((field) => {
    const pairs = reported.flatMap((gradients, part) => {
      const [mine, theirs] = [gradients.byField[field], declared.gradients[part]?.byField[field]];
      return mine && theirs && mine.data.length === theirs.data.length ? [{ part, mine, theirs }] : [];
    });
    return pairs.length ? [patternOf(step, field, pairs, batches, limits)] : [];
  });
}

interface Pair {
  readonly part: number;
  readonly mine: Tensor;
  readonly theirs: Tensor;
}

function patternOf(
  step: AuditedStep,
  field: string,
  pairs: readonly Pair[],
  batches: readonly (TokenBatch | undefined)[],
  limits: PatternLimits,
): FieldPattern {
  const tolerance = step.tolerance.gradient;
  const scalars = pairs.filter(({ mine }) => mine.shape.length === 0);
  const lines = Math.max(1, Math.floor(limits.lines / Math.min(limits.parts, Math.max(1, pairs.length))));
  const all = pairs
    .filter(({ mine }) => mine.shape.length > 0)
    .map(({ part, mine, theirs }): PartPulls => {
      const batch = batches[part];
      const { sampled } = contextOf(step.record, step.parts[part]!);
      const kept = sampled?.fields.includes(field) ? sampled : undefined;
      const places = placesOf(step.objective, field, mine.shape, batch, kept);
      const pulls = unitPulls(field, places, mine, theirs, { lines, cells: limits.cells }, tolerance);
      const fits = batch && batch.rows * batch.length === pulls.rows * pulls.columns && batch.rows === pulls.rows;
      const known = fits && batch.roles.some((role) => role !== roleCode.unknown);
      return { part, pulls, tokens: known ? batch : undefined };
    });
  const shown = mostDeviating(all, limits.parts);
  const count = (kind: number) => all.reduce((sum, { pulls }) => sum + pulls.counts[kind]!, 0);
  return {
    field,
    parts: shown,
    scalars: scalars
      .slice(0, limits.parts)
      .map(({ part, mine, theirs }) => ({ part, reported: Number(mine.data[0]), declared: Number(theirs.data[0]) })),
    partsLeftOut: all.length - shown.length + Math.max(0, scalars.length - limits.parts),
    counts: Object.fromEntries(pullKinds.map((kind, code) => [kind, count(code)])) as FieldPattern["counts"],
    weakest: all.reduce((least, { pulls }) => Math.min(least, pulls.weakest), Number.POSITIVE_INFINITY),
    strongest: all.reduce((most, { pulls }) => Math.max(most, pulls.strongest), 0),
    longest: all.reduce((most, { pulls }) => Math.max(most, pulls.longest), 0),
    byRole: countRoles(all),
  };
}

/** The parts whose gradients lie farthest from the declared ones, in the order of the parts. */
function mostDeviating(all: readonly PartPulls[], most: number): readonly PartPulls[] {
  if (all.length <= most) return all;
  const ranked = all.map((part) => ({ part, gap: gapOf(part.pulls) })).sort((a, b) => b.gap - a.gap || 0);
  const chosen = new Set(ranked.slice(0, most).map(({ part }) => part));
  return all.filter((part) => chosen.has(part));
}

/** How far lengths lie apart, squared; where directions do, both in full. What is not finite is farthest. */
function gapOf({ kinds, reported, declared, counts }: UnitPulls): number {
  if (counts[pullCode.broken]! > 0) return Number.POSITIVE_INFINITY;
  return kinds.reduce((sum, kind, cell) => {
    const [mine, theirs] = [reported[cell]!, declared[cell]!];
    if (kind >= pullCode.turned) return sum + mine * mine + theirs * theirs;
    return sum + (mine - theirs) * (mine - theirs);
  }, 0);
}

/** How many tokens of each role pull, and how many should: of the tokens that the positions predict. */
function countRoles(all: readonly PartPulls[]): readonly RoleCount[] {
  const found = roleNames.map(() => ({ tokens: 0, pulling: 0, declared: 0 }));
  for (const { pulls, tokens } of all) {
    if (!tokens) continue;
    const predicted = predictedUnits(tokens);
    pulls.eachUnit((row, column, kind) => {
      const unit = predicted[row * tokens.length + column]!;
      if (unit < 0) return;
      const role = found[tokens.roles[unit]!]!;
      role.tokens++;
      if (kind !== pullCode.none && kind !== pullCode.missing) role.pulling++;
      if (kind !== pullCode.none && kind !== pullCode.extra) role.declared++;
    });
  }
  return found.flatMap((counts, code) => {
    const role = roleNames[code];
    return role && counts.tokens > 0 ? [{ role, ...counts }] : [];
  });
}

/** For each position of the scores, the unit whose label it predicts; −1 where it predicts none. */
export function predictedUnits({ sources, rows, length }: TokenBatch): Int32Array {
  const predicted = new Int32Array(rows * length).fill(-1);
  for (let unit = 0; unit < predicted.length; unit++) {
    const source = sources[unit]!;
    if (source >= 0) predicted[unit - (unit % length) + source] = unit;
  }
  return predicted;
}

/** What the tokens that a cell's positions predict have in common, and whether one of them is to be looked at. */
export interface CellTokens {
  readonly kind: "trained" | "prompt" | "padding" | "ignored" | "mixed" | "none";
  readonly isOdd: boolean;
}

/** The tokens behind every cell of the lines, row-major. */
export function tokensOfCells({ pulls, tokens }: PartPulls): readonly CellTokens[] | undefined {
  if (!tokens) return undefined;
  const { lines, cells, rowsEach, columnsEach, rows, columns, isLine } = pulls;
  const predicted = predictedUnits(tokens);
  const found: { kind: CellTokens["kind"]; isOdd: boolean }[] = Array.from({ length: lines * cells }, () => ({
    kind: "none",
    isOdd: false,
  }));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const unit = predicted[row * columns + column]!;
      if (unit < 0) continue;
      const line = isLine ? Math.floor(column / (cells * columnsEach)) : Math.floor(row / rowsEach);
      const within = isLine ? column - line * cells * columnsEach : column;
      const cell = found[line * cells + Math.floor(within / columnsEach)]!;
      const kind = bandOf(tokens, unit);
      cell.kind = cell.kind === "none" || cell.kind === kind ? kind : "mixed";
      if (tokens.oddities[unit] !== 0) cell.isOdd = true;
    }
  }
  return found;
}

/** What a predicted token is: by its role where one is known, by what the objective does with it otherwise. */
function bandOf({ roles, fates }: TokenBatch, unit: number): CellTokens["kind"] {
  const role = roleNames[roles[unit]!];
  if (role === "prompt" || role === "padding") return role;
  return role === "assistant" ? "trained" : kindOf(roles[unit]!, fates[unit]!);
}
