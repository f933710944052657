/**
 * Steps made by other code, each with one mistake or with none: a mistake gives one finding of its check and nothing
 * else, a near miss gives no finding at all, not even a note. Every case is drawn several times.
 */
import { describe, expect, it } from "vitest";
import { audit, hasFindings, report } from "../src/audit/index.js";
import { objectiveFrom, tensor } from "../src/index.js";
import type { StepRecord } from "../src/io/index.js";
import { Random } from "./instruments/random.js";
import {
  countOf,
  elementParts,
  factorsInRows,
  gradientOf,
  mean,
  meanOf,
  type RecordedPart,
  rankParts,
  rowMeansOf,
  stepOf,
  sumOf,
  type TokenWishes,
  tokenParts,
  total,
  weightOf,
  withField,
} from "./instruments/steps.js";

const seeds = [1, 2, 3, 4];

type Make = (random: Random) => StepRecord;
type Cases = Readonly<Record<string, Make>>;

/** Counts so uneven that no aggregation gives another's number by chance. */
function unevenCounts(random: Random, parts: number): number[] {
  return random.shuffled(Array.from({ length: parts }, (_, part) => 4 + 3 * part + random.integer(0, 1)));
}

function uneven(random: Random, parts: number, wishes: Partial<TokenWishes> = {}): RecordedPart[] {
  return tokenParts(random, { length: 9, kept: unevenCounts(random, parts), ...wishes });
}

const wholeMean = (parts: readonly RecordedPart[]) => total(parts.map(sumOf)) / total(parts.map(weightOf));
const wholeFactors = (parts: readonly RecordedPart[]) => parts.map(() => 1 / total(parts.map(weightOf)));
const meanOfMeans = (parts: readonly RecordedPart[]) => mean(parts.map(meanOf));
const inverse = (weight: number) => (weight === 0 ? 0 : 1 / weight);
const meanFactors = (parts: readonly RecordedPart[]) => parts.map((part) => inverse(weightOf(part)) / parts.length);
const right = (parts: readonly RecordedPart[]) => ({ parts, loss: wholeMean(parts), factors: wholeFactors(parts) });
const scaled = (factors: readonly number[], by: number) => factors.map((factor) => factor * by);

/** The weight on each part's rank. */
function rankWeights(parts: readonly RecordedPart[], ranks: readonly number[]): number[] {
  return ranks.map((rank) => total(parts.map((part, i) => (ranks[i] === rank ? weightOf(part) : 0))));
}

const accumulation: Cases = {
  ...Object.fromEntries(
    [2, 3, 4, 5, 6, 7, 8].map((count) => [
      `a mean of means over ${count} micro-batches`,
      (random: Random) => {
        const parts = uneven(random, count);
        return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
      },
    ]),
  ),
  "a sum of means": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: total(parts.map(meanOf)), factors: parts.map((part) => 1 / weightOf(part)) });
  },
  "a sum of sums": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: total(parts.map(sumOf)), factors: parts.map(() => 1) });
  },
  "a mean of sums": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: mean(parts.map(sumOf)), factors: parts.map(() => 1 / 3) });
  },
  "the whole mean, divided again by the number of micro-batches": (random) => {
    const parts = uneven(random, 4);
    return stepOf({ parts, loss: wholeMean(parts) / 4, factors: scaled(wholeFactors(parts), 1 / 4) });
  },
  "a right loss, its gradient averaged over micro-batches": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ ...right(parts), factors: meanFactors(parts) });
  },
  "a right loss, its gradient divided again by the number of micro-batches": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ ...right(parts), factors: scaled(wholeFactors(parts), 1 / 3) });
  },
  "a loss logged as a mean of means beside a right gradient": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ ...right(parts), loss: meanOfMeans(parts) });
  },
  "a mean of means without recorded gradients": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: meanOfMeans(parts) });
  },
  "a mean of means in the gradient, no loss recorded": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: null, factors: meanFactors(parts), partLosses: [null, null, null] });
  },
  "a mean of means beside a recorded gradient of a constant": (random) => {
    const parts = elementParts(random, { rows: [2, 5, 9] });
    const record = stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
    for (const [i, part] of parts.entries()) {
      record.parts[i]!.reported.gradients.targets = gradientOf({ ...part, of: "targets" }, -1 / 48);
    }
    return record;
  },
  "a mean of weighted means, by class": (random) => {
    const parts = uneven(random, 3, { classWeights: [0.2, 1, 4, 0.5, 2] });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean of weighted means, by unit": (random) => {
    const parts = uneven(random, 3, { weight: () => random.between(0.01, 3) });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean of means of next tokens": (random) => {
    const parts = uneven(random, 4, { shift: 1 });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean of means of squared errors over uneven rows": (random) => {
    const parts = elementParts(random, { rows: [2, 5, 9] });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean of means of masked binary cross entropies": (random) => {
    const parts = elementParts(random, {
      rows: [2, 9, 30],
      loss: "binaryCrossEntropy",
      mask: () => random.chance(0.7),
    });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean over micro-batches of the means over their sequences": (random) => {
    const parts = uneven(random, 3, { rows: [1, 2, 6], kept: [5, 8, 14], reduction: { per: "sequence" } });
    const rows = parts.map((part) => rowMeansOf(part));
    const factors = parts.map((part, i) => factorsInRows(part, rows[i]!.length * 3));
    return stepOf({ parts, loss: mean(rows.map(mean)), factors });
  },
  "a mean of means in which a micro-batch without tokens adds 0": (random) => {
    const parts = uneven(random, 3, { kept: [12, 0, 5] });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean of means over the micro-batches of all ranks": (random) => {
    const parts = uneven(random, 4);
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts), ranks: [0, 0, 1, 1] });
  },
  "a sum of means on each rank, averaged over ranks": (random) => {
    const parts = uneven(random, 4);
    const factors = parts.map((part) => 1 / weightOf(part) / 2);
    return stepOf({ parts, loss: total(parts.map(meanOf)) / 2, factors, ranks: [0, 0, 1, 1] });
  },
};

const distributedDenominator: Cases = {
  "a mean of the means of two ranks": (random) => {
    const parts = uneven(random, 2);
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts), ranks: [0, 1] });
  },
  "a mean of the means of eight ranks": (random) => {
    const parts = uneven(random, 8);
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts), ranks: [0, 1, 2, 3, 4, 5, 6, 7] });
  },
  "a mean of the means of ranks that only the step counts": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts), context: { ranks: 3 } });
  },
  "a sum of the means of ranks": (random) => {
    const parts = uneven(random, 3);
    const factors = parts.map((part) => 1 / weightOf(part));
    return stepOf({ parts, loss: total(parts.map(meanOf)), factors, ranks: [0, 1, 2] });
  },
  "items counted over the micro-batches of a rank, not over ranks": (random) => {
    const ranks = [0, 0, 1, 1];
    const parts = uneven(random, 4, { kept: [3, 9, 14, 20] });
    const weights = rankWeights(parts, ranks);
    const loss = total(parts.map((part, i) => sumOf(part) / weights[i]!)) / 2;
    return stepOf({ parts, loss, factors: weights.map((weight) => 1 / weight / 2), ranks });
  },
  "a right loss, its gradient averaged over ranks once more": (random) => {
    const parts = uneven(random, 2);
    return stepOf({ ...right(parts), factors: scaled(wholeFactors(parts), 1 / 2), ranks: [0, 1] });
  },
  "loss and gradient divided by the world size once more": (random) => {
    const parts = uneven(random, 4);
    const factors = scaled(wholeFactors(parts), 1 / 4);
    return stepOf({ parts, loss: wholeMean(parts) / 4, factors, ranks: [0, 1, 2, 3] });
  },
  "loss and gradient times the world size": (random) => {
    const parts = uneven(random, 2);
    return stepOf({ parts, loss: wholeMean(parts) * 2, factors: scaled(wholeFactors(parts), 2), ranks: [0, 1] });
  },
  "a right loss, its gradient times the world size": (random) => {
    const parts = uneven(random, 4);
    return stepOf({ ...right(parts), factors: scaled(wholeFactors(parts), 2), ranks: [0, 0, 1, 1] });
  },
  "a right loss, its gradient a mean over ranks": (random) => {
    const parts = uneven(random, 2);
    return stepOf({ ...right(parts), factors: meanFactors(parts), ranks: [0, 1] });
  },
  "a loss logged as a mean over ranks beside a right gradient": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ ...right(parts), loss: meanOfMeans(parts), ranks: [0, 1, 2] });
  },
  "sums of ranks, averaged over ranks and divided by nothing": (random) => {
    const parts = uneven(random, 4);
    return stepOf({ parts, loss: total(parts.map(sumOf)) / 2, factors: parts.map(() => 1 / 2), ranks: [0, 0, 1, 1] });
  },
  "a mean over ranks of InfoNCE against gathered keys, queries shared out unevenly": (random) => {
    const parts = rankParts(random, { queries: [2, 5] });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts), ranks: [0, 1] });
  },
  "a mean over ranks of weighted means, no gradients recorded": (random) => {
    const parts = uneven(random, 2, { classWeights: [0.2, 1, 4, 0.5, 2] });
    return stepOf({ parts, loss: meanOfMeans(parts), ranks: [0, 1] });
  },
};

/** One batch, its sum divided by some number. */
const over = (divisor: (part: RecordedPart) => number, wishes: Partial<TokenWishes> = {}): Make => {
  return (random) => {
    const parts = tokenParts(random, { kept: [13], ...wishes });
    const by = divisor(parts[0]!);
    return stepOf({ parts, loss: sumOf(parts[0]!) / by, factors: [1 / by] });
  };
};

const inRows: Make = (random) => {
  const [part] = tokenParts(random, { kept: [13] });
  const rows = rowMeansOf(part!);
  return stepOf({ parts: [part!], loss: mean(rows), factors: [factorsInRows(part!, rows.length)] });
};

const denominator: Cases = {
  "division by the number of rows": over(({ rows }) => rows),
  "division by all positions, those that are ignored included": over(({ rows }) => rows * 8),
  "division by all positions but the last of each row": over(({ rows }) => rows * 7, { shift: 1 }),
  "a plain sum": over(() => 1),
  "division by the number of positions times classes": over(({ rows }) => rows * 8 * 5),
  "division by the count where class weights should divide": over(countOf, { classWeights: [0.25, 1, 3, 5, 1] }),
  "division by the count where unit weights should divide": (random) =>
    over(countOf, { weight: () => random.between(0.1, 4) })(random),
  "division by the weight where the count should divide": over(weightOf, {
    classWeights: [0.25, 1, 3, 5, 1],
    reduction: { divideBy: "count" },
  }),
  "a weight sum below 1, clamped at 1": (random) =>
    over((part) => Math.max(1, weightOf(part)), { weight: () => random.between(0.005, 0.03) })(random),
  "a mean over tokens where sequences should weigh alike": over(weightOf, { reduction: { per: "sequence" } }),
  "a mean inside sequences where tokens should weigh alike": inRows,
  "a mean over tokens in equal micro-batches where sequences should weigh alike": (random) => {
    const parts = uneven(random, 3, { reduction: { per: "sequence" } });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "division of all micro-batches by the number of their positions": (random) => {
    const parts = uneven(random, 3);
    const by = 3 * 4 * 9;
    return stepOf({ parts, loss: total(parts.map(sumOf)) / by, factors: parts.map(() => 1 / by) });
  },
  "binary cross entropy summed over classes, averaged over rows": (random) => {
    const [part] = elementParts(random, { rows: [7], columns: 4, loss: "binaryCrossEntropy" });
    return stepOf({ parts: [part!], loss: sumOf(part!) / 7, factors: [1 / 7] });
  },
  "a masked squared error divided by all elements": (random) => {
    const [part] = elementParts(random, { rows: [6], columns: 5, mask: () => random.chance(0.5) });
    return stepOf({ parts: [part!], loss: sumOf(part!) / 30, factors: [1 / 30] });
  },
  "division by rows without recorded gradients": (random) => {
    const [part] = tokenParts(random, { kept: [13] });
    return stepOf({ parts: [part!], loss: sumOf(part!) / part!.rows });
  },
  "division by rows in the gradient, no loss recorded": (random) => {
    const [part] = tokenParts(random, { kept: [13] });
    return stepOf({ parts: [part!], loss: null, factors: [1 / part!.rows] });
  },
  'a step that counts nothing where the contract says onEmpty: "throw"': (random) => {
    const parts = tokenParts(random, { kept: [0], reduction: { onEmpty: "throw" } });
    return stepOf({ parts, loss: 0, factors: [0] });
  },
};

/** The entry of a gradient that a mistake broke. */
function broken(record: StepRecord, value: number, part?: number): StepRecord {
  const { reported } = part === undefined ? record : record.parts[part]!;
  (Object.values(reported.gradients)[0]!.data as Float32Array)[0] = value;
  return record;
}

const logitOfUnit = (value: number) => (drawn: number, index: number, labels: Int32Array) =>
  Math.floor(index / 5) === labels.findIndex((label) => label >= 0) && index % 5 === 2 ? value : drawn;

const nonFinite: Cases = {
  "an infinite loss of logits whose softmax underflows": (random) => {
    const parts = tokenParts(random, { kept: [9], scale: 80 });
    return stepOf({ parts, loss: Number.POSITIVE_INFINITY, factors: wholeFactors(parts) });
  },
  "an infinite loss with broken gradients": (random) => {
    const parts = tokenParts(random, { kept: [9], scale: 80 });
    return broken(stepOf({ parts, loss: Number.POSITIVE_INFINITY, factors: wholeFactors(parts) }), Number.NaN);
  },
  "a NaN loss of a NaN that the mask should have left out": (random) => {
    const parts = elementParts(random, { rows: [6], mask: () => random.chance(0.5), masked: Number.NaN });
    return stepOf({ parts, loss: Number.NaN, factors: wholeFactors(parts) });
  },
  "NaN in the gradient alone": (random) => broken(stepOf(right(tokenParts(random, { kept: [9] }))), Number.NaN),
  "−∞ in the gradient of one micro-batch": (random) =>
    broken(stepOf(right(uneven(random, 3))), Number.NEGATIVE_INFINITY, 1),
  "NaN in the gradient of the only part that recorded one": (random) => {
    const record = broken(stepOf(right(uneven(random, 2))), Number.NaN, 1);
    record.parts[0]!.reported.gradients = {};
    return record;
  },
  "NaN in the gradient, no loss recorded": (random) =>
    broken(stepOf({ ...right(tokenParts(random, { kept: [9] })), loss: null }), Number.NaN),
  "a NaN logit of a unit that counts": (random) => {
    const parts = tokenParts(random, { kept: [9], logit: logitOfUnit(Number.NaN) });
    return stepOf({ parts, loss: Number.NaN, factors: wholeFactors(parts) });
  },
  "a NaN logit of a unit that counts beside a finite report": (random) => {
    const parts = tokenParts(random, { kept: [9], logit: logitOfUnit(Number.NaN) });
    return stepOf({ parts, loss: 1.5 });
  },
  'a NaN logit beside a micro-batch that counts nothing, onEmpty: "throw"': (random) => {
    const wishes = { logit: logitOfUnit(Number.NaN), reduction: { onEmpty: "throw" } };
    const parts = tokenParts(random, { kept: [9, 0], ...wishes });
    return stepOf({ parts, loss: Number.NaN });
  },
  "a NaN logit in a piece of sequences": (random) => {
    const step = pieces(random, 1, [5, 1, 6]);
    const [{ fields, units }] = step.parts as [RecordedPart];
    (fields.logits!.data as Float32Array)[units[0]!.at] = Number.NaN;
    return stepOf({ ...step, loss: Number.NaN });
  },
  "0 / 0 of a micro-batch without tokens": (random) => {
    const parts = uneven(random, 3, { kept: [6, 0, 11] });
    const partLosses = [meanOf(parts[0]!), Number.NaN, meanOf(parts[2]!)];
    return stepOf({ parts, loss: Number.NaN, factors: meanFactors(parts), partLosses });
  },
  "0 / 0 of a step that counts nothing": (random) =>
    stepOf({ parts: tokenParts(random, { kept: [0] }), loss: Number.NaN }),
  'the NaN that onEmpty: "nan" asks for': (random) =>
    stepOf({ parts: tokenParts(random, { kept: [0], reduction: { onEmpty: "nan" } }), loss: Number.NaN }),
};

const reshaped = (parts: readonly RecordedPart[], name: string, shape: readonly number[]) => [
  withField(parts[0]!, name, ({ data }) => tensor(data as Float32Array, shape)),
];

const shape: Cases = {
  "a prediction [N, 1] against a target [N]": (random) => {
    const parts = elementParts(random, { rows: [10], columns: 1 });
    return stepOf({ parts: reshaped(parts, "targets", [10]), loss: 2.8, factors: [1 / 10] });
  },
  "a prediction [N] against a target [N, 1]": (random) => {
    const parts = elementParts(random, { rows: [10], columns: 1 });
    return stepOf({ parts: reshaped(parts, "predictions", [10]), loss: 2.8, factors: [1 / 10] });
  },
  "a prediction [1, N] against a target [N, 1]": (random) => {
    const parts = elementParts(random, { rows: [10], columns: 1 });
    return stepOf({ parts: reshaped(parts, "predictions", [1, 10]), loss: 2.8 });
  },
  "labels flattened, logits not": (random) => {
    const parts = tokenParts(random, { kept: [13] });
    return stepOf({ ...right(parts), parts: reshaped(parts, "labels", [32]) });
  },
  "logits already shifted, labels not": (random) => {
    const parts = tokenParts(random, { kept: [13] });
    const cut = withField(parts[0]!, "logits", ({ data }) =>
      tensor((data as Float32Array).slice(0, 4 * 7 * 5), [4, 7, 5]),
    );
    return stepOf({ parts: [cut], loss: 1.6 });
  },
  "more class weights than classes": (random) => {
    const parts = tokenParts(random, { kept: [13] });
    return stepOf({ ...right(parts), intended: { options: { classWeights: [1, 1, 1, 1, 1, 1] } } });
  },
  "no targets at all": (random) => {
    const [part] = elementParts(random, { rows: [4] });
    const { predictions } = part!.fields;
    return stepOf({ ...right([part!]), parts: [{ ...part!, fields: { predictions: predictions! } }] });
  },
  "micro-batches of one axis and of two": (random) => {
    const parts = elementParts(random, { rows: [4, 5] });
    const flat = (["predictions", "targets"] as const).reduce(
      (part, name) => withField(part, name, ({ data }) => tensor(data as Float32Array, [15])),
      parts[1]!,
    );
    return stepOf({ ...right(parts), parts: [parts[0]!, flat] });
  },
  "pieces of sequences of which one has another number of rows": (random) => {
    const parts = tokenParts(random, { kept: [9, 9], rows: [4, 3] });
    return stepOf({ ...right(parts), context: { splitAxis: "sequence" } });
  },
  "pieces of sequences of which one alone has weights": (random) => {
    const [first] = tokenParts(random, { kept: [9], weight: () => 1 });
    const [second] = tokenParts(random, { kept: [9] });
    return stepOf({ ...right([first!, second!]), context: { splitAxis: "sequence" } });
  },
};

const labelsAs =
  (change: (labels: number[]) => Parameters<typeof tensor>[0]): Make =>
  (random) => {
    const parts = tokenParts(random, { kept: [13] });
    const changed = withField(parts[0]!, "labels", (labels) =>
      tensor(change(Array.from(labels.data as BigInt64Array, Number)) as Float32Array, labels.shape),
    );
    return stepOf({ ...right(parts), parts: [changed] });
  };

const targetsAs =
  (change: (targets: number[]) => Parameters<typeof tensor>[0], loss?: "binaryCrossEntropy"): Make =>
  (random) => {
    const parts = elementParts(random, { rows: [6], ...(loss && { loss }) });
    const changed = withField(parts[0]!, "targets", (targets) =>
      tensor(change(Array.from(targets.data as Float32Array)) as Float32Array, targets.shape),
    );
    return stepOf({ ...right(parts), parts: [changed] });
  };

const labelDtype: Cases = {
  "float32 labels": labelsAs((labels) => Float32Array.from(labels)),
  "float64 labels": labelsAs((labels) => Float64Array.from(labels)),
  "labels that count from 1": labelsAs((labels) => Int32Array.from(labels, (y) => (y === -100 ? y : y + 5))),
  "a padding label that nobody ignores": labelsAs((labels) => Int32Array.from(labels, (y) => (y === -100 ? -1 : y))),
  "labels of another vocabulary": labelsAs((labels) => Int32Array.from(labels, (y) => (y === 0 ? 50256 : y + 10))),
  "int64 regression targets": targetsAs((targets) => BigInt64Array.from(targets, (y) => BigInt(Math.trunc(y)))),
  "int32 regression targets": targetsAs((targets) => Int32Array.from(targets)),
  "uint8 binary targets": targetsAs((targets) => Uint8Array.from(targets), "binaryCrossEntropy"),
  "binary targets of −1 and 1": targetsAs(
    (targets) => Float32Array.from(targets, (y) => 2 * y - 1),
    "binaryCrossEntropy",
  ),
};

const clean: Cases = {
  "InfoNCE of ranks against gathered keys": (random) =>
    stepOf({ ...right(rankParts(random, { queries: [2, 5, 3] })), ranks: [0, 1, 2] }),
  "a whole mean over micro-batches": (random) => stepOf(right(uneven(random, 5))),
  "a whole mean over the micro-batches of two ranks": (random) =>
    stepOf({ ...right(uneven(random, 4)), ranks: [0, 0, 1, 1], context: { combine: { ranks: "sum" } } }),
  "a micro-batch without tokens": (random) => stepOf(right(uneven(random, 3, { kept: [7, 0, 13] }))),
  "a micro-batch without tokens whose own mean is NaN": (random) => {
    const parts = uneven(random, 3, { kept: [7, 0, 13] });
    return stepOf({ ...right(parts), partLosses: [meanOf(parts[0]!), Number.NaN, meanOf(parts[2]!)] });
  },
  "a step that counts nothing": (random) => {
    const parts = tokenParts(random, { kept: [0, 0] });
    return stepOf({ parts, loss: 0, factors: [0, 0] });
  },
  "a weight sum far below 1": (random) =>
    stepOf(right(tokenParts(random, { kept: [13], weight: () => random.between(1e-6, 3e-6) }))),
  "weights with zeros among them": (random) =>
    stepOf(right(uneven(random, 2, { weight: () => (random.chance(0.3) ? 0 : random.between(0.1, 3)) }))),
  "NaN at masked units": (random) =>
    stepOf(right(elementParts(random, { rows: [6, 4], mask: () => random.chance(0.5), masked: Number.NaN }))),
  "NaN where labels are ignored": (random) =>
    stepOf(
      right(
        tokenParts(random, {
          kept: [9],
          logit: (z, index, labels) => (labels[Math.floor(index / 5)] === -100 ? Number.NaN : z),
        }),
      ),
    ),
  "−∞ at classes that are forbidden": (random) =>
    stepOf(
      right(
        tokenParts(random, {
          kept: [9],
          logit: (z, index, labels) => (labels[Math.floor(index / 5)] !== index % 5 && index % 3 === 0 ? -1 / 0 : z),
        }),
      ),
    ),
  "a mean of means over equal counts, which is the whole": (random) => {
    const parts = tokenParts(random, { kept: [11, 11, 11] });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts) });
  },
  "a mean over ranks of equal counts, which is the whole": (random) => {
    const parts = tokenParts(random, { kept: [11, 11] });
    return stepOf({ parts, loss: meanOfMeans(parts), factors: meanFactors(parts), ranks: [0, 1] });
  },
  "a record of a single part": (random) => stepOf({ ...right(tokenParts(random, { kept: [13] })), ranks: [0] }),
  "one batch whole": (random) => stepOf(right(tokenParts(random, { kept: [13] }))),
  "a float32 sum in a naive loop": (random) => {
    const [part] = tokenParts(random, { kept: [1500], rows: 60, length: 40 });
    let sum = 0;
    for (const { loss } of part!.units) sum = Math.fround(sum + loss);
    const factors = [Math.fround(1 / 1500)];
    return stepOf({ parts: [part!], loss: Math.fround(sum / 1500), factors });
  },
  "no loss recorded": (random) => stepOf({ ...right(uneven(random, 3)), loss: null, partLosses: [null, null, null] }),
  "no gradients recorded": (random) => {
    const parts = uneven(random, 3);
    return stepOf({ parts, loss: wholeMean(parts) });
  },
  "gradients of one part alone recorded": (random) => {
    const record = stepOf(right(uneven(random, 3)));
    record.parts[1]!.reported.gradients = {};
    return record;
  },
  "a gradient recorded of a constant beside that of the logits": (random) => {
    const parts = elementParts(random, { rows: [5] });
    const record = stepOf(right(parts));
    record.reported.gradients.targets = gradientOf({ ...parts[0]!, of: "targets" }, -1 / 15);
    return record;
  },
  "logits so far apart that float32 reports 0": (random) => {
    const far = (z: number, index: number, labels: Int32Array) =>
      labels[Math.floor(index / 5)] === index % 5 ? 60 : z;
    return stepOf(right(tokenParts(random, { kept: [5, 12], logit: far })));
  },
  "logits at which float32 has few digits of a small loss": (random) => {
    const far = (z: number, index: number, labels: Int32Array) =>
      labels[Math.floor(index / 5)] === index % 5 ? 15 : z;
    return stepOf(right(tokenParts(random, { kept: [5, 12], logit: far })));
  },
  "logits of some hundred that are confidently wrong": (random) =>
    stepOf(right(tokenParts(random, { kept: [5, 12], scale: 300 }))),
  "next tokens": (random) => stepOf(right(uneven(random, 3, { shift: 1 }))),
  "class weights in numerator and denominator": (random) =>
    stepOf(right(uneven(random, 3, { classWeights: [0.2, 1, 4, 0.5, 2] }))),
  "a sum divided by the constant of the contract": (random) => {
    const parts = uneven(random, 3, { reduction: { divideBy: { constant: 100 } } });
    return stepOf({ parts, loss: total(parts.map(sumOf)) / 100, factors: parts.map(() => 1 / 100) });
  },
  "sequences that weigh alike": (random) => {
    const parts = uneven(random, 3, { rows: [1, 2, 6], kept: [5, 8, 14], reduction: { per: "sequence" } });
    const rows = parts.flatMap((part) => rowMeansOf(part));
    const factors = parts.map((part) => factorsInRows(part, rows.length));
    return stepOf({ parts, loss: mean(rows), factors });
  },
  "sequences that weigh alike in equal micro-batches, averaged": (random) => {
    const parts = uneven(random, 3, { reduction: { per: "sequence" } });
    const means = parts.map((part) => mean(rowMeansOf(part)));
    const factors = parts.map((part) => factorsInRows(part, 12));
    return stepOf({ parts, loss: mean(means), factors });
  },
  "perfect predictions, whose gradient is 0": (random) => {
    const parts = elementParts(random, { rows: [3, 4] }).map((part) => ({
      ...part,
      fields: { ...part.fields, targets: part.fields.predictions! },
      units: part.units.map((unit) => ({ ...unit, loss: 0, slope: [0] })),
    }));
    return stepOf(right(parts));
  },
  "small squared errors": (random) => stepOf(right(elementParts(random, { rows: [3, 40], scale: 1e-3 }))),
  "pieces of sequences whose labels are scored in the piece before": (random) => stepOf(pieces(random, 1, [5, 4, 6])),
  "pieces of sequences of which one is a single position": (random) => stepOf(pieces(random, 1, [5, 1, 6])),
  "pieces of sequences with a weight a row": (random) => {
    const wishes = pieces(random, 0, [5, 4]);
    const rowWeights = tensor(new Float32Array([1, 1, 1]), [3, 1]);
    const parts = wishes.parts.map((part) => ({ ...part, fields: { ...part.fields, weights: rowWeights } }));
    return stepOf({ ...wishes, parts });
  },
};

/** Three rows of next tokens, cut into pieces along time: a unit belongs to the piece of its logits. */
function pieces(random: Random, shift: number, lengths: readonly number[]) {
  const [length, classes, rows] = [total(lengths), 5, 3];
  const [whole] = tokenParts(random, { kept: [20], rows, length, shift });
  const { logits, labels } = whole!.fields;
  const starts = lengths.map((_, piece) => total(lengths.slice(0, piece)));
  const cut = <Data extends Float32Array | BigInt64Array>(
    data: Data,
    from: number,
    to: number,
    inner: number,
  ): Data => {
    const runs = Array.from({ length: rows }, (_, row) => [
      ...data.subarray((row * length + from) * inner, (row * length + to) * inner),
    ]);
    return (data.constructor as unknown as { from(list: unknown[]): Data }).from(runs.flat());
  };
  const parts = lengths.map((own, piece): RecordedPart => {
    const [from, to] = [starts[piece]!, starts[piece]! + own];
    const units = whole!.units.flatMap((unit) => {
      const time = (unit.at / classes) % length;
      if (time < from || time >= to) return [];
      return [{ ...unit, at: (unit.row * own + time - from) * classes }];
    });
    const fields = {
      logits: tensor(cut(logits!.data as Float32Array, from, to, classes), [rows, own, classes]),
      labels: tensor(cut(labels!.data as BigInt64Array, from, to, 1), [rows, own]),
    };
    return { ...whole!, fields, units };
  });
  return { ...right([whole!]), parts, factors: parts.map(() => 1 / 20), context: { splitAxis: "sequence" as const } };
}

const mistakes: Readonly<Record<string, Cases>> = {
  accumulation,
  "distributed-denominator": distributedDenominator,
  denominator,
  "non-finite": nonFinite,
  shape,
  "label-dtype": labelDtype,
};

describe.each(Object.entries(mistakes))("%s is the one finding in", (check, cases) => {
  it.each(Object.entries(cases))("%s", (what, make) => {
    // Where the gradient is right, only a number in a log is wrong.
    const severity = what.endsWith("beside a right gradient") ? "warning" : "error";
    for (const seed of seeds) {
      const { findings } = audit(make(new Random(seed)));
      const found = findings.map(({ check: id, severity, message }) => `${id} ${severity}: ${message}`);
      expect(
        findings.map(({ check: id, severity }) => `${id} ${severity}`),
        `seed ${seed}: ${found.join(" | ")}`,
      ).toEqual([`${check} ${severity}`]);
    }
  });
});

const same = (text: string) => text;
const unpainted = { bold: same, dim: same, red: same, yellow: same, green: same };

describe("a step that cannot be called clean", () => {
  it("has nothing reported to compare, which is a note and no verdict", () => {
    const result = audit(stepOf({ parts: uneven(new Random(1), 2), loss: null }));
    expect(result.findings).toMatchObject([{ check: "unexplained", severity: "note" }]);
    expect(hasFindings(result)).toBe(false);
    expect(report(result, unpainted)).not.toContain("CLEAN");
  });

  it("contradicts its contract for no known cause, by the loss or by the gradient alone", () => {
    const parts = uneven(new Random(2), 1);
    const odd = audit(stepOf({ ...right(parts), loss: 0.1234 }));
    const scaledUp = audit(stepOf({ ...right(parts), factors: scaled(wholeFactors(parts), 1000.7) }));
    for (const result of [odd, scaledUp]) {
      expect(result.findings).toMatchObject([{ check: "unexplained", severity: "note" }]);
      expect(hasFindings(result)).toBe(true);
      expect(report(result, unpainted)).toContain("DOUBT");
    }
    expect(scaledUp.findings[0]!.message).toMatch(/x as long and 0 degrees off/);
  });

  it("agrees as far as half precision lets it, and is told so", () => {
    const parts = uneven(new Random(3), 1);
    const result = audit(stepOf({ ...right(parts), loss: wholeMean(parts) * 1.0008 }));
    expect(result.findings).toMatchObject([{ check: "unexplained", severity: "note" }]);
    expect(result.findings[0]!.message).toContain("half precision");
    expect(hasFindings(result)).toBe(false);
  });
});

describe("nothing is found in", () => {
  it.each(Object.entries(clean))("%s", (_, make) => {
    for (const seed of seeds) {
      const { findings } = audit(make(new Random(seed)));
      const found = findings.map(({ check, message }) => `${check}: ${message}`);
      expect(found, `seed ${seed}`).toEqual([]);
    }
  });
});

describe("what is said of", () => {
  const said = (make: Make) =>
    audit(make(new Random(5))).findings.map(({ message, why = "" }) => `${message} ${why}`)[0];

  it.each([
    [
      "accumulation",
      "a mean of means over 2 micro-batches",
      /, but \S+ was reported\. .* \/ 2: a mean of means\. It reproduces/,
    ],
    ["accumulation", "a sum of means", /: a sum of means\./],
    [
      "accumulation",
      "a right loss, its gradient averaged over micro-batches",
      /was reported, but the gradient is not that of this loss\. Loss and gradient follow two rules: whole \(loss\), mean of means \(gradient\)\./,
    ],
    [
      "accumulation",
      "a mean of means in the gradient, no loss recorded",
      /no loss was reported.* The gradient is that of a mean of means\. It reproduces the gradient to/,
    ],
    [
      "accumulation",
      "a mean of means without recorded gradients",
      /reproduces the loss \(no gradients were recorded\)/,
    ],
    [
      "accumulation",
      "the whole mean, divided again by the number of micro-batches",
      /is the whole, divided again by the number of parts\. .* is 75 % too low/,
    ],
    [
      "distributed-denominator",
      "a mean of the means of two ranks",
      /is a rank mean\. Each rank divides by its own count\./,
    ],
    ["distributed-denominator", "a right loss, its gradient a mean over ranks", /Each rank divides by its own count\./],
    [
      "distributed-denominator",
      "loss and gradient times the world size",
      /multiplied by the number of ranks, and nothing averages over them/,
    ],
    [
      "distributed-denominator",
      "loss and gradient divided by the world size once more",
      /The engine's average over ranks divides once more/,
    ],
    ["denominator", "division by the number of rows", /divides by something else: the number of samples, by weight\./],
    ["denominator", "a weight sum below 1, clamped at 1", /a count clamped at 1/],
    ["denominator", "a plain sum", /nothing at all: a plain sum/],
    [
      "denominator",
      "division by rows in the gradient, no loss recorded",
      /The reported gradient divides by something else/,
    ],
    [
      "non-finite",
      "0 / 0 of a micro-batch without tokens",
      /Nothing is counted in part 2, so that its own mean is 0 \/ 0/,
    ],
    ["non-finite", "0 / 0 of a step that counts nothing", /Nothing is counted in this step/],
    ["non-finite", 'the NaN that onEmpty: "nan" asks for', /nothing is counted, and onEmpty is "nan"/],
    [
      "non-finite",
      "a NaN logit of a unit that counts beside a finite report",
      /not the fields its loss was computed from/,
    ],
    ["non-finite", "an infinite loss of logits whose softmax underflows", /reports a loss of inf, .*underflowed/],
  ])("%s: %s", (check, name, words) => {
    expect(said(mistakes[check]![name]!)).toMatch(words);
  });
});

describe("an explanation that fits, evaluated on the fields, gives the report of", () => {
  const single = Object.entries({ ...denominator, ...clean }).filter(([, make]) => {
    const { parts, reported } = make(new Random(1));
    return parts.length === 0 && Number.isFinite(reported.loss);
  });

  it.each(single)("%s", (_, make) => {
    for (const seed of seeds) {
      const { step } = audit(make(new Random(seed)));
      const { loss, gradients } = step.record.reported;
      for (const { contract, aggregation, factors, sums } of step.explanations.filter(({ fits }) => fits)) {
        expect(aggregation).toBe("whole");
        const given = objectiveFrom(contract).withEngine("reference").valueAndGradients(step.record.fields!);
        expect(Math.abs(given.value - loss!)).toBeLessThanOrEqual(2e-5 * Math.abs(loss!));
        expect(sums[0]!.numerator * factors[0]!).toBeCloseTo(given.value, 10);
        for (const [name, gradient] of Object.entries(given.gradients)) {
          const reported = gradients[name]?.data as Float32Array | undefined;
          const gap = reported?.map((entry, i) => entry - (gradient.data[i] as number));
          if (reported) expect(lengthOf(gap!)).toBeLessThanOrEqual(2e-3 * lengthOf(reported));
        }
      }
    }
  });
});

function lengthOf(vector: Float32Array): number {
  return Math.sqrt(vector.reduce((sum, entry) => sum + entry * entry, 0));
}
