import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import { hasRowLoss } from "../explain/row-losses.js";
import type { Check, Finding } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Probabilities where the loss takes logits, or logits where it takes probabilities.
 *
 * The softmax of a softmax lies between 1/(K−1+e) and e/(K−1+e): the loss cannot fall below a floor, and the gradient
 * is squeezed. Scores taken for probabilities are clipped: most of them have no gradient at all.
 */
export const probabilitiesAsLogits: Check = {
  id: "probabilities-as-logits",
  hypotheses(step): readonly Hypothesis[] {
    const { objective } = step;
    const spec = objective.definition.fields.logits;
    if (!spec || objective.definition.unit === "sequence") return [];
    const about = "probabilities-as-logits";
    const rows = (name: string, words: string): Hypothesis[] =>
      hasRowLoss(objective, name) && (objective.name === "crossEntropy" || objective.name === "binaryCrossEntropy")
        ? [{ about, words, transform: [{ apply: "loss", value: name }] }]
        : [];
    const softmaxed: Hypothesis = {
      about,
      words: "the loss of softmax(logits): a softmax before the one inside the loss",
      transform: [{ apply: "softmax", field: "logits" }],
    };
    const sigmoided: Hypothesis = {
      about,
      words: "the loss of sigmoid(logits): a sigmoid before the one inside the loss",
      transform: [{ apply: "sigmoid", field: "logits" }],
    };
    const isBinary = objective.definition.unit === "element";
    return [
      ...(isBinary ? [sigmoided, softmaxed] : [softmaxed, sigmoided]),
      ...rows("asProbabilities", "the loss of the scores taken for probabilities (from_logits=False)"),
      ...(isBinary
        ? []
        : rows("negativeProbability", "minus the label's probability, without a logarithm (nll_loss on a softmax)")),
      ...(isBinary ? [] : rows("negativeLogit", "minus the label's score, without a log-softmax (nll_loss on logits)")),
    ];
  },
  inspect(step) {
    const explained = findingOfExplanation(this.id, step, ({ transform }) => {
      const scores = transform.some(({ value }) => value === "asProbabilities" || String(value).startsWith("negative"));
      return {
        cause: scores
          ? "The loss takes probabilities (or log-probabilities), and was given raw scores."
          : "The loss takes its own softmax or sigmoid; one before it flattens the scores.",
        harm: scores
          ? "Scores outside (0, 1) are clipped and have no gradient, or the loss falls without a bound."
          : "The loss has a floor that no model gets below, and the gradient is squeezed the more, the surer the model is.",
        fix: fixFor(scores),
      };
    });
    return explained.length ? explained : fromFields(step);
  },
};

function fixFor(scores: boolean): string {
  return scores
    ? "tell the loss that it is given logits:\nloss = F.cross_entropy(logits, labels)  # not nll_loss(logits, …)\n# Keras: SparseCategoricalCrossentropy(from_logits=True)"
    : "leave the activation out before the loss, and apply it only where probabilities are read:\nlogits = model(x)                   # no softmax or sigmoid here\nloss = F.cross_entropy(logits, labels)\nprobabilities = logits.softmax(-1)  # for reports";
}

/** Fields that hold probabilities: rows that add up to 1, or what the model's raw output says of them. */
function fromFields(step: AuditedStep): readonly Finding[] {
  const { searched, objective } = step;
  if (step.contradiction) return [];
  const { fields } = objective.definition;
  const names = Object.keys(fields).filter((name) => fields[name]!.roles.includes("logits"));
  const places = searched.flatMap(({ batch, context }, part) => names.map((name) => ({ part, batch, context, name })));
  for (const { part, batch, context, name } of places) {
    const logits = batch[name];
    if (!isTensor(logits)) continue;
    const raw = context.outputs?.[name];
    const found = raw && isTensor(raw) ? activationBetween(raw, logits) : undefined;
    const classes = Number((objective.contract.options as { classAxis?: number }).classAxis ?? -1);
    const isBinary = objective.definition.unit === "element";
    const rows =
      !isBinary && classes === -1 ? rowsThatAddUp(step, logits, batch.labels as Tensor | undefined) : undefined;
    const inside = isBinary && !raw ? insideUnitInterval(logits) : undefined;
    if (!found && !rows && !inside) continue;
    const what = found
      ? `The field ${name} is ${found} of the model's raw output.`
      : rows
        ? `All ${rows} rows of the field ${name} lie in [0, 1] and add up to 1: they are probabilities.`
        : `All ${inside} entries of the field ${name} lie in [0, 1], on both sides of 0.5: they look like probabilities.`;
    return [
      {
        check: "probabilities-as-logits",
        severity: inside && !found ? "warning" : "error",
        message: what,
        why: "The loss takes the softmax or sigmoid itself, so that it is taken twice.",
        harm: "The loss has a floor that no model gets below, and the gradient is squeezed the more, the surer the model is.",
        evidence: {
          part: part + 1,
          ...(rows && { rows }),
          ...(inside && { entries: inside }),
          ...(found && { activation: found }),
        },
        fix: fixFor(false),
      },
    ];
  }
  return [];
}

/** Which activation of the raw output the field is, if it is one and not the raw output itself. */
function activationBetween(raw: Tensor, field: Tensor): string | undefined {
  if (raw.data.length !== field.data.length || raw.data.length === 0) return undefined;
  let [same, inUnit] = [true, true];
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < raw.data.length; i++) {
    const [x, y] = [Number(raw.data[i]), Number(field.data[i])];
    if (Math.abs(x - y) > 1e-3 * Math.max(1, Math.abs(x))) same = false;
    if (!(y >= 0 && y <= 1)) inUnit = false;
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  // Raw scores may lie in the unit interval too; then the field says nothing that they do not.
  const rawInUnit = low >= 0 && high <= 1;
  return !same && inUnit && !rawInUnit ? "an activation (softmax or sigmoid)" : undefined;
}

/** How far from 1 the sum of a row may be, for float32 and half precision. */
const closeToOne = { float: 1e-4, half: 2e-2 };

/** How many rows of classes that count add up to 1 with entries in [0, 1], if all do and there are enough of them. */
function rowsThatAddUp(
  { record, objective }: AuditedStep,
  logits: Tensor,
  labels: Tensor | undefined,
): number | undefined {
  const classes = logits.shape.at(-1) ?? 0;
  if (classes < 2 || objective.definition.family === "contrastive") return undefined;
  const { ignoreIndex = -100, labelShift = 0 } = objective.contract.options as Record<string, number>;
  const half = record.context.computation?.dtype === "float16" || record.context.computation?.dtype === "bfloat16";
  const tolerance = half ? closeToOne.half : closeToOne.float;
  const { data } = logits;
  let rows = 0;
  for (let start = 0; start < data.length; start += classes) {
    const unit = start / classes;
    // Padding may hold anything; a shifted row belongs to another label.
    if (labels && labelShift === 0 && labels.data.length * classes === data.length) {
      if (Number(labels.data[unit]) === ignoreIndex) continue;
    }
    let sum = 0;
    for (let k = start; k < start + classes; k++) {
      const x = Number(data[k]);
      if (!(x >= 0 && x <= 1)) return undefined;
      sum += x;
    }
    if (Math.abs(sum - 1) > tolerance) return undefined;
    rows++;
  }
  // Two numbers in [0, 1] add up to 1 by chance only where they were rounded.
  return rows >= (classes > 2 ? 1 : 2) ? rows : undefined;
}

/** How many entries a field needs before all of them in [0, 1] is no accident. */
const enough = 24;

function insideUnitInterval({ data }: Tensor): number | undefined {
  if (data.length < enough) return undefined;
  let [below, above] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const x = Number(data[i]);
    if (!(x >= 0 && x <= 1)) return undefined;
    if (x < 0.5) below++;
    else above++;
  }
  return below > 0 && above > 0 ? data.length : undefined;
}
