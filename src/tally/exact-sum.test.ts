import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExactSum, LANES } from "./exact-sum.js";

/** The truth: every float64 is an integer in units of 2^−1074, so a BigInt holds any sum; rounded by its definition. */
function integerOf(x: number): bigint {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  const word = bits.getBigUint64(0);
  const biased = (word >> 52n) & 0x7ffn;
  const fraction = word & 0xfffffffffffffn;
  const magnitude = biased === 0n ? fraction : (fraction | 0x10000000000000n) << (biased - 1n);
  return word >> 63n ? -magnitude : magnitude;
}

function nearest(integer: bigint): number {
  const negative = integer < 0n;
  const magnitude = negative ? -integer : integer;
  const length = magnitude.toString(2).length;
  const shift = BigInt(Math.max(0, length - 53));
  let kept = magnitude >> shift;
  const rest = magnitude - (kept << shift);
  const half = shift === 0n ? 0n : 1n << (shift - 1n);
  if (shift > 0n && (rest > half || (rest === half && kept & 1n))) kept += 1n;
  const exponent = Number(shift) - 1074;
  // Two factors, each a power of two that float64 holds, so that only the definition's own rounding remains.
  const first = Math.min(Math.max(exponent, -1000), 900);
  const value = Number(kept) * 2 ** first * 2 ** (exponent - first);
  return negative ? -value : value;
}

function truth(terms: readonly number[]): number {
  return nearest(terms.reduce((sum, term) => sum + integerOf(term), 0n));
}

function sumOf(terms: Iterable<number>): ExactSum {
  const sum = new ExactSum();
  for (const term of terms) sum.add(term);
  return sum;
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

describe("ExactSum", () => {
  it("is the BigInt sum rounded once, for any finite numbers", () => {
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 200 }), (terms) => {
        expect(sumOf(terms).value).toBe(truth(terms) + 0);
      }),
      { numRuns: 2000 },
    );
  });

  it("is the BigInt sum rounded once, for numbers of every bit pattern", () => {
    const pattern = fc
      .bigInt({ min: 0n, max: (1n << 64n) - 1n })
      .map((word) => new Float64Array(new BigUint64Array([word]).buffer)[0]!);
    fc.assert(
      fc.property(fc.array(pattern.filter(Number.isFinite), { maxLength: 60 }), (terms) => {
        expect(sumOf(terms).value).toBe(truth(terms) + 0);
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, number[], number]>([
    ["what naive addition loses to cancellation", [1e16, 1, -1e16], 1],
    ["the largest numbers beside the smallest", [2 ** 1023, Number.MIN_VALUE, -(2 ** 1023)], Number.MIN_VALUE],
    ["subnormals", [Number.MIN_VALUE, Number.MIN_VALUE, Number.MIN_VALUE], 3 * Number.MIN_VALUE],
    ["a passing overflow", [Number.MAX_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE], Number.MAX_VALUE],
    ["a tie that rounds to even, down", [1, 2 ** -53], 1],
    ["a tie that rounds to even, up", [1 + 2 ** -52, 2 ** -53], 1 + 2 ** -51],
    ["a tie broken by the last bit there is", [1, 2 ** -53, Number.MIN_VALUE], 1 + 2 ** -52],
    ["a negative tie", [-1, -(2 ** -53), -Number.MIN_VALUE], -1 - 2 ** -52],
    ["a rounding that carries into the exponent", [2 - 2 ** -52, 2 ** -53], 2],
    ["a sum that rounds to infinity", [Number.MAX_VALUE, 2 ** 970], Number.POSITIVE_INFINITY],
    ["a sum just below that", [Number.MAX_VALUE, 2 ** 969], Number.MAX_VALUE],
    ["the empty sum", [], 0],
    ["negative zeros", [-0, -0], 0],
  ])("rounds %s right", (_, terms, expected) => {
    expect(sumOf(terms).value).toBe(expected);
  });

  it("holds forty widely spaced values, where a capped list of partials breaks", () => {
    const terms = Array.from({ length: 40 }, (_, i) => (i % 2 ? -1 : 1) * 2 ** (1000 - 52 * i));
    expect(sumOf(terms).value).toBe(truth(terms));
    expect(sumOf([...terms, ...terms.map((term) => -term)]).value).toBe(0);
  });

  it("adds ten million terms without losing one", () => {
    const sum = new ExactSum();
    for (let i = 0; i < 10_000_000; i++) sum.add(i % 2 ? 0.1 : 1e-300);
    expect(sum.value).toBe(nearest(5_000_000n * integerOf(0.1) + 5_000_000n * integerOf(1e-300)));
  }, 60_000);

  it("treats infinities and NaN as an ordinary sum does", () => {
    const inf = Number.POSITIVE_INFINITY;
    expect(sumOf([inf, 1, 2]).value).toBe(inf);
    expect(sumOf([1, -inf]).value).toBe(-inf);
    expect(sumOf([inf, -inf]).value).toBeNaN();
    expect(sumOf([1, Number.NaN, inf]).value).toBeNaN();
    expect(sumOf([inf]).merge(sumOf([-inf])).value).toBeNaN();
  });

  it("merges any split in any order to the same bits", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(finite, fc.nat(4)), { maxLength: 100 }),
        fc.infiniteStream(fc.nat()),
        (terms, order) => {
          const parts = Array.from({ length: 5 }, () => new ExactSum());
          for (const [term, part] of terms) parts[part]!.add(term);
          const random = order[Symbol.iterator]();
          while (parts.length > 1) {
            const taken = parts.splice(random.next().value % parts.length, 1)[0]!;
            parts[random.next().value % parts.length]!.merge(taken);
          }
          expect(parts[0]!.toJSON()).toEqual(sumOf(terms.map(([term]) => term)).toJSON());
        },
      ),
    );
  });

  it("comes back from its JSON and from added integer lanes to the bit", () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { maxLength: 30 }), fc.array(fc.double(), { maxLength: 30 }), (left, right) => {
        const [a, b] = [sumOf(left), sumOf(right)];
        expect(ExactSum.fromJSON(JSON.parse(JSON.stringify(a))).toJSON()).toEqual(a.toJSON());
        const lanes = new BigInt64Array(LANES);
        const more = new BigInt64Array(LANES);
        a.toLanes(lanes, 0);
        b.toLanes(more, 0);
        for (let i = 0; i < LANES; i++) lanes[i]! += more[i]!;
        expect(ExactSum.fromLanes(lanes, 0).toJSON()).toEqual(a.clone().merge(b).toJSON());
        expect(ExactSum.fromLanes(lanes, 0).value).toBe(a.clone().merge(b).value);
      }),
      { numRuns: 500 },
    );
  });

  it("adds carried lanes as the sum they hold, to nothing and to what is there", () => {
    const number = fc.oneof(fc.double(), fc.integer());
    const numbers = fc.array(number, { maxLength: 8 });
    fc.assert(
      fc.property(numbers, fc.array(numbers, { minLength: 1, maxLength: 3 }), fc.nat(3), (before, parts, offset) => {
        const sum = sumOf(before);
        const expected = sumOf(before);
        for (const part of parts) {
          const lanes = new BigInt64Array(LANES);
          sumOf(part).toLanes(lanes, 0);
          sum.addLanes(Float64Array.from([...new Array(offset).fill(7), ...Array.from(lanes, Number)]), offset);
          expected.merge(sumOf(part));
          expect(sum.value).toBe(expected.value);
        }
        expect(sum.toJSON()).toEqual(expected.toJSON());
        expect(sum.clone().merge(sum).toJSON()).toEqual(expected.clone().merge(expected).toJSON());
      }),
      { numRuns: 500 },
    );
  });

  it("is empty again after clear", () => {
    const sum = sumOf([1, Number.NaN, Number.POSITIVE_INFINITY]);
    sum.clear();
    expect(sum.toJSON()).toEqual(new ExactSum().toJSON());
    expect(sum.value).toBe(0);
  });

  it.each([
    [{}],
    [null],
    [{ mantissa: "12", exponent: 0 }],
    [{ mantissa: "0x1", exponent: 0.5 }],
    [{ mantissa: "0x1", exponent: -1075 }],
    [{ mantissa: `0x${"f".repeat(555)}`, exponent: 0 }],
    [{ mantissa: "0x1", exponent: 0, nan: -1 }],
  ])("refuses the JSON %j", (json) => {
    expect(() => ExactSum.fromJSON(json as never)).toThrow(expect.objectContaining({ code: "argument" }));
  });
});
