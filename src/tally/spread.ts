import { type Contract, constantOf, type Reduction } from "../contract/index.js";
import { checkObject, LosswrightError } from "../errors/index.js";
import { checkSameContract } from "./denominator.js";
import { addProduct, alignedIntegers, rootOfRatio, roundedRatio } from "./exact-ratio.js";
import { ExactSum, type ExactSumJson } from "./exact-sum.js";

/** The sums of a spread: of numerators x, of denominators d, and of their products, over the units. */
const names = ["x", "d", "xx", "xd", "dd"] as const;
type Name = (typeof names)[number];

export interface SpreadJson {
  readonly format: typeof format;
  readonly version: number;
  readonly contract: Contract;
  readonly sums: Readonly<Record<Name, ExactSumJson>>;
}

const format = "losswright spread";
const version = 1;

/**
 * How far an objective's value would move if other units had been drawn: the exact second moments of what each unit adds
 * to numerator (x = w·l) and denominator (d), from which the standard error of their ratio follows. Where a contract
 * averages sequences or samples, those are the units. Spreads merge exactly, as tallies do.
 */
export class Spread {
  private readonly sums: Readonly<Record<Name, ExactSum>>;

  constructor(
    /** The contract whose units these are. */
    readonly contract: Contract,
    sums: Partial<Record<Name, ExactSum>> = {},
  ) {
    this.sums = Object.fromEntries(names.map((name) => [name, sums[name] ?? new ExactSum()])) as Record<Name, ExactSum>;
  }

  /** Adds one unit, by what it adds to numerator and denominator. */
  add(numerator: number, denominator: number): void {
    const { x, d, xx, xd, dd } = this.sums;
    x.add(numerator);
    d.add(denominator);
    addProduct(xx, numerator, numerator);
    addProduct(xd, numerator, denominator);
    addProduct(dd, denominator, denominator);
  }

  /** Both spreads together; associative and commutative to the bit. @throws `merge` for another contract */
  merge(other: Spread): Spread {
    checkSameContract("Spread.merge", this.contract, other.contract, "merge spreads of one objective.");
    const sums = names.map((name) => [name, this.sums[name].clone().merge(other.sums[name])]);
    return new Spread(this.contract, Object.fromEntries(sums));
  }

  /**
   * The standard error of value = Σx / Σd by the delta method, the units drawn independently:
   *   √(Σ(x − value·d)²) / Σd;   with weights √(Σ w²(l − value)²) / Σw.
   * Where a constant c divides, the same root over c: the spread of a sum over as many units. NaN where
   * nothing was counted, or one unit alone, or a loss is not finite. Nothing corrects for few units (n / (n − 1)). Cochran 1977, Sampling Techniques, section 6.4.
   */
  get standardError(): number {
    const aligned = alignedIntegers(names.map((name) => this.sums[name]));
    if (!aligned) return Number.NaN;
    const [x, d, xx, xd, dd] = aligned.integers as [bigint, bigint, bigint, bigint, bigint];
    // Of one unit nothing is known of how units differ.
    if (d === 0n || this.effectiveSampleSize === 1) return Number.NaN;
    // Σ(x − (X/D) d)² = (xx·D² − 2·xd·X·D + dd·X²) / D²; each sum is an integer times the unit 2^exponent.
    const exact = xx * d * d - 2n * xd * x * d + dd * x * x;
    // Below 0 only where products of tiny losses fell under the smallest float64.
    const squares = exact < 0n ? 0n : exact;
    const constant = constantOf(this.contract.reduction as Reduction);
    if (constant !== null) return halfExponent(squares, d * d, aligned.exponent) / constant;
    return halfExponent(squares, d * d * d * d, -aligned.exponent);
  }

  /** (Σd)² / Σd²: how many units of equal weight would say as much (Kish 1965). NaN where nothing was counted. */
  get effectiveSampleSize(): number {
    const aligned = alignedIntegers([this.sums.d, this.sums.dd]);
    if (!aligned) return Number.NaN;
    const [d, dd] = aligned.integers as [bigint, bigint];
    return roundedRatio(d * d, dd, aligned.exponent);
  }

  toJSON(): SpreadJson {
    const sums = Object.fromEntries(names.map((name) => [name, this.sums[name].toJSON()]));
    return { format, version, contract: this.contract, sums: sums as Record<Name, ExactSumJson> };
  }

  /** @throws `argument` for anything that `toJSON` does not write */
  static fromJSON(json: SpreadJson): Spread {
    checkObject("Spread.fromJSON", "json", json);
    if (json.format !== format || json.version !== version || typeof json.sums !== "object" || json.sums === null) {
      throw new LosswrightError({
        code: "argument",
        where: "Spread.fromJSON",
        found: JSON.stringify(json).slice(0, 120),
        expected: `{ "format": "${format}", "version": ${version}, "contract", "sums" }`,
      });
    }
    const sums = names.map((name) => [name, ExactSum.fromJSON(json.sums[name])]);
    return new Spread(json.contract, Object.fromEntries(sums));
  }
}

/** √(numerator / denominator · 2^exponent). */
function halfExponent(numerator: bigint, denominator: bigint, exponent: number): number {
  const isOdd = exponent % 2 !== 0;
  return rootOfRatio(isOdd ? numerator << 1n : numerator, denominator, isOdd ? (exponent - 1) / 2 : exponent / 2);
}
