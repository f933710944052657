import { type Contract, constantOf, inWords } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { checkSameContract, Denominator, ExactSum } from "../tally/index.js";
import type { ExactSummer } from "./kernel-walk.js";
import type { Units } from "./units.js";

/** What a batch counts: its denominator, and the weight inside each of its groups. */
export interface Counted {
  readonly denominator: Denominator;
  readonly inner: Float64Array;
}

/** What divides in one call: the batch's own denominator, or that of the whole step. */
export interface Divisor {
  readonly value: number;
  /** Weight inside a group, over the whole step. */
  inner(group: number): number;
}

/** So many weights are summed by a kernel, where there is one: an exact sum has the same bits, whoever forms it. */
const MANY = 16_384;

const noGroups = new Float64Array(0);

/** Weight sums of a batch and of its groups, from constants alone. */
export function countWeights(units: Units, contract: Contract, summer?: ExactSummer): Counted {
  const constant = constantOf(contract.reduction);
  const { groups } = units;
  const counted = new ExactSum();
  if (!groups) {
    const weights = units.weighsAlike ? units.numeratorWeights : null;
    if (summer && weights && weights.length >= MANY) summer(counted, weights);
    else addWeights(counted, units, 0, units.count, null);
    return { denominator: new Denominator(counted, constant, undefined, contract), inner: noGroups };
  }
  const inner = new Float64Array(groups.count);
  const open = new Map<string, ExactSum>();
  let sum = new ExactSum();
  let closed = 0;
  for (let group = 0; group < groups.count; group++) {
    addWeights(sum, units, groups.start(group), groups.start(group + 1), groups.order);
    inner[group] = sum.value;
    if (groups.keys) {
      open.set(groups.keys[group]!, sum);
      sum = new ExactSum();
    } else {
      if (inner[group] !== 0) closed++;
      sum.clear();
    }
  }
  counted.add(closed);
  return { denominator: new Denominator(counted, constant, open, contract), inner };
}

/**
 * The caller's denominator, or the batch's own when none is given.
 *
 * @throws `denominator` for a number that cannot divide, a plain number beside `groupKeys`, or an object that lacks
 * one of the batch's groups
 */
export function divisorOf(
  where: string,
  given: number | Denominator | undefined,
  own: Counted,
  keys: readonly string[] | null | undefined,
): Divisor {
  const mine = (group: number) => own.inner[group]!;
  if (given === undefined) return { value: own.denominator.value, inner: mine };
  const wrong = (found: string, expected: string, fix?: string) =>
    new LosswrightError({ code: "denominator", where, field: "denominator", found, expected, ...(fix && { fix }) });
  if (typeof given === "number") {
    if (keys) {
      throw wrong(
        "a plain number beside groupKeys",
        "a denominator object, which carries the inner sum of every group",
        "merge objective.denominator(part) over the parts and pass the result.",
      );
    }
    if (!(given >= 0 && given < Number.POSITIVE_INFINITY)) throw wrong(String(given), "a finite number, at least 0");
  } else if (!(given instanceof Denominator)) {
    throw wrong(inWords(given), "a number or a denominator object");
  } else checkSameContract(where, own.denominator.contract, given.contract);
  const value = typeof given === "number" ? given : given.value;
  if (value === 0 && !own.denominator.isEmpty) {
    throw wrong(
      `0 for a batch that counts ${own.denominator.count}`,
      "the denominator of the whole step, this batch included",
      "merge this batch's denominator into it.",
    );
  }
  if (typeof given === "number") return { value, inner: mine };
  if (!keys) return { value: given.value, inner: mine };
  const weights = keys.map((key) => {
    const weight = given.open.get(key);
    if (weight) return weight.value;
    throw wrong(`no group ${key} in it`, "every group of this batch", "merge this batch's denominator into it.");
  });
  return { value: given.value, inner: (group) => weights[group]! };
}

/** Adds the denominator weights of some units; weights of 1 are counted as an integer. */
function addWeights(sum: ExactSum, units: Units, from: number, to: number, order: Int32Array | null): void {
  let ones = 0;
  if (units.weighsAlike) {
    const weights = units.numeratorWeights;
    if (!weights) ones = to - from;
    else {
      for (let place = from; place < to; place++) {
        const weight = weights[order ? order[place]! : place]!;
        if (weight === 1) ones++;
        else if (weight !== 0) sum.add(weight);
      }
    }
    sum.add(ones);
    return;
  }
  for (let place = from; place < to; place++) {
    if (!units.weigh(order ? order[place]! : place)) continue;
    const weight = units.denominatorWeight;
    if (weight === 1) ones++;
    else sum.add(weight);
  }
  sum.add(ones);
}
