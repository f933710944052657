import { afterAll, describe, expect, it } from "vitest";
import { objectiveCases } from "../../test/instruments/golden.js";
import {
  allocate,
  clip,
  close,
  infoNce,
  type Objective,
  objectiveFrom,
  release,
  setThreads,
  sigLip,
} from "../index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { allBits, type Batch, expectSame, promised } from "./engines.test-helper.js";

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
  return { next, normal, whole };
}
type Random = ReturnType<typeof random>;

/** Rows of embeddings, of norm 1 on the whole or as they come. */
function rows(count: number, width: number, { normal }: Random, norm?: number): Tensor {
  const data = Float32Array.from({ length: count * width }, normal);
  for (let row = 0; norm && row < count; row++) {
    const part = data.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...part);
    for (let d = 0; d < width; d++) part[d]! *= norm / length;
  }
  return tensor(data, [count, width]);
}

/** Keys that are like their queries, as those of a trained model are. */
function like(queries: Tensor, noise: number, { normal }: Random): Tensor {
  return tensor(
    Float32Array.from(queries.data as Float32Array, (x) => x + noise * normal()),
    queries.shape,
  );
}

/** A mask that takes pairs out, never a positive. */
function exclusion(
  count: number,
  columns: number,
  positive: (row: number) => number,
  { next }: Random,
  dtype = "uint8",
) {
  const flags = Array.from({ length: count * columns }, (_, at) =>
    next() < 0.2 && at % columns !== positive(Math.floor(at / columns)) ? 1 : 0,
  );
  return tensor(dtype === "uint8" ? Uint8Array.from(flags) : Float32Array.from(flags), [count, columns]);
}

function weightsOf(count: number, { next }: Random): Tensor {
  const some = Float64Array.from({ length: count }, () => (next() < 0.3 ? 0 : next() * 2));
  some[count - 1] = 1;
  return tensor(some, [count]);
}

const sizes = [1, 2, 3, 4, 5, 7, 8, 13, 16, 21, 33, 40];
const widths = [1, 2, 3, 4, 5, 8, 11, 16, 31, 64, 70];

describe("infoNce", () => {
  it("is the reference on random batches of any size and option", () => {
    for (let seed = 0; seed < 60; seed++) {
      const at = random(seed);
      const [B, D] = [sizes[at.whole(sizes.length)]!, widths[at.whole(widths.length)]!];
      const symmetric = at.next() < 0.4;
      const M = symmetric ? B : B + at.whole(30);
      const labels = !symmetric && at.next() < 0.5 ? Int32Array.from({ length: B }, () => at.whole(M)) : undefined;
      const learned = at.next() < 0.3;
      const batch: Record<string, Tensor | number> = { queries: rows(B, D, at, 1), keys: rows(M, D, at, 1) };
      if (labels) batch.labels = tensor(at.next() < 0.5 ? labels : BigInt64Array.from(labels, BigInt), [B]);
      if (at.next() < 0.4) {
        const dtype = at.next() < 0.5 ? "uint8" : "float32";
        batch.excludeMask = exclusion(B, M, (row) => labels?.[row] ?? row, at, dtype);
      }
      if (at.next() < 0.4) batch.weights = weightsOf(B, at);
      if (learned) batch.temperature = at.next() < 0.5 ? 0.2 : tensor(Float32Array.of(0.2), []);
      const options = { temperature: learned ? ("field" as const) : 0.1, normalize: at.next() < 0.6, symmetric };
      expectSame(infoNce(options) as never, batch);
    }
  });

  it("keeps its digits at a low temperature where keys are like their queries", () => {
    const at = random(7);
    const queries = rows(48, 96, at, 1);
    const batch = { queries, keys: like(queries, 0.3, at) };
    for (const symmetric of [false, true]) {
      expectSame(infoNce({ temperature: 0.01, symmetric }) as never, batch, { value: 1e-5, entries: 1e-5 });
      expectSame(infoNce({ temperature: 0.05, symmetric }) as never, batch, { value: 1e-5, entries: 1e-5 });
    }
  });

  it("says that rows are paired by their number, as the reference does", () => {
    const at = random(8);
    const found = expectSame(infoNce() as never, { queries: rows(4, 8, at), keys: rows(12, 8, at) });
    expect(found.notes.map(({ code }) => code)).toEqual(["paired-by-row"]);
  });

  it("divides rows shorter than 1e-12 by that", () => {
    const queries = tensor(Float32Array.of(0, 0, 3e-13, 4e-13, 3, 4), [3, 2]);
    const keys = tensor(Float32Array.of(1, 2, 0, 0, -1, 1), [3, 2]);
    expectSame(infoNce() as never, { queries, keys });
  });

  it("leaves several positives to the reference", () => {
    const at = random(9);
    const batch = {
      queries: rows(2, 3, at),
      keys: rows(2, 3, at),
      positiveMask: tensor(Uint8Array.of(1, 1, 0, 1), [2, 2]),
    };
    expect(() =>
      infoNce()
        .withEngine("wasm")
        .evaluate(batch as never),
    ).toThrow(/positiveMask/);
    expect(infoNce().evaluate(batch as never).ranBy).toBe("reference");
  });

  it("does not read the query of a masked row, but its key", () => {
    const at = random(10);
    const [queries, keys] = [rows(6, 5, at), rows(6, 5, at)];
    const mask = tensor(Uint8Array.of(1, 0, 1, 1, 0, 1), [6]);
    const labels = tensor(Int32Array.of(0, -7, 2, 3, 99, 5), [6]);
    const clean = allBits(expectSame(infoNce() as never, { queries, keys, labels, mask }) as never);
    (queries.data as Float32Array).fill(Number.NaN, 5, 10);
    (queries.data as Float32Array).fill(Number.POSITIVE_INFINITY, 20, 25);
    expect(allBits(expectSame(infoNce() as never, { queries, keys, labels, mask }) as never)).toBe(clean);
    (keys.data as Float32Array)[5] = Number.NaN;
    expect(expectSame(infoNce() as never, { queries, keys, labels, mask }).value).toBeNaN();
  });

  it("refuses what the reference refuses, in its words", () => {
    const at = random(11);
    const [queries, keys] = [rows(3, 4, at), rows(3, 4, at)];
    const refusals: [Parameters<typeof infoNce>[0], Batch][] = [
      [{}, { queries, keys, labels: tensor(Int32Array.of(0, 3, 1), [3]) }],
      [{}, { queries, keys, excludeMask: tensor(Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0), [3, 3]) }],
      [{ temperature: "field" }, { queries, keys, temperature: -1 }],
      [{ temperature: "field" }, { queries, keys, temperature: Number.NaN }],
    ];
    for (const [options, batch] of refusals) {
      const words = (engine: "wasm" | "reference") => {
        try {
          infoNce(options)
            .withEngine(engine)
            .valueAndGradients(batch as never);
        } catch (error) {
          return (error as Error).message;
        }
        return "nothing was refused";
      };
      expect(words("wasm")).toBe(words("reference"));
      expect(words("wasm")).not.toBe("nothing was refused");
    }
  });
});

describe("clip and sigLip", () => {
  it("are the reference on random batches of any size", () => {
    for (let seed = 0; seed < 60; seed++) {
      const at = random(1000 + seed);
      const [B, D] = [sizes[at.whole(sizes.length)]!, widths[at.whole(widths.length)]!];
      const batch: Record<string, Tensor | number> = { images: rows(B, D, at, 1), texts: rows(B, D, at, 1) };
      batch.logScale = at.next() < 0.5 ? 2 : tensor(Float32Array.of(2.3), []);
      if (at.next() < 0.4) batch.excludeMask = exclusion(B, B, (row) => row, at);
      if (at.next() < 0.4) batch.weights = weightsOf(B, at);
      if (seed % 2) batch.bias = at.next() < 0.5 ? -3 : tensor(Float64Array.of(-4.5), []);
      expectSame((seed % 2 ? sigLip() : clip()) as never, batch);
    }
  });

  it("keep their digits at a scale of 100 where texts are like their images", () => {
    const at = random(12);
    const images = rows(64, 128, at, 1);
    const batch = { images, texts: like(images, 0.2, at), logScale: Math.log(100) };
    expectSame(clip() as never, batch, { value: 1e-5, entries: 1e-5 });
    expectSame(sigLip() as never, { ...batch, bias: -10 }, { value: 1e-5, entries: 1e-5 });
  });

  it("are the reference under averages over sequences' worth of keys, scales and infinite scalars", () => {
    const at = random(13);
    const batch = { images: rows(5, 6, at), texts: rows(5, 6, at), logScale: 1 };
    expectSame(clip({ divideBy: "count" }) as never, { ...batch, weights: weightsOf(5, at) });
    for (const bias of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e300]) {
      expectSame(sigLip() as never, { ...batch, bias });
    }
    for (const make of [clip, sigLip]) {
      expect(() =>
        make()
          .withEngine("wasm")
          .valueAndGradients({ ...batch, bias: 0, logScale: 800 } as never),
      ).toThrow();
    }
  });

  it("reads a masked image in clip, where it is a negative of texts, and not in sigLip", () => {
    const at = random(14);
    const [images, texts] = [rows(4, 3, at), rows(4, 3, at)];
    const mask = tensor(Uint8Array.of(1, 1, 0, 1), [4]);
    const pair = { images, texts, logScale: 0.5, mask };
    const kept = allBits(expectSame(sigLip() as never, { ...pair, bias: -1 }) as never);
    expectSame(clip() as never, pair);
    (images.data as Float32Array).fill(Number.NaN, 6, 9);
    expect(allBits(expectSame(sigLip() as never, { ...pair, bias: -1 }) as never)).toBe(kept);
    expect(expectSame(clip() as never, pair).value).toBeNaN();
  });
});

const broken: [string, (data: Float32Array) => void][] = [
  ["NaN", (data) => (data[4] = Number.NaN)],
  ["an infinity", (data) => (data[4] = Number.NEGATIVE_INFINITY)],
  ["numbers whose products overflow", (data) => data.set(data.map((x) => 1e38 * x))],
];
describe.each(broken)("%s in a batch", (_, spoil) => {
  it.each(["queries", "keys"])("gives what the reference gives: %s", (side) => {
    for (const [make, names, more] of [
      [infoNce, ["queries", "keys"], {}],
      [() => infoNce({ symmetric: true, normalize: false }), ["queries", "keys"], {}],
      [clip, ["images", "texts"], { logScale: 1 }],
      [sigLip, ["images", "texts"], { logScale: 1, bias: -2 }],
    ] as const) {
      const at = random(15);
      const [queries, keys] = [rows(5, 3, at), rows(5, 3, at)];
      spoil((side === "queries" ? queries : keys).data as Float32Array);
      const weights = tensor(Float32Array.of(1, 0.5, 0, 2, 1), [5]);
      expectSame(make() as never, { [names[0]]: queries, [names[1]]: keys, weights, ...more });
    }
  });
});

describe("threads and memory", () => {
  const at = random(16);
  const [B, D] = [613, 70];
  const queries = rows(B, D, at, 1);
  const keys = rows(B, D, at, 1);
  const weights = weightsOf(B, at);
  const excludeMask = exclusion(B, B, (row) => row, at);
  const works: [string, () => { objective: Objective; batch: Batch }][] = [
    ["infoNce", () => ({ objective: infoNce() as never, batch: { queries, keys, weights, excludeMask } })],
    [
      "infoNce from both sides",
      () => ({ objective: infoNce({ symmetric: true }) as never, batch: { queries, keys, weights, excludeMask } }),
    ],
    ["clip", () => ({ objective: clip() as never, batch: { images: queries, texts: keys, logScale: 3 } })],
    [
      "sigLip",
      () => ({ objective: sigLip() as never, batch: { images: queries, texts: keys, logScale: 3, bias: -4 } }),
    ],
  ];

  it.each(works)("gives the same bits on any number of threads: %s", async (_, work) => {
    const { objective, batch } = work();
    setThreads(1);
    const alone = allBits(expectSame(objective, batch, promised) as never);
    for (const threads of [2, 3, 5]) {
      setThreads(threads);
      // The first call may end before threads come up.
      for (let repeat = 0; repeat < 3; repeat++) {
        const { value, gradients } = objective.withEngine("wasm").valueAndGradients(batch as never);
        expect(allBits({ value, gradients } as never)).toBe(alone);
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    }
    setThreads(2);
  });

  it.each(works)("gives the same bits for tensors in the kernels' memory, into tensors there: %s", (_, work) => {
    const { objective, batch } = work();
    const engine = objective.withEngine("wasm");
    const { value, gradients } = engine.valueAndGradients(batch as never);
    const inside = (given: Tensor) => {
      const own = allocate(given.shape, given.dtype);
      own.data.set(given.data as never);
      return own;
    };
    const names = Object.keys(gradients).filter((name) => (gradients[name] as Tensor).shape.length > 0);
    const moved = Object.fromEntries(names.map((name) => [name, inside(batch[name] as Tensor)]));
    const into = Object.fromEntries(names.map((name) => [name, allocate((batch[name] as Tensor).shape)]));
    for (const { data } of Object.values(into)) data.fill(7);
    const found = engine.valueAndGradients({ ...batch, ...moved } as never, { into: { gradients: into } } as never);
    expect(allBits(found as never)).toBe(allBits({ value, gradients } as never));
    for (const own of [...Object.values(moved), ...Object.values(into)]) release(own);
  });

  it("computes scores twice where there are too many to be kept between two walks", () => {
    const own = random(17);
    const count = 4100;
    // Few that count, since the reference computes each of them against all.
    const weights = Float32Array.from({ length: count }, (_, i) => (i % 331 === 0 ? 1 : 0));
    const sides = { images: rows(count, 2, own), texts: rows(count, 2, own) };
    expectSame(clip() as never, { ...sides, logScale: 0.5, weights: tensor(weights, [count]) });
  });

  it("gives the gradients of a batch without weight nothing", () => {
    const none = tensor(new Float32Array(B), [B]);
    const found = infoNce({ onEmpty: "zero" })
      .withEngine("wasm")
      .valueAndGradients({ queries, keys, weights: none } as never);
    expect(found.gradients.queries.data.every((x) => x === 0)).toBe(true);
  });
});

describe("golden cases in float32", () => {
  const names = ["infoNce", "clip", "sigLip"];
  const cases = objectiveCases().filter(({ objective, expected, batch }) => {
    return names.includes(objective) && !expected.error && batch.positiveMask === undefined;
  });
  it("are there", () => expect(new Set(cases.map(({ objective }) => objective)).size).toBe(names.length));
  it.each(cases.map((found) => [found.id, found] as const))("%s", (_, { contract, batch }) => {
    const cast = Object.entries(batch).map(([name, field]) => {
      const isReal = typeof field === "object" && field.dtype === "float64" && name !== "weights";
      return [name, isReal ? tensor(Float32Array.from(field.data as Float64Array), field.shape) : field];
    });
    expectSame(objectiveFrom(contract), Object.fromEntries(cast));
  });
});
