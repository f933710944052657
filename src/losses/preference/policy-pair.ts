import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { Domain, LossDefinition, UnitFields } from "../definition.js";
import { type SequenceScores, sequenceField } from "./fields.js";

/** What a loss without a reference model reads: the policy's scores of two answers a pair, `[B]`. */
export interface PolicyPairBatch extends UnitFields {
  /** The policy's score of the preferred answer. */
  readonly policyChosen: SequenceScores;
  /** The policy's score of the other. */
  readonly policyRejected: SequenceScores;
}

/** What a loss of the two scores of a pair says of itself: everything but fields, units and rows. */
export interface PolicyPairDefinition<Options extends object>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe"> {
  /** Where the scores must lie, if not anywhere. */
  readonly domain?: Domain;
  loss(chosen: number, rejected: number, options: Options): number;
  /** The derivatives of the loss by the chosen and by the rejected score. */
  chosenSlope(chosen: number, rejected: number, options: Options): number;
  rejectedSlope(chosen: number, rejected: number, options: Options): number;
}

/** A loss of the policy's scores of two answers, pair by pair. */
export function definePolicyPairLoss<Options extends object>(
  definition: PolicyPairDefinition<Options>,
): ObjectiveFactory<Options, PolicyPairBatch, "policyChosen" | "policyRejected"> {
  const { domain, loss, chosenSlope, rejectedSlope, ...described } = definition;
  const field = (meaning: string) => ({ ...sequenceField(meaning, "row"), ...(domain && { domain }) });
  return defineLoss<Options, PolicyPairBatch, "policyChosen" | "policyRejected">({
    ...described,
    family: "preference",
    unit: "pair",
    unitShape: ["B"],
    fields: {
      policyChosen: field("the policy's score of the preferred answer, one a pair"),
      policyRejected: field("the policy's score of the other answer, one a pair"),
    },
    open({ options }, { rows, own }) {
      const [chosen, rejected] = [rows.policyChosen!, rows.policyRejected!];
      return {
        loss: () => loss(chosen[0]!, rejected[0]!, options),
        gradient() {
          own.policyChosen![0] = chosenSlope(chosen[0]!, rejected[0]!, options);
          own.policyRejected![0] = rejectedSlope(chosen[0]!, rejected[0]!, options);
        },
      };
    },
  });
}
