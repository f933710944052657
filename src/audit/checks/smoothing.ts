import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { firstField, type OpenedStep, optionsOf, valueUnder, withOptions, written } from "../facts.js";
import type { Check, Finding } from "../finding.js";
import { short } from "../numbers.js";
import { findingOfExplanation } from "./explained.js";

const about = "smoothing";

/**
 * Label smoothing that is split otherwise than declared, reaches padding, or blurs targets that are soft already.
 *
 * The mass ε is spread over all K classes, the label's included; over the K − 1 others it is a stronger smoothing. A
 * teacher's distribution knows which classes are alike: smoothing it again wipes that out.
 */
export const smoothing: Check = {
  id: about,
  hypotheses(step): readonly Hypothesis[] {
    const { labelSmoothing: declared } = optionsOf(step);
    if (typeof declared !== "number") return [];
    const at = (epsilon: number, words: string, cost = 1): Hypothesis => ({
      about,
      words,
      contract: withOptions(step, { labelSmoothing: epsilon }),
      cost,
    });
    const classes = step.objective.definition.unit === "element" ? 2 : (firstField(step, "logits")?.shape.at(-1) ?? 0);
    const overOthers = (declared * classes) / (classes - 1);
    const out: Hypothesis[] = [];
    if (declared > 0) {
      out.push(at(0, "a loss without its label smoothing"));
      if (classes > 1 && overOthers < 1) {
        out.push(
          at(
            overOthers,
            `a smoothing whose ${declared} is split over the ${classes - 1} other classes (ε K/(K−1) = ${short(overOthers)})`,
          ),
        );
      }
    }
    if (declared > 0 && step.objective.name === "binaryCrossEntropy") {
      for (const [value, low] of [
        ["smoothPositives", "1 − ε"],
        ["smoothPositivesByHalf", "1 − ε/2"],
      ] as const) {
        out.push({ about, words: `a smoothing of positives alone, to ${low}`, transform: [{ apply: "loss", value }] });
      }
    }
    const solved = solvedEpsilon(step);
    if (solved !== undefined && ![declared, 0, overOthers].some((known) => Math.abs(known - solved) < 1e-6)) {
      out.push(at(solved, `a label smoothing of ${short(solved)}`, declared > 0 ? 1.2 : 1.4));
    }
    if (declared > 0 && firstField(step, "labels") && step.objective.name === "crossEntropy")
      out.push(...overPadding(step, declared));
    return out;
  },
  inspect(step) {
    const explained = findingOfExplanation(about, step, ({ transform }) => {
      const padded = transform.some(({ apply }) => apply === "smoothPadding");
      return {
        cause: padded
          ? "The hard part leaves padding out, the smoothed part was averaged over it as well."
          : "Smoothing by ε makes the target (1 − ε) one-hot + ε/K over all K classes.",
        harm: padded
          ? "The model is pulled towards the uniform distribution wherever there is padding."
          : "The model is pulled to another confidence than declared; with few classes the difference is large.",
        fix: "let one call do both, under one mask:\nloss = F.cross_entropy(logits, labels, ignore_index=-100,\n                       label_smoothing=epsilon)",
      };
    });
    return explained.length ? explained : onSoftTargets(step);
  },
};

/** The ε at which the step's value is the reported loss: the value is linear in it. */
function solvedEpsilon(step: OpenedStep): number | undefined {
  const { loss, reported } = step;
  // One number is always reached by one parameter: only a gradient tells whether it means anything.
  if (!reported) return undefined;
  const [none, half] = [0, 0.5].map((labelSmoothing) => valueUnder(step, withOptions(step, { labelSmoothing })));
  if (loss === null || none === undefined || half === undefined || !Number.isFinite(half) || half === none)
    return undefined;
  const epsilon = written((0.5 * (loss - none)) / (half - none));
  return epsilon > 1e-4 && epsilon < 1 ? epsilon : undefined;
}

/** The smoothed part over ignored positions too, divided by those that count, or by all. */
function overPadding(step: OpenedStep, epsilon: number): Hypothesis[] {
  const units = step.searched.map(({ batch }) => (batch.labels as Tensor).data.length);
  const all = units.reduce((sum, count) => sum + count, 0);
  const counted = step.declared?.count ?? 0;
  if (counted >= all || optionsOf(step).classWeights !== null) return [];
  const contract = withOptions(step, { labelSmoothing: 0 });
  const words = "a label smoothing that reaches the padding";
  const of = (share: number, how: string, cost: number): Hypothesis => ({
    about,
    words: words + how,
    contract: { ...contract, reduction: { ...contract.reduction, divideBy: { constant: counted } } },
    transform: [{ apply: "smoothPadding", field: "labels", value: [1 - epsilon, share] }],
    cost,
  });
  return [of(epsilon, "", 1), of((epsilon * counted) / all, ", its part averaged over all positions", 1.1)];
}

/** Smoothing declared on targets that are distributions already. */
function onSoftTargets(step: AuditedStep): readonly Finding[] {
  const { labelSmoothing } = optionsOf(step);
  if (typeof labelSmoothing !== "number" || labelSmoothing === 0 || step.contradiction) return [];
  for (const [part, { batch }] of step.searched.entries()) {
    const { targets } = batch as Record<string, Tensor | undefined>;
    if (!isTensor(targets) || step.objective.definition.unit === "element") continue;
    let soft = 0;
    const classes = targets.shape.at(-1) ?? 1;
    for (let start = 0; start < targets.data.length; start += classes) {
      for (let k = start; k < start + classes; k++) {
        const q = Number(targets.data[k]);
        if (q > 1e-6 && q < 1 - 1e-6) {
          soft++;
          break;
        }
      }
    }
    if (soft === 0) continue;
    const rows = targets.data.length / classes;
    return [
      {
        check: about,
        severity: "warning",
        message: `${soft} of ${rows} targets are distributions already, and are smoothed by ${labelSmoothing} on top.`,
        why: "A teacher's distribution tells which classes are alike; spreading mass evenly over all of them wipes that out.",
        harm: "What the soft targets know beyond the label is lost, and confidence is lowered twice.",
        evidence: { part: part + 1, soft, rows, labelSmoothing },
        fix: "leave labelSmoothing out where targets are soft, unless validation shows that it helps.",
      },
    ];
  }
  return [];
}
