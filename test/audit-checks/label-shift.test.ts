/** Labels scored at another time than the contract says, by plain loops in float32. */
import type { Random } from "../instruments/random.js";
import {
  type RecordedPart,
  stepOf,
  sumOf,
  type TokenWishes,
  tokenParts,
  total,
  weightOf,
} from "../instruments/steps.js";
import { describeVariants, type Make } from "./variants.js";

/** A step that scores labels `taken` places later and should score them `meant` places later. */
const shifted =
  (
    taken: number,
    meant: number,
    wishes: Partial<TokenWishes> = {},
    shown: "both" | "loss" | "gradient" = "both",
  ): Make =>
  (random: Random) => {
    const parts = tokenParts(random, { kept: [17], length: 9, shift: taken, ...wishes });
    const weight = total(parts.map(weightOf));
    return stepOf({
      parts,
      loss: shown === "gradient" ? null : total(parts.map(sumOf)) / weight,
      ...(shown !== "loss" && { factors: parts.map(() => 1 / weight) }),
      ...(shown === "gradient" && { partLosses: parts.map((): null => null) }),
      intended: { options: { ...parts[0]!.intended.options, labelShift: meant } },
    });
  };

/** The same on two ranks of uneven counts. */
const onRanks =
  (taken: number, meant: number): Make =>
  (random) => {
    const parts: RecordedPart[] = tokenParts(random, { kept: [9, 14], length: 9, shift: taken });
    const weight = total(parts.map(weightOf));
    return stepOf({
      parts,
      loss: total(parts.map(sumOf)) / weight,
      factors: parts.map(() => 1 / weight),
      ranks: [0, 1],
      intended: { options: { labelShift: meant } },
    });
  };

describeVariants(
  "label-shift",
  {
    "next tokens that nothing shifts": shifted(0, 1),
    "next tokens that model and loss both shift": shifted(2, 1),
    "labels of the collator that the loss shifts again": shifted(1, 0),
    "next tokens that nothing shifts, no gradients recorded": shifted(0, 1, {}, "loss"),
    "next tokens that are shifted twice, no loss recorded": shifted(2, 1, {}, "gradient"),
    "micro-batches that are shifted twice": shifted(2, 1, { kept: [8, 13, 17] }),
    "ranks that nothing shifts": onRanks(0, 1),
    "weighted classes that are shifted twice": shifted(2, 1, { classWeights: [0.5, 2, 1, 3, 0.25] }),
  },
  {
    "next tokens that are shifted once": shifted(1, 1),
    "labels of the collator that nothing shifts": shifted(0, 0),
    "labels two places later, as the contract says": shifted(2, 2),
    "micro-batches that are shifted once": shifted(1, 1, { kept: [8, 13, 17] }),
    "ranks that are shifted once": onRanks(1, 1),
    "weighted classes that are shifted once": shifted(1, 1, { classWeights: [0.5, 2, 1, 3, 0.25] }),
    "shifted once, no gradients recorded": shifted(1, 1, {}, "loss"),
  },
);
