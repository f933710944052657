/** Sums of kernels are exact, whatever the magnitudes of their terms: the same bits as adding one by one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { objectiveFrom, tensor } from "../../src/index.js";
import { ExactSum } from "../../src/tally/index.js";

const absolute = objectiveFrom({ objective: "absoluteError" }).withEngine("wasm");

/** The exact sum of |x| as a kernel forms it, and one by one. */
function sums(terms: Float32Array, weights?: Float64Array) {
  const batch = { predictions: tensor(terms), targets: tensor(new Float32Array(terms.length)) };
  const weighed = weights ? { ...batch, weights: tensor(weights) } : batch;
  const one = new ExactSum();
  terms.forEach((term, i) => {
    one.add((weights ? weights[i]! : 1) * Math.abs(term));
  });
  return [absolute.tally(weighed).toJSON().numerator, one.toJSON()];
}

describe("the sum over float32 losses", () => {
  it("is exact over every range of magnitudes, block after block", () => {
    const term = fc.record({
      exponent: fc.integer({ min: -149, max: 126 }),
      mantissa: fc.float({ min: 1, max: 2, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(term, { maxLength: 700 }), fc.integer({ min: 0, max: 276 }), (drawn, reach) => {
        // Exponents within a reach of each other: every way of adding a block up has its turn.
        const terms = Float32Array.from(drawn, ({ exponent, mantissa }) => {
          const within = -149 + ((exponent + 149) % (reach + 1));
          return mantissa * 2 ** within;
        });
        const [kernel, one] = sums(terms);
        expect(kernel).toEqual(one);
      }),
      { numRuns: 400 },
    );
  });

  it.each([20, 21, 22, 32, 33, 34, 35, 66, 67, 99, 200, 276])(
    "is exact at a spread of %i binades exactly",
    (spread) => {
      for (const top of [126, 100, 0, -20]) {
        if (top - spread < -149) continue;
        const terms = Float32Array.from({ length: 256 }, (_, i) =>
          i % 3 === 0 ? 1.9999998807907104 * 2 ** (top - spread) : 1.9999998807907104 * 2 ** top,
        );
        const [kernel, one] = sums(terms);
        expect(kernel).toEqual(one);
      }
    },
  );

  it("is exact under weights, by the million too", () => {
    const count = 100_000;
    const terms = Float32Array.from({ length: count }, (_, i) => Math.sin(i) * 2 ** ((i % 60) - 30));
    const weights = Float64Array.from({ length: count }, (_, i) => (i % 5) * 0.1);
    const [kernel, one] = sums(terms, weights);
    expect(kernel).toEqual(one);
    const batch = { predictions: tensor(terms), targets: tensor(new Float32Array(count)), weights: tensor(weights) };
    const denominator = new ExactSum();
    for (const weight of weights) denominator.add(weight);
    expect(absolute.denominator(batch).toJSON().counted).toEqual(denominator.toJSON());
  });
});
