import { describe, expect, it } from "vitest";
import { normals } from "../../sequence/every-path.test-helper.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { crossEntropy } from "../categorical/cross-entropy.js";
import { linearChainCrf } from "./linear-chain-crf.js";

const numbers = ({ data }: Tensor) => Array.from(data as Float64Array);
const flags = (...entries: number[]) => tensor(Uint8Array.from(entries), [2, 3]);

/** Two rows of three positions and three labels; the second is a sequence of two. */
const small = () => ({
  emissions: tensor(normals(2, 18), [2, 3, 3]),
  transitions: tensor(normals(4, 9), [3, 3]),
  start: tensor(normals(6, 3)),
  end: tensor(normals(8, 3)),
  labels: tensor(Int32Array.of(0, 2, 1, 1, 1, 0), [2, 3]),
  mask: flags(1, 1, 1, 1, 1, 0),
});

describe("linearChainCrf", () => {
  it("without transitions is cross entropy of each position, summed", () => {
    const { emissions, labels } = small();
    const transitions = tensor(new Float64Array(9), [3, 3]);
    const found = linearChainCrf().valueAndGradients({ emissions, transitions, labels });
    const wanted = crossEntropy({ divideBy: { constant: 2 } }).valueAndGradients({ logits: emissions, labels });
    expect(found.value).toBeCloseTo(wanted.value, 13);
    for (const [at, entry] of numbers(found.gradients.emissions!).entries()) {
      expect(entry).toBeCloseTo(wanted.gradients.logits!.data[at] as number, 13);
    }
  });

  it("never reads masked positions, and a row without positions is no unit", () => {
    const batch = small();
    const data = Float64Array.from(batch.emissions.data as Float64Array);
    data.fill(Number.NaN, 15);
    const labels = tensor(Int32Array.of(0, 2, 1, 1, 1, -100), [2, 3]);
    const poisoned = { ...batch, emissions: tensor(data, [2, 3, 3]), labels };
    const [wanted, found] = [batch, poisoned].map((given) => linearChainCrf().valueAndGradients(given));
    expect(found!.value).toBe(wanted!.value);
    expect(found!.notes).toEqual([]);
    expect(numbers(found!.gradients.emissions!)).toEqual(numbers(wanted!.gradients.emissions!));
    expect(numbers(found!.gradients.emissions!).slice(15)).toEqual([0, 0, 0]);
    const one = linearChainCrf().evaluate({ ...batch, mask: flags(1, 1, 1, 0, 0, 0) });
    expect([one.value, one.denominator]).toEqual([linearChainCrf().perUnit(batch).data[0], 1]);
  });

  it("takes a mask of whole sequences too", () => {
    const { mask: _, ...batch } = small();
    const first = linearChainCrf().evaluate({ ...batch, mask: tensor(Uint8Array.of(1, 0)) });
    expect(first.value).toBe(linearChainCrf().perUnit(batch).data[0]);
  });

  it("averages sequences, their means, or positions", () => {
    const [first, second] = numbers(linearChainCrf().perUnit(small())) as [number, number];
    expect(linearChainCrf().evaluate(small()).value).toBeCloseTo((first + second) / 2, 14);
    expect(linearChainCrf({ per: "sequence" }).evaluate(small()).value).toBeCloseTo((first / 3 + second / 2) / 2, 14);
    expect(linearChainCrf({ per: "token" }).evaluate(small()).value).toBeCloseTo((first + second) / 5, 14);
  });

  it("refuses a mask with a gap, and labels out of range, with the fix", () => {
    expect(() => linearChainCrf().evaluate({ ...small(), mask: flags(1, 0, 1, 1, 1, 0) })).toThrow(
      expect.objectContaining({
        code: "value",
        field: "mask",
        found: "1 at [0, 2] after 0 at [0, 1]",
        fix: expect.stringContaining("front of its row"),
      }),
    );
    const labels = tensor(Int32Array.of(0, 3, 1, 1, 1, 0), [2, 3]);
    expect(() => linearChainCrf().evaluate({ ...small(), labels })).toThrow(
      expect.objectContaining({ code: "value", field: "labels", found: "3 at [0, 1]", expected: "a label in 0..2" }),
    );
  });

  it("of labels whose transition −∞ forbids is +∞ with gradient 0 and a note; others go around it", () => {
    const batch = small();
    const forbidden = Float64Array.from(batch.transitions.data as Float64Array);
    forbidden[0 * 3 + 2] = Number.NEGATIVE_INFINITY;
    const transitions = tensor(forbidden, [3, 3]);
    const { value, notes, gradients } = linearChainCrf().valueAndGradients({ ...batch, transitions });
    expect(value).toBe(Number.POSITIVE_INFINITY);
    expect(notes[0]).toMatchObject({ code: "impossible-alignment", unit: [0] });
    expect(numbers(gradients.emissions!).slice(0, 9)).toEqual(new Array(9).fill(0));
    expect(gradients.transitions!.data[2]).toBe(0);
    for (const { data } of Object.values(gradients)) expect((data as Float64Array).every(Number.isFinite)).toBe(true);
    const labels = tensor(Int32Array.of(0, 1, 1, 1, 1, 0), [2, 3]);
    expect(linearChainCrf().evaluate({ ...batch, transitions, labels }).value).toBeLessThan(100);
  });

  it.each(["transitions", "start", "end", "emissions"] as const)("of NaN among the %s is NaN, and says so", (field) => {
    const batch = small();
    const { data, shape } = batch[field];
    const broken = Float64Array.from(data as Float64Array);
    broken[0] = Number.NaN;
    const { value, notes, gradients } = linearChainCrf().valueAndGradients({
      ...batch,
      [field]: tensor(broken, shape),
    });
    expect(value).toBeNaN();
    expect(notes).toContainEqual(expect.objectContaining({ code: "non-finite-input", field }));
    expect(gradients.transitions!.data[0]).toBeNaN();
  });
});
