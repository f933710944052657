import fc from "fast-check";
import { expect, it } from "vitest";
import { FirstFit } from "./first-fit.js";

it("puts each thing where a look at every bin in turn would put it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(fc.nat(11), { maxLength: 40 }), (capacity, raw) => {
      const sizes = raw.map((size) => 1 + (size % capacity));
      const fit = new FirstFit(sizes.length, capacity);
      const rooms = sizes.map(() => capacity);
      for (const size of sizes) {
        const first = rooms.findIndex((room) => room >= size);
        expect(fit.place(size)).toBe(first);
        rooms[first]! -= size;
      }
    }),
  );
});
