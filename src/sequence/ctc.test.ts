import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { everyCtcPath, everyLabeling, everyList, logSoftmaxRows, normals } from "./every-path.test-helper.js";
import { ctcAlign, ctcBeamDecode, ctcCollapse, ctcGreedyDecode, ctcPosterior } from "./index.js";

const ids = (...numbers: number[]) => tensor(Int32Array.from(numbers));

describe("ctcCollapse", () => {
  it.each([
    [[1, 1, 0, 1, 2, 2], 0, [1, 1, 2]],
    [[0, 0, 0], 0, []],
    [[], 0, []],
    [[3, 3, 1, 3], 3, [1]],
    [[0, 0, 2, 0, 1], 2, [0, 0, 1]],
  ])("of %j with blank %d is %j", (path, blank, labels) => {
    expect([...ctcCollapse(path, { blank })]).toEqual(labels);
    expect([...ctcCollapse(Int32Array.from(path), { blank })]).toEqual(labels);
    expect([...ctcCollapse(BigInt64Array.from(path, BigInt), { blank })]).toEqual(labels);
    expect([...ctcCollapse(tensor(Int32Array.from(path)), { blank })]).toEqual(labels);
  });

  it("refuses what is no path of classes, and unknown options by their near miss", () => {
    expect(() => ctcCollapse([1, -1])).toThrow(expect.objectContaining({ code: "value", found: "-1 at frame 1" }));
    expect(() => ctcCollapse([0.5])).toThrow(expect.objectContaining({ code: "value", field: "path" }));
    expect(() => ctcCollapse(tensor([[1, 2]]))).toThrow(expect.objectContaining({ code: "shape", field: "path" }));
    expect(() => ctcCollapse(7 as never)).toThrow(expect.objectContaining({ code: "argument", field: "path" }));
    expect(() => ctcCollapse([1], { blank: -1 })).toThrow(expect.objectContaining({ code: "option", field: "blank" }));
    expect(() => ctcCollapse([1], { blnk: 1 } as never)).toThrow(
      expect.objectContaining({ code: "unknown", fix: 'write "blank".' }),
    );
  });
});

/** Small problems, each with every path written out. */
const problems = [1, 2, 3, 4, 5, 6].flatMap((frames) =>
  [2, 3, 4].map((classes) => {
    const blank = (frames + classes) % classes;
    const logits = normals(100 * frames + classes, frames * classes);
    const logProbs = logSoftmaxRows(logits, classes);
    return {
      what: `${frames} frames, ${classes} classes, blank ${blank}`,
      frames,
      classes,
      blank,
      logProbs,
      masses: everyCtcPath(logProbs, blank),
      logits: tensor(logits, [frames, 1, classes]),
    };
  }),
);

describe.each(problems)("over every path of $what", ({ frames, classes, blank, logProbs, masses, logits }) => {
  it("greedy decoding gives the most probable path and its labels", () => {
    const [found] = ctcGreedyDecode({ logits }, { blank });
    const scoreOf = (path: readonly number[]) => path.reduce((sum, k, t) => sum + logProbs[t]![k]!, 0);
    const best = everyList(frames, classes).reduce((a, b) => (scoreOf(b) > scoreOf(a) ? b : a));
    expect([...found!.path]).toEqual(best);
    expect(found!.logProbability).toBeCloseTo(scoreOf(best), 12);
    expect(found!.labels).toEqual(ctcCollapse(best, { blank }));
  });

  it("a beam as wide as there are labelings ranks them all by their whole probability", () => {
    const [found] = ctcBeamDecode({ logits }, { blank, beamWidth: 5000 });
    const wanted = [...masses].sort(([, a], [, b]) => b.probability - a.probability);
    expect(found!.map(({ labels }) => labels.join())).toEqual(wanted.map(([labels]) => labels));
    for (const [i, { logProbability }] of found!.entries()) {
      expect(logProbability).toBeCloseTo(Math.log(wanted[i]![1].probability), 11);
    }
  });

  it("a narrow beam keeps as many, none above its probability, the best first", () => {
    const [found] = ctcBeamDecode({ logits }, { blank, beamWidth: 3 });
    expect(found!.length).toBe(Math.min(3, masses.size));
    for (const [i, { labels, logProbability }] of found!.entries()) {
      expect(logProbability).toBeLessThanOrEqual(Math.log(masses.get(labels.join())!.probability) + 1e-12);
      if (i > 0) expect(logProbability).toBeLessThanOrEqual(found![i - 1]!.logProbability);
    }
  });

  it("the best alignment and the posterior of every labeling are those of the definition", () => {
    for (const labels of everyLabeling(3, classes, blank)) {
      const batch = {
        logits,
        labels: tensor(Int32Array.from(labels), [1, labels.length]),
        labelLengths: ids(labels.length),
        inputLengths: ids(frames),
      };
      const [alignment] = ctcAlign(batch, { blank });
      const [posterior] = ctcPosterior(batch, { blank });
      const mass = masses.get(labels.join());
      expect(posterior!.states.shape).toEqual([frames, 2 * labels.length + 1]);
      if (!mass) {
        expect(alignment).toEqual({
          path: new Int32Array(0),
          positions: new Int32Array(0),
          logProbability: Number.NEGATIVE_INFINITY,
        });
        expect(posterior!.logProbability).toBe(Number.NEGATIVE_INFINITY);
        expect((posterior!.classes.data as Float64Array).every((entry) => entry === 0)).toBe(true);
        continue;
      }
      const { path, positions, logProbability } = alignment!;
      expect(logProbability).toBeCloseTo(Math.log(mass.best), 12);
      expect(path.reduce((sum, k, t) => sum + logProbs[t]![k]!, 0)).toBeCloseTo(logProbability, 12);
      expect([...ctcCollapse(path, { blank })]).toEqual(labels);
      expect([...path]).toEqual(Array.from(positions, (at) => (at < 0 ? blank : labels[at])));
      expect(posterior!.logProbability).toBeCloseTo(Math.log(mass.probability), 12);
      for (const [t, row] of mass.through.entries()) {
        for (const [k, through] of row.entries()) {
          expect(posterior!.classes.data[t * classes + k]).toBeCloseTo(through / mass.probability, 12);
        }
      }
    }
  });
});

describe("CTC decoding", () => {
  it("reads both layouts, lengths and log-probabilities alike, and nothing past a length", () => {
    const [T, B, C] = [5, 2, 3];
    const data = normals(9, T * B * C);
    data.fill(Number.NaN, (4 * B + 1) * C, (4 * B + 2) * C);
    const timeFirst = { logits: tensor(data, [T, B, C]), inputLengths: ids(5, 4) };
    const swapped = Float64Array.from(data, (_, at) => {
      const [b, t, k] = [Math.floor(at / (T * C)), Math.floor(at / C) % T, at % C];
      return data[(t * B + b) * C + k]!;
    });
    const batchFirst = { logits: tensor(swapped, [B, T, C]), inputLengths: ids(5, 4) };
    expect(ctcGreedyDecode(batchFirst, { layout: "BTC" })).toEqual(ctcGreedyDecode(timeFirst));
    expect(ctcBeamDecode(batchFirst, { layout: "BTC" })).toEqual(ctcBeamDecode(timeFirst));
    expect(ctcGreedyDecode(timeFirst)[1]!.path.length).toBe(4);
    const logProbs = tensor(Float64Array.from(logSoftmaxRows(data, C).flat()), [T, B, C]);
    expect(ctcGreedyDecode({ logProbs, inputLengths: ids(5, 4) })[0]!.path).toEqual(
      ctcGreedyDecode(timeFirst)[0]!.path,
    );
    expect(() => ctcGreedyDecode({ logits: timeFirst.logits })).toThrow(
      expect.objectContaining({ code: "value", field: "logits", found: "NaN for class 0 in frame 4 of sequence 1" }),
    );
  });

  it("adds up the alignments that greedy decoding does not: the chapter of prefix beams", () => {
    // p(blank) = 0.6 in both frames: the best path is empty, 0.36; but "1" has 0.4·0.6·2 + 0.16 = 0.64.
    const logProbs = tensor(Float64Array.of(Math.log(0.6), Math.log(0.4), Math.log(0.6), Math.log(0.4)), [2, 1, 2]);
    expect([...ctcGreedyDecode({ logProbs })[0]!.labels]).toEqual([]);
    const [best] = ctcBeamDecode({ logProbs })[0]!;
    expect([...best!.labels]).toEqual([1]);
    expect(best!.logProbability).toBeCloseTo(Math.log(0.64), 14);
  });

  it("stays small over thousands of frames, and finds what was written", () => {
    const [T, C] = [3000, 6];
    const written = Int32Array.from({ length: T }, (_, t) => (t % 10 === 0 ? 1 + (Math.floor(t / 10) % 5) : 0));
    const logits = normals(4, T * C, 0.3);
    for (const [t, k] of written.entries()) logits[t * C + k]! += 12;
    const [found] = ctcBeamDecode({ logits: tensor(logits, [T, 1, C]) }, { beamWidth: 8 });
    expect(found![0]!.labels).toEqual(ctcCollapse(written));
  });

  it.each([
    ["no scores", {}, {}, "missing-field"],
    ["two kinds of scores", { logits: tensor([[[1]]]), logProbs: tensor([[[1]]]) }, {}, "argument"],
    ["another layout", { logits: tensor([[[1, 2]]]) }, { layout: "CTB" }, "option"],
    ["a blank that is no class", { logits: tensor([[[1, 2]]]) }, { blank: 2 }, "option"],
    ["a beam of none", { logits: tensor([[[1, 2]]]) }, { beamWidth: 0 }, "option"],
    ["two axes", { logits: tensor([[1, 2]]) }, {}, "shape"],
    ["lengths beyond the frames", { logits: tensor([[[1, 2]]]), inputLengths: ids(2) }, {}, "value"],
    ["a misspelt field", { logit: tensor([[[1, 2]]]) }, {}, "unknown"],
    ["a misspelt option", { logits: tensor([[[1, 2]]]) }, { beamwidth: 2 }, "unknown"],
    ["a frame of −∞ alone", { logits: tensor([[[Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]]]) }, {}, "value"],
  ])("refuses %s", (_what, fields, options, code) => {
    expect(() => ctcBeamDecode(fields as never, options as never)).toThrow(expect.objectContaining({ code }));
  });
});
