import { numberOption, type OptionSpecs } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import type { BatchView, FieldSpec, UnitFields, UnitRules } from "../definition.js";

/** Where the row of logits that scores a unit lies: options of every loss over `[..., K]` logits. */
export interface AlignmentOptions {
  /** s: the label at t is scored by the logits at t − s of its row and segment. Default 0; 1 for a causal model. */
  readonly labelShift: number;
  /** The axis of the logits that holds the classes. Default −1; 1 for torch's `[N, K, d1, …]`. */
  readonly classAxis: number;
}

/** Options of every categorical loss. */
export interface LabelOptions extends AlignmentOptions {
  /** The label that takes a unit out of numerator and denominator. Default −100. */
  readonly ignoreIndex: number;
}

/** One class a unit, or a weight for each class. */
export type LabelsOrTargets =
  | { readonly labels: Tensor<"classIndices" | Unlabeled>; readonly targets?: never }
  | { readonly targets: Tensor<"targets" | "probabilities" | Unlabeled>; readonly labels?: never };

/** Logits of a loss that takes one class a unit. */
export interface LabelBatch extends UnitFields {
  /** `[..., K]`, or with the classes on `classAxis`. */
  readonly logits: Tensor<"logits" | Unlabeled>;
  /** The true class of each unit, `[...]`. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
}

/** Logits with labels, or with a distribution over classes. */
export type CategoricalBatch = Omit<LabelBatch, "labels"> & LabelsOrTargets;

export const alignmentOptions = {
  labelShift: numberOption("how many positions before its label the scoring logits lie; 1 for a causal model", 0, {
    integer: true,
    atLeast: 0,
  }),
  classAxis: numberOption("the axis of the logits that holds the classes", -1, { integer: true }),
} satisfies OptionSpecs<AlignmentOptions>;

export const labelOptions = {
  ignoreIndex: numberOption("the label that takes a unit out of numerator and denominator", -100, { integer: true }),
  ...alignmentOptions,
} satisfies OptionSpecs<LabelOptions>;

/** What the mechanism is told of shift and class axis. */
export const alignmentOf = ({ labelShift, classAxis }: AlignmentOptions) => ({ labelShift, classAxis });

export const categoricalFields = {
  logits: {
    meaning: "raw scores of the classes, before any softmax",
    holds: "reals",
    roles: ["logits"],
    shape: ["...", "K"],
    read: "source",
    gradient: "row",
    followsClassAxis: true,
  },
  labels: {
    meaning: "the true class of each unit, 0..K−1",
    holds: "indices",
    indexes: "K",
    roles: ["classIndices"],
    shape: ["..."],
    read: "label",
    gradient: "none",
    optional: true,
  },
  targets: {
    meaning: "a weight for each class, usually a distribution; probabilities, not logits",
    holds: "reals",
    domain: "nonNegative",
    roles: ["targets", "probabilities"],
    shape: ["...", "K"],
    read: "label",
    gradient: "none",
    optional: true,
    followsClassAxis: true,
  },
} as const satisfies Record<string, FieldSpec>;

/** Units whose label is not the ignored one are present; all of them where targets stand for labels. */
export function ignoredLabels(batch: BatchView<LabelOptions>): Pick<UnitRules, "present" | "ignored"> {
  if (!batch.has("labels")) return {};
  const label = batch.integer("labels");
  const { ignoreIndex } = batch.options;
  return { present: (unit) => label(unit) !== ignoreIndex, ignored: { field: "labels", value: ignoreIndex } };
}

/** @throws `option` when a list of one entry a class has another length */
export function checkPerClass(batch: BatchView<object>, field: string, list: readonly unknown[] | null): void {
  if (list === null || list.length === batch.sizes.K || batch.sizes.K === Number.POSITIVE_INFINITY) return;
  throw new LosswrightError({
    code: "option",
    where: batch.where,
    field,
    found: `${list.length} entries`,
    expected: `${batch.sizes.K}, one a class of the logits`,
  });
}

/** What the options say of the labels, in words. */
export function describeLabels(options: LabelOptions): string {
  return `${describeAlignment(options, "label")}, labels ${options.ignoreIndex} left out`;
}

/** What the shift makes of the unit that stands against a row of logits, in words. */
export function describeAlignment({ labelShift }: AlignmentOptions, unit: "label" | "position"): string {
  if (labelShift === 0) return `each ${unit}`;
  if (labelShift === 1) return "each next token";
  return `each ${unit} ${labelShift} positions after its logits`;
}
