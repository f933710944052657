import { describe, expect, it } from "vitest";
import { ints, refuses, wrong } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { accuracy } from "./accuracy.js";

const labels = ints([4], 0, 1, 2, 1);
const predictions = ints([4], 0, 2, 2, 1);

describe("accuracy", () => {
  it("is the share of the weight that is right", () => {
    expect(accuracy().update({ predictions, labels }).compute()).toBe(0.75);
    const weights = tensor([1, 5, 1, 1]);
    expect(accuracy().update({ predictions, labels, weights }).compute()).toBe(3 / 8);
  });

  it("leaves out masked samples and ignored labels", () => {
    const mask = tensor(Uint8Array.of(1, 0, 1, 1), [4]);
    expect(accuracy().update({ predictions, labels, mask }).compute()).toBe(1);
    const metric = accuracy().update({ predictions, labels: ints([4], -100, 1, 2, 1) });
    expect([metric.compute(), metric.samples]).toEqual([2 / 3, 3]);
    expect(accuracy({ ignoreIndex: 2 }).update({ predictions, labels }).compute()).toBe(2 / 3);
  });

  it("predicts the first of equal scores, and ranks the higher index first among the k highest", () => {
    const scores = tensor([
      [1, 1, 0],
      [Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY],
    ]);
    const at = (topK: number | null, ...indices: number[]) =>
      accuracy({ topK })
        .update({ scores, labels: ints([2], ...indices) })
        .compute();
    expect([at(null, 0, 2), at(null, 1, 1), at(1, 0, 2), at(2, 0, 1), at(2, 2, 0), at(3, 2, 0)]).toEqual([
      1, 0, 0.5, 1, 0, 1,
    ]);
  });

  it("counts flags by rows or one by one", () => {
    const flags = { predictions: ints([2, 2], 1, 0, 1, 1), labels: ints([2, 2], 1, 0, 0, 1) };
    expect(accuracy({ multilabel: "subset" }).update(flags).compute()).toBe(0.5);
    expect(accuracy({ multilabel: "elements" }).update(flags).compute()).toBe(0.75);
  });

  it("does not exist without a sample", () => {
    expect(accuracy().compute()).toBeNaN();
    expect(accuracy({ undefined: "zero" }).compute()).toBe(0);
  });

  refuses([
    [
      "a label beyond the scores",
      () => accuracy().update({ scores: tensor([[1, 2]]), labels: ints([1], 2) }),
      "value",
      "labels",
      /0\.\.1/,
    ],
    [
      "a negative label that nothing ignores",
      () => accuracy().update({ predictions, labels: ints([4], 0, 1, -1, 1) }),
      "value",
      "labels",
      /at \[2\]/,
    ],
    [
      "a NaN score",
      () => accuracy().update({ scores: tensor([[1, Number.NaN]]), labels: ints([1], 1) }),
      "value",
      "scores",
      /at \[0, 1\]/,
    ],
    [
      "flags other than 0 and 1",
      () => accuracy({ multilabel: "subset" }).update({ predictions: ints([1, 2], 1, 2), labels: ints([1, 2], 1, 0) }),
      "value",
      "predictions",
      /0 or 1/,
    ],
    [
      "predictions under topK",
      () => accuracy({ topK: 2 }).update({ predictions, labels }),
      "missing-field",
      "scores",
      /scores/,
    ],
    ["a topK of 0", () => accuracy({ topK: 0 }), "option", "topK", /at least 1/],
    ["an unknown kind of flags", () => accuracy({ multilabel: wrong("rows") }), "option", "multilabel", /subset/],
  ]);
});
