import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ofDtype } from "../../test/instruments/batches.js";
import { refuses, wrong } from "../../test/instruments/refusals.js";
import { crossEntropy, shiftLabels, splitNextToken, tensor } from "../index.js";

const row = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 7 });

describe("shiftLabels", () => {
  it("keeps shape and dtype, weak whole numbers and int64 too", () => {
    const weak = shiftLabels({ labels: tensor([[1, 2]]) });
    expect(weak).toMatchObject({ shape: [1, 2], weak: true, role: "classIndices", data: Float64Array.of(2, -100) });
    expect(shiftLabels({ labels: tensor(BigInt64Array.of(1n, 2n)) }).data).toEqual(BigInt64Array.of(2n, -100n));
    expect(shiftLabels({ labels: tensor(Uint8Array.of(1, 2)), ignoreIndex: 0 }).data).toEqual(Uint8Array.of(2, 0));
    expect(shiftLabels({ labels: tensor(new Int32Array(0), [0, 3]) }).shape).toEqual([0, 3]);
    expect([...shiftLabels({ labels: tensor([[7], [8]]) }).data]).toEqual([-100, -100]);
  });

  it("moves nothing into another segment", () => {
    const { data } = shiftLabels({ labels: tensor([[5, 6, 7, 8, 9]]), segmentIds: tensor([[1, 1, 2, 2, 0]]) });
    expect([...data]).toEqual([6, -100, 8, -100, -100]);
  });

  it("is, without labelShift, the loss of the unshifted labels with labelShift: 1, to the bit", () => {
    fc.assert(
      fc.property(
        row,
        row,
        fc.infiniteStream(fc.double({ min: -4, max: 4, noNaN: true })),
        (labels, segments, reals) => {
          const steps = Math.min(labels.length, segments.length);
          const ids = tensor(Int32Array.from(labels.slice(0, steps)), [1, steps]);
          const segmentIds = ofDtype("int32", segments.slice(0, steps), [1, steps]);
          const logits = tensor(Float64Array.from(reals.take(steps * 5)), [1, steps, 5]);
          const shifted = crossEntropy().valueAndGradients({
            logits,
            labels: shiftLabels({ labels: ids, segmentIds }),
          });
          const unshifted = crossEntropy({ labelShift: 1 }).valueAndGradients({ logits, labels: ids, segmentIds });
          expect(shifted.numerator).toBe(unshifted.numerator);
          expect(shifted.denominator).toBe(unshifted.denominator);
          expect(shifted.gradients.logits.data).toEqual(unshifted.gradients.logits.data);
        },
      ),
    );
  });

  it("is splitNextToken with the row kept whole", () => {
    const labels = tensor(Int32Array.of(3, 1, 4, 1, 5, 9), [2, 3]);
    const shifted = [...shiftLabels({ labels }).data];
    expect(shifted.filter((_, i) => i % 3 !== 2)).toEqual([...splitNextToken(labels).targets.data]);
  });

  describe("refuses", () => {
    const labels = tensor([[1, 2]]);
    refuses([
      ["no tensor", () => shiftLabels({ labels: wrong([[1, 2]]) }), "argument", "labels", /tensor\(labels\)/],
      ["labels alone", () => shiftLabels(wrong(labels)), "unknown", "dtype", /labels/],
      ["a near miss", () => shiftLabels(wrong({ labels, ignoreIndx: 0 })), "unknown", "ignoreIndx", /"ignoreIndex"/],
      ["floats", () => shiftLabels({ labels: tensor([[0.5]]) }), "dtype", "labels", /integers/],
      ["three axes", () => shiftLabels({ labels: tensor([[[1]]]) }), "shape", "labels", /\[B, T\] or \[T\]/],
      ["−100 in uint8", () => shiftLabels({ labels: tensor(Uint8Array.of(1)) }), "dtype", "labels", /int32/],
      ["half an index", () => shiftLabels({ labels, ignoreIndex: 0.5 }), "option", "ignoreIndex", /whole number/],
      [
        "segments of another shape",
        () => shiftLabels({ labels, segmentIds: tensor([[1]]) }),
        "shape",
        "segmentIds",
        /\[1, 2\]/,
      ],
    ]);
  });
});
