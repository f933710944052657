import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tensor, tensor } from "../../tensor/index.js";
import { type CrossEntropyOptions, crossEntropy } from "./cross-entropy.js";
import { linearCrossEntropy } from "./linear-cross-entropy.js";
import { numbers } from "./rows.test-helper.js";

const [B, T, D, K] = [2, 3, 4, 5];
const wave = (length: number, step: number) => Float64Array.from({ length }, (_, i) => 2 * Math.sin(step * (i + 1)));
const hidden = tensor(wave(B * T * D, 1.3), [B, T, D]);
const weight = tensor(wave(K * D, 0.7), [K, D]);
const bias = tensor(wave(K, 2.1), [K]);
const labels = tensor([
  [0, 4, -100],
  [2, 2, 1],
]);
const targets = tensor(
  wave(B * T * K, 0.9).map((entry) => Math.abs(entry) / 6),
  [B, T, K],
);

/** The logits in full, in the order of summation that the loss has. */
function logitsOf(withBias: boolean, h: Tensor = hidden): Tensor<"unlabeled"> {
  const rows = h.data.length / D;
  const data = new Float64Array(rows * K);
  for (let u = 0; u < rows; u++) {
    for (let k = 0; k < K; k++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += Number(weight.data[k * D + d]) * Number(h.data[u * D + d]);
      data[u * K + k] = withBias ? dot + Number(bias.data[k]) : dot;
    }
  }
  return tensor(data, [...h.shape.slice(0, -1), K]);
}

const cases: [string, Partial<CrossEntropyOptions>][] = [
  ["nothing", {}],
  ["smoothing and class weights", { labelSmoothing: 0.1, classWeights: [1, 2, 0.5, 0, 3] }],
  ["soft cap, temperature, z-loss", { logitSoftCap: 3, temperature: 1.5, zLoss: 0.01 }],
  ["priors", { priors: [0.1, 0.2, 0.3, 0.2, 0.2], logitAdjustment: 0.5 }],
  ["a shift", { labelShift: 1 }],
];

describe.each(cases)("linearCrossEntropy with %s", (_, options) => {
  it.each([
    ["labels", true],
    ["labels", false],
    ["targets", true],
  ] as const)("is crossEntropy of its logits against %s, to the bit (bias: %s)", (against, withBias) => {
    const target = against === "labels" ? { labels } : { targets };
    const batch = { hidden, weight, ...(withBias && { bias }), ...target };
    const mine = linearCrossEntropy(options).valueAndGradients(batch as never);
    const whole = crossEntropy(options).valueAndGradients({ logits: logitsOf(withBias), ...target } as never);
    expect([mine.value, mine.numerator, mine.denominator]).toEqual([whole.value, whole.numerator, whole.denominator]);
    expect(Object.keys(mine.gradients).sort()).toEqual(withBias ? ["bias", "hidden", "weight"] : ["hidden", "weight"]);
    const slopes = numbers(whole.gradients.logits);
    const sumOf = (length: number, term: (n: number) => number) =>
      Array.from({ length }, (_, n) => term(n)).reduce((sum, each) => sum + each, 0);
    for (let u = 0; u < B * T; u++) {
      for (let d = 0; d < D; d++) {
        const wanted = sumOf(K, (k) => slopes[u * K + k]! * Number(weight.data[k * D + d]));
        expect(mine.gradients.hidden.data[u * D + d]).toBeCloseTo(wanted, 13);
      }
    }
    for (let k = 0; k < K; k++) {
      for (let d = 0; d < D; d++) {
        const wanted = sumOf(B * T, (u) => slopes[u * K + k]! * Number(hidden.data[u * D + d]));
        expect(mine.gradients.weight.data[k * D + d]).toBeCloseTo(wanted, 13);
      }
      if (withBias) {
        expect(mine.gradients.bias.data[k]).toBeCloseTo(
          sumOf(B * T, (u) => slopes[u * K + k]!),
          13,
        );
      }
    }
  });
});

describe("linearCrossEntropy", () => {
  it("adds up over a split of the step under its denominator", () => {
    const whole = linearCrossEntropy().valueAndGradients({ hidden, weight, bias, labels });
    const { denominator } = whole;
    const parts = [0, 1].map((row) => {
      const rowOf = ({ data, shape }: Tensor) => {
        const size = data.length / B;
        return tensor(Float64Array.from(data as Float64Array).slice(row * size, (row + 1) * size), [
          1,
          ...shape.slice(1),
        ]);
      };
      const part = { hidden: rowOf(hidden), weight, bias, labels: tensor([...rowOf(labels).data].map(Number), [1, T]) };
      return linearCrossEntropy().valueAndGradients(part, { denominator });
    });
    for (const field of ["weight", "bias"] as const) {
      for (const [i, entry] of numbers(whole.gradients[field]).entries()) {
        const sum = parts.reduce((total, { gradients }) => total + Number(gradients[field].data[i]), 0);
        expect(sum).toBeCloseTo(entry, 14);
      }
    }
  });

  it("reads features from another axis", () => {
    const flat = tensor(Float64Array.from(hidden.data as Float64Array).slice(0, T * D), [1, T, D]);
    const turned = tensor(
      Float64Array.from({ length: T * D }, (_, i) => Number(flat.data[(i % T) * D + Math.floor(i / T)])),
      [1, D, T],
    );
    const row = tensor([[0, 4, 1]]);
    const plain = linearCrossEntropy().valueAndGradients({ hidden: flat, weight, labels: row });
    const moved = linearCrossEntropy({ classAxis: 1 }).valueAndGradients({ hidden: turned, weight, labels: row });
    expect(moved.value).toBe(plain.value);
    expect(moved.gradients.hidden.shape).toEqual([1, D, T]);
    expect(moved.gradients.hidden.data[1]).toBe(plain.gradients.hidden.data[D]);
  });

  it("forbids a class whose bias is −∞, whatever stands in its row", () => {
    const forbidding = tensor(Float64Array.from(bias.data as Float64Array, (b, k) => (k === 3 ? -Infinity : b)));
    const { value, gradients } = linearCrossEntropy().valueAndGradients({ hidden, weight, bias: forbidding, labels });
    expect(value).toBeGreaterThan(0);
    expect(numbers(gradients.weight).slice(3 * D, 4 * D)).toEqual([0, 0, 0, 0]);
    expect(gradients.bias.data[3]).toBe(0);
    const spoilt = tensor(
      Float64Array.from(weight.data as Float64Array, (w, i) => (i === 0 ? NaN : w)),
      [K, D],
    );
    expect(linearCrossEntropy().evaluate({ hidden, weight: spoilt, labels }).value).toBeNaN();
  });

  it("does not read the features of units that do not count", () => {
    fc.assert(
      fc.property(fc.constantFrom(NaN, Infinity, 1e300), (bad) => {
        const spoilt = tensor(
          Float64Array.from(hidden.data as Float64Array, (h, i) => (Math.floor(i / D) === 2 ? bad : h)),
          [B, T, D],
        );
        const [clean, other] = [hidden, spoilt].map((h) =>
          linearCrossEntropy().valueAndGradients({ hidden: h, weight, labels }),
        );
        expect(other!.value).toBe(clean!.value);
        expect(numbers(other!.gradients.weight)).toEqual(numbers(clean!.gradients.weight));
      }),
    );
  });

  it.each([
    ["weight", { weight: tensor(new Float64Array(D * K), [D, K]) }, "shape"],
    ["bias", { bias: tensor(new Float64Array(D)) }, "shape"],
    [
      "labels",
      {
        labels: tensor([
          [0, 5, 1],
          [0, 1, 2],
        ]),
      },
      "value",
    ],
  ])("refuses a %s that does not fit", (field, wrong, code) => {
    expect(() => linearCrossEntropy().evaluate({ hidden, weight, bias, labels, ...wrong } as never)).toThrow(
      expect.objectContaining({ code, field }),
    );
  });

  it("names itself where an option is refused", () => {
    expect(() => linearCrossEntropy({ logitAdjustment: 1 })).toThrow(
      expect.objectContaining({ code: "option", where: "linearCrossEntropy", field: "logitAdjustment" }),
    );
  });
});
