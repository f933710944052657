import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  divide,
  exactly,
  ln2,
  multiply,
  negate,
  neighbor,
  one,
  oracleAcos,
  oracleAtan,
  oracleCos,
  oracleExp,
  oracleExpm1,
  oracleLgamma,
  oracleLog,
  oracleLog1p,
  oraclePow,
  oracleSin,
  oracleTanh,
  PRECISION,
  pi,
  type Real,
  squareRoot,
  subtract,
  toNearestDouble,
  ulpDistance,
  ulpError,
} from "./oracle.test-helper.js";

/** The first digits of a number after its point, rounded down. */
function digits(r: Real, count: number): string {
  const scaled = r.mantissa * BigInt(`1${"0".repeat(count)}`);
  const whole = r.exponent < 0 ? scaled >> BigInt(-r.exponent) : scaled << BigInt(r.exponent);
  const text = whole.toString().padStart(count + 1, "0");
  return `${text.slice(0, -count)}.${text.slice(-count)}`;
}

/** Whether a and b agree to PRECISION − `spare` bits of b. */
function agree(a: Real, b: Real, spare = 0): boolean {
  const error = divide(subtract(a, b), b);
  const size = error.mantissa < 0n ? -error.mantissa : error.mantissa;
  return size.toString(2).length + error.exponent <= spare - PRECISION || size === 0n;
}

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const number = (x: number): Real => exactly(x);

describe("constants with published digits", () => {
  test.each([
    ["π", pi, "3.1415926535897932384626433832795028841971693993751058209749445923078164062862"],
    ["ln 2", ln2, "0.6931471805599453094172321214581765680755001343602552541206800094933936219696"],
    ["e", oracleExp(one), "2.7182818284590452353602874713526624977572470936999595749669676277240766303535"],
    ["√2", squareRoot(number(2)), "1.4142135623730950488016887242096980785696718753769480731766797379907324784621"],
    ["ln 10", oracleLog(number(10)), "2.3025850929940456840179914546843642076011014886287729760333279009675726096773"],
    ["log Γ(1/2) = ½ ln π", oracleLgamma(number(0.5)), digits(divide(oracleLog(pi), number(2)), 76)],
  ])("%s", (_, value, expected) => {
    expect(digits(value, 74)).toBe(expected.slice(0, expected.indexOf(".") + 75));
  });
});

describe("functions agree with each other", () => {
  test("log undoes exp, log1p undoes expm1", () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => {
        const real = number(x);
        if (Math.abs(x) >= 1) expect(agree(oracleLog(oracleExp(real)), real, 4)).toBe(true);
        else if (x !== 0) expect(agree(oracleLog1p(oracleExpm1(real)), real, 4)).toBe(true);
      }),
    );
  });

  test("powers add up", () => {
    const x = number(1.7);
    expect(agree(oraclePow(x, number(5)), [x, x, x, x].reduce(multiply, x), 8)).toBe(true);
    expect(agree(oraclePow(x, number(0.5)), squareRoot(x), 8)).toBe(true);
  });

  test("circular functions", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (x) => {
        const s = oracleSin(number(x));
        const c = oracleCos(number(x));
        expect(agree(add(multiply(s, s), multiply(c, c)), one, 4)).toBe(true);
      }),
      { numRuns: 50 },
    );
    const angle = number(0.7);
    expect(agree(oracleAtan(divide(oracleSin(angle), oracleCos(angle))), angle, 4)).toBe(true);
    expect(agree(oracleAcos(oracleCos(angle)), angle, 4)).toBe(true);
    expect(agree(oracleAcos(negate(oracleCos(angle))), subtract(pi, angle), 4)).toBe(true);
  });

  test("tanh x = (e^x − e^−x)/(e^x + e^−x)", () => {
    const up = oracleExp(number(0.3));
    const down = oracleExp(number(-0.3));
    expect(agree(oracleTanh(number(0.3)), divide(subtract(up, down), add(up, down)), 4)).toBe(true);
  });

  test("log Γ(x + 1) = log Γ(x) + log x, and Γ(n) = (n − 1)!", () => {
    for (const x of [1e-10, 0.3, 1.7, 12.25, 1e5]) {
      const left = oracleLgamma(add(number(x), one));
      expect(agree(left, add(oracleLgamma(number(x)), oracleLog(number(x))), 60)).toBe(true);
    }
    expect(agree(oracleLgamma(number(11)), oracleLog(number(3628800)), 8)).toBe(true);
  });
});

describe("rounding to a double", () => {
  test("gives every double back", () => {
    fc.assert(fc.property(finite, (x) => toNearestDouble(exactly(x)) === x));
  });

  test("of exact sums, products and quotients is what the processor does", () => {
    fc.assert(
      fc.property(finite, finite, (a, b) => {
        expect(toNearestDouble(add(exactly(a), exactly(b)))).toBe(a + b + 0);
        if (a * b !== 0) expect(toNearestDouble(multiply(exactly(a), exactly(b)))).toBe(a * b);
        if (a !== 0 && b !== 0 && a / b !== 0) expect(toNearestDouble(divide(exactly(a), exactly(b)))).toBe(a / b);
        if (a > 0) expect(toNearestDouble(squareRoot(exactly(a)))).toBe(Math.sqrt(a));
      }),
    );
  });

  test("goes to even at ties, to ±Infinity beyond the range, and through the subnormals", () => {
    const tie = (n: bigint): Real => ({ mantissa: n, exponent: -1 });
    expect(toNearestDouble(tie((1n << 54n) + 1n))).toBe(9007199254740992);
    expect(toNearestDouble(tie((1n << 54n) + 3n))).toBe(9007199254740994);
    expect(toNearestDouble({ mantissa: 1n, exponent: 1024 })).toBe(Infinity);
    expect(toNearestDouble({ mantissa: -1n, exponent: 99999 })).toBe(-Infinity);
    expect(toNearestDouble({ mantissa: 1n, exponent: -1075 })).toBe(0);
    expect(toNearestDouble({ mantissa: 3n, exponent: -1076 })).toBe(5e-324);
    expect(toNearestDouble({ mantissa: 1n, exponent: -99999 })).toBe(0);
  });
});

describe("distances", () => {
  test("ulpError counts spacings at the truth", () => {
    expect(ulpError(1, one)).toBe(0);
    expect(ulpError(1 + Number.EPSILON, one)).toBe(1);
    expect(ulpError(0, exactly(5e-324))).toBe(1);
    expect(ulpError(1, { mantissa: 3n, exponent: -1 })).toBe(2251799813685248);
    expect(ulpError(Number.NaN, one)).toBe(Infinity);
    expect(ulpError(Infinity, one)).toBe(Infinity);
    expect(ulpError(Infinity, { mantissa: 1n, exponent: 1024 })).toBe(0);
  });

  test("neighbor and ulpDistance walk over zero", () => {
    expect(neighbor(5e-324, -2)).toBe(-5e-324);
    expect(ulpDistance(-5e-324, 5e-324)).toBe(2);
    expect(ulpDistance(0, -0)).toBe(0);
    expect(neighbor(1, 1)).toBe(1 + Number.EPSILON);
  });

  test("what has no value is refused", () => {
    expect(() => exactly(Number.NaN)).toThrow(RangeError);
    expect(() => oracleLog(exactly(-1))).toThrow(RangeError);
    expect(() => divide(one, exactly(0))).toThrow(RangeError);
  });
});
