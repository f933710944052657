import type { ContractInput, Json } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { total } from "../tally/index.js";
import { isTensor, type Tensor } from "../tensor/index.js";
import type { AuditedStep } from "./audited-step.js";
import { referenceObjective } from "./reference.js";

/** A step before its explanations are known, as hypotheses are made of it. */
export type OpenedStep = Omit<AuditedStep, "explanations">;

/** The options of the contract that the searched parts follow. */
export function optionsOf({ searchedObjective }: OpenedStep): Readonly<Record<string, Json>> {
  return searchedObjective.contract.options;
}

/** The contract with other options. */
export function withOptions(step: OpenedStep, change: Readonly<Record<string, unknown>>): ContractInput {
  const { contract } = step.searchedObjective;
  return { ...contract, options: { ...contract.options, ...change } } as ContractInput;
}

/** A field of the first part that is a tensor. */
export function firstField({ parts }: OpenedStep, name: string): Tensor | undefined {
  const value = parts[0]!.batch[name];
  return isTensor(value) ? value : undefined;
}

/** Numbers in all fields of a step: what a pass over it costs. */
export function sizeOfStep({ parts }: OpenedStep): number {
  const sizes = parts.flatMap(({ batch }) =>
    Object.values(batch).map((value) => (isTensor(value) ? value.data.length : 1)),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The value of the whole step under another contract; undefined where the fields contradict it. */
export function valueUnder({ searched }: OpenedStep, contract: ContractInput): number | undefined {
  try {
    const objective = referenceObjective(contract);
    const tallies = searched.map(({ batch }) => objective.tally(batch));
    return objective.value(
      total(tallies, objective.couples && tallies.length > 1 ? { acrossBatches: "independent" } : {}),
    );
  } catch (error) {
    if (error instanceof LosswrightError) return undefined;
    throw error;
  }
}

/** A solved number as a person would have written it, where one lies within rounding of it. */
export function written(value: number): number {
  for (let digits = 1; digits <= 5; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.abs(short - value) <= 1e-5 * Math.abs(value)) return short;
  }
  return value;
}

/** Largest step on which a parameter is searched for by evaluating again and again. */
const largestSolved = 2e6;

/**
 * The values of a positive parameter at which the step's value is the reported loss, ascending: brackets on a
 * logarithmic grid around the declared value, then bisection.
 *
 * @param contractAt - the contract with the parameter
 */
export function solvedFor(step: OpenedStep, around: number, contractAt: (value: number) => ContractInput): number[] {
  const { loss, reported } = step;
  // One number is always reached by one parameter: only a gradient tells whether it means anything.
  if (!reported || loss === null || !Number.isFinite(loss) || sizeOfStep(step) > largestSolved) return [];
  const gap = (value: number) => (valueUnder(step, contractAt(value)) ?? Number.NaN) - loss;
  // A factor of 1.35 a step: from a hundredth to a hundred times the declared value.
  const grid = Array.from({ length: 32 }, (_, i) => around * factorPower(i - 16));
  const gaps = grid.map(gap);
  const roots: number[] = [];
  for (let i = 1; i < grid.length; i++) {
    if (!(gaps[i - 1]! * gaps[i]! <= 0)) continue;
    let [low, high] = [grid[i - 1]!, grid[i]!];
    const rising = gaps[i]! > 0;
    for (let step = 0; step < 40; step++) {
      const middle = (low + high) / 2;
      if (gap(middle) > 0 === rising) high = middle;
      else low = middle;
    }
    roots.push(written((low + high) / 2));
  }
  return roots;
}

/** 1.35 to a whole power, by multiplication. */
function factorPower(power: number): number {
  let out = 1;
  for (let i = 0; i < Math.abs(power); i++) out *= 1.35;
  return power < 0 ? 1 / out : out;
}
