import { describe, expect, it } from "vitest";
import { dataOf, formatShape, isTensor, placeOf, sameShape, sizeOf, type Tensor, tensor, view } from "./index.js";

describe("tensor", () => {
  it("lies over a typed array without copying it", () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const found = tensor(data, [2, 2]);
    expect(found).toEqual({ dtype: "float32", shape: [2, 2], data, role: "unlabeled", weak: false });
    expect(found.data).toBe(data);
    expect(tensor(data).shape).toEqual([4]);
  });

  it("keeps a shape of its own: the caller's list may change", () => {
    const shape = [2, 2];
    const found = tensor(new Float32Array(4), shape);
    shape[0] = 7;
    expect(found.shape).toEqual([2, 2]);
  });

  it.each([
    ["float64", new Float64Array(1)],
    ["float32", new Float32Array(1)],
    ["int32", new Int32Array(1)],
    ["int64", new BigInt64Array(1)],
    ["uint8", new Uint8Array(1)],
  ])("takes its dtype from the array: %s", (dtype, data) => {
    expect(tensor(data).dtype).toBe(dtype);
  });

  it("copies nested lists to float64, booleans to bool, bigints to int64", () => {
    const nested = tensor([
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8.5],
      ],
    ]);
    expect(nested).toMatchObject({ dtype: "float64", shape: [2, 2, 2], weak: false });
    expect([...nested.data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8.5]);
    expect(tensor([true, false])).toMatchObject({ dtype: "bool", data: Uint8Array.of(1, 0) });
    expect(tensor([1n, -1n])).toMatchObject({ dtype: "int64", data: BigInt64Array.of(1n, -1n) });
  });

  it("of a number is a scalar of shape []", () => {
    expect(tensor(3)).toMatchObject({ shape: [], data: Float64Array.of(3) });
    expect(tensor(Float64Array.of(3), [])).toMatchObject({ shape: [] });
  });

  it("is weak where a list holds whole numbers, so that integer fields take it", () => {
    expect(tensor([1, 2]).weak).toBe(true);
    expect(tensor([1, 2.5]).weak).toBe(false);
    expect(tensor(Float64Array.of(1, 2)).weak).toBe(false);
  });

  it("of class indices in a list is int32", () => {
    expect(tensor([1, -100], undefined, "classIndices")).toMatchObject({ dtype: "int32", role: "classIndices" });
    for (const odd of [0.5, 2 ** 31, NaN]) {
      expect(() => tensor([0, odd], undefined, "classIndices")).toThrow(expect.objectContaining({ code: "value" }));
    }
  });

  it("may be empty, with any axis of length 0", () => {
    expect(tensor([])).toMatchObject({ shape: [0] });
    expect(tensor(new Float32Array(0), [3, 0, 2]).shape).toEqual([3, 0, 2]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
  });

  it("takes a list in another shape of as many numbers", () => {
    expect(tensor([1, 2, 3, 4], [2, 2]).shape).toEqual([2, 2]);
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow(expect.objectContaining({ code: "shape" }));
  });

  it.each([[[1.5]], [[-1]], [[NaN]], ["2,2"]])("refuses the shape %j", (shape) => {
    expect(() => tensor(new Float32Array(2), shape as never)).toThrow(expect.objectContaining({ code: "shape" }));
  });
});

describe("isTensor", () => {
  const foreign = { dtype: "float32", shape: [2], data: new Float32Array(2), role: "unlabeled", weak: false };

  it("goes by structure, so that two copies of the library understand each other", () => {
    expect(isTensor(foreign)).toBe(true);
    expect(isTensor(view(new Uint8Array(1), [1], "mask", "bool"))).toBe(true);
  });

  it.each([
    ["nothing", null],
    ["a list", [1, 2]],
    ["a typed array", new Float32Array(2)],
    ["another dtype than its data", { ...foreign, dtype: "int32" }],
    ["data of no tensor", { ...foreign, data: [1, 2] }],
    ["no shape", { ...foreign, shape: undefined }],
    ["a dtype of Object's own", { ...foreign, dtype: "constructor" }],
  ])("is false for %s", (_, value) => {
    expect(isTensor(value)).toBe(false);
  });
});

describe("shapes", () => {
  it("have a size, one for a scalar, zero with an empty axis", () => {
    expect([sizeOf([]), sizeOf([2, 3]), sizeOf([2, 0, 3])]).toEqual([1, 6, 0]);
  });

  it("are written as a person writes them", () => {
    expect([formatShape([]), formatShape([2, 3]), formatShape(["...", "K"])]).toEqual(["[]", "[2, 3]", "[..., K]"]);
  });

  it("turn a flat index into a place, row by row", () => {
    expect(Array.from({ length: 6 }, (_, i) => placeOf(i, [2, 3]))).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
      [1, 0],
      [1, 1],
      [1, 2],
    ]);
    expect(placeOf(0, [])).toEqual([]);
  });

  it("are the same axis by axis, not by size", () => {
    expect([sameShape([2, 3], [2, 3]), sameShape([2, 3], [3, 2]), sameShape([2], [2, 1])]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("are given zeroed storage of each dtype", () => {
    const of = (dtype: Tensor["dtype"]) => dataOf(dtype, 2);
    expect([of("float32"), of("int64"), of("bool")]).toEqual([
      new Float32Array(2),
      new BigInt64Array(2),
      new Uint8Array(2),
    ]);
  });
});
