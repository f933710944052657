import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SequenceContext } from "../io/index.js";
import { objectiveFrom } from "../losses/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { inspectTokens } from "./inspect-tokens.js";
import { positionOf, type TokenBatch } from "./token-batch.js";

const crossEntropy = (options: object = {}, reduction: object = {}) =>
  objectiveFrom({ objective: "crossEntropy", options: { ...options }, reduction });

const zeros = (rows: number, length: number, classes = 10) =>
  tensor(new Float64Array(rows * length * classes), [rows, length, classes]);

const integers = (lists: readonly (readonly number[])[]) => tensor(lists.map((list) => [...list]));

/** One thing of every position of the first row. */
function row<K extends keyof ReturnType<typeof positionOf>>(batch: TokenBatch, key: K) {
  return Array.from({ length: batch.length }, (_, at) => positionOf(batch, 0, at)[key]);
}

const prompted: SequenceContext = {
  inputIds: integers([[2, 5, 6, 7, 1, 0, 0]]),
  roles: integers([[1, 1, 2, 2, 2, 0, 0]]),
};

describe("inspectTokens", () => {
  it("tells trained, prompt and padding apart, and where each label is scored", () => {
    const labels = integers([[-100, -100, 6, 7, 1, -100, -100]]);
    const batch = inspectTokens(crossEntropy({ labelShift: 1 }), { logits: zeros(1, 7), labels }, prompted);
    expect(batch.counts).toEqual({ positions: 7, trained: 3, prompt: 2, padding: 2, ignored: 0, oddities: [] });
    expect(row(batch, "kind")).toEqual(["prompt", "prompt", "trained", "trained", "trained", "padding", "padding"]);
    expect(row(batch, "scoredBy")).toEqual([null, 0, 1, 2, 3, 4, 5]);
    expect(row(batch, "loss")).toEqual([null, null, Math.log(10), Math.log(10), Math.log(10), null, null]);
    expect(row(batch, "id")).toEqual([2, 5, 6, 7, 1, 0, 0]);
  });

  it("points at a prompt and at padding in the loss, and at an assistant token that is left out", () => {
    const labels = integers([[2, 5, 6, 7, -100, 0, -100]]);
    const batch = inspectTokens(crossEntropy({ labelShift: 1 }), { logits: zeros(1, 7), labels }, prompted);
    expect(row(batch, "oddity")).toEqual([
      null,
      "prompt in the loss",
      null,
      null,
      "assistant token left out",
      "padding in the loss",
      null,
    ]);
    expect(batch.counts.oddities.map(({ count }) => count)).toEqual([1, 1, 1]);
  });

  it("takes a prompt in the loss for meant where the record says so", () => {
    const labels = integers([[2, 5, 6, 7, 1, -100, -100]]);
    const sequence: SequenceContext = { ...prompted, intended: { lossOn: ["all"] } };
    const { counts } = inspectTokens(crossEntropy({ labelShift: 1 }), { logits: zeros(1, 7), labels }, sequence);
    expect(counts.oddities).toEqual([]);
  });

  it("says why a position is left out", () => {
    const batch = {
      logits: zeros(1, 5),
      labels: integers([[3, -100, 4, 5, 6]]),
      mask: tensor(new Uint8Array([1, 1, 0, 1, 1]), [1, 5]),
      weights: tensor(new Float64Array([1, 1, 1, 0, 2]), [1, 5]),
    };
    const inspected = inspectTokens(crossEntropy({ labelShift: 1 }), batch);
    expect(row(inspected, "fate")).toEqual(["unscored", "ignored", "masked", "weightless", "trained"]);
    expect(row(inspected, "weight")).toEqual([0, 0, 0, 0, 2]);
    expect(inspected.counts).toMatchObject({ trained: 1, ignored: 4 });
  });

  it("reads a mask of rows", () => {
    const mask = tensor(new Uint8Array([0, 1]), [2, 1]);
    const labels = integers([
      [1, 2],
      [3, 4],
    ]);
    const batch = inspectTokens(crossEntropy(), { logits: zeros(2, 2), labels, mask });
    expect(row(batch, "fate")).toEqual(["masked", "masked"]);
    expect(batch.counts.trained).toBe(2);
  });

  it("scores nothing across segments that the objective knows, and points at it where it does not", () => {
    const labels = integers([[1, 2, 3, 4]]);
    const segmentIds = integers([[1, 1, 2, 2]]);
    const objective = crossEntropy({ labelShift: 1 });
    const known = inspectTokens(objective, { logits: zeros(1, 4), labels, segmentIds });
    expect(row(known, "fate")).toEqual(["unscored", "trained", "unscored", "trained"]);
    expect(row(known, "segment")).toEqual([1, 1, 2, 2]);
    const unknown = inspectTokens(objective, { logits: zeros(1, 4), labels }, { segmentIds });
    expect(row(unknown, "oddity")).toEqual([null, null, "scored across a segment boundary", null]);
    const meant = { segmentIds, intended: { acrossSegments: true } };
    expect(inspectTokens(objective, { logits: zeros(1, 4), labels }, meant).counts.oddities).toEqual([]);
  });

  it("lays flat units in the rows of their tokens", () => {
    const batch = inspectTokens(
      crossEntropy(),
      { logits: tensor(new Float64Array(60), [6, 10]), labels: tensor([1, 2, 3, 4, 5, 6]) },
      {
        inputIds: integers([
          [1, 2, 3],
          [4, 5, 6],
        ]),
      },
    );
    expect([batch.rows, batch.length]).toEqual([2, 3]);
  });

  it("finds padding without roles: in the attention mask, else in runs of the pad id, which it says", () => {
    const labels = integers([[4, 0, 1, 0, 0]]);
    const batch = { logits: zeros(1, 5), labels };
    const attended = inspectTokens(crossEntropy(), batch, { attentionMask: integers([[1, 1, 1, 1, 0]]) });
    expect(row(attended, "role")).toEqual([null, null, null, null, "padding"]);
    expect(attended.notes).toEqual([]);
    const ids = inspectTokens(crossEntropy(), batch, { inputIds: labels, padId: 0 });
    expect(row(ids, "role")).toEqual([null, null, null, "padding", "padding"]);
    expect(ids.notes).toEqual([expect.stringContaining("pad id 0")]);
    const end = inspectTokens(crossEntropy(), batch, { inputIds: labels, padId: 0, eosId: 0 });
    expect(row(end, "role")).toEqual([null, null, null, null, "padding"]);
  });

  it("leaves out tokens that do not fit, and says so", () => {
    const batch = { logits: zeros(1, 4), labels: integers([[1, 2, 3, 4]]) };
    const { ids, notes } = inspectTokens(crossEntropy(), batch, { inputIds: integers([[1, 2, 3, 4, 5]]) });
    expect(ids).toBeNull();
    expect(notes).toEqual(["inputIds [1, 5] cannot be laid over positions [1, 4]: it is not shown"]);
  });

  it("shows the mask of a batch whose losses cannot be computed, with the reason", () => {
    const batch = inspectTokens(crossEntropy(), { logits: zeros(1, 3), labels: integers([[1, 12, -100]]) });
    expect(row(batch, "fate")).toEqual(["trained", "trained", "ignored"]);
    expect([batch.losses, batch.sum]).toEqual([null, null]);
    expect(batch.notes[0]).toContain("found 12 at [0, 1]");
  });

  it("refuses fields that contradict the contract", () => {
    expect(() => inspectTokens(crossEntropy(), { logits: zeros(1, 3), labels: integers([[1, 2]]) })).toThrow(/labels/);
  });

  it("shows objectives without labels by their units", () => {
    const objective = objectiveFrom({ objective: "squaredError" });
    const fields = { predictions: tensor([1, 2]), targets: tensor([0.5, 2]) };
    const batch = inspectTokens(objective, fields);
    expect([row(batch, "label"), row(batch, "loss")]).toEqual([
      [0.5, 2],
      [0.25, 0],
    ]);
  });
});

describe("what inspectTokens shows is what the objective counts", () => {
  const drawn = fc
    .record({
      rows: fc.integer({ min: 1, max: 3 }),
      length: fc.integer({ min: 2, max: 6 }),
      shift: fc.constantFrom(0, 1),
      seed: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 72, maxLength: 72 }),
    })
    .map(({ rows, length, shift, seed }) => {
      const size = rows * length;
      const of = (from: number) => seed.slice(from, from + size);
      const labels = tensor(
        of(0).map((x) => (x === 5 ? -100 : x)),
        [rows, length],
      );
      const batch: Record<string, Tensor> = {
        logits: tensor(
          Float64Array.from({ length: size * 5 }, (_, i) => seed[i % 71]! - 2),
          [rows, length, 5],
        ),
        labels,
        mask: tensor(new Uint8Array(of(18).map((x) => Number(x > 0))), [rows, length]),
        weights: tensor(
          Float64Array.from(of(36), (x) => x / 2),
          [rows, length],
        ),
        segmentIds: tensor(
          of(54).map((x) => Math.floor(x / 3)),
          [rows, length],
        ),
      };
      return { batch, shift };
    });

  it("in weights, losses and their sum", () => {
    fc.assert(
      fc.property(drawn, ({ batch, shift }) => {
        const objective = crossEntropy({ labelShift: shift });
        const shown = inspectTokens(objective, batch);
        const total = (numbers: Float64Array) => numbers.reduce((sum, x) => sum + x, 0);
        expect(total(shown.weights)).toBeCloseTo(objective.denominator(batch).value, 12);
        expect(total(shown.weights.map((w, unit) => w * shown.losses![unit]!))).toBeCloseTo(shown.sum!.numerator, 9);
        expect(shown.weights.map(Math.sign)).toEqual(Float64Array.from(shown.fates, (fate) => Number(fate === 0)));
      }),
    );
  });
});
