import { expect } from "vitest";
import { tensor } from "../../tensor/index.js";
import type { Objective } from "../objective.js";

/** What an objective says of one element: its loss, the derivative by each differentiable field, the codes of its notes. */
export function at<Batch extends object>(
  objective: Objective<Batch, string>,
  fields: Readonly<Record<string, number>>,
) {
  const batch = Object.fromEntries(
    Object.entries(fields).map(([name, entry]) => [name, tensor(Float64Array.of(entry))]),
  );
  const { value, gradients, notes } = objective.valueAndGradients(batch as Batch);
  const slopes = Object.entries(gradients).map(([name, { data }]) => [name, Number(data[0]) + 0] as const);
  return { loss: value, slopes: Object.fromEntries(slopes), notes: notes.map(({ code }) => code) };
}

/** The same at a residual r = target − prediction; `slope` is the derivative by the prediction. */
export function atResidual<Batch extends object>(objective: Objective<Batch, string>, residual: number) {
  const { loss, slopes, notes } = at(objective, { predictions: 0, targets: residual });
  return { loss, slope: slopes.predictions!, notes };
}

/** Holds a number against the truth, in units of 2^−52 of it; what is infinite, NaN or 0 must be so exactly. */
export function expectClose(got: number, truth: number, ulps = 8): void {
  if (!Number.isFinite(truth) || truth === 0) expect(got + 0).toBe(truth + 0);
  else expect(Math.abs(got - truth) / Math.abs(truth) / Number.EPSILON).toBeLessThanOrEqual(ulps);
}

/** Holds an option against values that must be refused. */
export function refuses(make: (options: never) => unknown, option: string, values: readonly unknown[]): void {
  for (const value of values) {
    expect(() => make({ [option]: value } as never)).toThrow(
      expect.objectContaining({ code: "option", field: option }),
    );
  }
}
