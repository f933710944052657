/** A softmax or a sigmoid taken twice, by plain loops. */

import { elementParts, type RecordedPart, stepOf, sumOf, tokenParts, total, weightOf } from "../instruments/steps.js";
import { describeVariants, type Make } from "./variants.js";

type Shown = "both" | "loss" | "gradient";

function step(parts: readonly RecordedPart[], shown: Shown = "both") {
  const weight = total(parts.map(weightOf));
  return stepOf({
    parts,
    loss: shown === "gradient" ? null : total(parts.map(sumOf)) / weight,
    ...(shown !== "loss" && { factors: parts.map(() => 1 / weight) }),
    ...(shown === "gradient" && { partLosses: parts.map((): null => null) }),
  });
}

function softmax(z: readonly number[]): number[] {
  const top = Math.max(...z);
  const powers = z.map((x) => Math.exp(x - top));
  return powers.map((x) => x / total(powers));
}

/** The part as code computes it that hands probabilities to a loss of logits. */
function twice(part: RecordedPart): RecordedPart {
  const data = part.fields.logits!.data as Float32Array;
  const units = part.units.map((unit) => {
    const p = softmax([...data.subarray(unit.at, unit.at + 5)]);
    const label = Array.from(unit.slope).findIndex((slope) => slope < 0);
    const again = softmax(p);
    const pull = again.map((q, k) => q - Number(k === label));
    const inner = total(pull.map((q, k) => q * p[k]!));
    return { ...unit, loss: -Math.log(again[label]!), slope: pull.map((q, k) => p[k]! * (q - inner)) };
  });
  return { ...part, units };
}

const softmaxTwice =
  (kept: readonly number[], shown: Shown = "both", shift = 0): Make =>
  (random) =>
    step(tokenParts(random, { kept, shift }).map(twice), shown);

/** Binary cross entropy whose logits are probabilities. */
const sigmoidTwice =
  (rows: readonly number[], shown: Shown = "both"): Make =>
  (random) => {
    const parts = elementParts(random, { rows, loss: "binaryCrossEntropy", scale: 2 }).map((part) => {
      const [z, y] = [part.fields.logits!.data as Float32Array, part.fields.targets!.data as Float32Array];
      const units = part.units.map((unit) => {
        const p = 1 / (1 + Math.exp(-z[unit.at]!));
        const target = y[unit.at]!;
        const loss = Math.log(1 + Math.exp(p)) - p * target;
        return { ...unit, loss, slope: [(1 / (1 + Math.exp(-p)) - target) * p * (1 - p)] };
      });
      return { ...part, units };
    });
    return step(parts, shown);
  };

/** Rows of the logits that are probabilities; loss and gradient follow the contract. */
const probabilitiesRecorded: Make = (random) => {
  const [drawn] = tokenParts(random, { kept: [40], rows: 8 });
  const probabilities = (drawn!.fields.logits!.data as Float32Array).slice();
  for (let at = 0; at < probabilities.length; at += 5)
    probabilities.set(softmax([...probabilities.subarray(at, at + 5)]), at);
  return step(tokenParts(random, { kept: [40], rows: 8, logit: (_, index) => probabilities[index]! }));
};

const between: Make = (random) => step(tokenParts(random, { kept: [13], logit: () => random.between(0.05, 0.95) }));

describeVariants(
  "probabilities-as-logits",
  {
    "a softmax before a loss that takes one": softmaxTwice([21]),
    "a softmax before a loss that takes one, no gradients recorded": softmaxTwice([21], "loss"),
    "a softmax before a loss that takes one, no loss recorded": softmaxTwice([21], "gradient"),
    "a softmax in every micro-batch": softmaxTwice([9, 20, 14]),
    "a softmax before a loss of next tokens": softmaxTwice([21], "both", 1),
    "a sigmoid before a loss that takes one": sigmoidTwice([12]),
    "a sigmoid before a loss that takes one, no gradients recorded": sigmoidTwice([12], "loss"),
    "a sigmoid in every micro-batch": sigmoidTwice([4, 9]),
    "rows of probabilities under the right loss": probabilitiesRecorded,
  },
  {
    logits: (random) => step(tokenParts(random, { kept: [21] })),
    "logits that happen to lie in (0, 1)": between,
    "small logits": (random) => step(tokenParts(random, { kept: [21], scale: 1e-2 })),
    "logits that are all negative": (random) => step(tokenParts(random, { kept: [21], logit: (z) => -Math.abs(z) })),
    "binary logits": (random) => step(elementParts(random, { rows: [12], loss: "binaryCrossEntropy" })),
    "logits of one micro-batch that lie in (0, 1)": (random) =>
      step(tokenParts(random, { kept: [9, 14], logit: (z) => z / 50 + 0.5 })),
    "all logits 0, as before the first update": (random) => step(tokenParts(random, { kept: [21], logit: () => 0 })),
  },
);
