/** Distillation and divergences: rows of student scores beside rows of a teacher's. */
import type { Random } from "../instruments/random.js";
import { labelDtype, normals, surroundings, wideOrSingle } from "./chance.js";
import type { Frame } from "./drawn.js";
import { crossEntropy, divergence } from "./losses.js";
import { type RowsCode, type RowsData, type RowsStep, type RowUnits, rowsStep } from "./rows.js";
import type { Tape, Variable } from "./tape.js";
import { reals } from "./task.js";

export interface DistillationCode {
  /** Divides the student's scores in the soft part. */
  readonly temperature: number;
  readonly teacherTemperature: number;
  /** Multiplies the soft part: T² where nothing else is declared. */
  readonly factor: number;
  /** Share of the soft part; 1 without labels. */
  readonly alpha: number;
}

export interface DistillationStep {
  readonly step: RowsStep;
  readonly code: DistillationCode;
  readonly labeled: boolean;
  readonly classes: number;
  /** The loss under other code. */
  loss(code: Partial<DistillationCode>): RowsCode["loss"];
}

export interface DistillationWishes {
  readonly labeled?: boolean;
  readonly temperature?: number;
  readonly scaled?: boolean;
  readonly ignored?: number;
  readonly context?: Frame["context"];
  readonly rows?: readonly number[];
  readonly ranks?: readonly number[];
}

/** A student beside a teacher, with or without labels. */
export function distillation(random: Random, wishes: DistillationWishes = {}): DistillationStep {
  const {
    labeled = random.chance(0.6),
    temperature = random.pick([2, 3, 4, 5]),
    scaled = true,
    ignored = 0,
    rows = [random.integer(4, 10)],
  } = wishes;
  const alpha = labeled ? random.pick([0.3, 0.5, 0.7, 0.9]) : 1;
  // As many classes as T or T² would make a mean over classes of a missing T².
  const classes = random.pick([4, 5, 6, 7, 8, 10].filter((k) => k !== temperature && k !== temperature ** 2));
  const precision = wideOrSingle(random);
  const dtype = labelDtype(random);
  const teachers = rows.map((count) => normals(random, count * classes, 2.5));
  const data = rows.map((count, part): RowsData => {
    const labels = Array.from({ length: count }, () => random.integer(0, classes - 1));
    const kept = labels.map((label) => (labeled && random.chance(ignored) ? -100 : label));
    return {
      lead: [count],
      classes,
      logits: normals(random, count * classes, 1.8),
      labels: kept,
      unlabeled: !labeled,
      precision,
      labelDtype: dtype,
      recorded: { teacherLogits: reals(teachers[part], [count, classes], precision) },
    };
  });
  const code: DistillationCode = {
    temperature,
    teacherTemperature: temperature,
    factor: scaled ? temperature ** 2 : 1,
    alpha,
  };
  const loss =
    (changed: Partial<DistillationCode>): RowsCode["loss"] =>
    (tape: Tape, logits: Variable, { labels, sources, part }: RowUnits) => {
      const own = { ...code, ...changed };
      const teacher = tape.leaf({
        shape: logits.shape,
        data: sources.flatMap((source) =>
          Array.from(teachers[part].subarray(source * classes, (source + 1) * classes)),
        ),
      });
      const soft = divergence(tape, logits, teacher, {
        temperature: own.temperature,
        targetTemperature: own.teacherTemperature,
      });
      const weighed = tape.scale(soft, own.factor * own.alpha);
      return labeled ? tape.plus(weighed, tape.scale(crossEntropy(tape, logits, labels), 1 - own.alpha)) : weighed;
    };
  const step = rowsStep(
    data,
    { ignored: -100, shift: 0, loss: loss({}) },
    {
      intended: {
        objective: "distillation",
        options: {
          temperature,
          ...(labeled && { alpha }),
          ...((!scaled || random.chance(0.5)) && { scaleByTemperatureSquared: scaled }),
          ...(ignored > 0 && { ignoreIndex: -100 }),
        },
        reduction: { per: "token", divideBy: "weight" },
      },
      precision,
      context: { ...surroundings(random, "accuracy"), ...wishes.context },
      ...(wishes.ranks && { ranks: wishes.ranks }),
    },
  );
  return { step, code, labeled, classes, loss };
}

/** Rows against another model's scores under the divergence alone. */
export function divergenceStep(random: Random): RowsStep {
  const [count, classes, precision] = [random.integer(3, 9), random.integer(4, 12), wideOrSingle(random)];
  const other = normals(random, count * classes, 2);
  const data: RowsData = {
    lead: [count],
    classes,
    logits: normals(random, count * classes, 1.5),
    labels: Array.from({ length: count }, () => 0),
    unlabeled: true,
    precision,
    labelDtype: "int64",
    recorded: { targetLogits: reals(other, [count, classes], precision) },
  };
  const code: RowsCode = {
    ignored: -100,
    shift: 0,
    loss: (tape, logits) => divergence(tape, logits, tape.leaf({ shape: logits.shape, data: other })),
  };
  return rowsStep([data], code, {
    intended: { objective: "klDivergence", options: {}, reduction: { per: "token", divideBy: "weight" } },
    precision,
    context: surroundings(random, "accuracy"),
  });
}
