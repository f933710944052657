import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.js";
import { binaryCrossEntropy, crossEntropy, huber } from "./all.js";
import { weightedSum } from "./weighted-sum.js";

const column = (...numbers: number[]) => tensor(Float32Array.from(numbers));
const flags = (...numbers: number[]) => tensor(Uint8Array.from(numbers));

describe("the form of the last batch", () => {
  it("is no part of a result: another batch of the same form is computed as by an objective that never saw one", () => {
    const objective = crossEntropy();
    const labels = [
      [0, 2],
      [1, 1],
      [-100, 2],
      [2, 0],
    ].map((row) => tensor(Int32Array.from(row)));
    const weights = [
      [1, 2],
      [0.5, 0],
      [1, 1],
      [3, 3],
    ].map((row) => column(...row));
    for (const [i, each] of labels.entries()) {
      const logits = tensor(Float32Array.from([i, 1, -2, 0.5, 3, i]), [2, 3]);
      const batch = { logits, labels: each, weights: weights[i]! };
      const [known, fresh] = [objective, crossEntropy()].map((one) => one.valueAndGradients(batch));
      expect(JSON.stringify(known!.tally)).toBe(JSON.stringify(fresh!.tally));
      expect(known!.value).toBe(fresh!.value);
      expect(known!.gradients.logits.data).toEqual(fresh!.gradients.logits.data);
    }
  });

  it("does not let a batch of another form through", () => {
    const objective = huber();
    const fitting = { predictions: column(1, 2), targets: column(0, 0) };
    const same = () => objective.evaluate(fitting).value;
    const value = same();
    const wrong: readonly [object, string][] = [
      [{ predictions: column(1, 2), target: column(0, 0) }, "unknown"],
      [{ predictions: column(1, 2) }, "missing-field"],
      [{ predictions: column(1, 2), targets: [0, 0] }, "argument"],
      [{ predictions: column(1, 2), targets: flags(0, 0) }, "dtype"],
      [{ predictions: column(1, 2), targets: column(0, 0, 0) }, "shape"],
      [{ predictions: tensor(Float32Array.of(1, 2), [2], "weights"), targets: column(0, 0) }, "role"],
      [{ ...fitting, mask: column(1, 2) }, "value"],
      [{ ...fitting, targets: { ...fitting.targets, data: [0, 0] } }, "argument"],
      [Object.assign(Object.create(fitting), { predictions: column(1, 2), other: column(0, 0) }), "unknown"],
    ];
    for (const [batch, code] of wrong) {
      expect(() => objective.evaluate(batch as typeof fitting)).toThrow(expect.objectContaining({ code }));
      expect(same()).toBe(value);
      // Also at the second time.
      expect(() => objective.evaluate(batch as typeof fitting)).toThrow(expect.objectContaining({ code }));
    }
    for (const batch of [null, undefined, 1, "predictions", [], fitting.targets]) {
      expect(same()).toBe(value);
      expect(() => objective.evaluate(batch as never)).toThrow(/found/);
    }
  });

  it("is that of all tensors, inherited ones too", () => {
    const objective = huber();
    const predictions = column(1, 2);
    const batch = Object.assign(Object.create({ targets: column(0, 0) }), { predictions });
    expect(objective.evaluate(batch).denominator).toBe(2);
    expect(() => objective.evaluate({ predictions } as typeof batch)).toThrow(/targets/);
  });

  it("looks through every mask of numbers", () => {
    const objective = huber();
    const batch = (...mask: number[]) => ({ predictions: column(1, 2), targets: column(0, 0), mask: flags(...mask) });
    expect(objective.evaluate(batch(1, 1)).denominator).toBe(2);
    expect(objective.evaluate(batch(0, 1)).denominator).toBe(1);
    expect(() => objective.evaluate(batch(0, 2))).toThrow(expect.objectContaining({ code: "value", field: "mask" }));
  });

  it("may change from batch to batch, and with it what computes", () => {
    const objective = binaryCrossEntropy();
    const float32 = { logits: column(1, -2, 3), targets: column(1, 0, 1) };
    const float64 = { logits: tensor(Float64Array.of(1, -2)), targets: tensor(Float64Array.of(1, 0)) };
    for (let step = 0; step < 3; step++) {
      expect(objective.evaluate(float32).ranBy).toBe("wasm");
      expect(objective.evaluate(float64)).toMatchObject({ ranBy: "reference", denominator: 2 });
    }
    expect(() => objective.withEngine("wasm").evaluate(float64)).toThrow(/float64/);
    expect(objective.valueAndGradients(float32, { engine: "reference" }).ranBy).toBe("reference");
    expect(objective.valueAndGradients(float32, { engine: "wasm" }).ranBy).toBe("wasm");
  });

  it("belongs to one objective, not to its loss", () => {
    const sum = weightedSum({
      near: { objective: huber({ delta: 0.5 }), weight: 1 },
      far: { objective: huber({ delta: 2 }), weight: 1 },
    });
    const batch = { predictions: column(4), targets: column(0) };
    for (let step = 0; step < 2; step++) {
      const { near, far } = sum.evaluate({ near: batch, far: batch }).parts;
      expect([near.value, far.value]).toEqual([0.5 * (4 - 0.25), 2 * (4 - 1)]);
    }
  });
});
