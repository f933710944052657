import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { FieldSpec, LossDefinition } from "../definition.js";
import { elementFields } from "./element.js";

/** The negative logarithm of a density of the residual r = target − prediction, whose width the model predicts too. */
export interface Density {
  loss(residual: number, width: number): number;
  residualSlope(residual: number, width: number): number;
  widthSlope(residual: number, width: number): number;
}

/** What a likelihood of location and width says of itself: everything but fields, units and rows. */
export interface LocationScaleDefinition<Options extends object, Width extends string>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe"> {
  /** The name of the field that holds the width, and what it means. */
  readonly width: { readonly field: Width } & Pick<FieldSpec, "meaning" | "domain">;
  /** Made once a call, so that what follows from the options alone is computed once. */
  density(options: Options): Density;
}

/**
 * A negative log-likelihood of a residual and of a width, both differentiable. One width may hold for all elements (`[]`)
 * or for all entries of the last axis (`[..., 1]`); its gradient is then the sum over them.
 */
export function defineLocationScaleLoss<Options extends object, Batch extends object, Width extends string>(
  definition: LocationScaleDefinition<Options, Width>,
): ObjectiveFactory<Options, Batch, "predictions" | Width> {
  const { width, density, ...described } = definition;
  const { field, ...narrowed } = width;
  return defineLoss<Options, Batch, "predictions" | Width>({
    ...described,
    family: "elementwise",
    unit: "element",
    unitShape: ["..."],
    fields: {
      ...elementFields,
      predictions: { ...elementFields.predictions, meaning: "the center that the model predicts, one an element" },
      [field]: {
        ...narrowed,
        holds: "reals",
        roles: ["predictions", "scores"],
        shape: ["..."],
        read: "label",
        gradient: "row",
        broadcasts: ["scalar", "lastOne"],
      },
    },
    open({ options }, { rows, own }) {
      const [predictions, targets, widths] = [rows.predictions!, rows.targets!, rows[field]!];
      const { loss, residualSlope, widthSlope } = density(options);
      return {
        loss: () => loss(targets[0]! - predictions[0]!, widths[0]!),
        gradient: () => {
          const r = targets[0]! - predictions[0]!;
          own.predictions![0] = -residualSlope(r, widths[0]!);
          own[field]![0] = widthSlope(r, widths[0]!);
        },
      };
    },
  });
}
