import type { BoundFields } from "../fields.js";
import { labelClass, predictedClass } from "./predicted-class.js";
import { rankOf } from "./top-k.js";

/** Whether a sample's label is its prediction, or among its k highest scores. */
export function isRight(fields: BoundFields, topK: number | null): (sample: number) => boolean {
  if (topK !== null) {
    const classes = fields.size("K");
    const label = fields.indices("labels", classes);
    const rank = rankOf(fields.reals("scores"), classes);
    return (sample) => rank(sample, label(sample)) < topK;
  }
  const [label, prediction] = [labelClass(fields, null), predictedClass(fields, null)];
  return (sample) => label(sample) === prediction(sample);
}

/** Whether every flag of a row is right. */
export function subsetIsRight(fields: BoundFields): (sample: number) => boolean {
  const length = fields.size("K");
  const [label, prediction] = [fields.flags("labels"), fields.flags("predictions")];
  return (sample) => {
    let right = true;
    // Every flag is read, so that a bad one is found whatever stands before it.
    for (let i = sample * length; i < (sample + 1) * length; i++) if (label(i) !== prediction(i)) right = false;
    return right;
  };
}
