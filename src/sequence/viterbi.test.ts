import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { everyEmission, everyLabeling, everyList, logSoftmaxRows, normals } from "./every-path.test-helper.js";
import { linearChainCrfDecode, rnnTransducerAlign } from "./index.js";

const ids = (...numbers: number[]) => tensor(Int32Array.from(numbers));

describe("rnnTransducerAlign", () => {
  it.each([1, 2, 3, 4, 5, 6])("is the best of every alignment over %d frames", (frames) => {
    for (const classes of [2, 3, 4]) {
      for (const width of [0, 1, 2, 3]) {
        const blank = (frames + width) % classes;
        const logits = normals(17 * frames + width, frames * (width + 1) * classes);
        const logProbs = logSoftmaxRows(logits, classes);
        for (const labels of everyLabeling(width, classes, blank)) {
          const scoreOf = (emission: readonly number[]) => {
            let score = 0;
            for (let t = 0, u = 0; t < frames; t++) {
              for (; emission[u] === t; u++) score += logProbs[t * (width + 1) + u]![labels[u]!]!;
              score += logProbs[t * (width + 1) + u]![blank]!;
            }
            return score;
          };
          const all = everyEmission(frames, labels.length);
          const best = all.reduce((a, b) => (scoreOf(b) > scoreOf(a) ? b : a));
          const [found] = rnnTransducerAlign(
            {
              logits: tensor(logits, [1, frames, width + 1, classes]),
              labels: tensor(
                Int32Array.from({ length: width }, (_, u) => labels[u] ?? -1),
                [1, width],
              ),
              inputLengths: ids(frames),
              labelLengths: ids(labels.length),
            },
            { blank },
          );
          expect([...found!.frames]).toEqual(best);
          expect(found!.logProbability).toBeCloseTo(scoreOf(best), 12);
        }
      }
    }
  });

  it("gives nothing where labels have no frame, emits later of equals, and refuses what is no score", () => {
    const batch = {
      logits: tensor(new Float64Array(3 * 2 * 2), [1, 3, 2, 2]),
      labels: tensor(Int32Array.of(1), [1, 1]),
      inputLengths: ids(3),
      labelLengths: ids(1),
    };
    expect([...rnnTransducerAlign(batch)[0]!.frames]).toEqual([2]);
    expect(rnnTransducerAlign({ ...batch, inputLengths: ids(0) })[0]).toEqual({
      frames: new Int32Array(0),
      logProbability: Number.NEGATIVE_INFINITY,
    });
    (batch.logits.data as Float64Array)[3] = Number.NaN;
    expect(() => rnnTransducerAlign(batch)).toThrow(
      expect.objectContaining({ code: "value", field: "logits", found: "NaN at [0, 0, 1, 1]" }),
    );
    expect(() => rnnTransducerAlign(batch, { blank: 2 })).toThrow(expect.objectContaining({ field: "blank" }));
    expect(() => rnnTransducerAlign({ ...batch, labels: ids(1) })).toThrow(expect.objectContaining({ code: "shape" }));
  });
});

describe("linearChainCrfDecode", () => {
  it.each([1, 2, 3, 4, 5, 6])("is the best of every labeling over %d positions", (length) => {
    for (const K of [1, 2, 3, 4]) {
      const emissions = normals(length + K, length * K);
      const transitions = normals(length + 10 * K, K * K);
      const [start, end] = [normals(1, K), normals(2, K)];
      const scoreOf = (path: readonly number[]) =>
        path.reduce(
          (sum, label, t) => sum + emissions[t * K + label]! + (t > 0 ? transitions[path[t - 1]! * K + label]! : 0),
          start[path[0]!]! + end[path.at(-1)!]!,
        );
      const paths = everyList(length, K);
      const best = paths.reduce((a, b) => (scoreOf(b) > scoreOf(a) ? b : a));
      const total = paths.reduce((sum, path) => sum + Math.exp(scoreOf(path)), 0);
      const [found] = linearChainCrfDecode({
        emissions: tensor(emissions, [1, length, K]),
        transitions: tensor(transitions, [K, K]),
        start: tensor(start),
        end: tensor(end),
      });
      expect([...found!.labels]).toEqual(best);
      expect(found!.score).toBeCloseTo(scoreOf(best), 12);
      expect(found!.logProbability).toBeCloseTo(scoreOf(best) - Math.log(total), 12);
    }
  });

  it("reads only what the mask keeps, in float32 too", () => {
    const emissions = Float32Array.of(0, 1, 2, 0, Number.NaN, Number.NaN, 5, 0, 0, 5, 0, 5);
    const given = {
      emissions: tensor(emissions, [2, 3, 2]),
      transitions: tensor(new Float32Array(4), [2, 2]),
      mask: tensor(Uint8Array.of(1, 1, 0, 1, 1, 1), [2, 3]),
    };
    const [first, second] = linearChainCrfDecode(given);
    expect([[...first!.labels], first!.score]).toEqual([[1, 0], 3]);
    expect([[...second!.labels], second!.score]).toEqual([[0, 1, 1], 15]);
    const none = linearChainCrfDecode({ ...given, mask: tensor(new Uint8Array(6), [2, 3]) });
    expect(none[0]).toEqual({ labels: new Int32Array(0), score: 0, logProbability: 0 });
    const { mask: _, ...unmasked } = given;
    expect(() => linearChainCrfDecode(unmasked)).toThrow(
      expect.objectContaining({ code: "value", field: "emissions", found: "NaN at [0, 2, 0]" }),
    );
  });

  it("goes around what −∞ forbids, and gives nothing where everything is", () => {
    const emissions = tensor([
      [
        [5, 0],
        [5, 0],
      ],
    ]);
    const never = Number.NEGATIVE_INFINITY;
    const around = linearChainCrfDecode({
      emissions,
      transitions: tensor([
        [never, 0],
        [0, 0],
      ]),
    });
    expect(around[0]!.score).toBe(5);
    expect([...around[0]!.labels].sort()).toEqual([0, 1]);
    const nothing = linearChainCrfDecode({
      emissions,
      transitions: tensor([
        [never, never],
        [never, never],
      ]),
    });
    expect(nothing[0]).toEqual({ labels: new Int32Array(0), score: never, logProbability: never });
  });

  it("refuses shapes that do not fit and fields it does not know", () => {
    const emissions = tensor([[[5, 0]]]);
    expect(() => linearChainCrfDecode({ emissions, transitions: tensor([[1]]) })).toThrow(
      expect.objectContaining({ code: "shape", field: "transitions", expected: "[2, 2]" }),
    );
    expect(() => linearChainCrfDecode({ emissions, transition: tensor([[1]]) } as never)).toThrow(
      expect.objectContaining({ code: "unknown", fix: 'write "transitions".' }),
    );
  });
});
