import { describe, expect, it } from "vitest";
import { at, expectClose, refuses } from "./element.test-helper.js";
import { negativeBinomialNll } from "./negative-binomial-nll.js";
import { poissonNll } from "./poisson-nll.js";

const loss = (dispersion: number, predictions: number, targets: number) =>
  at(negativeBinomialNll({ dispersion }), { predictions, targets });

describe("negativeBinomialNll", () => {
  // mpmath, 50 digits: dispersion, mean, count. The logarithms of Γ in the last rows are beyond 1e7.
  it.each([
    [1.5, 2, 3, 2.167034815137441],
    [2, 0.5, 0, 0.44628710262841953],
    [0.01, 100, 1, 4.697374584658189],
    [4, 3, 2.5, 1.6868788144276874],
    [0.001, 1e-6, 5, 43.05888546557261],
    [1e10, 5.5, 7, 2.0919247156339376],
    [20, 1.1e6, 1e6, 13.328779399028788],
    [1e9, 1000100, 1e6, 7.83218831737377],
  ])("with dispersion %d, mean %d and count %d is %d", (dispersion, mean, count, truth) => {
    expectClose(loss(dispersion, mean, count).loss, truth, 10);
  });

  it("is geometric by default", () => {
    const { loss: found } = at(negativeBinomialNll(), { predictions: 3, targets: 2 });
    expectClose(found, -Math.log(0.25 * 0.75 ** 2));
  });

  it("gives probabilities that sum to 1", () => {
    let mass = 0;
    for (let count = 0; count < 400; count++) mass += Math.exp(-loss(1.7, 6, count).loss);
    expect(mass).toBeCloseTo(1, 13);
  });

  it("approaches Poisson for a large dispersion", () => {
    const log6 = Math.log(6);
    const poisson = at(poissonNll(), { predictions: Math.log(2.5), targets: 3 });
    expectClose(loss(1e17, 2.5, 3).loss, poisson.loss + log6, 20);
    expectClose(loss(1e17, 2.5, 3).slopes.predictions! * 2.5, poisson.slopes.predictions!, 20);
  });

  it("has no gradient where the mean is the count", () => {
    expect(loss(2, 7, 7).slopes.predictions).toBe(0);
  });

  it.each([
    [0, 0, 0, 1],
    [0, 2, Infinity, -Infinity],
    [NaN, 0, NaN, NaN],
    [NaN, 2, NaN, NaN],
  ])("at a mean of %d and a count of %d is %d with the slope %d", (mean, count, value, slope) => {
    expect(loss(2, mean, count)).toMatchObject({ loss: value, slopes: { predictions: slope } });
  });

  it("stays finite for a mean next to 0", () => {
    expectClose(loss(1, 5e-324, 1).loss, -Math.log(5e-324));
  });

  it("refuses counts and means below 0, and dispersions that are not above", () => {
    expect(() => loss(1, 1, -1)).toThrow(expect.objectContaining({ code: "value", field: "targets" }));
    expect(() => loss(1, -1, 1)).toThrow(expect.objectContaining({ code: "value", field: "predictions" }));
    refuses(negativeBinomialNll, "dispersion", [0, -1, Infinity, NaN, "1", null]);
  });
});
