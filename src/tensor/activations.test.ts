import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logSoftmax, sigmoid, softmax, tensor } from "./index.js";

const row = fc.array(fc.double({ min: -700, max: 700, noNaN: true }), { minLength: 1, maxLength: 8 });
const of = (logits: number[]) => tensor(Float64Array.from(logits), [logits.length]);
const list = (given: { data: unknown }) => Array.from(given.data as Float64Array);

describe("softmax", () => {
  it("sums to 1, keeps the order of its logits, and is labeled as probabilities", () => {
    fc.assert(
      fc.property(row, (logits) => {
        const probabilities = softmax(of(logits));
        expect(probabilities).toMatchObject({ role: "probabilities", dtype: "float64", shape: [logits.length] });
        expect(list(probabilities).reduce((sum, p) => sum + p)).toBeCloseTo(1, 13);
        const largest = logits.indexOf(Math.max(...logits));
        expect(Math.max(...list(probabilities))).toBe(list(probabilities)[largest]);
      }),
    );
  });

  it("does not overflow, and a logit of −∞ has probability 0", () => {
    expect(list(softmax(of([1e4, 1e4, -1e4])))).toEqual([0.5, 0.5, 0]);
    expect(list(softmax(of([3, -Infinity])))).toEqual([1, 0]);
  });

  it.each([[[NaN, 1]], [[1, NaN]], [[Infinity, 1]], [[-Infinity, -Infinity]], [[NaN]], [[Infinity]], [[-Infinity]]])(
    "is NaN where %j cannot be normalized",
    (logits) => {
      expect(list(softmax(of(logits)))).toEqual(logits.map(() => NaN));
      expect(list(logSoftmax(of(logits)))).toEqual(logits.map(() => NaN));
    },
  );

  it("runs along any axis", () => {
    const logits = tensor(
      Float64Array.from({ length: 24 }, (_, i) => Math.sin(i)),
      [2, 3, 4],
    );
    const [middle, negative] = [softmax(logits, 1), softmax(logits, -2)];
    expect(list(middle)).toEqual(list(negative));
    for (const start of [0, 3, 12, 15]) {
      const column = [0, 4, 8].map((step) => list(logits)[start + step]!);
      expect([0, 4, 8].map((step) => list(middle)[start + step])).toEqual(list(softmax(of(column))));
    }
  });

  it("keeps float32, computed in float64 and rounded once", () => {
    const narrow = tensor(Float32Array.of(0.1, 0.2, 0.3));
    const wide = tensor(Float64Array.from(narrow.data as Float32Array));
    expect(softmax(narrow).dtype).toBe("float32");
    expect(list(softmax(narrow))).toEqual(list(softmax(wide)).map(Math.fround));
  });

  it("of nothing is nothing", () => {
    expect(softmax(tensor(new Float64Array(0), [0, 3])).shape).toEqual([0, 3]);
  });
});

describe("logSoftmax", () => {
  it("is the logarithm of softmax where that does not underflow, and goes on where it does", () => {
    fc.assert(
      fc.property(row, (logits) => {
        const logs = list(logSoftmax(of(logits)));
        for (const [k, p] of list(softmax(of(logits))).entries()) {
          if (p > 1e-300) expect(logs[k]).toBeCloseTo(Math.log(p), 9);
          else expect(logs[k]).toBeLessThan(-600);
        }
      }),
    );
    expect(list(logSoftmax(of([0, -2000])))).toEqual([0, -2000]);
    expect(logSoftmax(of([1])).role).toBe("logProbabilities");
  });

  it("keeps the loss of a class that is nearly certain", () => {
    expect(list(logSoftmax(of([40, 0])))[0]! / -Math.exp(-40)).toBeCloseTo(1, 14);
  });
});

describe("sigmoid", () => {
  it("is 1/(1 + e^−z), element by element, labeled as probabilities", () => {
    fc.assert(
      fc.property(row, (logits) => {
        const probabilities = sigmoid(of(logits));
        expect(probabilities.role).toBe("probabilities");
        for (const [i, p] of list(probabilities).entries()) expect(p).toBeCloseTo(1 / (1 + Math.exp(-logits[i]!)), 14);
      }),
    );
  });

  it("ends at 0, 1 and NaN", () => {
    expect(list(sigmoid(of([-Infinity, Infinity, NaN, 0])))).toEqual([0, 1, NaN, 0.5]);
    expect(list(sigmoid(of([-700])))[0]).toBeGreaterThan(0);
  });
});

describe("activations", () => {
  it.each([softmax, logSoftmax, sigmoid])("refuse what is no logits: $name", (activation) => {
    for (const role of ["probabilities", "logProbabilities", "classIndices", "targets"] as const) {
      const labeled = tensor(new Float64Array(2), [2], role);
      expect(() => activation(labeled as never)).toThrow(expect.objectContaining({ code: "role", field: "logits" }));
    }
    expect(() => activation(tensor(new Int32Array(2)))).toThrow(expect.objectContaining({ code: "dtype" }));
    expect(() => activation([1, 2] as never)).toThrow(expect.objectContaining({ code: "dtype" }));
    expect(activation(tensor(new Float64Array(2), [2], "logits")).shape).toEqual([2]);
  });
});
