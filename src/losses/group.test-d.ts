/** What a group makes of a call, in types. */
import { crossEntropy, solo, tensor } from "../index.js";
import type { Evaluation, EvaluationWithGradients } from "./index.js";

const batch = { logits: tensor([[1, 2]]), labels: tensor([0]) };
const objective = crossEntropy();

export const alone: Evaluation = objective.evaluate(batch);
export const together: Promise<EvaluationWithGradients<"logits">> = objective.valueAndGradients(batch, {
  group: solo(),
  scale: "world",
});
// @ts-expect-error a promise as soon as there is a group
export const notYet: Evaluation = objective.evaluate(batch, { group: solo() });
// @ts-expect-error without a group there is no world
objective.valueAndGradients(batch, { scale: "world" });
// @ts-expect-error a group reduces a denominator of its own
objective.valueAndGradients(batch, { group: solo(), denominator: 4 });
// Before there are logits.
export const counted: number = objective.denominator({ labels: batch.labels }).value;
// @ts-expect-error an evaluation needs them
objective.evaluate({ labels: batch.labels });
