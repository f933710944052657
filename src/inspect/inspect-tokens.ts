import type { SequenceContext } from "../io/index.js";
import { type AnyBatch, type Objective, type UnitsOfBatch, unitsOf } from "../losses/index.js";
import { isTensor, type Tensor } from "../tensor/index.js";
import { compute } from "./compute.js";
import { readTokens } from "./roles.js";
import { countKinds, fateCode, gridOf, oddityCode, roleCode, type TokenBatch } from "./token-batch.js";

/**
 * The positions of a batch as its objective counts them: which are trained, by which logits they are scored, with
 * which loss and weight. The objective decides through its own code, so that what is shown is what is computed.
 *
 * @param sequence - what was recorded of the tokens behind the labels
 * @throws what `objective.denominator(batch)` throws for fields that do not fit, and `value` for a weight that cannot be
 */
export function inspectTokens(
  objective: Objective,
  batch: AnyBatch,
  sequence: SequenceContext = {},
  title: string | null = null,
): TokenBatch {
  const units = unitsOf(objective, batch);
  // Flat units ([B·T], as losses over flattened logits have them) lie in the rows of their tokens.
  const known = [sequence.inputIds, sequence.roles, sequence.attentionMask].find(
    (tensor) => tensor?.shape.length === 2 && tensor.data.length === units.count,
  );
  const grid = gridOf(units.shape.length === 1 && known ? known.shape : units.shape);
  const tokens = readTokens(sequence, [grid.rows, grid.length]);
  const labels = labelsOf(batch, units.count);
  const [fates, sources] = fatesOf(objective, batch, units, grid.length);
  const weights = new Float64Array(units.count);
  for (let unit = 0; unit < units.count; unit++) {
    if (fates[unit] !== fateCode.trained) continue;
    weights[unit] = units.weight(unit);
    if (weights[unit] === 0) fates[unit] = fateCode.weightless;
  }
  const broken = isTensor(batch.segmentIds) ? batch.segmentIds : null;
  const segments = segmentsOf(broken ?? tokens.segments, units.count, grid);
  const { intended } = sequence;
  const oddities = odditiesOf(tokens.roles, fates, {
    promptMayCount: intended?.lossOn?.includes("all") === true,
    sources: segments && intended?.acrossSegments !== true ? sources : null,
    segments,
    length: grid.length,
  });
  const { sum, losses, notes } = compute(objective, batch);
  return {
    shows: "tokens",
    title,
    ...grid,
    ids: tokens.ids,
    labels,
    segments,
    roles: tokens.roles,
    fates,
    oddities,
    sources,
    losses,
    weights,
    counts: countKinds({ roles: tokens.roles, fates, oddities }),
    sum,
    notes: [...tokens.notes, ...notes],
  };
}

/** What an objective makes of each position, from its own units; why one is left out is read from the fields. */
function fatesOf(
  objective: Objective,
  batch: AnyBatch,
  units: UnitsOfBatch,
  length: number,
): [fates: Uint8Array, sources: Int32Array] {
  const { ignoreIndex } = objective.options as { ignoreIndex?: number };
  const { labels, mask } = batch;
  const isIgnored = (unit: number) =>
    ignoreIndex !== undefined && isTensor(labels) && Number(labels.data[unit]) === ignoreIndex;
  const isMasked = (unit: number) => {
    if (!isTensor(mask) || units.count % mask.data.length !== 0) return false;
    return Number(mask.data[Math.floor(unit / (units.count / mask.data.length))]) === 0;
  };
  const fates = new Uint8Array(units.count);
  const sources = new Int32Array(units.count);
  for (let unit = 0; unit < units.count; unit++) {
    const source = units.source(unit);
    sources[unit] = source < 0 ? -1 : source - (unit - (unit % length));
    if (units.counts(unit)) continue;
    fates[unit] = isIgnored(unit)
      ? fateCode.ignored
      : isMasked(unit)
        ? fateCode.masked
        : source < 0
          ? fateCode.unscored
          : fateCode.absent;
  }
  return [fates, sources];
}

/** Labels, or targets, with one entry a position. */
function labelsOf(batch: AnyBatch, count: number): Tensor | null {
  const given = [batch.labels, batch.targets].find((field) => isTensor(field) && field.data.length === count);
  return isTensor(given) ? given : null;
}

/** The segment of every position, from ids of positions or of rows. */
function segmentsOf(ids: Tensor | null, count: number, { length }: { readonly length: number }): Float64Array | null {
  if (!ids) return null;
  const perRow = ids.data.length !== count;
  return Float64Array.from({ length: count }, (_, unit) => Number(ids.data[perRow ? Math.floor(unit / length) : unit]));
}

interface Expectations {
  readonly promptMayCount: boolean;
  /** Where each label is scored, when a segment may not be left for it. */
  readonly sources: Int32Array | null;
  readonly segments: Float64Array | null;
  readonly length: number;
}

function odditiesOf(roles: Uint8Array, fates: Uint8Array, expected: Expectations): Uint8Array {
  const { promptMayCount, sources, segments, length } = expected;
  const oddities = new Uint8Array(roles.length);
  for (let unit = 0; unit < roles.length; unit++) {
    const [role, fate] = [roles[unit], fates[unit]];
    if (fate !== fateCode.trained) {
      // The first of a row cannot be scored, whatever it is.
      if (role === roleCode.assistant && fate !== fateCode.unscored) oddities[unit] = oddityCode.assistant;
      continue;
    }
    const source = sources ? unit - (unit % length) + sources[unit]! : unit;
    if (role === roleCode.padding) oddities[unit] = oddityCode.padding;
    else if (role === roleCode.prompt && !promptMayCount) oddities[unit] = oddityCode.prompt;
    else if (segments && segments[source] !== segments[unit]) oddities[unit] = oddityCode.across;
  }
  return oddities;
}
