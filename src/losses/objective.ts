import type { Contract, Reduction } from "../contract/index.js";
import type { Denominator, Engine, Group, Note, Spread, Tally } from "../tally/index.js";
import type { Tensor, Unlabeled } from "../tensor/index.js";
import type { AnyBatch } from "./batch.js";
import type { LossDefinition } from "./definition.js";

/** A value with everything it was made of. */
export interface Evaluation {
  /** numerator / denominator, one division; what `onEmpty` says when nothing was counted. In the loss's unit. */
  readonly value: number;
  readonly numerator: number;
  /** The number that divided: counted weight, number of groups, or the constant. */
  readonly denominator: number;
  /** The undivided tally of this batch. */
  readonly tally: Tally;
  readonly ranBy: Engine;
  readonly notes: readonly Note[];
}

/** An evaluation with how sure it is, had other units been drawn. */
export interface UncertainEvaluation extends Evaluation {
  /**
   * Standard error of `value` by the delta method, units drawn independently (sequences or samples where the contract
   * averages those): √(Σ w²(l − value)²) / Σ w. NaN where nothing was counted.
   */
  readonly standardError: number;
  /** (Σ w)² / Σ w²: how many units of equal weight would say as much. */
  readonly effectiveSampleSize: number;
  /** The exact moments that both come of; those of parts merge. */
  readonly spread: Spread;
}

/** Options of one evaluation. */
export interface EvaluateOptions {
  /** Whether the standard error is wanted too; the losses are computed once more, one by one. */
  readonly standardError?: boolean;
  /** See {@link GroupEvaluateOptions}. */
  readonly group?: undefined;
}

/** Options of an evaluation that every rank of a group makes. */
export interface GroupEvaluateOptions extends Omit<EvaluateOptions, "group"> {
  /** Ranks whose batches are parts of one: the value is that over all of them. */
  readonly group: Group;
}

/** An evaluation with the gradient of its value. */
export interface EvaluationWithGradients<Name extends string = string> extends Evaluation {
  /** One tensor a differentiable field, of its shape and dtype; scalar options have the shape `[]`. */
  readonly gradients: Readonly<Record<Name, Tensor<Unlabeled, "float32" | "float64">>>;
}

/** Options of one call; they never enter the contract. */
export interface CallOptions {
  /**
   * The denominator of the whole step, where this batch is a part of it. Value and gradients are divided by it, in
   * place of the objective's own denominator or constant; the tally stays that of this batch.
   */
  readonly denominator?: number | Denominator;
  /** Multiplies the gradients alone: a loss scale, or the world size for an engine that averages gradients. */
  readonly scale?: number;
  /** Tensors to write gradients into, by field: of the gradient's shape and dtype, sharing no memory with an input. */
  readonly into?: { readonly gradients?: Readonly<Record<string, Tensor>> };
  /**
   * Writes the gradient over the field's own tensor: `{ inPlace: true }` gives the logits' memory to their gradient, and
   * nothing of their size is allocated. For objectives whose units own their rows; no other field may share that memory.
   */
  readonly inPlace?: boolean;
  /** Forces an engine; without it kernels run where they can, and `ranBy` says which did. */
  readonly engine?: Engine;
  /** See {@link GroupCall}. */
  readonly group?: undefined;
}

/** Options of a call that every rank of a group makes, each with its own part of one step. */
export interface GroupCall extends Omit<CallOptions, "denominator" | "scale" | "group"> {
  /**
   * Value, numerator, denominator and tally are those of all ranks, the gradients those of this rank's own batch. What
   * divides is reduced first, from labels, masks and weights alone, so that gradients are formed once.
   *
   * Objectives that couple a batch gather the rows they need in rank order, and the gradient of a gathered row flows back
   * to the rank that owns it. The gradient of a learned scalar is this rank's share: add it up over ranks, as the
   * gradients of all parameters are.
   */
  readonly group: Group;
  /**
   * Multiplies the gradients alone: a loss scale, or `"world"`, the number of ranks, for an engine that averages
   * gradients over ranks where they must be added (data-parallel wrappers do).
   */
  readonly scale?: number | "world";
  /**
   * Of gathered rows: leaves out of their gradient what other ranks' units add to it, as a gather without a gradient does.
   * It is another gradient than that of the value, and a note says so.
   */
  readonly local?: boolean;
}

/** A loss with its options and reduction: computes, merges, divides, and describes itself. */
export interface Objective<Batch extends object = AnyBatch, Name extends string = string> {
  readonly name: string;
  /** Canonical JSON; `objectiveFrom(contract)` gives the objective back. */
  readonly contract: Contract;
  readonly reduction: Reduction;
  /** The options in full, each in its one form. */
  readonly options: object;
  /** The definition this objective was made from: options, fields, documentation. */
  readonly definition: LossDefinition<object>;
  /** Whether a unit's loss depends on the other units of its batch. */
  readonly couples: boolean;
  /**
   * The value over a batch; with `standardError: true` also how sure it is.
   *
   * @throws `LosswrightError` for a batch that does not fit, naming field, place and fix; `empty` where nothing is
   * counted and the contract says `onEmpty: "throw"`
   */
  evaluate(
    batch: Batch,
    options: GroupEvaluateOptions & { readonly standardError: true },
  ): Promise<UncertainEvaluation>;
  evaluate(batch: Batch, options: GroupEvaluateOptions): Promise<Evaluation>;
  evaluate(batch: Batch, options: { readonly standardError: true }): UncertainEvaluation;
  evaluate(batch: Batch, options?: EvaluateOptions): Evaluation;
  /**
   * The value and its gradient with respect to every differentiable field; over a group a promise. Throws as `evaluate`;
   * over a group an error of one rank is an error of all, of code `group` on the others.
   */
  valueAndGradients(batch: Batch, call: GroupCall): Promise<EvaluationWithGradients<Name>>;
  valueAndGradients(batch: Batch, call?: CallOptions): EvaluationWithGradients<Name>;
  /**
   * The loss of every unit that mask, `ignoreIndex` and shift leave, 0 elsewhere; float64, of the units' shape.
   * Weights do not enter it.
   */
  perUnit(batch: Batch): Tensor<Unlabeled, "float64">;
  /** The undivided tally of a batch; an empty batch has one too. */
  tally(batch: Batch): Tally;
  /** The one division. @throws `merge` for a tally of another contract, `empty` as `evaluate` */
  value(tally: Tally): number;
  /**
   * What would divide, from labels, masks, weights and lengths alone. Fields with a gradient are read only for their
   * shape and may be left out, so that it is known before the forward pass: `denominator({ labels })`.
   */
  denominator(batch: Partial<Batch>): Denominator;
  /**
   * The same objective, computed by one engine alone: `"reference"` for float64 mathematics throughout, `"wasm"` for
   * kernels, which is then an error where they cannot run. The contract stays what it is.
   */
  withEngine(engine: Engine): Objective<Batch, Name>;
  /** The contract in words. */
  describe(): string;
}
