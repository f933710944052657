import { flagOption, numberOption } from "../../contract/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import {
  alignmentOf,
  categoricalFields,
  describeLabels,
  ignoredLabels,
  type LabelOptions,
  labelOptions,
} from "../categorical/labels.js";
import { defineLoss } from "../define-loss.js";
import { softmaxKernel } from "../softmax-kernel.js";
import { SoftmaxRow } from "../softmax-row.js";
import { forwardDivergence } from "./divergence.js";
import { constantLogits, type ModelLogits, modelLogits } from "./fields.js";

/** Options of {@link distillation}. */
export interface DistillationOptions extends LabelOptions {
  /** T > 0: divides the logits of teacher and student in the soft part. Default 1. */
  readonly temperature: number;
  /** Weight of the soft part beside labels, in [0, 1]; without labels the soft part stands alone, with weight 1. Default 0.5. */
  readonly alpha: number;
  /** Multiplies the soft part by T², so that its gradient keeps its size. Default true. */
  readonly scaleByTemperatureSquared: boolean;
}

/** The student's logits, the teacher's, and labels where there are some. */
export interface DistillationBatch extends ModelLogits {
  /** Constants: no gradient flows into the teacher. */
  readonly teacherLogits: Tensor<"logits" | Unlabeled>;
  readonly labels?: Tensor<"classIndices" | Unlabeled>;
}

/**
 * Distillation: the student's softened distribution p against the teacher's q, and its own against the label.
 *   soft     = T² KL(q ‖ p),   q = softmax(teacher / T), p = softmax(z / T)
 *   hard     = −log softmax(z)_y, at temperature 1
 *   loss     = α soft + (1 − α) hard with labels;   soft without
 *   d/dz_k   = α T (p_k − q_k) + (1 − α) (softmax(z)_k − 1[k = y])
 * Without `scaleByTemperatureSquared` the soft part is KL(q‖p), its derivative (p − q)/T. An ignored label takes both
 * parts out. At α = 0 the teacher is not read, at α = 1 the label's class is not.
 * A part of weight 0 is silent; NaN and +∞ in what is read give NaN, with a note. Hinton et al. 2015, section 2.
 */
export const distillation = /*#__PURE__*/ defineLoss<DistillationOptions, DistillationBatch, "logits">({
  name: "distillation",
  family: "distribution",
  unit: "position",
  unitShape: ["..."],
  documentation: {
    summary:
      "KL divergence from a teacher's softened distribution to the student's, beside the cross entropy of labels.",
    formula:
      "α T² KL(softmax(teacher/T) ‖ softmax(z/T)) + (1 − α) (−log softmax(z)_y);  the first alone, α = 1, without labels",
    gradient: "d/dz_k = α T (p_k − q_k) + (1 − α) (softmax(z)_k − 1[k = y])",
    likelihood: {
      target: "single class, with a teacher's distribution",
      distribution: "categorical: a cross entropy against a mixture of teacher and label, at T = 1",
    },
    pitfalls: [
      "Without the factor T² the soft gradient falls as 1/T²: changing T changes the balance with the hard part.",
      "alpha weighs the soft part here; many codes weigh the hard part with the same letter.",
      "Teacher and student need the same classes in the same order, for language models the same vocabulary.",
      "The teacher's logits are constants, but its dropout is not: put it in evaluation mode.",
    ],
    metric: "accuracy of the student, agreement with the teacher",
    source: "Hinton et al. 2015, section 2",
  },
  options: {
    ...labelOptions,
    temperature: numberOption("divides both logits in the soft part", 1, { above: 0 }),
    alpha: numberOption("weight of the soft part beside labels; without labels the soft part stands alone", 0.5, {
      atLeast: 0,
      atMost: 1,
    }),
    scaleByTemperatureSquared: flagOption("multiplies the soft part by T²", true),
  },
  fields: {
    logits: modelLogits,
    teacherLogits: constantLogits("the teacher's logits, at the place of the student's; constants"),
    labels: {
      ...categoricalFields.labels,
      meaning: "the true class of each unit; without it the teacher stands alone",
    },
  },
  alignment: alignmentOf,
  describe: (options) => {
    const { temperature, alpha, scaleByTemperatureSquared } = options;
    const squared = scaleByTemperatureSquared ? "times T²" : "not times T²";
    return `distillation of ${describeLabels(options)}: ${alpha} times KL(teacher‖student) at temperature T = ${temperature}, ${squared}, plus 1 − ${alpha} times cross entropy at temperature 1; the KL alone, with weight 1, where there are no labels`;
  },
  units: (batch) => ignoredLabels(batch),
  open(batch, work) {
    const { temperature, scaleByTemperatureSquared } = batch.options;
    const classes = batch.sizes.K!;
    const label = batch.has("labels") ? batch.index("labels") : undefined;
    const soft = label ? batch.options.alpha : 1;
    const hard = 1 - soft;
    const scale = soft * (scaleByTemperatureSquared ? temperature * temperature : 1);
    const logits = work.rows.logits!;
    const softened = { student: new Float64Array(classes), teacher: new Float64Array(classes) };
    const [student, teacher, plain] = [new SoftmaxRow(classes), new SoftmaxRow(classes), new SoftmaxRow(classes)];
    const divergence = forwardDivergence(teacher, student, classes);
    let broken = false;
    return {
      loss(unit) {
        let loss = 0;
        broken = false;
        if (soft !== 0) {
          for (let k = 0; k < classes; k++) {
            softened.student[k] = logits[k]! / temperature;
            softened.teacher[k] = work.rows.teacherLogits![k]! / temperature;
          }
          student.update(softened.student);
          teacher.update(softened.teacher);
          broken = student.broken || teacher.broken;
          if (!broken) loss += scale * divergence.loss();
        }
        if (hard !== 0) {
          plain.update(logits);
          broken ||= plain.broken;
          loss += hard * plain.negativeLog(label!(unit));
        }
        return broken ? Number.NaN : loss;
      },
      gradient(unit) {
        const own = work.own.logits!;
        own.fill(broken ? Number.NaN : 0);
        if (broken) return;
        if (soft !== 0) divergence.addGradient(own, scale / temperature);
        if (hard === 0) return;
        const y = label!(unit);
        for (let k = 0; k < classes; k++) {
          own[k]! += hard * (k === y ? -plain.complement(k) : plain.probability(k));
        }
      },
    };
  },
  kernel(batch) {
    const { temperature, alpha, scaleByTemperatureSquared } = batch.options;
    if (!(temperature >= 1e-15 && temperature <= 1e15)) return `temperature is ${temperature}, too far out for float32`;
    const soft = batch.has("labels") ? alpha : 1;
    return softmaxKernel(batch, {
      kernel: "distillation",
      inputs: ["logits", "teacherLogits"],
      label: soft === 1 ? null : "labels",
      parameters: [soft, 1 - soft, temperature, soft * (scaleByTemperatureSquared ? temperature * temperature : 1)],
      scratchRows: 5,
      nanosecondsPerClass: 4,
    });
  },
});
