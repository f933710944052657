/** The three latent-alignment losses and their gradients against every alignment, one by one, for every small size. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  everyCtcPath,
  everyEmission,
  everyLabeling,
  everyList,
  logSoftmaxRows,
  normals,
} from "../../sequence/every-path.test-helper.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { ctc } from "./ctc.js";
import { linearChainCrf } from "./linear-chain-crf.js";
import { rnnTransducer } from "./rnn-transducer.js";

const sum = { divideBy: { constant: 1 } } as const;

/** Rows of labels, padded with what is no class: nothing may read it. */
function padded(rows: readonly (readonly number[])[], width: number): Tensor<"unlabeled"> {
  const entries = rows.flatMap((row) => [...row, ...new Array<number>(width - row.length).fill(-1)]);
  return tensor(Int32Array.from(entries), [rows.length, width]);
}

const lengthsOf = (rows: readonly (readonly number[])[]) => tensor(Int32Array.from(rows, ({ length }) => length));
const filled = (count: number, value: number) => tensor(new Int32Array(count).fill(value));

/** The scores of one sequence for each of `count` sequences. */
function repeated(scores: Float64Array, count: number, shape: readonly number[]) {
  const all = new Float64Array(scores.length * count);
  for (let b = 0; b < count; b++) all.set(scores, b * scores.length);
  return tensor(all, [count, ...shape]);
}

function expectClose(found: ArrayLike<number>, wanted: readonly number[], what: string): void {
  for (const [at, want] of wanted.entries()) {
    if (Math.abs(found[at]! - want) > 1e-12 * Math.max(1, Math.abs(want))) {
      expect.fail(`${what}[${at}] is ${found[at]}, not ${want}`);
    }
  }
}

const frameCounts = [1, 2, 3, 4, 5, 6];
const classCounts = [2, 3, 4];

/** Scores of a few seeds; a failure prints its own. */
function forSeeds(check: (seed: number) => void): void {
  fc.assert(fc.property(fc.noShrink(fc.nat({ max: 1e6 })), check), { numRuns: 4 });
}

describe("ctc over every path", () => {
  it.each(frameCounts)("has the loss and both gradients of the definition over %d frames", (frames) => {
    forSeeds((seed) => {
      for (const classes of classCounts) {
        for (let blank = 0; blank < classes; blank++) {
          const logits = normals(seed + 7 * blank, frames * classes);
          const logProbs = logSoftmaxRows(logits, classes);
          const masses = everyCtcPath(logProbs, blank);
          const labelings = everyLabeling(3, classes, blank);
          const constants = {
            labels: padded(labelings, 3),
            labelLengths: lengthsOf(labelings),
            inputLengths: filled(labelings.length, frames),
          };
          const shape = [frames, classes];
          const objective = ctc({ blank, layout: "BTC", ...sum });
          const ofLogits = { logits: repeated(logits, labelings.length, shape), ...constants };
          const flat = Float64Array.from(logProbs.flat());
          const ofLogProbs = { logProbs: repeated(flat, labelings.length, shape), ...constants };
          const losses = labelings.map((labels) => -Math.log(masses.get(labels.join())?.probability ?? 0));
          const posteriors = labelings.map((labels) => {
            const mass = masses.get(labels.join());
            return logProbs.map((row, t) => row.map((_, k) => (mass ? mass.through[t]![k]! / mass.probability : 0)));
          });
          const perUnit = objective.perUnit(ofLogits).data as Float64Array;
          expect(Array.from(perUnit, Number.isFinite)).toEqual(losses.map(Number.isFinite));
          for (const values of [perUnit, objective.perUnit(ofLogProbs).data as Float64Array]) {
            expectClose(
              values.filter(Number.isFinite),
              losses.filter(Number.isFinite),
              `loss, ${frames} frames, ${classes} classes, blank ${blank}`,
            );
          }
          const full = objective.valueAndGradients(ofLogits).gradients.logits!.data as Float64Array;
          const free = objective.valueAndGradients(ofLogProbs).gradients.logProbs!.data as Float64Array;
          const possible = (b: number) => Number.isFinite(losses[b]!);
          expectClose(
            full,
            posteriors.flatMap((rows, b) =>
              rows.flatMap((row, t) => row.map((gamma, k) => (possible(b) ? Math.exp(logProbs[t]![k]!) - gamma : 0))),
            ),
            "d/dlogits",
          );
          expectClose(
            free,
            posteriors.flat(2).map((gamma) => 0 - gamma),
            "d/dlogProbs",
          );
        }
      }
    });
  });
});

describe("rnnTransducer over every alignment", () => {
  it.each(frameCounts)("has the loss and the gradient of the definition over %d frames", (frames) => {
    forSeeds((seed) => {
      for (const classes of classCounts) {
        for (const width of [0, 1, 2, 3]) {
          const blank = (seed + width) % classes;
          const logits = normals(seed + 11 * width, frames * (width + 1) * classes);
          const logProbs = logSoftmaxRows(logits, classes);
          const labelings = everyLabeling(width, classes, blank);
          const batch = {
            logits: repeated(logits, labelings.length, [frames, width + 1, classes]),
            labels: padded(labelings, width),
            labelLengths: lengthsOf(labelings),
            inputLengths: filled(labelings.length, frames),
          };
          const losses: number[] = [];
          const gradients: number[] = [];
          for (const labels of labelings) {
            // What is taken at each node, by probability of the alignments that take it there.
            const taken = logProbs.map((row) => row.map(() => 0));
            let total = 0;
            for (const emission of everyEmission(frames, labels.length)) {
              const edges: [number, number][] = [];
              for (let t = 0, u = 0; t < frames; t++) {
                for (; emission[u] === t; u++) edges.push([t * (width + 1) + u, labels[u]!]);
                edges.push([t * (width + 1) + u, blank]);
              }
              const probability = Math.exp(edges.reduce((score, [node, k]) => score + logProbs[node]![k]!, 0));
              total += probability;
              for (const [node, k] of edges) taken[node]![k]! += probability;
            }
            losses.push(-Math.log(total));
            for (const [node, row] of taken.entries()) {
              const visits = row.reduce((a, b) => a + b) / total;
              for (const [k, mass] of row.entries())
                gradients.push(visits * Math.exp(logProbs[node]![k]!) - mass / total);
            }
          }
          const objective = rnnTransducer({ blank, ...sum });
          expectClose(
            objective.perUnit(batch).data as Float64Array,
            losses,
            `loss, ${frames} frames, ${classes} classes, ${width} labels`,
          );
          expectClose(
            objective.valueAndGradients(batch).gradients.logits!.data as Float64Array,
            gradients,
            "d/dlogits",
          );
        }
      }
    });
  });
});

describe("linearChainCrf over every labeling", () => {
  it.each(frameCounts)("has the loss and every gradient of the definition over %d positions", (length) => {
    forSeeds((seed) => {
      for (const K of [1, ...classCounts]) {
        for (const withEnds of [false, true]) {
          const emissions = normals(seed, length * K);
          const transitions = normals(seed + 1, K * K);
          const [start, end] = [normals(seed + 2, K), normals(seed + 3, K)].map((row) =>
            withEnds ? row : row.fill(0),
          );
          const paths = everyList(length, K);
          const scores = paths.map((path) =>
            path.reduce(
              (score, label, t) =>
                score + emissions[t * K + label]! + (t > 0 ? transitions[path[t - 1]! * K + label]! : 0),
              start![path[0]!]! + end![path.at(-1)!]!,
            ),
          );
          const logPartition = Math.log(scores.reduce((total, score) => total + Math.exp(score), 0));
          const batch = {
            emissions: repeated(emissions, paths.length, [length, K]),
            transitions: tensor(transitions, [K, K]),
            ...(withEnds && { start: tensor(start!), end: tensor(end!) }),
            labels: padded(paths, length),
          };
          const objective = linearChainCrf(sum);
          const what = `${length} positions, ${K} labels`;
          expectClose(
            objective.perUnit(batch).data as Float64Array,
            scores.map((score) => logPartition - score),
            `loss, ${what}`,
          );
          // Posteriors over all paths, then less each path's own choices.
          const ofLabels = new Array<number>(length * K).fill(0);
          const ofPairs = new Array<number>(K * K).fill(0);
          const own = new Array<number>(K * K).fill(0);
          for (const [i, path] of paths.entries()) {
            const probability = Math.exp(scores[i]! - logPartition);
            for (const [t, label] of path.entries()) {
              ofLabels[t * K + label]! += probability;
              if (t === 0) continue;
              ofPairs[path[t - 1]! * K + label]! += probability;
              own[path[t - 1]! * K + label]! += 1;
            }
          }
          const { gradients } = objective.valueAndGradients(batch);
          expectClose(
            gradients.emissions!.data as Float64Array,
            paths.flatMap((path) => ofLabels.map((p, at) => p - Number(path[Math.floor(at / K)] === at % K))),
            `d/demissions, ${what}`,
          );
          const count = paths.length;
          const close = (field: "transitions" | "start" | "end", wanted: readonly number[]) => {
            const found = gradients[field]!.data as Float64Array;
            for (const [at, want] of wanted.entries()) expect(Math.abs(found[at]! - want)).toBeLessThan(1e-11 * count);
          };
          close(
            "transitions",
            ofPairs.map((p, at) => p * count - own[at]!),
          );
          if (!withEnds) continue;
          const each = count / K;
          close(
            "start",
            ofLabels.slice(0, K).map((p) => p * count - each),
          );
          close(
            "end",
            ofLabels.slice(-K).map((p) => p * count - each),
          );
        }
      }
    });
  });
});
