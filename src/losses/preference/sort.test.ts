import fc from "fast-check";
import { expect, it } from "vitest";
import { placeSorter } from "./sort.js";

it("sorts places by key, ties by place, NaN last", () => {
  const key = fc.constantFrom(-Infinity, -1, -0, 0, 0.5, 2, Infinity, NaN);
  fc.assert(
    fc.property(fc.array(key, { maxLength: 20 }), (keys) => {
      const places = Int32Array.from(keys, (_, place) => keys.length - 1 - place);
      placeSorter(Float64Array.from(keys))(places);
      const rank = (place: number) => (Number.isNaN(keys[place]) ? Infinity : Math.min(keys[place]!, 1e9)) + 0;
      const wanted = keys.map((_, place) => place).sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) - rank(b)));
      expect([...places]).toEqual(wanted);
    }),
  );
});
