import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { crossEntropy } from "./cross-entropy.js";

const [B, T, K] = [2, 4, 3];
const logits = tensor(
  Float64Array.from({ length: B * T * K }, (_, i) => Math.sin(7 * i)),
  [B, T, K],
);
const labels = tensor([
  [0, 1, 2, 1],
  [2, 2, 0, 1],
]);

/** −log p of a class at a position, as a batch of one. */
function lossAt(b: number, t: number, label: number): number {
  const start = (b * T + t) * K;
  const row = (logits.data as Float64Array).slice(start, start + K);
  return crossEntropy().evaluate({ logits: tensor(row, [1, K]), labels: tensor([label]) }).value;
}

describe("ignored labels", () => {
  it("are out of numerator and denominator, and read as nothing", () => {
    const ignoring = tensor([
      [0, -100, 2, 1],
      [-100, 2, 0, 1],
    ]);
    const all = crossEntropy().perUnit({ logits, labels }).data as Float64Array;
    const { numerator, denominator } = crossEntropy().evaluate({ logits, labels: ignoring });
    expect(denominator).toBe(6);
    expect(numerator).toBeCloseTo(
      all.reduce((total, loss, u) => total + (u === 1 || u === 4 ? 0 : loss), 0),
      12,
    );
    expect(crossEntropy().perUnit({ logits, labels: ignoring }).data[1]).toBe(0);
  });

  it("may be a class, or any other whole number", () => {
    expect(crossEntropy({ ignoreIndex: 1 }).evaluate({ logits, labels }).denominator).toBe(5);
    expect(crossEntropy({ ignoreIndex: 7 }).evaluate({ logits, labels }).denominator).toBe(8);
  });

  it.each([
    ["int32", Int32Array.of(0, -1)],
    ["int64", BigInt64Array.of(0n, -1n)],
    ["a list of whole numbers", [0, -1]],
  ])("are read in %s", (_, data) => {
    const batch = { logits: tensor(new Float64Array(6), [2, 3]), labels: tensor(data) };
    expect(crossEntropy({ ignoreIndex: -1 }).evaluate(batch).denominator).toBe(1);
  });

  it("in uint8 labels are 255 when ignoreIndex says so", () => {
    const batch = { logits: tensor(new Float64Array(6), [2, 3]), labels: tensor(Uint8Array.of(0, 255)) };
    expect(crossEntropy({ ignoreIndex: 255 }).evaluate(batch).denominator).toBe(1);
  });
});

describe("labels out of range", () => {
  it.each([3, -1, 1000, -101])("are an error that names place and remedy: %d", (label) => {
    const bad = tensor([
      [0, 1, 2, 1],
      [2, label, 0, 1],
    ]);
    expect(() => crossEntropy().evaluate({ logits, labels: bad })).toThrow(
      expect.objectContaining({
        code: "value",
        field: "labels",
        index: [1, 1],
        expected: expect.stringContaining("0..2"),
      }),
    );
    const mask = tensor([
      [1, 1, 1, 1],
      [1, 0, 1, 1],
    ]);
    expect(crossEntropy().evaluate({ logits, labels: bad, mask }).denominator).toBe(7);
    const weights = tensor([
      [1, 1, 1, 1],
      [1, 0, 1, 1],
    ]);
    expect(crossEntropy().evaluate({ logits, labels: bad, weights }).denominator).toBe(7);
  });

  it("of a huge int64 do not wrap around", () => {
    const batch = { logits: tensor(new Float64Array(3), [1, 3]), labels: tensor(BigInt64Array.of(2n ** 62n)) };
    expect(() => crossEntropy().evaluate(batch)).toThrow(expect.objectContaining({ code: "value", field: "labels" }));
  });
});

describe("labelShift", () => {
  it("scores the label at t by the logits at t − s, and the first s labels of a row by nothing", () => {
    for (const labelShift of [1, 2, 3]) {
      const objective = crossEntropy({ labelShift });
      const perUnit = objective.perUnit({ logits, labels });
      expect(perUnit.shape).toEqual([B, T]);
      for (let b = 0; b < B; b++) {
        for (let t = 0; t < T; t++) {
          const wanted = t < labelShift ? 0 : lossAt(b, t - labelShift, Number(labels.data[b * T + t]));
          expect(perUnit.data[b * T + t]).toBe(wanted);
        }
      }
      expect(objective.denominator({ logits, labels }).value).toBe(B * (T - labelShift));
    }
  });

  it("gives the last s logits of a row no gradient", () => {
    const gradient = crossEntropy({ labelShift: 1 }).valueAndGradients({ logits, labels }).gradients.logits;
    expect([...gradient.data.slice((T - 1) * K, T * K)]).toEqual([0, 0, 0]);
    expect([...gradient.data.slice(0, K)].every((slope) => slope !== 0)).toBe(true);
  });

  it("reads mask, weights and ignored labels at the label, not at its logits", () => {
    const mask = tensor([
      [0, 1, 1, 1],
      [1, 1, 0, 1],
    ]);
    const weights = tensor([
      [9, 1, 2, 3],
      [9, 4, 5, 6],
    ]);
    const ignoring = tensor([
      [-100, 1, 2, 1],
      [2, -100, 0, 1],
    ]);
    const { denominator, numerator } = crossEntropy({ labelShift: 1 }).evaluate({
      logits,
      labels: ignoring,
      mask,
      weights,
    });
    expect(denominator).toBe(1 + 2 + 3 + 6);
    expect(numerator).toBeCloseTo(
      lossAt(0, 0, 1) + 2 * lossAt(0, 1, 2) + 3 * lossAt(0, 2, 1) + 6 * lossAt(1, 2, 1),
      12,
    );
  });

  it("does not cross from one segment into another", () => {
    const segmentIds = tensor([
      [0, 0, 1, 1],
      [5, 6, 6, 6],
    ]);
    const perUnit = crossEntropy({ labelShift: 1 }).perUnit({ logits, labels, segmentIds });
    const scored = Array.from(perUnit.data as Float64Array, (loss) => Number(loss > 0));
    expect(scored).toEqual([0, 1, 0, 1, 0, 0, 1, 1]);
  });

  it("runs along a packed flat row with segment ids, and is refused without them", () => {
    const flat = { logits: tensor((logits.data as Float64Array).slice(0, 12), [4, 3]), labels: tensor([0, 1, 2, 1]) };
    const segmentIds = tensor([0, 0, 1, 1]);
    expect(crossEntropy({ labelShift: 1 }).denominator({ ...flat, segmentIds }).value).toBe(2);
    expect(() => crossEntropy({ labelShift: 1 }).evaluate(flat)).toThrow(
      expect.objectContaining({ code: "shape", field: "labels", fix: expect.stringContaining("segmentIds") }),
    );
  });

  it("of T or more is refused", () => {
    for (const labelShift of [4, 5]) {
      expect(() => crossEntropy({ labelShift }).evaluate({ logits, labels })).toThrow(
        expect.objectContaining({ code: "shape", field: "labels" }),
      );
    }
  });

  it("shifts soft targets alike", () => {
    const targets = new Float64Array(B * T * K);
    for (const [unit, label] of (labels.data as Float64Array).entries()) targets[unit * K + label] = 1;
    const objective = crossEntropy({ labelShift: 1 });
    expect(objective.evaluate({ logits, targets: tensor(targets, [B, T, K]) }).value).toBe(
      objective.evaluate({ logits, labels }).value,
    );
  });
});

describe("sequences", () => {
  const flat = { logits: tensor((logits.data as Float64Array).slice(0, 12), [4, 3]), labels: tensor([0, 1, 2, 1]) };
  const losses = crossEntropy().perUnit(flat).data as Float64Array;

  it("are rows of axis 0: a mean inside each, then over those that have a unit", () => {
    const mask = tensor([
      [1, 1, 0, 0],
      [0, 0, 0, 0],
    ]);
    const { value, denominator } = crossEntropy({ per: "sequence" }).evaluate({ logits, labels, mask });
    expect(denominator).toBe(1);
    expect(value).toBe((losses[0]! + losses[1]!) / 2);
  });

  it("are segments inside a row, contiguous or not, with ids local to the row", () => {
    const segmentIds = tensor([
      [0, 1, 0, 1],
      [0, 0, 0, 0],
    ]);
    expect(crossEntropy({ per: "sequence" }).evaluate({ logits, labels, segmentIds }).denominator).toBe(3);
    const perRow = tensor([7, 7]);
    expect(crossEntropy({ per: "sequence" }).evaluate({ logits, labels, segmentIds: perRow }).denominator).toBe(2);
  });

  it("of a flat batch are its segments, since the array is one row", () => {
    const segmentIds = tensor([3, 8, 8, 3]);
    const { value, denominator } = crossEntropy({ per: "sequence" }).evaluate({ ...flat, segmentIds });
    expect(denominator).toBe(2);
    expect(value).toBeCloseTo(((losses[0]! + losses[3]!) / 2 + (losses[1]! + losses[2]!) / 2) / 2, 14);
  });

  it('divide inside by the count under divideBy: "count", and a constant replaces the final denominator only', () => {
    const weights = tensor([
      [2, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
    const byCount = crossEntropy({ per: "sequence", divideBy: "count" }).evaluate({ logits, labels, weights });
    const byWeight = crossEntropy({ per: "sequence" }).evaluate({ logits, labels, weights });
    const rest = crossEntropy({ per: "sequence" }).evaluate({
      logits: tensor((logits.data as Float64Array).slice(12), [1, 4, 3]),
      labels: tensor([[2, 2, 0, 1]]),
    }).numerator;
    expect(byCount.numerator).toBeCloseTo((2 * losses[0]!) / 4 + rest, 14);
    expect(byWeight.numerator).toBeCloseTo(losses[0]! + rest, 14);
    const constant = crossEntropy({ per: "sequence", divideBy: { constant: 10 } }).evaluate({
      logits,
      labels,
      weights,
    });
    expect(constant).toMatchObject({ numerator: byWeight.numerator, denominator: 10 });
  });

  it('have no unit where their weights are all 0, but under divideBy: "count"', () => {
    const weights = tensor([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
    expect(crossEntropy({ per: "sequence" }).evaluate({ logits, labels, weights }).denominator).toBe(1);
    expect(crossEntropy({ per: "sequence", divideBy: "count" }).evaluate({ logits, labels, weights }).denominator).toBe(
      2,
    );
  });

  it("with groupKeys anywhere in the step are one group, and replace segment ids", () => {
    const segmentIds = tensor([
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ]);
    const groupKeys = tensor([4, 4]);
    const { denominator } = crossEntropy({ per: "sequence" }).evaluate({ logits, labels, segmentIds, groupKeys });
    expect(denominator).toBe(1);
  });
});
