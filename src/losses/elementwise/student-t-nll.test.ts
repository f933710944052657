import { describe, expect, it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { at, expectClose, refuses } from "./element.test-helper.js";
import { gaussianNll } from "./gaussian-nll.js";
import { studentTNll } from "./student-t-nll.js";

const loss = (degreesOfFreedom: number, residual: number, scale = 1) =>
  at(studentTNll({ degreesOfFreedom }), { predictions: 0, targets: residual, scale });

describe("studentTNll", () => {
  // mpmath, 50 digits. At 1e10 the two logarithms of Γ are 1e11 each.
  it.each([
    [1, 2, 2.7541677982835004],
    [3, 0.5, 1.1609742649705825],
    [4, 0, 0.9808292530117262],
    [1e10, 1.5, 2.04393853321561],
    [0.01, 1, 5.333258781178679],
    [30, 1e200, 14224.236287472699],
  ])("with %d degrees of freedom at a residual of %d is %d", (degreesOfFreedom, residual, truth) => {
    expectClose(loss(degreesOfFreedom, residual).loss, truth, 4);
  });

  it("is Cauchy with 1 degree of freedom", () => {
    expectClose(loss(1, 3, 2).loss, Math.log(Math.PI * 2 * (1 + 2.25)));
  });

  it("approaches the Gaussian with many", () => {
    const student = loss(1e15, 3, 2);
    const gaussian = at(gaussianNll({ full: true }), { predictions: 0, targets: 3, variance: 4 });
    expectClose(student.loss, gaussian.loss, 20);
    expectClose(student.slopes.predictions!, gaussian.slopes.predictions!, 20);
    // d/ds = 2s d/dv.
    expectClose(student.slopes.scale!, 4 * gaussian.slopes.variance!, 20);
  });

  it("depends on residual and scale through their quotient, up to the logarithm of the scale", () => {
    expectClose(loss(3, 6, 4).loss, loss(3, 1.5, 1).loss + Math.log(4));
    expectClose(loss(3, 6, 4).slopes.scale!, loss(3, 1.5, 1).slopes.scale! / 4);
  });

  it("has no gradient for a scale that equals the residual, and pulls hardest at √ν scales", () => {
    expect(loss(5, -2, 2).slopes.scale).toBe(0);
    const pull = (r: number) => -loss(9, r).slopes.predictions!;
    expect(pull(3)).toBeGreaterThan(pull(2.99));
    expect(pull(3)).toBeGreaterThan(pull(3.01));
  });

  it("is the same from both sides of one scale, where its forms meet", () => {
    const [inside, outside] = [1, 1 + 2 ** -52].map((r) => loss(3, r));
    expectClose(outside!.slopes.predictions!, inside!.slopes.predictions!, 3);
    expect(outside!.slopes.scale).toBeCloseTo(0, 14);
  });

  it.each([
    [Infinity, 2, Infinity, 0, -1.5],
    [-Infinity, 2, Infinity, 0, -1.5],
    [NaN, 2, NaN, NaN, NaN],
    [1, NaN, NaN, NaN, NaN],
  ])("at a residual of %d with scale %d is %d with the slopes %d and %d", (r, scale, value, slope, spread) => {
    const found = loss(3, r, scale);
    expect(found).toMatchObject({ loss: value, slopes: { predictions: slope, scale: spread } });
    expect(found.notes).toHaveLength(1);
  });

  it("takes one scale a row, and sums its gradient", () => {
    const predictions = tensor(new Float64Array(4), [2, 2]);
    const targets = tensor(Float64Array.of(2, -2, 1, 1), [2, 2]);
    const scale = tensor(Float64Array.of(2, 1), [2, 1]);
    const { gradients } = studentTNll().valueAndGradients({ predictions, targets, scale });
    expect([gradients.scale.shape, [...gradients.scale.data]]).toEqual([
      [2, 1],
      [0, 0],
    ]);
  });

  it("refuses a scale or degrees of freedom that are not above 0", () => {
    for (const scale of [0, -1, Infinity]) {
      expect(() => loss(3, 1, scale)).toThrow(expect.objectContaining({ code: "value", field: "scale" }));
    }
    refuses(studentTNll, "degreesOfFreedom", [0, -1, Infinity, NaN, "3", null]);
  });
});
