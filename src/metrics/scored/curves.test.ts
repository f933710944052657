import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { auroc } from "./auroc.js";
import { precisionRecallCurve } from "./precision-recall-curve.js";
import { rocCurve } from "./roc-curve.js";
import { fieldsOf, samples } from "./score-metrics.test-helper.js";

const numbers = (curve: object) =>
  Object.fromEntries(Object.entries(curve).map(([name, { data }]) => [name, Array.from(data as Float64Array)]));

describe("rocCurve", () => {
  it("encloses the area that auroc says, with points left out or not", () => {
    fc.assert(
      fc.property(samples, fc.boolean(), (list, dropIntermediate) => {
        const area = auroc().update(fieldsOf(list)).compute() as number;
        const curve = rocCurve({ dropIntermediate }).update(fieldsOf(list)).compute();
        const [x, y] = [curve.falsePositiveRate.data, curve.truePositiveRate.data];
        let sum = 0;
        for (let i = 1; i < x.length; i++) sum += ((x[i]! - x[i - 1]!) * (y[i]! + y[i - 1]!)) / 2;
        if (Number.isNaN(area)) expect(sum).toBeNaN();
        else expect(sum).toBeCloseTo(area, 9);
      }),
    );
  });

  it("keeps the highest score when it leaves out points on straight lines, as scikit-learn does", () => {
    const fields = { scores: tensor([4, 3, 2, 1]), labels: tensor([1, 1, 1, 0]) };
    expect(numbers(rocCurve({ dropIntermediate: true }).update(fields).compute()).thresholds).toEqual([
      Number.POSITIVE_INFINITY,
      4,
      2,
      1,
    ]);
  });

  it("puts the curves of classes end to end and names the class of each point", () => {
    const fields = {
      scores: tensor([
        [0.9, 0.1],
        [0.2, 0.8],
      ]),
      labels: tensor([0, 1]),
    };
    expect(numbers(rocCurve().update(fields).compute())).toEqual({
      falsePositiveRate: [0, 0, 1, 0, 0, 1],
      truePositiveRate: [0, 1, 1, 0, 1, 1],
      thresholds: [Number.POSITIVE_INFINITY, 0.9, 0.2, Number.POSITIVE_INFINITY, 0.8, 0.1],
      classes: [0, 0, 0, 1, 1, 1],
    });
  });
});

describe("precisionRecallCurve", () => {
  it("ends at precision 1 and recall 0, and has recall 1 throughout without positives", () => {
    const fields = { scores: tensor([1, 2]), labels: tensor([0, 0]) };
    expect(numbers(precisionRecallCurve().update(fields).compute())).toEqual({
      precision: [0, 0, 1],
      recall: [1, 1, 0],
      thresholds: [1, 2],
    });
  });

  it("leaves out points whose recall both neighbors have", () => {
    const fields = { scores: tensor([6, 5, 4, 3, 2, 1]), labels: tensor([1, 0, 0, 0, 1, 0]) };
    const found = numbers(precisionRecallCurve({ dropIntermediate: true }).update(fields).compute());
    expect(found).toEqual({
      precision: [2 / 6, 2 / 5, 1 / 4, 1, 1],
      recall: [1, 1, 0.5, 0.5, 0],
      thresholds: [1, 2, 3, 6],
    });
  });

  it("names the class of thresholds apart, of which each curve has one fewer", () => {
    const fields = {
      scores: tensor([
        [0.9, 0.1],
        [0.2, 0.8],
      ]),
      labels: tensor([0, 1]),
    };
    const { classes, thresholdClasses } = numbers(precisionRecallCurve().update(fields).compute());
    expect([classes, thresholdClasses]).toEqual([
      [0, 0, 0, 1, 1, 1],
      [0, 0, 1, 1],
    ]);
  });
});
