import { afterAll, describe, expect, it, vi } from "vitest";
import { tensorBits } from "../../test/instruments/bits.js";
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
import { session as openSession, type Session } from "./session.js";
import { runSimilarities, type Similarities } from "./similarity.js";

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

/** A mask over which few units count. */
function maskOf(count: number, isLive: (unit: number) => boolean): Tensor {
  return tensor(
    Uint8Array.from({ length: count }, (_, unit) => (isLive(unit) ? 1 : 0)),
    [count],
  );
}

/** Expects the gradients of a batch to be the sum of those of its ranges of units. */
function expectShares(objective: Objective, batch: Batch, borders: readonly number[]): void {
  const kernels = objective.withEngine("wasm");
  const gradientsOf = (given: Batch) =>
    kernels.valueAndGradients(given as never).gradients as unknown as Readonly<Record<string, Tensor>>;
  const count = borders.at(-1)!;
  const shares = borders.slice(1).map((end, i) => {
    const start = borders[i]!;
    const mask = maskOf(count, (unit) => unit >= start && unit < end);
    return { weight: (end - start) / count, gradients: gradientsOf({ ...batch, mask }) };
  });
  for (const [name, { data }] of Object.entries(gradientsOf(batch))) {
    let [largest, furthest] = [0, 0];
    for (let at = 0; at < data.length; at++) {
      const sum = shares.reduce((all, { weight, gradients }) => all + weight * Number(gradients[name]!.data[at]), 0);
      largest = Math.max(largest, Math.abs(Number(data[at])));
      furthest = Math.max(furthest, Math.abs(sum - Number(data[at])));
    }
    expect(largest, name).toBeGreaterThan(0);
    expect(furthest, name).toBeLessThan(2e-6 * largest);
  }
}

describe("a search from both sides of which few units count", () => {
  const parts: [string, (count: number) => (unit: number) => boolean][] = [
    ["at the start", (count) => (unit) => unit <= count / 8],
    ["in the middle", (count) => (unit) => unit >= 0.4 * count && unit < 0.6 * count],
    [
      "over the border of a chunk, or of what there is",
      (count) => (unit) => unit >= 250 && unit < Math.min(count, 263),
    ],
    ["at the end", (count) => (unit) => unit >= count - Math.ceil(count / 8)],
    ["one", (count) => (unit) => unit === count >> 1],
    ["half", (count) => (unit) => unit < count >> 1],
    ["scattered", (count) => (unit) => unit % 3 === 1 || unit === count - 1],
    ["more than half", () => (unit) => unit % 5 !== 0],
  ];
  const objectives: [string, (reduction?: { onEmpty: "zero" }) => Objective, readonly string[], Batch][] = [
    [
      "clip",
      (reduction) => clip(reduction) as never,
      ["images", "texts"],
      { logScale: tensor(Float32Array.of(2), []) },
    ],
    [
      "infoNce",
      (reduction) => infoNce({ symmetric: true, temperature: "field", ...reduction }) as never,
      ["queries", "keys"],
      { temperature: tensor(Float32Array.of(0.1), []) },
    ],
  ];

  describe.each(objectives)("%s", (_, make, names, scalars) => {
    /** A batch in which texts are a little like their images, as they are in training. */
    const batchOf = (count: number, width: number, isMasked: boolean, own: Random): Record<string, Tensor | number> => {
      const first = rows(count, width, own, 1);
      const sides = { [names[0]!]: first, [names[1]!]: like(first, 0.5, own) };
      return { ...sides, ...scalars, ...(isMasked ? { excludeMask: exclusion(count, count, (row) => row, own) } : {}) };
    };

    it.each(parts)("gives them the bits they have among all: %s", (_, part) => {
      const own = random(30);
      for (const [count, width] of [
        [2, 1],
        [5, 3],
        [16, 8],
        [257, 33],
        [300, 17],
        [600, 130],
      ] as const) {
        const isLive = part(count);
        for (const isMasked of [false, true]) {
          const batch = batchOf(count, width, isMasked, own);
          const kernels = make().withEngine("wasm");
          const among = kernels.perUnit(batch as never).data;
          const found = kernels.perUnit({ ...batch, mask: maskOf(count, isLive) } as never).data;
          const wanted = Float64Array.from(among, (loss, unit) => (isLive(unit) ? Number(loss) : 0));
          expect(tensorBits(tensor(Float64Array.from(found, Number), [count]))).toBe(
            tensorBits(tensor(wanted, [count])),
          );
        }
      }
    });

    it.each(parts)("is the reference, with its gradients of all rows: %s", (_, part) => {
      const own = random(31);
      for (const [count, width, isMasked] of [
        [2, 1, false],
        [7, 5, true],
        [33, 16, false],
        [300, 7, true],
      ] as const) {
        const isLive = part(count);
        const weights = Float64Array.from({ length: count }, (_, unit) => (isLive(unit) ? 0.5 + own.next() : 0));
        if (weights.every((weight) => weight === 0)) continue;
        expectSame(make(), { ...batchOf(count, width, isMasked, own), weights: tensor(weights, [count]) });
      }
    });

    it("shares the batch's gradients out among ranges of units", () => {
      expectShares(make(), batchOf(613, 40, true, random(35)), [0, 200, 201, 320, 600, 613]);
    });

    it("joins a part of which every pair is excluded to nothing", () => {
      const own = random(32);
      const count = 530;
      const batch = batchOf(count, 6, false, own);
      // A live text sees no image of the first or the second 256, but its own.
      const flags = Uint8Array.from({ length: count * count }, (_, at) => {
        const [row, column] = [Math.floor(at / count), at % count];
        return row !== column && (column % 2 === 0 ? row < 256 : row >= 256 && row < 512) ? 1 : 0;
      });
      const excludeMask = tensor(flags, [count, count]);
      expectSame(make(), { ...batch, excludeMask, mask: maskOf(count, (unit) => unit >= 515 && unit < 525) });
      expectSame(make(), { ...batch, excludeMask, mask: maskOf(count, (unit) => unit >= 100 && unit < 110) });
    });

    it.each([0, 1])("reads the rows of the others: side %i", (side) => {
      const own = random(33);
      const batch = batchOf(9, 4, false, own);
      const mask = maskOf(9, (unit) => unit === 4);
      expect(expectSame(make(), { ...batch, mask }).value).toBeGreaterThan(0);
      ((batch[names[side]!] as Tensor).data as Float32Array)[4 * 7 + 1] = Number.NaN;
      expect(expectSame(make(), { ...batch, mask }).value).toBeNaN();
    });

    it("scores their rows alone", () => {
      const [count, live] = [300, 20];
      const batch = batchOf(count, 5, true, random(36));
      const buffers = vi.spyOn(openSession() as Session, "buffer");
      const most = (isLive: (unit: number) => boolean) => {
        buffers.mockClear();
        make()
          .withEngine("wasm")
          .valueAndGradients({ ...batch, mask: maskOf(count, isLive) } as never);
        return Math.max(...buffers.mock.calls.map(([name, bytes]) => (name === "similarity scores" ? bytes : 0)));
      };
      expect(most((unit) => unit >= 250 && unit < 250 + live)).toBe(4 * live * count);
      expect(most((unit) => unit % 15 === 3)).toBe(4 * live * count);
      expect(most((unit) => unit > 100)).toBe(4 * count * count);
      buffers.mockRestore();
    });

    it("gives nothing where none count", () => {
      const batch = { ...batchOf(9, 4, false, random(34)), mask: maskOf(9, () => false) };
      const { value, gradients } = make({ onEmpty: "zero" })
        .withEngine("wasm")
        .valueAndGradients(batch as never);
      expect(value).toBe(0);
      expect(Object.values(gradients).length).toBe(3);
      for (const { data } of Object.values(gradients) as Tensor[])
        expect(data.every((x) => Number(x) === 0)).toBe(true);
    });
  });
});

describe("an offset", () => {
  const [count, width, first, live] = [29, 11, 13, 5];
  const own = random(40);
  const [queries, keys] = [rows(count, width, own, 1), rows(count, width, own, 1)];
  const excludeMask = exclusion(count, count, (row) => row, own);
  const mask = maskOf(count, (unit) => unit >= first && unit < first + live);

  /** Losses and gradients of the live queries alone against all keys. */
  const runOwn = (given: Partial<Similarities> & Pick<Similarities, "kind" | "normalize">) => {
    const losses = new Float64Array(live);
    const outputs = [new Float32Array(live * width), new Float32Array(count * width)] as const;
    const factors = new Float64Array(live).fill(1 / live);
    const part = (data: ArrayLike<number>, size: number) =>
      Array.prototype.slice.call(data, first * size, (first + live) * size);
    const found = runSimilarities(
      { session: openSession() as Session, weights: undefined, factors, outputs, losses } as never,
      {
        queries: Float32Array.from(part(queries.data as Float32Array, width)),
        keys: keys.data as Float32Array,
        width,
        isMutual: false,
        scale: 10,
        excluded: Uint8Array.from(part(excludeMask.data as Uint8Array, count)),
        ...given,
      },
    );
    return { ...found, losses, outputs };
  };
  /** What they are in the batch of all, where the others are masked. */
  const expectOwn = (
    found: ReturnType<typeof runOwn>,
    objective: Objective,
    batch: Batch,
    names: readonly string[],
  ) => {
    const kernels = objective.withEngine("wasm");
    const wanted = kernels.valueAndGradients({ ...batch, excludeMask, mask } as never);
    const losses = kernels.perUnit({ ...batch, excludeMask, mask } as never).data as Float64Array;
    expect(found.losses).toEqual(losses.slice(first, first + live));
    const [ofQueries, ofKeys] = names.map(
      (name) => (wanted.gradients as Record<string, Tensor>)[name]!.data as Float32Array,
    );
    expect(found.outputs[0]).toEqual(ofQueries!.slice(first * width, (first + live) * width));
    expect(found.outputs[1]).toEqual(ofKeys);
    return wanted.gradients as Record<string, Tensor>;
  };

  it("says where the keys of the queries begin: softmax", () => {
    const found = runOwn({ kind: "softmax", normalize: true, offset: first });
    expectOwn(found, infoNce({ temperature: 0.1 }) as never, { queries, keys }, ["queries", "keys"]);
    const labels = Int32Array.from({ length: live }, (_, unit) => first + unit);
    expect(runOwn({ kind: "softmax", normalize: true, labels })).toEqual(found);
    expect(runOwn({ kind: "softmax", normalize: true }).losses).not.toEqual(found.losses);
  });

  it("says where the keys of the queries begin: sigmoid", () => {
    const logScale = tensor(Float64Array.of(Math.log(10)), []);
    const found = runOwn({
      kind: "sigmoid",
      normalize: false,
      offset: first,
      bias: -3,
      scale: Math.exp(Number(logScale.data[0])),
    });
    const batch = { images: queries, texts: keys, logScale, bias: tensor(Float64Array.of(-3), []) };
    const gradients = expectOwn(found, sigLip() as never, batch, ["images", "texts"]);
    expect([found.ofLogScale, found.ofBias]).toEqual([gradients.logScale!.data[0], gradients.bias!.data[0]]);
  });

  it("leaves a positive that is excluded to the reference", () => {
    const excluded = new Uint8Array(live * count);
    excluded[2 * count + 2] = 1;
    expect(runOwn({ kind: "softmax", normalize: true, offset: first, excluded }).ofLogScale).toBeDefined();
    excluded[2 * count + first + 2] = 1;
    expect(runOwn({ kind: "softmax", normalize: true, offset: first, excluded }).ofLogScale).toBeUndefined();
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
    [
      "infoNce from both sides, few units",
      () => ({
        objective: infoNce({ symmetric: true }) as never,
        batch: { queries, keys, weights, excludeMask, mask: maskOf(B, (unit) => unit >= 130 && unit < 400) },
      }),
    ],
    ["clip", () => ({ objective: clip() as never, batch: { images: queries, texts: keys, logScale: 3 } })],
    [
      "clip, few units",
      () => ({
        objective: clip() as never,
        batch: { images: queries, texts: keys, logScale: 3, mask: maskOf(B, (unit) => unit >= 300 && unit < 600) },
      }),
    ],
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
    const batch = {
      images: rows(count, 2, own),
      texts: rows(count, 2, own),
      logScale: tensor(Float32Array.of(0.5), []),
    };
    // Few that count, since the reference computes each of them against all.
    const isFew = (unit: number) => unit % 1367 === 0;
    const few = { ...batch, mask: maskOf(count, isFew) };
    expectSame(clip() as never, few);
    const lossesOf = (given: Batch) => {
      const { data } = clip()
        .withEngine("wasm")
        .perUnit(given as never);
      return Array.from(data, Number).filter((_, unit) => isFew(unit));
    };
    expect(lossesOf(few)).toEqual(lossesOf(batch));
    expectShares(clip() as never, batch, [0, 2050, count]);
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
