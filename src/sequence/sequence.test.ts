import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { labelShift, splitNextToken } from "./index.js";

describe("splitNextToken", () => {
  it("drops the last token of the inputs and the first of the targets, row by row", () => {
    const { inputs, targets } = splitNextToken(
      tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    );
    expect(inputs).toMatchObject({ shape: [2, 2], data: Float64Array.of(1, 2, 4, 5), role: "classIndices" });
    expect(targets).toMatchObject({ shape: [2, 2], data: Float64Array.of(2, 3, 5, 6), role: "classIndices" });
  });

  it.each([Int32Array.of(1, 2), BigInt64Array.of(1n, 2n), Uint8Array.of(1, 2)])("keeps the dtype of %O", (ids) => {
    const { inputs, targets } = splitNextToken(tensor(ids, [1, 2]));
    expect([inputs.data, targets.data]).toEqual([ids.slice(0, 1), ids.slice(1)]);
  });

  it("keeps whole numbers of a list weak, so that they are labels still", () => {
    expect(splitNextToken(tensor([[1, 2]])).targets.weak).toBe(true);
  });

  it("copies: what it gives shares no memory with what it got", () => {
    const ids = tensor(Int32Array.of(1, 2, 3), [1, 3]);
    const { inputs } = splitNextToken(ids);
    (ids.data as Int32Array).fill(9);
    expect([...inputs.data]).toEqual([1, 2]);
  });

  it("of no rows is no rows", () => {
    expect(splitNextToken(tensor(new Int32Array(0), [0, 5])).inputs.shape).toEqual([0, 4]);
  });
});

describe("labelShift", () => {
  it("of 0 leaves every unit where it is, whatever its shape", () => {
    expect(labelShift("here", 0, [3], undefined).source(2)).toBe(2);
  });

  it("never leaves its row", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 1, max: 5 }),
        (B, T, s) => {
          fc.pre(s < T);
          const { source } = labelShift("here", s, [B, T], undefined);
          for (let unit = 0; unit < B * T; unit++) {
            expect(source(unit)).toBe(unit % T < s ? -1 : unit - s);
          }
        },
      ),
    );
  });

  it("is broken by a change of segment, and joins the parts of one that is not contiguous", () => {
    const ids = [0, 0, 1, 0];
    const shifted = (s: number) => ids.map((_, unit) => labelShift("here", s, [4], (at) => ids[at]!).source(unit));
    expect(shifted(1)).toEqual([-1, 0, -1, -1]);
    expect(shifted(2)).toEqual([-1, -1, -1, 1]);
  });

  it("of an empty batch is no error", () => {
    expect(() => labelShift("here", 1, [0, 4], undefined)).not.toThrow();
    expect(() => labelShift("here", 1, [2, 0], undefined)).not.toThrow();
  });
});
