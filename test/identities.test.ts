import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as lib from "../src/index.js";

/** Known identities between losses: each says what one objective is in terms of another. */
const { tensor } = lib;
const real = fc.double({ min: -8, max: 8, noNaN: true });
const reals = (count: number) => fc.array(real, { minLength: count, maxLength: count });
const close = (found: number, wanted: number, tolerance = 1e-12) =>
  expect(Math.abs(found - wanted)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted)));
const gradient = (result: { gradients: Record<string, lib.Tensor> }, field: string) =>
  Array.from(result.gradients[field]!.data as Float64Array);
const closeAll = (found: readonly number[], wanted: readonly number[], tolerance = 1e-12) => {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of found.entries()) close(value, wanted[i]!, tolerance);
};
const softmax = (logits: readonly number[]) => {
  const top = Math.max(...logits);
  const masses = logits.map((z) => Math.exp(z - top));
  const sum = masses.reduce((a, b) => a + b);
  return masses.map((mass) => mass / sum);
};

describe("cross entropy and its kin", () => {
  const rows = fc.tuple(reals(12), fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }));
  const batchOf = ([logits, labels]: [number[], number[]]) => ({
    logits: tensor(Float64Array.from(logits), [3, 4]),
    labels: tensor(Int32Array.from(labels)),
  });

  it("focal loss with gamma 0 is cross entropy, value and gradient", () => {
    fc.assert(
      fc.property(rows, (drawn) => {
        const [a, b] = [lib.focal({ gamma: 0 }), lib.crossEntropy()].map((o) => o.valueAndGradients(batchOf(drawn)));
        close(a!.value, b!.value);
        closeAll(gradient(a!, "logits"), gradient(b!, "logits"));
      }),
    );
  });

  it("label smoothing is (1 − ε) H(y, p) + ε H(u, p)", () => {
    fc.assert(
      fc.property(rows, fc.double({ min: 0.01, max: 0.9, noNaN: true }), (drawn, epsilon) => {
        const batch = batchOf(drawn);
        const uniform = { logits: batch.logits, targets: tensor(new Float64Array(12).fill(0.25), [3, 4]) };
        const smoothed = lib.crossEntropy({ labelSmoothing: epsilon }).evaluate(batch).value;
        const [hard, flat] = [batch, uniform].map((each) => lib.crossEntropy().evaluate(each).value) as [
          number,
          number,
        ];
        close(smoothed, (1 - epsilon) * hard + epsilon * flat);
      }),
    );
  });

  it("H(q, p) is H(q) plus KL(q‖p)", () => {
    fc.assert(
      fc.property(reals(4), reals(4), (logits, other) => {
        const q = softmax(other);
        const batch = {
          logits: tensor(Float64Array.from(logits), [1, 4]),
          targets: tensor(Float64Array.from(q), [1, 4]),
        };
        const entropy = -q.reduce((sum, x) => sum + x * Math.log(x), 0);
        close(lib.crossEntropy().evaluate(batch).value, entropy + lib.klDivergence().evaluate(batch).value, 1e-11);
      }),
    );
  });

  it("distillation at T without labels is T² times the divergence of the softened distributions", () => {
    fc.assert(
      fc.property(reals(4), reals(4), fc.double({ min: 0.5, max: 9, noNaN: true }), (logits, teacher, T) => {
        const batch = {
          logits: tensor(Float64Array.from(logits), [1, 4]),
          teacherLogits: tensor(Float64Array.from(teacher), [1, 4]),
        };
        const softened = {
          logits: tensor(
            Float64Array.from(logits, (z) => z / T),
            [1, 4],
          ),
          targets: tensor(Float64Array.from(softmax(teacher.map((z) => z / T))), [1, 4]),
        };
        const divergence = lib.klDivergence().evaluate(softened).value;
        close(lib.distillation({ temperature: T }).evaluate(batch).value, T * T * divergence, 1e-9);
        close(
          lib.distillation({ temperature: T, scaleByTemperatureSquared: false }).evaluate(batch).value,
          divergence,
          1e-9,
        );
      }),
    );
  });

  it("InfoNCE is cross entropy over similarities, with the gradient 1/τ (p − 1[j = i]) on them", () => {
    fc.assert(
      fc.property(reals(12), reals(12), (queries, keys) => {
        const tau = 0.3;
        const [q, k] = [tensor(Float64Array.from(queries), [4, 3]), tensor(Float64Array.from(keys), [4, 3])];
        const dot = (i: number, j: number) =>
          [0, 1, 2].reduce((sum, d) => sum + queries[3 * i + d]! * keys[3 * j + d]!, 0);
        const similarities = Float64Array.from({ length: 16 }, (_, at) => dot(at >> 2, at & 3));
        const over = lib.crossEntropy({ temperature: tau }).valueAndGradients({
          logits: tensor(similarities, [4, 4]),
          labels: tensor([0, 1, 2, 3]),
        });
        const found = lib.infoNce({ temperature: tau, normalize: false }).valueAndGradients({ queries: q, keys: k });
        close(found.value, over.value, 1e-10);
        const slopes = gradient(over, "logits");
        const wanted = queries.map((_, at) => {
          const [i, d] = [Math.floor(at / 3), at % 3];
          return [0, 1, 2, 3].reduce((sum, j) => sum + slopes[4 * i + j]! * keys[3 * j + d]!, 0);
        });
        closeAll(gradient(found, "queries"), wanted, 1e-9);
      }),
    );
  });

  it("multi-label binary cross entropy is the sum of independent Bernoullis", () => {
    fc.assert(
      fc.property(reals(6), fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), (logits, labels) => {
        const whole = lib.binaryCrossEntropy({ per: "sample" }).evaluate({
          logits: tensor(Float64Array.from(logits), [1, 6]),
          targets: tensor(Float64Array.from(labels, Number), [1, 6]),
        });
        const each = logits.map((z, i) => {
          const p = 1 / (1 + Math.exp(-z));
          return -Math.log(labels[i] ? p : 1 - p);
        });
        close(
          whole.value,
          each.reduce((a, b) => a + b),
          1e-9,
        );
      }),
    );
  });
});

describe("preferences", () => {
  it("Bradley–Terry is binary cross entropy on the margin", () => {
    fc.assert(
      fc.property(reals(3), reals(3), (chosen, rejected) => {
        const pairwise = lib
          .pairwiseLogistic()
          .valueAndGradients({ chosen: tensor(chosen), rejected: tensor(rejected) });
        const margin = chosen.map((score, i) => score - rejected[i]!);
        const binary = lib.binaryCrossEntropy().valueAndGradients({
          logits: tensor(Float64Array.from(margin)),
          targets: tensor(new Float64Array(3).fill(1)),
        });
        close(pairwise.value, binary.value);
        closeAll(gradient(pairwise, "chosen"), gradient(binary, "logits"));
      }),
    );
  });

  it("ListMLE of two items is pairwise logistic", () => {
    fc.assert(
      fc.property(real, real, (better, worse) => {
        const list = lib.listMle().evaluate({ scores: tensor([[worse, better]]), relevance: tensor([[0, 1]]) });
        close(
          list.value,
          lib.pairwiseLogistic().evaluate({ chosen: tensor([better]), rejected: tensor([worse]) }).value,
        );
      }),
    );
  });

  it("sums of token log-probabilities favor the short answer, means do not, and the contract says which", () => {
    // Two answers, every token equally probable under the model: the long one is as good, token by token.
    const [short, long] = [3, 12].map((tokens) => ({ sum: tokens * -1.5, mean: -1.5 })) as [
      { sum: number; mean: number },
      { sum: number; mean: number },
    ];
    const judge = (score: "sum" | "mean", chosen: number, rejected: number) =>
      lib
        .dpo({ score, referenceFree: true })
        .evaluate({ policyChosen: tensor([chosen]), policyRejected: tensor([rejected]) } as never).value;
    expect(judge("sum", short.sum, long.sum)).toBeLessThan(judge("sum", long.sum, short.sum));
    expect(judge("mean", short.mean, long.mean)).toBe(judge("mean", long.mean, short.mean));
    expect(lib.dpo().contract.options.score).toBe("sum");
    expect(lib.simPo().contract.options.score).toBe("mean");
  });
});

describe("regression", () => {
  const residuals = fc.tuple(reals(5), reals(5));
  const batchOf = ([predictions, targets]: [number[], number[]]) => ({
    predictions: tensor(Float64Array.from(predictions)),
    targets: tensor(Float64Array.from(targets)),
  });
  const lossOf = (objective: lib.Objective, drawn: [number[], number[]]) =>
    objective.evaluate(batchOf(drawn) as never).value;

  it("squared error is the Gaussian negative log-likelihood of variance ½, up to constants", () => {
    fc.assert(
      fc.property(residuals, (drawn) => {
        const variance = tensor(new Float64Array(5).fill(0.5));
        const gaussian = lib.gaussianNll().evaluate({ ...batchOf(drawn), variance }).value;
        close(gaussian - 0.5 * Math.log(0.5), lossOf(lib.squaredError() as never, drawn), 1e-11);
      }),
    );
  });

  it("Huber is half the squared error for a large delta and delta times the absolute error for a small one", () => {
    fc.assert(
      fc.property(residuals, (drawn) => {
        close(lossOf(lib.huber({ delta: 1e3 }) as never, drawn), lossOf(lib.squaredError() as never, drawn) / 2);
        const small = lossOf(lib.huber({ delta: 1e-9 }) as never, drawn) / 1e-9;
        expect(Math.abs(small - lossOf(lib.absoluteError() as never, drawn))).toBeLessThan(1e-8);
      }),
    );
  });

  it("Barron's loss is squared error at alpha 2, pseudo-Huber at 1, Cauchy at 0", () => {
    fc.assert(
      fc.property(residuals, (drawn) => {
        close(lossOf(lib.barron({ alpha: 2 }) as never, drawn), lossOf(lib.squaredError() as never, drawn) / 2, 1e-11);
        close(lossOf(lib.barron({ alpha: 1 }) as never, drawn), lossOf(lib.pseudoHuber() as never, drawn), 1e-11);
        close(lossOf(lib.barron({ alpha: 0 }) as never, drawn), lossOf(lib.cauchy() as never, drawn), 1e-11);
      }),
    );
  });

  it("an outlier's pull is bounded under Huber, Tukey and Cauchy, and not under squared error", () => {
    const pull = (objective: lib.Objective, residual: number) =>
      Math.abs(gradient(objective.valueAndGradients(batchOf([[0], [residual]]) as never), "predictions")[0]!);
    for (const objective of [lib.huber(), lib.tukey(), lib.cauchy()] as unknown as lib.Objective[]) {
      for (const residual of [1e2, 1e4, 1e8]) expect(pull(objective, residual)).toBeLessThanOrEqual(5);
    }
    expect(pull(lib.tukey() as never, 1e4)).toBe(0);
    expect(pull(lib.cauchy() as never, 1e4)).toBeLessThan(pull(lib.cauchy() as never, 1e2));
    expect(pull(lib.squaredError() as never, 1e8)).toBe(2e8);
  });
});

describe("scoring rules", () => {
  /** The expected loss of predicting p = softmax(z) where labels are drawn from q. */
  const expected = (objective: lib.Objective, q: readonly number[], p: readonly number[]) =>
    q.reduce((sum, mass, y) => {
      const logits = tensor(Float64Array.from(p, Math.log), [1, p.length]);
      return sum + mass * objective.evaluate({ logits, labels: tensor(Int32Array.of(y)) }).value;
    }, 0);
  const truth = [0.6, 0.3, 0.1];
  const others = [
    [0.7, 0.2, 0.1],
    [0.5, 0.35, 0.15],
    [0.8, 0.15, 0.05],
    [0.4, 0.4, 0.2],
    [0.9, 0.08, 0.02],
    [0.665, 0.245, 0.09],
  ];

  it.each(["crossEntropy", "brier"])(
    "%s is proper: the expected score is least at the true distribution",
    (objective) => {
      const loss = lib.objectiveFrom({ objective });
      for (const other of others) expect(expected(loss, truth, other)).toBeGreaterThan(expected(loss, truth, truth));
    },
  );

  it.each(["focal", "generalizedCrossEntropy", "expectedCost", "polyOne", "multiMargin"])(
    "%s is not: another prediction than the truth scores better, and its documentation says so",
    (objective) => {
      const loss = lib.objectiveFrom({ objective });
      const better = others.some((other) => expected(loss, truth, other) < expected(loss, truth, truth));
      expect(better).toBe(true);
      expect(loss.definition.documentation.likelihood.distribution).toMatch(/^none/);
    },
  );

  it("a detached p_t gives another gradient under the same value, and the contract says so", () => {
    const batch = { logits: tensor([[1, 0.2, -0.4]]), labels: tensor([0]) };
    const [whole, detached] = [lib.focal(), lib.focal({ reweightOnly: true })];
    const [a, b] = [whole, detached].map((objective) => objective.valueAndGradients(batch));
    expect(a!.value).toBe(b!.value);
    expect(gradient(a!, "logits")).not.toEqual(gradient(b!, "logits"));
    expect(detached.contract.options.reweightOnly).toBe(true);
    expect(detached.describe()).toMatch(/detached|held constant|constant/);
  });
});

describe("likelihoods", () => {
  it("lead to an objective that exists and names the same distribution", () => {
    for (const { objective, distribution } of Object.values(lib.likelihoods)) {
      const { likelihood } = lib.objectiveFrom({ objective }).definition.documentation;
      const first = distribution.split(/[ ,]/)[0]!.toLowerCase();
      expect(likelihood.distribution.toLowerCase().replaceAll("–", "-"), objective).toContain(first);
    }
  });

  it("hold the chapter's table", () => {
    const table = {
      "real value": "squaredError",
      "binary label": "binaryCrossEntropy",
      "single class": "crossEntropy",
      "multi-label": "binaryCrossEntropy",
      "pair preference": "pairwiseLogistic",
      "embedding match": "infoNce",
    };
    expect(lib.likelihoods).toMatchObject(
      Object.fromEntries(Object.entries(table).map(([target, objective]) => [target, { objective }])),
    );
  });
});
