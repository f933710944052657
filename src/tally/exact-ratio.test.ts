import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addProduct, addWeightedProduct, alignedIntegers, rootOfRatio, roundedRatio } from "./exact-ratio.js";
import { ExactSum } from "./exact-sum.js";

/** A float64 as a ratio of integers. */
function ratioOf(value: number): readonly [bigint, bigint] {
  let scale = 0;
  let number = value;
  while (!Number.isInteger(number)) {
    number *= 2;
    scale++;
  }
  return [BigInt(number), 1n << BigInt(scale)];
}

const moderate = fc.double({ min: -1e60, max: 1e60, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-60);

describe("addProduct", () => {
  it("adds the product of two numbers without any rounding", () => {
    fc.assert(
      fc.property(moderate, moderate, (a, b) => {
        const sum = new ExactSum();
        addProduct(sum, a, b);
        const { integers, exponent } = alignedIntegers([sum])!;
        const [an, ad] = ratioOf(a);
        const [bn, bd] = ratioOf(b);
        const wanted = an * bn;
        const found = integers[0]! * ad * bd;
        return exponent >= 0 ? found << BigInt(exponent) === wanted : found === wanted << BigInt(-exponent);
      }),
    );
  });

  it("adds weighted products without any rounding", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), moderate, moderate, (w, a, b) => {
        const sum = new ExactSum();
        addWeightedProduct(sum, w, a, b);
        const { integers, exponent } = alignedIntegers([sum])!;
        const [wn, wd] = ratioOf(w);
        const [an, ad] = ratioOf(a);
        const [bn, bd] = ratioOf(b);
        const wanted = wn * an * bn;
        const found = integers[0]! * wd * ad * bd;
        return exponent >= 0 ? found << BigInt(exponent) === wanted : found === wanted << BigInt(-exponent);
      }),
    );
  });

  it("counts a product that overflows as infinite", () => {
    const sum = new ExactSum();
    addProduct(sum, 1e200, 1e200);
    expect(sum.value).toBe(Infinity);
    expect(alignedIntegers([sum])).toBeUndefined();
  });

  it("splits numbers near the largest without overflow", () => {
    const sum = new ExactSum();
    addProduct(sum, 1.7e308, 0.3);
    expect(Number.isFinite(sum.value)).toBe(true);
    expect(sum.value).toBe(1.7e308 * 0.3);
  });
});

describe("roundedRatio", () => {
  it("divides whole numbers as float64 division does", () => {
    const whole = fc.integer({ min: -(2 ** 31), max: 2 ** 31 });
    fc.assert(
      fc.property(whole, whole, (a, b) => {
        expect(roundedRatio(BigInt(a), BigInt(b))).toBe(
          b === 0 && a === 0 ? Number.NaN : a === 0 ? 0 : a / (b === 0 ? 0 : b),
        );
      }),
    );
  });

  it("gives back every float64, subnormal ones too", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const sum = new ExactSum();
        sum.add(value);
        const { integers, exponent } = alignedIntegers([sum])!;
        expect(roundedRatio(integers[0]!, 1n, exponent)).toBe(value + 0);
        expect(roundedRatio(integers[0]! * 3n, 3n, exponent)).toBe(value + 0);
      }),
    );
  });

  it("rounds a tie to even and what lies above it up", () => {
    expect(roundedRatio((1n << 53n) + 1n, 1n)).toBe(2 ** 53);
    expect(roundedRatio((1n << 53n) * 2n + 3n, 2n)).toBe(2 ** 53 + 2);
    expect(roundedRatio(1n, 1n, -1075)).toBe(0);
    expect(roundedRatio(3n, 2n, -1075)).toBe(Number.MIN_VALUE);
    expect(roundedRatio(1n, 1n, 1024)).toBe(Infinity);
  });

  it("takes roots of ratios far outside the range of a float64", () => {
    expect(rootOfRatio(1n << 4000n, 1n << 3000n)).toBe(2 ** 500);
    expect(rootOfRatio(9n << 3000n, 1n)).toBe(Infinity);
    expect(rootOfRatio(2n, 1n)).toBe(Math.SQRT2);
    expect(rootOfRatio(0n, 5n)).toBe(0);
  });
});
