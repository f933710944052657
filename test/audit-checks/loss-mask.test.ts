/** Units in the loss that the mask or the ignored label leaves out, by plain loops in float32. */

import { tensor } from "../../src/index.js";
import type { Random } from "../instruments/random.js";
import { elementParts, stepOf, sumOf, total, weightOf } from "../instruments/steps.js";
import { describeVariants, type Make } from "./variants.js";

interface Wishes {
  readonly loss?: "squaredError" | "binaryCrossEntropy";
  readonly rows?: readonly number[];
  readonly without?: "gradients" | "loss";
  readonly share?: number;
}

/** A step whose mask is recorded and not looked at. */
const unmasked =
  ({ loss = "squaredError", rows = [9], without, share = 0.6 }: Wishes = {}): Make =>
  (random: Random) => {
    const parts = elementParts(random, { rows, loss });
    const weight = total(parts.map(weightOf));
    const masked = parts.map((part) => {
      const size = part.rows * 3;
      const mask = Uint8Array.from({ length: size }, (_, at) => Number(at === 0 || (at > 1 && random.chance(share))));
      return { ...part, fields: { ...part.fields, mask: tensor(mask, [part.rows, 3]) } };
    });
    return stepOf({
      parts: masked,
      loss: without === "loss" ? null : total(parts.map(sumOf)) / weight,
      ...(without !== "gradients" && { factors: parts.map(() => 1 / weight) }),
      ...(without === "loss" && { partLosses: parts.map((): null => null) }),
    });
  };

/** The same step, whose mask is looked at. */
const masked =
  ({ loss = "squaredError", rows = [9], without, share = 0.6 }: Wishes = {}, at?: number): Make =>
  (random: Random) => {
    const parts = elementParts(random, {
      rows,
      loss,
      mask: () => random.chance(share),
      ...(at !== undefined && { masked: at }),
    });
    const weight = total(parts.map(weightOf));
    return stepOf({
      parts,
      loss: total(parts.map(sumOf)) / weight,
      ...(without !== "gradients" && { factors: parts.map(() => 1 / weight) }),
    });
  };

describeVariants(
  "loss-mask",
  {
    "squared errors of all elements": unmasked(),
    "binary cross entropy of all elements": unmasked({ loss: "binaryCrossEntropy" }),
    "squared errors of all elements, no gradients recorded": unmasked({ without: "gradients" }),
    "binary cross entropy of all elements, no loss recorded": unmasked({ loss: "binaryCrossEntropy", without: "loss" }),
    "micro-batches whose masks nobody looks at": unmasked({ rows: [4, 9, 6] }),
    "a mask that leaves out most elements and is not looked at": unmasked({ share: 0.15 }),
  },
  {
    "squared errors of masked elements": masked(),
    "binary cross entropy of masked elements": masked({ loss: "binaryCrossEntropy" }),
    "a mask that leaves out nothing": masked({ share: 1 }),
    "micro-batches whose masks are looked at": masked({ rows: [4, 9, 6] }),
    "a mask that leaves out most elements": masked({ share: 0.15 }),
    "large numbers at masked elements": masked({}, 1e6),
    "squared errors of masked elements, no gradients recorded": masked({ without: "gradients" }),
  },
);
