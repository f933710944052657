/** Label smoothing of another amount or over other classes than the contract says, by plain loops. */
import { type RecordedPart, stepOf, sumOf, tokenParts, total, weightOf } from "../instruments/steps.js";
import { describeVariants, type Make } from "./variants.js";

type Spread = "all" | "others";

/** The part whose label keeps 1 − ε; ε is spread over all classes or over all but the label. */
function smoothed(part: RecordedPart, epsilon: number, spread: Spread): RecordedPart {
  const classes = 5;
  const data = part.fields.logits!.data as Float32Array;
  const units = part.units.map((unit) => {
    const z = [...data.subarray(unit.at, unit.at + classes)];
    const logTotal = Math.log(total(z.map(Math.exp)));
    const label = Array.from(unit.slope).findIndex((slope) => slope < 0);
    const targets = z.map((_, k) =>
      spread === "all"
        ? epsilon / classes + (k === label ? 1 - epsilon : 0)
        : k === label
          ? 1 - epsilon
          : epsilon / (classes - 1),
    );
    return {
      ...unit,
      loss: total(targets.map((target, k) => target * (logTotal - z[k]!))),
      slope: z.map((x, k) => Math.exp(x - logTotal) - targets[k]!),
    };
  });
  return { ...part, units };
}

interface Wishes {
  readonly kept?: readonly number[];
  readonly spread?: Spread;
  readonly shift?: number;
  readonly gradients?: boolean;
}

const taken =
  (epsilon: number, meant: number, { kept = [25], spread = "all", shift = 0, gradients = true }: Wishes = {}): Make =>
  (random) => {
    const parts = tokenParts(random, { kept, rows: 5, shift }).map((part) => smoothed(part, epsilon, spread));
    const weight = total(parts.map(weightOf));
    return stepOf({
      parts,
      loss: total(parts.map(sumOf)) / weight,
      ...(gradients && { factors: parts.map(() => 1 / weight) }),
      intended: { options: { ...parts[0]!.intended.options, labelSmoothing: meant } },
    });
  };

describeVariants(
  "smoothing",
  {
    "smoothing that is left out": taken(0, 0.1),
    "smoothing that nobody asked for": taken(0.1, 0),
    "smoothing over all classes but the label": taken(0.1, 0.1, { spread: "others" }),
    "smoothing over all classes but the label, no gradients recorded": taken(0.2, 0.2, {
      spread: "others",
      gradients: false,
    }),
    "micro-batches whose smoothing is left out": taken(0, 0.2, { kept: [9, 25, 14] }),
    "next tokens whose smoothing is left out": taken(0, 0.1, { shift: 1 }),
  },
  {
    "smoothing as the contract says": taken(0.1, 0.1),
    "no smoothing, as the contract says": taken(0, 0),
    "strong smoothing": taken(0.5, 0.5),
    "hardly any smoothing": taken(1e-3, 1e-3),
    "smoothing in micro-batches": taken(0.2, 0.2, { kept: [9, 25, 14] }),
    "smoothing of next tokens, no gradients recorded": taken(0.1, 0.1, { shift: 1, gradients: false }),
  },
);
