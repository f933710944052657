import type { ContractInput } from "../contract/index.js";
import { type Objective, objectiveFrom } from "../losses/index.js";

/**
 * The objective of a contract, computed by the reference: what an audit compares must be closer to the truth than the
 * numbers under audit, which kernels of float32 would not be.
 */
export function referenceObjective(contract: ContractInput): Objective {
  return objectiveFrom(contract).withEngine("reference");
}
