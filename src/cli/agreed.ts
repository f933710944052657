import type { Contract, ContractInput } from "../contract/index.js";
import { type Objective, objectiveFrom } from "../losses/index.js";
import type { Tally } from "../tally/index.js";

type WeightedSum = Extract<ReturnType<typeof objectiveFrom>, { readonly name: "weightedSum" }>;
type WeightedTally = Parameters<WeightedSum["value"]>[0];
export type WeightedSumContract = WeightedSum["contract"];

/** The tallies of a contract: by the names of a weighted sum's parts; the one of one objective under {@link alone}. */
export type Tallies = ReadonlyMap<string, Tally>;

/** The name under which the tally of one objective stands. */
export const alone = "";

/** What a contract agrees on, whether it is that of one objective or of a weighted sum. */
export interface Agreed {
  readonly contract: Contract | WeightedSumContract;
  /** What counts: by the names of a weighted sum's parts; one objective under {@link alone}. */
  readonly objectives: ReadonlyMap<string, Objective>;
  /** Of a weighted sum, the factor of each part's value. */
  readonly weights: ReadonlyMap<string, number> | undefined;
  /** The contract in words. */
  describe(): string;
  /** @throws `merge` for tallies of another contract, `empty` where nothing counts and the contract forbids it */
  value(tallies: Tallies): number;
}

/** What a contract read from JSON agrees on. @throws what `objectiveFrom` throws */
export function agreedBy(contract: unknown): Agreed {
  const objective = objectiveFrom(contract as ContractInput) as Objective | WeightedSum;
  if ("definition" in objective) {
    return {
      contract: objective.contract,
      objectives: new Map([[alone, objective]]),
      weights: undefined,
      describe: () => objective.describe(),
      value: (tallies) => objective.value(tallies.get(alone)!),
    };
  }
  const parts = Object.entries(objective.contract.parts);
  return {
    contract: objective.contract,
    objectives: new Map(parts.map(([name, part]) => [name, objectiveFrom(part.contract)])),
    weights: new Map(parts.map(([name, { weight }]) => [name, weight])),
    describe: () => objective.describe(),
    // Of a weighted tally the parts alone are read.
    value: (tallies) => objective.value({ parts: Object.fromEntries(tallies) } as WeightedTally),
  };
}
