import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { expectedCost } from "./expected-cost.js";
import { generalizedCrossEntropy } from "./generalized-cross-entropy.js";
import { labeled, logitRow, numbers, rowWithTargets, softmaxOf, targeted } from "./rows.test-helper.js";

const costsOf = (classes: number) =>
  Array.from({ length: classes }, (_, y) => Array.from({ length: classes }, (_, k) => (y === k ? 0 : 1 + 2 * y + k)));

describe("expectedCost", () => {
  it("is 1 − p without costs, as generalized cross entropy at q = 1", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const batch = labeled(logits, 1);
        const [mine, other] = [expectedCost(), generalizedCrossEntropy({ q: 1 })].map((o) =>
          o.valueAndGradients(batch),
        );
        expect(mine!.value).toBeCloseTo(other!.value, 13);
        for (const [k, slope] of numbers(mine!.gradients.logits).entries()) {
          expect(slope).toBeCloseTo(Number(other!.gradients.logits.data[k]), 13);
        }
      }),
    );
  });

  it("reads rows as true classes and columns as decisions", () => {
    const costs = [
      [0, 10],
      [1, 0],
    ];
    const [p, q] = softmaxOf([0.5, -1]) as [number, number];
    expect(expectedCost({ costs }).evaluate(labeled([0.5, -1], 0)).value).toBeCloseTo(10 * q, 14);
    expect(expectedCost({ costs }).evaluate(labeled([0.5, -1], 1)).value).toBeCloseTo(p, 14);
  });

  it("is Σ_y q_y Σ_k p_k c_yk for targets", () => {
    fc.assert(
      fc.property(rowWithTargets, ({ logits, targets }) => {
        const [p, costs] = [softmaxOf(logits), costsOf(logits.length)];
        const wanted = targets.reduce(
          (sum, q, y) => sum + q * p.reduce((cost, at, k) => cost + at * costs[y]![k]!, 0),
          0,
        );
        expect(expectedCost({ costs }).evaluate(targeted(logits, targets)).value).toBeCloseTo(wanted, 11);
      }),
    );
  });

  it("does not move when a row of costs is raised by a constant, but for the value", () => {
    fc.assert(
      fc.property(logitRow, (logits) => {
        const costs = costsOf(logits.length);
        const raised = costs.map((row) => row.map((cost) => cost + 5));
        const [low, high] = [costs, raised].map((c) =>
          expectedCost({ costs: c }).valueAndGradients(labeled(logits, 1)),
        );
        expect(high!.value - low!.value).toBeCloseTo(5, 12);
        for (const [k, slope] of numbers(high!.gradients.logits).entries()) {
          expect(slope).toBeCloseTo(Number(low!.gradients.logits.data[k]), 12);
        }
      }),
    );
  });

  it("keeps the digits of a sure answer, right or wrong, and decides no forbidden class", () => {
    const costs = [
      [0, 3],
      [7, 1],
    ];
    const small = Math.exp(-40);
    const right = expectedCost({ costs }).valueAndGradients(labeled([40, 0], 0));
    expect(right.value / (3 * small)).toBeCloseTo(1, 12);
    expect(Number(right.gradients.logits.data[0]) / (-3 * small)).toBeCloseTo(1, 12);
    const wrong = expectedCost({ costs }).valueAndGradients(labeled([40, 0], 1));
    expect(wrong.value).toBeCloseTo(7, 14);
    expect(Number(wrong.gradients.logits.data[0]) / (6 * small)).toBeCloseTo(1, 12);
    const forbidden = expectedCost({ costs }).valueAndGradients(labeled([Number.NEGATIVE_INFINITY, 0], 0));
    expect([forbidden.value, ...numbers(forbidden.gradients.logits)]).toEqual([3, 0, 0]);
    expect(expectedCost({ costs }).evaluate(labeled([NaN, 0], 0)).value).toBeNaN();
  });

  it("takes costs as lists or as a tensor, and writes lists into the contract", () => {
    const costs = [
      [0, 2],
      [1, -0.5],
    ];
    const fromTensor = expectedCost({ costs: tensor(costs) as never });
    expect(fromTensor.contract).toEqual(expectedCost({ costs }).contract);
    expect(fromTensor.contract.options.costs).toEqual(costs);
    expect(expectedCost().contract.options.costs).toBeNull();
    expect(expectedCost().describe()).toContain("each wrong class at a cost of 1");
  });

  it.each([
    [[]],
    [[[0, 1]]],
    [[[0], [1, 2]]],
    [
      [
        [0, NaN],
        [1, 0],
      ],
    ],
    [[0, 1]],
    ["costs"],
    [tensor([[0, 1]])],
  ])("refuses costs that are no square matrix of finite numbers: %j", (costs) => {
    expect(() => expectedCost({ costs } as never)).toThrow(expect.objectContaining({ code: "option", field: "costs" }));
  });

  it("refuses a matrix of another size than the classes", () => {
    expect(() => expectedCost({ costs: costsOf(2) }).evaluate(labeled([0, 1, 2], 0))).toThrow(
      expect.objectContaining({ code: "option", field: "costs" }),
    );
  });
});
