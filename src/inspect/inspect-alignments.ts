import { LosswrightError } from "../errors/index.js";
import { type AnyBatch, type Objective, unitsOf } from "../losses/index.js";
import { exp } from "../numerics/index.js";
import { type CtcAlignable, type CtcReading, ctcAlign, ctcPosterior, framesNeeded } from "../sequence/index.js";
import type { Tensor } from "../tensor/index.js";
import type { AlignedSequence, AlignmentBatch } from "./alignment-batch.js";
import { compute } from "./compute.js";

/**
 * The sequences of a `ctc` batch: labels, the most probable alignment, the posterior of every frame.
 *
 * Scores that no alignment can be found on (NaN, +∞) leave paths and posteriors out and stand in the notes.
 *
 * @throws what `objective.denominator(batch)` throws for fields that do not fit
 */
export function inspectAlignments(objective: Objective, batch: AnyBatch, title: string | null = null): AlignmentBatch {
  const units = unitsOf(objective, batch);
  const { sum, losses, notes } = compute(objective, batch);
  const { blank, layout } = objective.options as Required<CtcReading>;
  const { logits, logProbs, labels, inputLengths, labelLengths } = batch as Record<string, Tensor>;
  const fields = {
    ...(logits && { logits }),
    ...(logProbs && { logProbs }),
    labels,
    inputLengths,
    labelLengths,
  } as CtcAlignable;
  const found = aligned(fields, { blank, layout });
  let start = 0;
  const sequences = Array.from({ length: units.count }, (_, i): AlignedSequence => {
    const frames = Number(inputLengths!.data[i]);
    const count = Number(labelLengths!.data[i]);
    const from = labels!.shape.length === 2 ? i * labels!.shape[1]! : start;
    start += count;
    const own = Array.from({ length: count }, (_, at) => Number(labels!.data[from + at]));
    const [alignment, posterior] = [found.alignments?.[i], found.posteriors?.[i]];
    const exists = alignment !== undefined && alignment.logProbability > Number.NEGATIVE_INFINITY;
    return {
      frames,
      labels: own,
      needed: framesNeeded(Int32Array.from(own), count),
      counts: units.counts(i),
      weight: units.weight(i),
      loss: units.counts(i) ? (losses?.[i] ?? null) : null,
      path: exists ? alignment.path : null,
      positions: exists ? alignment.positions : null,
      share: exists && posterior ? exp(alignment.logProbability - posterior.logProbability) : null,
      posterior: exists && posterior ? posterior.states : null,
    };
  });
  return {
    shows: "alignments",
    title,
    rows: units.count,
    blank,
    sequences,
    sum,
    notes: [...notes, ...found.notes],
  };
}

function aligned(fields: CtcAlignable, reading: CtcReading) {
  try {
    return { alignments: ctcAlign(fields, reading), posteriors: ctcPosterior(fields, reading), notes: [] };
  } catch (error) {
    if (!(error instanceof LosswrightError) || error.code !== "value") throw error;
    return { alignments: undefined, posteriors: undefined, notes: [`no alignments: ${error.message}`] };
  }
}
