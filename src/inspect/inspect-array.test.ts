import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { type ArrayOptions, inspectArray } from "./inspect-array.js";
import { positionOf, type TokenBatch } from "./token-batch.js";

const array = tensor(BigInt64Array.of(5n, 0n, -100n, 7n, 0n, 0n), [2, 3]);

function kindsOf(options: ArrayOptions) {
  const { rule, batches } = inspectArray(array, "labels.npy", options);
  const batch = batches[0] as TokenBatch;
  const all = [0, 1].map((row) => [0, 1, 2].map((at) => positionOf(batch, row, at)));
  return { rule, batch, kinds: all.map((row) => row.map(({ kind }) => kind)) };
}

describe("inspectArray", () => {
  it("takes an array for labels, -100 left out", () => {
    const { rule, kinds, batch } = kindsOf({});
    expect(rule).toBe("labels [2, 3], labels -100 left out");
    expect(kinds).toEqual([
      ["trained", "trained", "ignored"],
      ["trained", "trained", "trained"],
    ]);
    expect(batch.losses).toBeNull();
  });

  it("takes it for input ids where a pad id alone is given", () => {
    const { rule, kinds, batch } = kindsOf({ padId: 0 });
    expect(rule).toBe("input ids [2, 3], pad id 0 left out");
    expect(kinds[1]).toEqual(["trained", "padding", "padding"]);
    expect(batch.counts.oddities).toEqual([]);
  });

  it("points at padding in the loss where both are given", () => {
    const { batch, rule } = kindsOf({ padId: 0, ignoreIndex: -100 });
    expect(batch.counts.oddities).toEqual([{ oddity: "padding in the loss", count: 3 }]);
    expect(rule).toContain("labels -100 left out");
  });

  it("shifts labels as an objective does", () => {
    const { batch, rule } = kindsOf({ labelShift: 1 });
    expect([...batch.sources]).toEqual([-1, 0, 1, -1, 0, 1]);
    expect(batch.counts.trained).toBe(3);
    expect(rule).toContain("scored 1 before");
  });

  it("takes one axis for one row, and refuses others and floats", () => {
    expect(inspectArray(tensor(Int32Array.of(1, 2)), "x").batches[0]).toMatchObject({ rows: 1, length: 2 });
    const refusal = (code: string) => expect.objectContaining({ code, where: "x" });
    expect(() => inspectArray(tensor(new Int32Array(1), [1, 1, 1]), "x")).toThrow(refusal("shape"));
    expect(() => inspectArray(tensor(Float32Array.of(1)), "x")).toThrow(refusal("dtype"));
    expect(() => inspectArray(array, "x", { labelShift: 3 })).toThrow(refusal("shape"));
  });
});
