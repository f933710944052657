import { type ContractInput, contractVersion, readContract } from "../contract/index.js";
import { closest, LosswrightError, rejectUnknown } from "../errors/index.js";
import * as all from "./all.js";
import type { LossDefinition } from "./definition.js";
import { objectiveByForeignName } from "./foreign-names.js";
import type { Objective } from "./objective.js";
import { type WeightedPart, type WeightedSum, type WeightedSumContract, weightedSum } from "./weighted-sum.js";

interface AnyFactory {
  from(options: object, reduction: object): Objective;
  readonly definition: LossDefinition<object>;
}

const factories = all as unknown as Readonly<Record<string, AnyFactory>>;

/** The names of all objectives of this version. */
export function objectiveNames(): readonly string[] {
  return Object.keys(factories).sort();
}

/**
 * The definition of an objective by name: options, fields, documentation.
 *
 * @throws `unknown` for no objective, naming the near miss
 */
export function definitionOf(name: string): LossDefinition<object> {
  return factoryOf(name).definition;
}

/**
 * The objective a contract describes; `objectiveFrom(objective.contract)` is the same objective.
 *
 * @param contract - JSON; what it leaves out is the default
 * @throws `contract` for what is no contract, `unknown` for a name that nothing answers to, `option` and `reduction`
 * for values out of range
 */
export function objectiveFrom(contract: ContractInput): Objective;
export function objectiveFrom(contract: WeightedSumContract): WeightedSum<Readonly<Record<string, WeightedPart>>>;
export function objectiveFrom(contract: ContractInput | WeightedSumContract) {
  if (isWeightedSum(contract)) return weightedSumFrom(contract);
  const { objective, options, reduction } = readContract(contract);
  return factoryOf(objective).from(options, reduction);
}

function isWeightedSum(contract: ContractInput | WeightedSumContract): contract is WeightedSumContract {
  return typeof contract === "object" && contract?.objective === "weightedSum" && "parts" in contract;
}

function weightedSumFrom(contract: WeightedSumContract) {
  rejectUnknown("weightedSum", "key", contract, ["objective", "parts", "version"]);
  const { parts, version = contractVersion } = contract;
  if (version !== contractVersion || typeof parts !== "object" || parts === null) {
    throw new LosswrightError({
      code: "contract",
      where: "weightedSum",
      found: JSON.stringify({ parts, version })?.slice(0, 80) ?? "nothing",
      expected: '{ "objective": "weightedSum", "parts": { name: { "contract", "weight" } }, "version": 1 }',
    });
  }
  const made = Object.entries(parts).map(([name, part]) => {
    rejectUnknown("weightedSum", `key of the part ${name}`, part ?? {}, ["contract", "weight"]);
    return [name, { objective: objectiveFrom(part?.contract as ContractInput), weight: part.weight }] as const;
  });
  return weightedSum(Object.fromEntries(made));
}

function factoryOf(name: string): AnyFactory {
  const factory = Object.hasOwn(factories, name) ? factories[name] : undefined;
  if (factory) return factory;
  const meant = objectiveByForeignName(name) ?? closest(name, objectiveNames());
  throw new LosswrightError({
    code: "unknown",
    where: "contract",
    field: "objective",
    found: `"${name}"`,
    expected: `one of ${objectiveNames().join(", ")}`,
    ...(meant && { fix: `write "${meant}".` }),
  });
}
