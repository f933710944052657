/** Ranks that share a step: one process, its threads, or the processes of a cluster; and micro-batches of one step. */
export {
  type AccumulatedStep,
  type Accumulation,
  accumulation,
  type DividedStep,
  type GatheredCall,
  type GatheredGroupCall,
  type GatheredStep,
  type MemoryCost,
  type MicroBatchCall,
  type ObjectiveAccumulation,
  type StepAhead,
  type StepDividedLast,
  type WeightedAccumulation,
} from "./accumulation.js";
export { type MpiOptions, mpi } from "./mpi.js";
export { solo } from "./solo.js";
export { type ThreadsOptions, threads } from "./threads.js";
