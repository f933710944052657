export { type AnyBatch, commonFields } from "./batch.js";
export { defineLoss, type ObjectiveFactory } from "./define-loss.js";
export type {
  BatchView,
  Documentation,
  FieldSpec,
  LossDefinition,
  RowMath,
  UnitRules,
  Workspace,
} from "./definition.js";
export { describeReduction } from "./describe.js";
export type { CallOptions, Evaluation, EvaluationWithGradients, Objective } from "./objective.js";
export { definitionOf, objectiveFrom, objectiveNames } from "./registry.js";
