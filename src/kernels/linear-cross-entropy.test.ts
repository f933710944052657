import { afterAll, describe, expect, it } from "vitest";
import { objectiveCases } from "../../test/instruments/golden.js";
import { allocate, close, crossEntropy, linearCrossEntropy, objectiveFrom, release, setThreads } from "../index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { allBits, type Batch, expectSame } from "./engines.test-helper.js";
import { session } from "./session.js";

afterAll(async () => {
  setThreads(2);
  await close();
});

/** A generator of its own for each test. */
function random(seed: number) {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
  const whole = (below: number) => Math.floor(next() * below);
  const numbers = (shape: readonly number[], scale = 1) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return tensor(
      Float32Array.from({ length: count }, () => scale * normal()),
      shape,
    );
  };
  return { next, whole, numbers };
}
type Random = ReturnType<typeof random>;

function layer(N: number, D: number, K: number, { whole, numbers }: Random) {
  return {
    hidden: numbers([N, D]),
    weight: numbers([K, D], 1 / Math.sqrt(D)),
    bias: numbers([K], 0.5),
    labels: tensor(
      Int32Array.from({ length: N }, () => whole(K)),
      [N],
    ),
  };
}

/** Logits of a layer, in float64 and then float32. */
function logitsOf({ hidden, weight, bias }: { hidden: Tensor; weight: Tensor; bias?: Tensor }): Tensor {
  const [N, D] = hidden.shape as [number, number];
  const K = weight.shape[0]!;
  const out = new Float32Array(N * K);
  const [h, w] = [hidden.data as Float32Array, weight.data as Float32Array];
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      let dot = (bias?.data as Float32Array | undefined)?.[k] ?? 0;
      for (let d = 0; d < D; d++) dot += h[n * D + d]! * w[k * D + d]!;
      out[n * K + k] = dot;
    }
  }
  return tensor(out, [N, K]);
}

/** A distribution a row. */
function targetsOf(N: number, K: number, { next }: Random): Tensor {
  const out = new Float32Array(N * K);
  for (let n = 0; n < N; n++) {
    const row = out.subarray(n * K, (n + 1) * K);
    for (let k = 0; k < K; k++) row[k] = next() < 0.4 ? 0 : next();
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    for (let k = 0; k < K; k++) row[k]! /= sum * 1.00001;
  }
  return tensor(out, [N, K]);
}

const sizes = [1, 2, 3, 4, 5, 7, 8, 13, 16, 21, 33, 40];
const widths = [1, 2, 3, 4, 5, 8, 11, 16, 31, 64, 70];

/** Options of a layer of K classes. */
function drawOptions(K: number, { next }: Random): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  if (next() < 0.3) options.labelSmoothing = 0.1;
  if (next() < 0.3) options.temperature = 0.7;
  if (next() < 0.3) options.logitSoftCap = 3;
  if (next() < 0.3) options.zLoss = 0.01;
  if (next() < 0.3) options.classWeights = Array.from({ length: K }, () => 0.2 + next());
  if (next() < 0.3) options.priors = Array.from({ length: K }, () => 0.1 + next());
  return options;
}

describe("linearCrossEntropy by kernels", () => {
  it("is the reference on random layers of any size and option", () => {
    for (let seed = 0; seed < 80; seed++) {
      const at = random(seed);
      const [N, D] = [sizes[at.whole(sizes.length)]!, widths[at.whole(widths.length)]!];
      const K = 2 + at.whole(40);
      const { bias, labels, ...rest } = layer(N, D, K, at);
      const batch: Record<string, Tensor> = rest;
      if (at.next() < 0.5) batch.bias = bias;
      if (at.next() < 0.3) batch.targets = targetsOf(N, K, at);
      else batch.labels = at.next() < 0.5 ? labels : tensor(BigInt64Array.from(labels.data as Int32Array, BigInt), [N]);
      if (at.next() < 0.3) {
        const weights = Float64Array.from({ length: N }, () => (at.next() < 0.3 ? 0 : at.next()));
        weights[0] = 1;
        batch.weights = tensor(weights, [N]);
      }
      expectSame(linearCrossEntropy(drawOptions(K, at)) as never, batch);
    }
  });

  it("is the reference over a shift, segments, ignored labels and averages of sequences", () => {
    for (let seed = 0; seed < 30; seed++) {
      const at = random(500 + seed);
      const [B, T, D, K] = [1 + at.whole(4), 2 + at.whole(12), 1 + at.whole(20), 2 + at.whole(30)];
      const { hidden, labels, ...rest } = layer(B * T, D, K, at);
      for (let i = 0; i < B * T; i++) if (at.next() < 0.3) (labels.data as Int32Array)[i] = -100;
      (labels.data as Int32Array)[1] = 0;
      const batch: Record<string, Tensor> = {
        ...rest,
        hidden: tensor(hidden.data as Float32Array, [B, T, D]),
        labels: tensor(labels.data as Int32Array, [B, T]),
      };
      if (at.next() < 0.5) {
        batch.segmentIds = tensor(
          Int32Array.from({ length: B * T }, (_, i) => Math.floor((i % T) / 3)),
          [B, T],
        );
      }
      if (at.next() < 0.5) {
        const mask = Uint8Array.from({ length: B * T }, () => (at.next() < 0.8 ? 1 : 0));
        mask[1] = 1;
        batch.mask = tensor(mask, [B, T]);
      }
      const per = at.next() < 0.5 ? "token" : "sequence";
      expectSame(linearCrossEntropy({ labelShift: at.whole(3), per, onEmpty: "zero" } as never) as never, batch);
    }
  });

  it("is the reference on targets under a shift and a mask", () => {
    const at = random(3);
    const { hidden, weight } = layer(12, 5, 7, at);
    const batch = {
      hidden: tensor(hidden.data as Float32Array, [2, 6, 5]),
      weight,
      targets: tensor(targetsOf(12, 7, at).data as Float32Array, [2, 6, 7]),
      mask: tensor(Uint8Array.of(1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1), [2, 6]),
    };
    for (const labelShift of [0, 1, 2]) expectSame(linearCrossEntropy({ labelShift }) as never, batch);
  });

  it("is crossEntropy on the materialized logits of a larger layer, over several chunks", () => {
    const at = random(4);
    const { bias, ...batch } = layer(600, 96, 1500, at);
    const { labels, hidden, weight } = batch;
    for (let i = 0; i < 600; i += 7) (labels.data as Int32Array)[i] = -100;
    const options = { labelSmoothing: 0.1, zLoss: 1e-3 };
    const found = linearCrossEntropy(options)
      .withEngine("wasm")
      .valueAndGradients({ ...batch, bias });
    const logits = logitsOf({ ...batch, bias });
    const whole = crossEntropy(options)
      .withEngine("reference")
      .valueAndGradients({ logits, labels } as never);
    expect(Math.abs(found.value - whole.value)).toBeLessThan(1e-6 * whole.value);
    const [slopes, h, w] = [whole.gradients.logits.data, hidden.data as Float32Array, weight.data as Float32Array];
    const wanted = {
      hidden: new Float64Array(600 * 96),
      weight: new Float64Array(1500 * 96),
      bias: new Float64Array(1500),
    };
    for (let n = 0; n < 600; n++) {
      for (let k = 0; k < 1500; k++) {
        const slope = slopes[n * 1500 + k]!;
        wanted.bias[k]! += slope;
        for (let d = 0; d < 96; d++) {
          wanted.hidden[n * 96 + d]! += slope * w[k * 96 + d]!;
          wanted.weight[k * 96 + d]! += slope * h[n * 96 + d]!;
        }
      }
    }
    for (const [name, want] of Object.entries(wanted)) {
      const { data } = found.gradients[name as "hidden"];
      const largest = want.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const apart = want.reduce((most, x, i) => Math.max(most, Math.abs(x - data[i]!)), 0);
      expect(apart, name).toBeLessThan(1e-5 * largest);
    }
  });

  it("does not read a row that does not count", () => {
    const at = random(5);
    const { hidden, labels, ...rest } = layer(9, 6, 20, at);
    for (const row of [0, 4, 8]) (labels.data as Int32Array)[row] = -100;
    const clean = allBits(expectSame(linearCrossEntropy() as never, { hidden, labels, ...rest }) as never);
    for (const row of [0, 4, 8]) (hidden.data as Float32Array).fill(Number.NaN, row * 6, row * 6 + 6);
    expect(allBits(expectSame(linearCrossEntropy() as never, { hidden, labels, ...rest }) as never)).toBe(clean);
  });

  it("gives what the reference gives for rows, weights and biases that are not finite", () => {
    const spoil: ((batch: ReturnType<typeof layer>) => void)[] = [
      ({ hidden }) => ((hidden.data as Float32Array)[7] = Number.NaN),
      ({ hidden }) => ((hidden.data as Float32Array)[7] = Number.POSITIVE_INFINITY),
      ({ hidden }) => (hidden.data as Float32Array).fill(1e38, 6, 12),
      ({ weight }) => ((weight.data as Float32Array)[20] = Number.NaN),
      ({ weight }) => ((weight.data as Float32Array)[20] = Number.NEGATIVE_INFINITY),
      ({ bias }) => ((bias.data as Float32Array)[3] = Number.NEGATIVE_INFINITY),
      ({ bias }) => ((bias.data as Float32Array)[3] = Number.NaN),
      ({ bias }) => (bias.data as Float32Array).fill(Number.NEGATIVE_INFINITY),
      ({ bias, labels }) => {
        (bias.data as Float32Array)[3] = Number.NEGATIVE_INFINITY;
        (labels.data as Int32Array)[2] = 3;
      },
    ];
    for (const [i, change] of spoil.entries()) {
      for (const options of [{}, { labelSmoothing: 0.1, zLoss: 0.01 }, { logitSoftCap: 2 }]) {
        const at = random(600 + i);
        const batch = layer(5, 6, 8, at);
        change(batch);
        const weights = tensor(Float32Array.of(1, 0.5, 2, 0, 1), [5]);
        expectSame(linearCrossEntropy(options) as never, { ...batch, weights });
      }
    }
  });

  it("refuses what the reference refuses, in its words", () => {
    const at = random(6);
    const batch = layer(4, 3, 5, at);
    const targets = targetsOf(4, 5, at);
    const { labels: _, ...withoutLabels } = batch;
    (targets.data as Float32Array)[8] = -0.5;
    for (const given of [
      { ...batch, labels: tensor(Int32Array.of(0, 1, 5, 2), [4]) },
      { ...withoutLabels, targets },
    ] as Batch[]) {
      const words = (engine: "wasm" | "reference") => {
        try {
          linearCrossEntropy()
            .withEngine(engine)
            .valueAndGradients(given as never);
        } catch (error) {
          return (error as Error).message;
        }
        return "nothing was refused";
      };
      expect(words("wasm")).toBe(words("reference"));
      expect(words("wasm")).not.toBe("nothing was refused");
    }
  });

  it("leaves features on another axis to the reference", () => {
    const at = random(7);
    const batch = {
      hidden: at.numbers([2, 3, 4]),
      weight: at.numbers([5, 3]),
      labels: tensor(new Int32Array(8), [2, 4]),
    };
    expect(() => linearCrossEntropy({ classAxis: 1 }).withEngine("wasm").evaluate(batch)).toThrow(/last axis/);
    const last = { hidden: at.numbers([2, 4, 3]), weight: batch.weight, labels: batch.labels };
    expectSame(linearCrossEntropy({ classAxis: 2 }) as never, last);
  });

  it("gives the same bits on any number of threads", async () => {
    const at = random(8);
    const batch = layer(300, 70, 900, at);
    const objective = linearCrossEntropy({ labelSmoothing: 0.05 }).withEngine("wasm");
    setThreads(1);
    const alone = allBits(objective.valueAndGradients(batch) as never);
    for (const threads of [2, 3, 5]) {
      setThreads(threads);
      for (let repeat = 0; repeat < 3; repeat++) {
        expect(allBits(objective.valueAndGradients(batch) as never)).toBe(alone);
        // The first call may end before threads come up.
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    }
    setThreads(2);
  });

  it("gives a unit the same loss whatever other rows there are", () => {
    const at = random(9);
    const batch = layer(70, 40, 130, at);
    const objective = linearCrossEntropy().withEngine("wasm");
    const losses = objective.perUnit(batch).data;
    for (const row of [0, 1, 17, 69]) {
      const hidden = tensor((batch.hidden.data as Float32Array).slice(row * 40, row * 40 + 40), [1, 40]);
      const labels = tensor((batch.labels.data as Int32Array).slice(row, row + 1), [1]);
      expect(objective.perUnit({ ...batch, hidden, labels }).data[0]).toBe(losses[row]);
    }
  });

  it("gives the same bits for tensors in the kernels' memory, into tensors there", () => {
    const at = random(10);
    const batch = layer(270, 33, 200, at);
    const objective = linearCrossEntropy().withEngine("wasm");
    const wanted = allBits(objective.valueAndGradients(batch) as never);
    const names = ["hidden", "weight", "bias"] as const;
    const inside = Object.fromEntries(names.map((name) => [name, allocate(batch[name].shape)]));
    const into = Object.fromEntries(names.map((name) => [name, allocate(batch[name].shape)]));
    for (const name of names) inside[name]!.data.set(batch[name].data as Float32Array);
    for (const name of names) into[name]!.data.fill(5);
    const found = objective.valueAndGradients({ ...batch, ...inside } as never, { into: { gradients: into } } as never);
    expect(allBits(found as never)).toBe(wanted);
    for (const own of [...Object.values(inside), ...Object.values(into)]) release(own);
  });

  it("holds less than a quarter of the logits and their gradient", () => {
    const at = random(11);
    const [N, D, K] = [1024, 16, 5000];
    const batch = layer(N, D, K, at);
    const objective = linearCrossEntropy().withEngine("wasm");
    const live = session();
    if (typeof live === "string") throw new Error(live);
    const before = live.heap.used;
    objective.valueAndGradients(batch);
    expect(live.heap.used - before).toBeLessThan((2 * N * K * 4) / 4);
    expect(live.heap.used).toBeGreaterThan(0);
  });
});

describe("golden cases of linearCrossEntropy in float32", () => {
  const cases = objectiveCases().filter(({ objective, expected, contract }) => {
    const { classAxis = -1 } = contract.options as { classAxis?: number };
    return objective === "linearCrossEntropy" && !expected.error && classAxis === -1;
  });
  it("are there", () => expect(cases.length).toBeGreaterThan(3));
  it.each(cases.map((found) => [found.id, found] as const))("%s", (_, { contract, batch }) => {
    const cast = Object.entries(batch).map(([name, field]) => {
      const isReal = typeof field === "object" && field.dtype === "float64" && name !== "weights";
      return [name, isReal ? tensor(Float32Array.from(field.data as Float64Array), field.shape) : field];
    });
    expectSame(objectiveFrom(contract), Object.fromEntries(cast));
  });
});
