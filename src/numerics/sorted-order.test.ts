import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sortedOrder } from "./sorted-order.js";

const plain = (keys: Float64Array) =>
  Array.from(keys, (_, i) => i).sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : a - b));

describe("sortedOrder", () => {
  it.each([
    ["few", 0, 100],
    ["many", 256, 700],
  ])("is the stable order of %s keys of any size and sign", (_, minLength, maxLength) => {
    const key = fc.oneof(
      fc.double({ noNaN: true }),
      fc.constantFrom(0, -0, 1, -1, 5e-324, -5e-324, Infinity, -Infinity),
    );
    fc.assert(
      fc.property(fc.array(key, { minLength, maxLength }), (list) => {
        const keys = Float64Array.from(list);
        expect(Array.from(sortedOrder(keys))).toEqual(plain(keys));
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ["their low bits alone", (i: number) => 1 + ((i * 7919) % 1000) * 2 ** -52],
    ["bits across both words", (i: number) => 1 + ((i * 7919) % 1000) * 2 ** -25],
    ["their exponents alone", (i: number) => 2 ** (((i * 7919) % 2000) - 1000)],
    ["their signs alone", (i: number) => (i % 3 === 0 ? -1 : 1)],
  ])("orders keys that differ in %s", (_, of) => {
    const keys = Float64Array.from({ length: 1000 }, (__, i) => of(i));
    expect(Array.from(sortedOrder(keys))).toEqual(plain(keys));
  });

  it("leaves equal keys as they are", () => {
    expect(Array.from(sortedOrder(new Float64Array(1000)))).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });
});
