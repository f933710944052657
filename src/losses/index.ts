export { type AnyBatch, commonFields } from "./batch.js";
export { checkGroup, worldNote } from "./call.js";
export { together } from "./consensus.js";
export { defineLoss, type ObjectiveFactory } from "./define-loss.js";
export {
  axesOf,
  type BatchView,
  type Documentation,
  type Domain,
  domainOf,
  type FieldSpec,
  type LossDefinition,
  type RowMath,
  type UnitRules,
  type Workspace,
} from "./definition.js";
export { describeReduction } from "./describe.js";
export { type JoinedParts, joinBatches } from "./joined.js";
export { type Likelihood, likelihoodOf, likelihoods, type TargetType } from "./likelihoods.js";
export type {
  CallOptions,
  EvaluateOptions,
  Evaluation,
  EvaluationWithGradients,
  GroupCall,
  GroupEvaluateOptions,
  Objective,
  UncertainEvaluation,
} from "./objective.js";
export { type UnitsOfBatch, unitsOf } from "./open-units.js";
export { denominatorOver, walkOver } from "./reduced.js";
export { definitionOf, objectiveFrom, objectiveNames } from "./registry.js";
export {
  type WeightedBatch,
  type WeightedCallOptions,
  type WeightedConstants,
  WeightedDenominator,
  type WeightedEvaluationWithGradients,
  type WeightedParts,
  type WeightedSum,
  WeightedTally,
} from "./weighted-sum.js";
