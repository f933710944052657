import { choiceOption, numberOption } from "../../contract/index.js";
import { sortedOrder } from "../../numerics/index.js";
import { ExactSum } from "../../tally/index.js";
import { Samples, Sums } from "../accumulators.js";
import { ignoreIndexOption } from "../classification/labels.js";
import type { BoundFields } from "../fields.js";
import { readProbabilities } from "./probability-fields.js";

/** Options of metrics that hold probabilities against what happens, in bins. */
export interface BinOptions {
  /** The number of bins. Default 15. */
  readonly bins: number;
  /** Bins of one width (default: bounded memory), or of one number of samples (weights do not move their edges). */
  readonly strategy: "uniform" | "quantile";
  /** The highest probability of each sample against whether it is right (default), or each class against the rest. */
  readonly of: "confidence" | "classes";
  /** A label that takes its sample out. Default −100. */
  readonly ignoreIndex: number;
}

export const binOptions = {
  bins: numberOption("the number of bins", 15, { integer: true, atLeast: 1, atMost: 100000 }),
  strategy: choiceOption("bins of one width, or of one number of samples", "uniform", ["uniform", "quantile"]),
  of: choiceOption("the confidence in the highest class, or each class against the rest", "confidence", [
    "confidence",
    "classes",
  ]),
  ignoreIndex: ignoreIndexOption,
} as const;

/** What is kept: sums by bin, or the samples where the bins follow from them. */
export interface BinState {
  readonly held: Sums | Samples;
  readonly [name: string]: Sums | Samples;
}

export function binState({ strategy }: Pick<BinOptions, "strategy">): BinState {
  return { held: strategy === "uniform" ? new Sums() : new Samples(["probability", "code"]) };
}

/** Which side of a bin its edge belongs to: `[lo, hi)` with 1 a bin of its own, or `(lo, hi]` with 0 in the first. */
export type Closed = "lower" | "upper";

/** One bin of one class. */
export interface Bin {
  readonly index: number;
  readonly weight: number;
  /** Mean probability, and the share of it that happened. */
  readonly predicted: number;
  readonly observed: number;
}

/** What is summed of a bin. */
const parts = 3;
const partNames = { weight: 0, predicted: 1, observed: 2 } as const;

/** Opens an update: each sample gives a probability and whether it happened, one or one a class. */
export function openBins(
  fields: BoundFields,
  { held }: BinState,
  { bins, of }: Pick<BinOptions, "bins" | "of">,
  closed: Closed,
): (sample: number, weight: number) => void {
  const { classes, label, probability } = readProbabilities(fields);
  const cells: ExactSum[] = [];
  const cell = (key: number) => {
    cells[key] ??= (held as Sums).of(key);
    return cells[key];
  };
  const add = (weight: number, index: number, p: number, happened: number) => {
    if (held instanceof Samples) {
      held.add(weight, p, 2 * index + happened);
      return;
    }
    const key = (index * (bins + 1) + uniformBin(p, bins, closed)) * parts;
    cell(key).add(weight);
    cell(key + partNames.predicted).add(weight * p);
    if (happened) cell(key + partNames.observed).add(weight);
  };
  if (classes === 1) return (sample, weight) => add(weight, 0, probability(sample, 0), label(sample));
  if (of === "classes") {
    return (sample, weight) => {
      const actual = label(sample);
      for (let k = 0; k < classes; k++) add(weight, k, probability(sample, k), k === actual ? 1 : 0);
    };
  }
  return (sample, weight) => {
    const actual = label(sample);
    let [best, highest] = [0, probability(sample, 0)];
    for (let k = 1; k < classes; k++)
      if (probability(sample, k) > highest) [best, highest] = [k, probability(sample, k)];
    add(weight, 0, highest, best === actual ? 1 : 0);
  };
}

/** The bin of a probability among bins of one width, whose edges are i / bins. */
export function uniformBin(p: number, bins: number, closed: Closed): number {
  let bin = Math.floor(p * bins);
  // The product is rounded: the edges themselves decide.
  if (closed === "lower") {
    while (bin > 0 && p < bin / bins) bin--;
    while (bin < bins && p >= (bin + 1) / bins) bin++;
    return bin;
  }
  while (bin > 0 && p <= bin / bins) bin--;
  while (bin < bins - 1 && p > (bin + 1) / bins) bin++;
  return bin;
}

/** The bins that hold something, class by class, in ascending order. */
export function readBins({ held }: BinState, { bins }: Pick<BinOptions, "bins">): readonly (readonly Bin[])[] {
  return held instanceof Sums ? uniformBins(held, bins) : quantileBins(held, bins);
}

function uniformBins(sums: Sums, bins: number): readonly (readonly Bin[])[] {
  const classes: Bin[][] = [];
  for (const key of sums.keys() as number[]) {
    if (key % parts !== 0) continue;
    const at = key / parts;
    const index = at % (bins + 1);
    const own = Math.floor(at / (bins + 1));
    classes[own] ??= [];
    classes[own].push(
      binOf(index, sums.value(key), sums.value(key + partNames.predicted), sums.value(key + partNames.observed)),
    );
  }
  return classes;
}

function binOf(index: number, weight: number, predicted: number, observed: number): Bin {
  return { index, weight, predicted: predicted / weight, observed: observed / weight };
}

/** Bins between the quantiles i / bins of the probabilities of a class, `(lo, hi]`; those between equal quantiles are empty. */
function quantileBins(samples: Samples, bins: number): readonly (readonly Bin[])[] {
  const [probabilities, codes, { weights }] = [samples.column("probability"), samples.column("code"), samples];
  const classes = 1 + codes.reduce((most, code) => Math.max(most, code >> 1), -1);
  const order = sortedOrder(probabilities);
  return Array.from({ length: classes }, (_, own) => {
    const indices = order.filter((i) => codes[i]! >> 1 === own);
    const sorted = Float64Array.from(indices, (i) => probabilities[i]!);
    const edges = Array.from({ length: bins + 1 }, (__, i) => quantileOf(sorted, i / bins));
    const found: Bin[] = [];
    let at = 0;
    for (let bin = 0; bin < bins; bin++) {
      const sums = [new ExactSum(), new ExactSum(), new ExactSum()] as const;
      const isLast = bin === bins - 1;
      for (; at < indices.length && (isLast || sorted[at]! <= edges[bin + 1]!); at++) {
        const weight = weights?.[indices[at]!] ?? 1;
        sums[partNames.weight].add(weight);
        sums[partNames.predicted].add(weight * sorted[at]!);
        if (codes[indices[at]!]! & 1) sums[partNames.observed].add(weight);
      }
      if (sums[0].value > 0) found.push(binOf(bin, sums[0].value, sums[1].value, sums[2].value));
    }
    return found;
  });
}

/** A quantile of sorted numbers, linear between neighbors, from the nearer one (as NumPy rounds it). */
function quantileOf(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  const rest = at - below;
  return rest < 0.5 ? low + (high - low) * rest : high - (high - low) * (1 - rest);
}
