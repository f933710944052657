import { type Contract, canonicalText, firstDifference, type Json } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { ExactSum, type ExactSumJson } from "./exact-sum.js";

export interface DenominatorJson {
  readonly contract: Contract | null;
  readonly counted: ExactSumJson;
  readonly constant: number | null;
  /** Inner weight sums of groups whose pieces may lie in several parts, by key. */
  readonly open: { readonly [key: string]: ExactSumJson };
}

const noGroups: ReadonlyMap<string, ExactSum> = /*#__PURE__*/ new Map();

/**
 * What divides: the exact counted weight of a batch (or the number of its groups), before any division.
 *
 * It follows from labels, masks, weights and lengths alone, so it can be merged over all parts of a step before the
 * backward pass and handed to `valueAndGradients(batch, { denominator })`.
 */
export class Denominator {
  constructor(
    /** Σ w m over units, or the number of closed groups that have a unit. */
    readonly counted: ExactSum,
    /** `divideBy: { constant }` of the contract, which divides in place of what was counted. */
    readonly constant: number | null = null,
    /** Groups given by `groupKeys`: the weight inside each, mergeable over the parts that hold its pieces. */
    readonly open: ReadonlyMap<string, ExactSum> = noGroups,
    /** The contract that says what is counted, so that two that count otherwise are not mixed; null when made by hand. */
    readonly contract: Contract | null = null,
  ) {}

  /** Whether nothing was counted: `onEmpty` looks at this, also when a constant divides. */
  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** The number that divides. 0 when nothing was counted. */
  get value(): number {
    const count = this.count;
    return count === 0 ? 0 : (this.constant ?? count);
  }

  /** The counted weight, or number of groups, whatever divides. */
  get count(): number {
    if (this.open.size === 0) return this.counted.value;
    const sum = this.counted.clone();
    for (const weight of this.open.values()) if (weight.value !== 0) sum.add(1);
    return sum.value;
  }

  /** The denominator of both parts together; associative and commutative to the bit. */
  merge(other: Denominator): Denominator {
    if (!(other instanceof Denominator)) {
      throw new LosswrightError({
        code: "argument",
        where: "denominator",
        found: typeof other === "object" ? "an object that is no denominator" : typeof other,
        expected: "a denominator",
        fix: "read JSON with Denominator.fromJSON first.",
      });
    }
    checkSameContract("denominator", this.contract, other.contract);
    if (this.constant !== other.constant) {
      throw new LosswrightError({
        code: "merge",
        where: "denominator",
        field: "constant",
        found: `${this.constant} and ${other.constant}`,
        expected: "denominators of one contract",
      });
    }
    const counted = this.counted.clone().merge(other.counted);
    return new Denominator(counted, this.constant, mergeOpen(this.open, other.open), this.contract ?? other.contract);
  }

  toJSON(): DenominatorJson {
    return {
      contract: this.contract,
      counted: this.counted.toJSON(),
      constant: this.constant,
      open: openToJson(this.open),
    };
  }

  /** @throws `argument` for anything that `toJSON` does not write */
  static fromJSON(json: DenominatorJson): Denominator {
    const { contract = null, counted, constant = null, open = {} } = json ?? {};
    if (constant !== null && !(typeof constant === "number" && constant > 0 && constant < Number.POSITIVE_INFINITY)) {
      throw new LosswrightError({
        code: "argument",
        where: "Denominator.fromJSON",
        field: "constant",
        found: JSON.stringify(constant),
        expected: "a finite number above 0, or null",
      });
    }
    return new Denominator(ExactSum.fromJSON(counted), constant, openFromJson(open), contract);
  }
}

/** @throws `merge` where both contracts are known and differ, naming the first difference */
export function checkSameContract(
  where: string,
  mine: Contract | null,
  theirs: Contract | null,
  fix = "count every part with one objective; weightedSum combines different ones.",
): void {
  if (!mine || !theirs) return;
  const [left, right] = [mine, theirs] as unknown as [Json, Json];
  if (canonicalText(left) === canonicalText(right)) return;
  throw new LosswrightError({
    code: "merge",
    where,
    field: "contract",
    found: firstDifference(left, right),
    expected: "parts of one contract",
    fix,
  });
}

/** Sums by key, a key in both merged. */
export function mergeOpen(
  left: ReadonlyMap<string, ExactSum>,
  right: ReadonlyMap<string, ExactSum>,
): ReadonlyMap<string, ExactSum> {
  if (left.size === 0 || right.size === 0) return left.size === 0 ? right : left;
  const merged = new Map(left);
  for (const [key, sum] of right) {
    const mine = merged.get(key);
    merged.set(key, mine ? mine.clone().merge(sum) : sum);
  }
  return merged;
}

/** Sums by key as JSON, keys in one order. */
export function openToJson(open: ReadonlyMap<string, ExactSum>): { [key: string]: ExactSumJson } {
  const entries = [...open].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, sum]) => [key, sum.toJSON()]));
}

export function openFromJson(json: { readonly [key: string]: ExactSumJson }): Map<string, ExactSum> {
  return new Map(Object.entries(json).map(([key, sum]) => [key, ExactSum.fromJSON(sum)]));
}
