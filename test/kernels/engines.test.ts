/**
 * Every kernel against the reference, which is the oracle: on batches drawn from the definitions, on the golden files in
 * float32, and on class counts, chunks and values where kernels change their path.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  type AnyBatch,
  type EvaluationWithGradients,
  LosswrightError,
  type Objective,
  objectiveFrom,
  objectiveNames,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { definitionOf } from "../../src/losses/index.js";
import { drawn } from "../instruments/batches.js";
import { tensorBits } from "../instruments/bits.js";
import { objectiveCases } from "../instruments/golden.js";
import { Random } from "../instruments/random.js";

const names = objectiveNames().filter((name) => definitionOf(name).kernel);

/** The result of an engine, or the code and field of what it throws; undefined where no kernel computes the batch. */
function outcome(objective: Objective, engine: "reference" | "wasm", batch: AnyBatch) {
  try {
    const one = objective.withEngine(engine);
    return { ...one.valueAndGradients(batch), perUnit: one.perUnit(batch) };
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
    if (error.code === "unsupported" && error.field === "engine") return undefined;
    return { thrown: error.message };
  }
}

type Outcome = EvaluationWithGradients & { readonly perUnit: Tensor };

/**
 * Entries agree to `tolerance` of themselves, or to a few units in the last place of float32 of the numbers they are a
 * difference of: the largest entry, or `scale`; what is not finite is equal.
 */
function expectClose(got: Tensor, want: Tensor, tolerance: number, what: string, scale = 0): void {
  expect(got.shape, what).toEqual(want.shape);
  expect(got.dtype, what).toBe(want.dtype);
  const [a, b] = [got.data, want.data].map((data) => Array.from(data as Float64Array, Number)) as [number[], number[]];
  const largest = Math.max(scale, ...b.map(Math.abs).filter(Number.isFinite));
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (!Number.isFinite(y)) {
      expect(x, `${what}[${i}]`).toBe(y);
      continue;
    }
    const bound = tolerance * Math.abs(y) + 4e-7 * largest + 1e-30;
    if (!(Math.abs(x - y) <= bound))
      expect.fail(`${what}[${i}] is ${x} for ${y}, off by ${Math.abs(x - y)} > ${bound}`);
  }
}

/** What p − q is a difference of: probabilities times the factor of a unit of weight 1. */
function scaleOf({ denominator }: EvaluationWithGradients): number {
  return denominator > 0 ? 1 / denominator : 0;
}

function expectAgreement(objective: Objective, batch: AnyBatch, tolerance: number): boolean {
  const reference = outcome(objective, "reference", batch);
  const kernel = outcome(objective, "wasm", batch);
  if (kernel === undefined) return false;
  if (!reference || "thrown" in reference || "thrown" in kernel) {
    expect(kernel).toEqual(reference);
    return true;
  }
  const [got, want] = [kernel as Outcome, reference as Outcome];
  expect(got.ranBy).toBe("wasm");
  expect(got.denominator).toBe(want.denominator);
  const scalar = (value: number) => tensor(Float64Array.of(value));
  // A numerator of small terms is as exact as its terms: the largest of them is the measure.
  const scale = Math.max(
    1e-3 * Math.max(0, ...Array.from(want.perUnit.data as Float64Array, (x) => (Number.isFinite(x) ? Math.abs(x) : 0))),
    0,
  );
  for (const key of ["value", "numerator"] as const) {
    const [x, y] = [got[key], want[key]];
    if (!Number.isFinite(y)) expect(x, key).toBe(y);
    else if (!(Math.abs(x - y) <= tolerance * Math.max(Math.abs(y), scale)))
      expectClose(scalar(x), scalar(y), tolerance, key);
  }
  expectClose(got.perUnit, want.perUnit, tolerance, "perUnit");
  for (const [field, gradient] of Object.entries(want.gradients)) {
    expectClose(got.gradients[field]!, gradient, tolerance, `d/d${field}`, scaleOf(want));
  }
  expect(got.notes).toEqual(want.notes);
  return true;
}

describe.each(names)("%s on kernels", (name) => {
  const seen = { compared: 0, left: 0 };
  afterAll(() => console.log(`${name}: ${seen.compared} batches compared, ${seen.left} without a kernel`));

  it("agrees with the reference on batches drawn from its definition, notes and errors too", () => {
    fc.assert(
      fc.property(drawn(name, { dtype: "float32" }), ({ objective, batch }) => {
        if (expectAgreement(objective, batch, 1e-5)) seen.compared++;
        else seen.left++;
      }),
      { numRuns: 150 },
    );
    expect(seen.compared).toBeGreaterThan(0);
  });
});

/** Float64 fields of a golden batch as float32. */
function inFloat32(batch: AnyBatch): AnyBatch {
  return Object.fromEntries(
    Object.entries(batch).map(([name, field]) => {
      if (typeof field !== "object" || field.dtype !== "float64") return [name, field];
      return [name, tensor(Float32Array.from(field.data as Float64Array), field.shape)];
    }),
  );
}

describe("golden cases in float32", () => {
  const cases = objectiveCases().filter(({ objective }) => names.includes(objective));
  const seen = { compared: 0, left: 0 };
  afterAll(() => console.log(`golden: ${seen.compared} cases compared, ${seen.left} without a kernel`));

  it.each(cases.map((each) => [each.id, each] as const))("%s: kernels agree with the reference to 1e-5", (_, each) => {
    const objective = objectiveFrom(each.contract);
    if (expectAgreement(objective, inFloat32(each.batch), 1e-5)) seen.compared++;
    else seen.left++;
  });
});

/** Reproducible float32 numbers, normal with a deviation of `scale`. */
function reals(seed: number, count: number, scale = 3): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.real(scale));
}

function labels(seed: number, count: number, classes: number): Tensor {
  const random = new Random(seed);
  return tensor(Int32Array.from({ length: count }, () => random.integer(0, classes - 1)));
}

const counts = [...Array.from({ length: 70 }, (_, i) => i + 1), 127, 128, 129, 130, 2047, 2048, 2049, 4099];

describe("class counts", () => {
  it.each(counts)("%i: cross entropy and its like agree with the reference", (classes) => {
    const rows = 7;
    const logits = tensor(reals(classes, rows * classes), [rows, classes]);
    const label = labels(classes, rows, classes);
    const hard: AnyBatch = { logits, labels: label };
    const other = tensor(reals(classes + 1, rows * classes), [rows, classes]);
    for (const options of [
      {},
      { labelSmoothing: 0.1 },
      { temperature: 0.7, zLoss: 1e-3 },
      { logitSoftCap: 5 },
      { classWeights: Array.from({ length: classes }, (_, k) => 0.5 + (k % 3)), labelSmoothing: 0.2 },
      { priors: Array.from({ length: classes }, (_, k) => 1 + (k % 5)) },
    ]) {
      expectAgreement(objectiveFrom({ objective: "crossEntropy", options }), hard, 1e-5);
    }
    expectAgreement(objectiveFrom({ objective: "focal" }), hard, 1e-5);
    expectAgreement(objectiveFrom({ objective: "klDivergence" }), { logits, targetLogits: other }, 1e-5);
    const reverse = objectiveFrom({ objective: "klDivergence", options: { direction: "reverse" } });
    expectAgreement(reverse, { logits, targetLogits: other }, 1e-5);
    const distillation = objectiveFrom({ objective: "distillation", options: { temperature: 2 } });
    expectAgreement(distillation, { ...hard, teacherLogits: other }, 1e-5);
  });
});

describe("chunks", () => {
  const objectives = ["huber", "squaredError", "binaryCrossEntropy", "crossEntropy"] as const;

  it.each(objectives)("of %s: at every size from 1 to 300 each unit has the bits that it has alone", (name) => {
    const width = name === "crossEntropy" ? 10 : 1;
    const all = reals(5, 300 * width);
    const targets = Float32Array.from(reals(6, 300, 1), (x) => Math.abs(x) % 1);
    const classes = labels(7, 300, 10).data as Int32Array;
    const batchOf = (from: number, to: number): AnyBatch => {
      if (name === "crossEntropy") {
        return {
          logits: tensor(all.slice(from * width, to * width), [to - from, width]),
          labels: tensor(classes.slice(from, to)),
        };
      }
      const field = name === "binaryCrossEntropy" ? "logits" : "predictions";
      return { [field]: tensor(all.slice(from, to)), targets: tensor(targets.slice(from, to)) };
    };
    const objective = objectiveFrom({ objective: name, reduction: { divideBy: { constant: 1 } } }).withEngine("wasm");
    const alone = Array.from({ length: 300 }, (_, unit) => {
      const { value, gradients } = objective.valueAndGradients(batchOf(unit, unit + 1));
      return { value, gradient: [...(Object.values(gradients)[0]!.data as Float32Array)] };
    });
    for (let size = 1; size <= 300; size++) {
      const { gradients } = objective.valueAndGradients(batchOf(0, size));
      const losses = [...(objective.perUnit(batchOf(0, size)).data as Float64Array)];
      expect(losses, `${size} units`).toEqual(alone.slice(0, size).map(({ value }) => value));
      const together = [...(Object.values(gradients)[0]!.data as Float32Array)];
      expect(together, `${size} units`).toEqual(alone.slice(0, size).flatMap(({ gradient }) => gradient));
    }
  });
});

describe("values at the edges", () => {
  const odd = [
    0,
    -0,
    1e4,
    -1e4,
    1e-40,
    -1e-40,
    3.4e38,
    -3.4e38,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];

  it.each([
    "huber",
    "squaredError",
    "absoluteError",
    "smoothL1",
    "logCosh",
    "tukey",
    "cauchy",
    "pseudoHuber",
    "barron",
    "expectile",
    "quantile",
  ])("of %s: denormals, 1e4, the largest, NaN and infinities end as in the reference", (name) => {
    const [predictions, targets]: number[][] = [[], []];
    for (const x of odd) for (const y of odd) [predictions!.push(x), targets!.push(y)];
    const objective = objectiveFrom({ objective: name });
    for (let i = 0; i < predictions!.length; i++) {
      const one = (value: number) => tensor(Float32Array.of(value));
      const [p, t] = [predictions![i]!, targets![i]!];
      // What overflows float32 on the way is left to the reference; what underflows it is 0.
      expectAgreement(objective, { predictions: one(p), targets: one(t) }, 1e-5);
    }
    const whole = {
      predictions: tensor(Float32Array.from(predictions!)),
      targets: tensor(Float32Array.from(targets!)),
    };
    expectAgreement(objective, whole, 1e-5);
  });

  it.each(["binaryCrossEntropy", "binaryFocal"])("of %s: the same of logits against 0, 1/3 and 1", (name) => {
    const pairs = odd.flatMap((z) => [0, 1 / 3, 1].map((y) => [z, y] as const));
    const batch = {
      logits: tensor(Float32Array.from(pairs, ([z]) => z)),
      targets: tensor(Float32Array.from(pairs, ([, y]) => y)),
    };
    expectAgreement(objectiveFrom({ objective: name }), batch, 1e-5);
  });

  it.each([3, 10, 40, 3000])("of a softmax over %i classes: forbidden classes, broken rows, far logits", (classes) => {
    const rows = 12;
    const data = reals(11, rows * classes);
    const at = (row: number, k: number) => row * classes + k;
    data[at(0, 1)] = Number.NEGATIVE_INFINITY;
    data[at(1, 0)] = Number.NaN;
    data[at(2, 2)] = Number.POSITIVE_INFINITY;
    data.fill(Number.NEGATIVE_INFINITY, at(3, 0), at(4, 0));
    data[at(4, 0)] = Number.NEGATIVE_INFINITY; // its label
    data[at(5, 1)] = 1e4;
    data.fill(-1e4, at(6, 0), at(7, 0));
    data.fill(1e-40, at(7, 0), at(8, 0));
    for (let k = 1; k < classes; k++) data[at(8, k)] = Number.NEGATIVE_INFINITY; // one class alone
    data[at(9, 0)] = 40;
    const label = tensor(
      Int32Array.from({ length: rows }, (_, row) => (row === 9 ? 0 : row % 2 === 0 && row !== 4 ? 1 : 0)),
    );
    const logits = tensor(data, [rows, classes]);
    for (const objective of ["crossEntropy", "focal"]) {
      expectAgreement(objectiveFrom({ objective }), { logits, labels: label }, 1e-5);
    }
    expectAgreement(
      objectiveFrom({ objective: "crossEntropy", options: { labelSmoothing: 0.1 } }),
      { logits, labels: label },
      1e-5,
    );
    const teacherLogits = tensor(reals(12, rows * classes), [rows, classes]);
    expectAgreement(objectiveFrom({ objective: "klDivergence" }), { logits, targetLogits: teacherLogits }, 1e-5);
    expectAgreement(objectiveFrom({ objective: "distillation" }), { logits, teacherLogits, labels: label }, 1e-5);
  });

  it("keep the digits of a sure answer: a loss of 4e-18 is not 0", () => {
    const logits = tensor(Float32Array.of(40, 0, -3), [1, 3]);
    const { value, gradients } = objectiveFrom({ objective: "crossEntropy" })
      .withEngine("wasm")
      .valueAndGradients({ logits, labels: tensor(Int32Array.of(0)) });
    expect(value / 4.459872e-18).toBeCloseTo(1, 5);
    expect(gradients.logits!.data[0]! / -4.459872e-18).toBeCloseTo(1, 5);
  });
});

describe("what kernels leave to the reference", () => {
  const row = (...numbers: number[]) => tensor(Float32Array.from(numbers), [1, numbers.length]);
  const list = (...numbers: number[]) => tensor(Float32Array.from(numbers));

  it.each<[string, string, Record<string, unknown>, AnyBatch]>([
    [
      "a list of another length than the axis",
      "binaryCrossEntropy",
      { posWeight: [1, 2] },
      { logits: row(1, 1, 1), targets: row(1, 1, 1) },
    ],
    [
      "a class that the target forbids, far below",
      "klDivergence",
      { direction: "reverse" },
      { logits: row(-90, 0), targets: row(0, 1) },
    ],
    [
      "an infinite logit behind a weight of 0",
      "binaryFocal",
      { gamma: 5, alpha: 1 },
      { logits: list(Number.POSITIVE_INFINITY, 1), targets: list(1, 1) },
    ],
    [
      "logits whose differences no sum of them keeps",
      "klDivergence",
      {},
      { logits: row(0, 1, 2), targetLogits: row(1e20, 0, 0) },
    ],
    [
      "a z-loss beyond float32",
      "crossEntropy",
      { zLoss: 0.01 },
      { logits: row(1, -3.4e38, 3.4e38, 0), labels: tensor(Int32Array.of(3)) },
    ],
  ])("is %s", (_, objective, options, batch) => {
    expect(expectAgreement(objectiveFrom({ objective, options }), batch, 1e-5)).toBe(true);
  });

  it("keeps the digits of a reverse divergence where the model is sure", () => {
    for (const sure of [5, 15, 30, 60]) {
      const batch = { logits: row(0, sure), targetLogits: row(0.3, -0.2) };
      const objective = objectiveFrom({ objective: "klDivergence", options: { direction: "reverse" } });
      const [got, want] = (["wasm", "reference"] as const).map(
        (engine) => objective.valueAndGradients(batch, { engine }).gradients.logits!.data[0]! as number,
      );
      expect(Math.abs(got! / want! - 1), `${sure}`).toBeLessThan(1e-4);
    }
  });

  it("is nothing where no unit counts: gradients are 0, whatever the embeddings hold", () => {
    const images = tensor(Float32Array.of(1, 0, 3.4e38, 0), [2, 2]);
    const texts = tensor(Float32Array.of(1, 0, 3, 0), [2, 2]);
    const mask = tensor(Uint8Array.of(0, 0));
    const { gradients } = objectiveFrom({ objective: "clip" })
      .withEngine("wasm")
      .valueAndGradients({ images, texts, logScale: 0, mask }, { denominator: 3 });
    for (const { data } of Object.values(gradients)) expect([...data].every((entry) => entry === 0)).toBe(true);
  });
});

describe("the engine of a call", () => {
  const batch = () => ({ predictions: tensor(reals(1, 10)), targets: tensor(reals(2, 10)) });

  it("is named in the result, and forced by an option or for good", () => {
    const objective = objectiveFrom({ objective: "huber" });
    expect(objective.evaluate(batch()).ranBy).toBe("wasm");
    expect(objective.valueAndGradients(batch(), { engine: "reference" }).ranBy).toBe("reference");
    const reference = objective.withEngine("reference");
    expect(reference.evaluate(batch()).ranBy).toBe("reference");
    expect(reference.valueAndGradients(batch(), { engine: "wasm" }).ranBy).toBe("wasm");
    expect(reference.contract).toEqual(objective.contract);
    expect(reference.tally(batch()).engines).toEqual(["reference"]);
    expect(objective.tally(batch()).engines).toEqual(["wasm"]);
  });

  it("is the reference for float64, and says why kernels cannot be forced", () => {
    const wide = { predictions: tensor([1, 2.5]), targets: tensor([0, 1]) };
    const objective = objectiveFrom({ objective: "huber" });
    expect(objective.evaluate(wide).ranBy).toBe("reference");
    expect(() => objective.withEngine("wasm").evaluate(wide)).toThrow(/engine.*predictions is float64/s);
    const dice = objectiveFrom({ objective: "dice" }).withEngine("wasm");
    const masks = { logits: tensor(reals(1, 4), [2, 2]), targets: tensor(Float32Array.of(0, 1, 1, 0), [2, 2]) };
    expect(() => dice.evaluate(masks)).toThrow(/no kernel computes dice/);
  });

  it("is refused where there is none of that name", () => {
    const objective = objectiveFrom({ objective: "huber" });
    expect(() => objective.valueAndGradients(batch(), { engine: "gpu" as never })).toThrow(/"reference" or "wasm"/);
    expect(() => objective.withEngine("gpu" as never)).toThrow(/"reference" or "wasm"/);
  });

  it("may differ between tallies that merge, which then says so", () => {
    const objective = objectiveFrom({ objective: "huber" });
    const merged = objective.tally(batch()).merge(objective.withEngine("reference").tally(batch()));
    expect(merged.notes.map(({ code }) => code)).toEqual(["mixed-engines"]);
  });

  it("bits of a sum are those of its terms: value and per-unit losses are one thing", () => {
    for (const name of ["huber", "binaryCrossEntropy"]) {
      const field = name === "huber" ? "predictions" : "logits";
      const weights = tensor(Float64Array.from(reals(9, 1000, 1), Math.abs));
      const targets = tensor(Float32Array.from(reals(8, 1000, 1), (x) => Math.abs(x) % 1));
      const given = { [field]: tensor(reals(7, 1000, 20)), targets };
      const objective = objectiveFrom({ objective: name }).withEngine("wasm");
      const losses = objective.perUnit(given).data as Float64Array;
      const exact = objective.tally(given).toJSON().numerator;
      const { ExactSum } = exactSums;
      const sum = new ExactSum();
      for (const loss of losses) sum.add(loss);
      expect(exact).toEqual(sum.toJSON());
      const weighted = new ExactSum();
      losses.forEach((loss, i) => {
        weighted.add((weights.data[i] as number) * loss);
      });
      expect(objective.tally({ ...given, weights }).toJSON().numerator).toEqual(weighted.toJSON());
    }
  });

  it("does not change how a gradient of the same bits comes about", () => {
    const objective = objectiveFrom({ objective: "crossEntropy" }).withEngine("wasm");
    const logits = tensor(reals(3, 200), [10, 20]);
    const given = { logits, labels: labels(4, 10, 20) };
    const whole = objective.valueAndGradients(given);
    const ones = objective.valueAndGradients({ ...given, weights: tensor(new Float64Array(10).fill(1)) });
    expect(tensorBits(ones.gradients.logits!)).toBe(tensorBits(whole.gradients.logits!));
    const masked = objective.valueAndGradients(
      { ...given, mask: tensor(Uint8Array.from({ length: 10 }, (_, i) => (i === 3 ? 0 : 1))) },
      { denominator: 10 },
    );
    const rows = (gradient: Tensor) =>
      Array.from({ length: 10 }, (_, row) => [...gradient.data.slice(row * 20, row * 20 + 20)]);
    rows(masked.gradients.logits!).forEach((row, i) => {
      expect(row).toEqual(i === 3 ? new Array(20).fill(0) : rows(whole.gradients.logits!)[i]);
    });
  });
});

const exactSums = await import("../../src/tally/index.js");
