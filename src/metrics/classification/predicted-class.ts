import type { BoundFields } from "../fields.js";

/**
 * Reads the predicted class of a sample: as given, or the highest of its scores. Of equal scores the lowest index is the
 * prediction, as argmax has it.
 */
export function predictedClass(fields: BoundFields, classes: number | null): (sample: number) => number {
  if (!fields.has("scores")) return fields.indices("predictions", classes ?? undefined);
  const length = fields.size("K");
  const score = fields.reals("scores");
  return (sample) => {
    const base = sample * length;
    let [best, highest] = [0, score(base)];
    for (let k = 1; k < length; k++) {
      const value = score(base + k);
      if (value > highest) [best, highest] = [k, value];
    }
    return best;
  };
}

/** Reads the label of a sample, below the number of classes that scores or the option give. */
export function labelClass(fields: BoundFields, classes: number | null): (sample: number) => number {
  return fields.indices("labels", fields.has("scores") ? fields.size("K") : (classes ?? undefined));
}
