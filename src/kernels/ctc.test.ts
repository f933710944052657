import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { allocate, close, release, setThreads } from "../index.js";
import { ctc } from "../losses/latent/ctc.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { runCtc } from "./ctc.js";
import { type Session, session } from "./session.js";

afterAll(async () => {
  setThreads(2);
  await close();
});

/** A generator of its own for each test: uniform numbers in [0, 1). */
function random(seed: number) {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  return {
    next,
    whole: (below: number) => Math.floor(next() * below),
    normal: () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next()),
  };
}
type Random = ReturnType<typeof random>;

type Layout = "TBC" | "BTC";
type Batch = {
  logits?: Tensor;
  logProbs?: Tensor;
  labels: Tensor;
  inputLengths: Tensor;
  labelLengths: Tensor;
  weights?: Tensor;
  mask?: Tensor;
};

interface Shape {
  readonly T: number;
  readonly B: number;
  readonly C: number;
  readonly S: number;
  readonly blank?: number;
  readonly layout?: Layout;
  readonly spread?: number;
  /** Sequences without an alignment too. */
  readonly mayBeImpossible?: boolean;
  readonly field?: "logits" | "logProbs";
  readonly concatenates?: boolean;
}

function place({ T, B, C, layout = "TBC" }: Shape, t: number, b: number, k: number): number {
  return layout === "TBC" ? (t * B + b) * C + k : (b * T + t) * C + k;
}

/** A random batch; dead frames hold NaN and dead labels what is no class. */
function draw(shape: Shape, { next, whole, normal }: Random): Batch {
  const { T, B, C, S, blank = 0, layout = "TBC", spread = 1, mayBeImpossible, field = "logits", concatenates } = shape;
  const scores = new Float32Array(T * B * C).fill(Number.NaN);
  const labels: number[] = [];
  const inputLengths = new Int32Array(B);
  const labelLengths = new Int32Array(B);
  for (let b = 0; b < B; b++) {
    const frames = next() < 0.5 ? T : whole(T + 1);
    const most = C === 1 ? 0 : Math.min(S, mayBeImpossible ? S : frames);
    const row = Array.from({ length: next() < 0.4 ? most : whole(most + 1) }, () => {
      const label = whole(C - 1);
      return label >= blank ? label + 1 : label;
    });
    const repeats = () => row.filter((label, i) => i > 0 && label === row[i - 1]).length;
    while (!mayBeImpossible && row.length + repeats() > frames) row.pop();
    inputLengths[b] = frames;
    labelLengths[b] = row.length;
    labels.push(...row);
    for (let i = row.length; !concatenates && i < S; i++) labels.push(9999);
    for (let t = 0; t < frames; t++) {
      const drawn = Array.from({ length: C }, () => spread * normal());
      const shift = field === "logits" ? 0 : Math.log(drawn.reduce((sum, x) => sum + Math.exp(x), 0));
      for (let k = 0; k < C; k++)
        scores[place(shape, t, b, k)] = Math.min(drawn[k]! - shift, field === "logits" ? 1e9 : 0);
    }
  }
  return {
    [field]: tensor(scores, layout === "TBC" ? [T, B, C] : [B, T, C]),
    labels: tensor(Int32Array.from(labels), concatenates ? undefined : [B, S]),
    inputLengths: tensor(inputLengths),
    labelLengths: tensor(labelLengths),
  } as Batch;
}

const fieldOf = (batch: Batch) => (batch.logits ? "logits" : "logProbs");

type Options = NonNullable<Parameters<typeof ctc>[0]>;

/** Both engines on one batch: values within 2e-7, gradients within 1e-6 of the largest weight, notes the same. */
function compare(options: Options, batch: Batch): void {
  const [kernel, reference] = [ctc(options).withEngine("wasm"), ctc(options).withEngine("reference")];
  const [found, wanted] = [kernel.valueAndGradients(batch as never), reference.valueAndGradients(batch as never)];
  expect(found.ranBy).toBe("wasm");
  expectClose(found.value, wanted.value, Math.abs(wanted.numerator) / 1000);
  expectClose(found.numerator, wanted.numerator, 1e-3);
  expect(found.denominator).toBe(wanted.denominator);
  expect(found.notes).toEqual(wanted.notes);
  const field = fieldOf(batch);
  const [left, right] = [found.gradients[field]!.data, wanted.gradients[field]!.data] as Float32Array[];
  const weights = (batch.weights?.data ?? [1]) as ArrayLike<number>;
  const scale = Math.max(...Array.from(weights)) / (found.denominator === 0 ? 1 : Math.min(found.denominator, 1));
  for (let i = 0; i < right!.length; i++) {
    const [a, b] = [left![i]!, right![i]!];
    if (Number.isNaN(b) ? Number.isNaN(a) : Math.abs(a - b) <= 1e-6 * scale) continue;
    expect.fail(`gradient ${i}: ${a}, the reference has ${b}`);
  }
  const losses = kernel.perUnit(batch as never).data as Float64Array;
  const each = reference.perUnit(batch as never).data as Float64Array;
  for (let b = 0; b < each.length; b++) expectClose(losses[b]!, each[b]!, 1e-3);
  expect(kernel.evaluate(batch as never).value).toBe(found.value);
}

function expectClose(found: number, wanted: number, floor: number): void {
  if (!Number.isFinite(wanted)) expect(found).toBe(wanted);
  else expect(Math.abs(found - wanted)).toBeLessThanOrEqual(2e-7 * Math.max(Math.abs(wanted), floor));
}

const bitsOf = (numbers: ArrayLike<number>) => {
  const array = numbers as Float32Array | Float64Array;
  return Buffer.from(array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength) as ArrayBuffer).toString(
    "base64",
  );
};

describe("the kernel of ctc", () => {
  it("agrees with the reference on random batches of both layouts, labels and fields", () => {
    for (let seed = 1; seed <= 120; seed++) {
      const source = random(seed);
      const C = [1, 2, 3, 5, 17, 40][source.whole(6)]!;
      const shape: Shape = {
        T: 1 + source.whole(seed % 5 === 0 ? 70 : 12),
        B: 1 + source.whole(5),
        C,
        S: source.whole(C === 1 ? 1 : 9),
        blank: source.whole(C),
        layout: source.next() < 0.5 ? "TBC" : "BTC",
        spread: [0.1, 1, 6, 30][source.whole(4)]!,
        field: source.next() < 0.6 ? "logits" : "logProbs",
        mayBeImpossible: source.next() < 0.3,
        concatenates: source.next() < 0.4,
      };
      const options: Options = {
        blank: shape.blank!,
        layout: shape.layout!,
        zeroInfinity: source.next() < 0.5,
        per: (["sequence", "token", "sample"] as const)[source.whole(3)]! as "sequence",
        onEmpty: "zero",
      };
      const batch = draw(shape, source);
      const mode = source.whole(3);
      if (mode === 1) {
        batch.weights = tensor(Float32Array.from({ length: shape.B }, () => source.whole(3) * source.next()));
      } else if (mode === 2) batch.mask = tensor(Uint8Array.from({ length: shape.B }, () => source.whole(2)));
      compare(options, batch);
    }
  });

  it("keeps every state's digits where labels are so improbable that their mass leaves float64", () => {
    // 90 labels of probability e^−20 to e^−60 each: the last state begins e^−1800 and more below the first.
    for (const [pull, spread] of [
      [20, 1],
      [60, 1],
      [0, 25],
      [100, 30],
    ] as const) {
      const source = random(7 + pull);
      const shape: Shape = { T: 150, B: 2, C: 12, S: 90, spread };
      const batch = draw(shape, source);
      batch.inputLengths = tensor(Int32Array.of(150, 150));
      const data = batch.logits!.data as Float32Array;
      for (let i = 0; i < data.length; i++) {
        if (Number.isNaN(data[i]!)) data[i] = spread * source.normal();
        if (i % 12 === 0) data[i]! += pull;
      }
      compare({}, batch);
    }
  });

  it("leaves scores that lie beyond any exponent to the reference, in place too", () => {
    for (const far of [-350, -1000, -1e9]) {
      const source = random(3);
      const shape: Shape = { T: 9, B: 3, C: 4, S: 4, layout: "BTC" };
      const batch = draw(shape, source);
      batch.inputLengths = tensor(Int32Array.of(9, 9, 9));
      const data = batch.logits!.data as Float32Array;
      for (let i = 0; i < data.length; i++) {
        if (Number.isNaN(data[i]!)) data[i] = source.normal();
        if (i % 3 === 0) data[i] = far;
      }
      compare({ layout: "BTC" }, batch);
      const wanted = ctc({ layout: "BTC" })
        .withEngine("reference")
        .valueAndGradients(batch as never);
      const memory = allocate([3, 9, 4]);
      memory.data.set(data);
      const found = ctc({ layout: "BTC" })
        .withEngine("wasm")
        .valueAndGradients({ ...batch, logits: memory } as never, { inPlace: true });
      expect(found.value).toBeCloseTo(wanted.value, 5);
      const right = wanted.gradients.logits!.data as Float32Array;
      for (const [i, entry] of (memory.data as Float32Array).entries()) expect(entry).toBeCloseTo(right[i]!, 6);
      release(memory);
    }
  });

  it("computes by itself what models say early and late in training", () => {
    for (const { pull, peak, noise } of [
      { pull: 0, peak: 0, noise: 1 },
      { pull: 15, peak: 0, noise: 2 },
      { pull: 0, peak: 30, noise: 4 },
      { pull: 60, peak: 0, noise: 1 },
    ]) {
      const { normal, whole } = random(pull + 61);
      const [T, C, S] = [400, 30, 90];
      const labels = Int32Array.from({ length: S }, () => 1 + whole(C - 1));
      const scores = Float32Array.from({ length: T * C }, (_, i) => noise * normal() + (i % C === 0 ? pull : 0));
      // Each label is said in every fourth frame or so, the blank in all others.
      for (let t = 0; t < T; t++) scores[t * C + (t % 4 === 0 && t / 4 < S ? labels[t / 4]! : 0)]! += peak;
      compareAlone(scores, labels, C);
    }
  });

  it("computes by itself what goes through a state that had fallen beyond float64 behind its neighbors", () => {
    const never = Number.NEGATIVE_INFINITY;
    // The second label is all but certain for frames on end; then it and the blank are forbidden, and all hangs on
    // alignments that had stayed in the first label.
    const frames = [
      [-200, 0, -200],
      ...Array.from({ length: 7 }, () => [-200, -200, 0]),
      ...Array.from({ length: 3 }, () => [0, 0, 0]),
      [never, 0, never],
      [never, 0, 0],
    ];
    compareAlone(Float32Array.from(frames.flat()), Int32Array.of(1, 2), 3);
    compareAlone(Float32Array.from([...frames].reverse().flat()), Int32Array.of(2, 1), 3);
  });

  it("keeps the digits of small losses that many alignments share, and of losses near 0", () => {
    for (let seed = 1; seed <= 150; seed++) {
      const { whole, normal } = random(seed + 900);
      const T = 1 + whole(4);
      compareAlone(
        Float32Array.from({ length: 2 * T }, () => 4 * normal()),
        Int32Array.of(1),
        2,
      );
    }
    const [T, gap] = [20, 30];
    const sure = Float32Array.from({ length: 3 * T }, (_, i) => (i % 3 === Math.floor(i / 6) % 2 ? gap : 0));
    const lengths = { inputLengths: tensor(Int32Array.of(T)), labelLengths: tensor(Int32Array.of(T / 4)) };
    const batch = {
      logits: tensor(sure, [T, 1, 3]),
      labels: tensor(new Int32Array(T / 4).fill(1), [1, T / 4]),
      ...lengths,
    };
    const lossOf = (engine: "wasm" | "reference") =>
      ctc()
        .withEngine(engine)
        .evaluate(batch as never).numerator;
    expect(lossOf("reference")).toBeLessThan(1e-11);
    expect(lossOf("wasm") / lossOf("reference")).toBeCloseTo(1, 7);
  });

  it("gives one loss whether gradients are asked or not, where the way back alone leaves float64", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const source = random(seed + 700);
      compare({ layout: "BTC" }, draw({ T: 90, B: 2, C: 20, S: 50, spread: 20 + seed, layout: "BTC" }, source));
    }
  });

  it("takes forbidden classes, in single frames and in all", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const source = random(seed + 500);
      const shape: Shape = {
        T: 14,
        B: 3,
        C: 5,
        S: 5,
        field: seed % 2 ? "logits" : "logProbs",
        spread: seed % 3 ? 2 : 20,
      };
      const batch = draw(shape, source);
      const data = batch[shape.field!]!.data as Float32Array;
      for (let i = 0; i < data.length; i++)
        if (source.next() < 0.25 && data[i]! < 1e9) data[i] = Number.NEGATIVE_INFINITY;
      compare({ zeroInfinity: seed % 4 === 0 }, batch);
    }
  });

  it("leaves NaN, +∞ and log-probabilities above 0 to the reference", () => {
    for (const field of ["logits", "logProbs"] as const) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 0.5, 2e-6]) {
        for (const layout of ["TBC", "BTC"] as const) {
          const shape: Shape = { T: 6, B: 4, C: 7, S: 2, field, layout };
          const batch = draw(shape, random(11));
          batch.inputLengths = tensor(Int32Array.of(6, 5, 6, 6));
          const data = batch[field]!.data as Float32Array;
          const source = random(12);
          for (let i = 0; i < data.length; i++) if (Number.isNaN(data[i]!)) data[i] = -2 - source.next();
          data[place(shape, 3, 1, 6)] = bad;
          data[place(shape, 5, 1, 2)] = Number.NaN;
          compare({ layout }, batch);
        }
      }
    }
  });

  it("throws the reference's errors, for sequences with a weight alone", () => {
    const batch = draw({ T: 6, B: 3, C: 4, S: 3 }, random(2));
    const cases: [keyof Batch, Tensor][] = [
      ["labels", tensor(Int32Array.of(1, 2, 3, 1, 0, 2, 1, 9, 2), [3, 3])],
      ["labels", tensor(Float64Array.of(1, 2, 3, 1, 1, 2, 1, 1, 1.5), [3, 3])],
      ["inputLengths", tensor(Int32Array.of(6, 6, 7))],
      ["labelLengths", tensor(Int32Array.of(3, -1, 3))],
    ];
    for (const [field, value] of cases) {
      const labelLengths = tensor(Int32Array.of(3, 3, 3));
      const wrong = { ...batch, inputLengths: tensor(Int32Array.of(6, 6, 6)), labelLengths, [field]: value };
      const errorOf = (engine: "wasm" | "reference") => {
        try {
          ctc()
            .withEngine(engine)
            .evaluate(wrong as never);
        } catch (error) {
          return { ...(error as object), message: (error as Error).message };
        }
        return undefined;
      };
      expect(errorOf("wasm")).toBeDefined();
      expect(errorOf("wasm")).toEqual(errorOf("reference"));
    }
    const data = (batch.logits!.data as Float32Array).map((entry) => (Number.isNaN(entry) ? 0 : entry));
    const masked = {
      ...batch,
      logits: tensor(data, [6, 3, 4]),
      labels: cases[0]![1],
      inputLengths: tensor(Int32Array.of(6, 99, 6)),
      labelLengths: tensor(Int32Array.of(3, 3, 1)),
      mask: tensor(Uint8Array.of(1, 0, 1)),
    };
    compare({}, masked as Batch);
  });

  it("takes labels and lengths of any integer dtype", () => {
    const batch = draw({ T: 6, B: 3, C: 4, S: 3 }, random(4));
    const wanted = ctc()
      .withEngine("wasm")
      .valueAndGradients(batch as never);
    const wide = Object.fromEntries(
      (["labels", "inputLengths", "labelLengths"] as const).map((name) => {
        const { data, shape } = batch[name];
        return [name, tensor(BigInt64Array.from(Array.from(data as Int32Array, BigInt)), shape)];
      }),
    );
    const found = ctc()
      .withEngine("wasm")
      .valueAndGradients({ ...batch, ...wide } as never);
    expect(found.value).toBe(wanted.value);
    expect(bitsOf(found.gradients.logits!.data as Float32Array)).toBe(
      bitsOf(wanted.gradients.logits!.data as Float32Array),
    );
  });

  it("gives the same bits on any number of threads, in either layout, in plain or kernel memory, over its input", () => {
    const shape: Shape = { T: 60, B: 13, C: 37, S: 20, spread: 3 };
    for (const field of ["logits", "logProbs"] as const) {
      const batch = draw({ ...shape, field }, random(21));
      const { T, B, C } = shape;
      const data = batch[field]!.data as Float32Array;
      const swapped = new Float32Array(data.length);
      for (let t = 0; t < T; t++) {
        for (let b = 0; b < B; b++) {
          for (let k = 0; k < C; k++)
            swapped[place({ ...shape, layout: "BTC" }, t, b, k)] = data[place(shape, t, b, k)]!;
        }
      }
      const inOrder = (gradient: Float32Array, layout: Layout) => {
        const out = new Float32Array(gradient.length);
        for (let t = 0; t < T; t++) {
          for (let b = 0; b < B; b++) {
            for (let k = 0; k < C; k++) out[place(shape, t, b, k)] = gradient[place({ ...shape, layout }, t, b, k)]!;
          }
        }
        return bitsOf(out);
      };
      setThreads(1);
      const wanted = ctc()
        .withEngine("wasm")
        .valueAndGradients(batch as never);
      const bits = bitsOf(wanted.gradients[field]!.data as Float32Array);
      for (const threads of [1, 2, 3, 5]) {
        setThreads(threads);
        for (const layout of ["TBC", "BTC"] as const) {
          for (const where of ["plain", "memory", "in place", "plain in place", "shifted"] as const) {
            const axes = layout === "TBC" ? [T, B, C] : [B, T, C];
            const numbers = layout === "TBC" ? data : swapped;
            const isPlain = where.startsWith("plain");
            const room = isPlain ? undefined : allocate([T * B * C + 3]);
            const at = where === "shifted" ? 3 : 0;
            const scores = room
              ? tensor((room.data as Float32Array).subarray(at, at + numbers.length), axes)
              : tensor(Float32Array.from(numbers), axes);
            (scores.data as Float32Array).set(numbers);
            const objective = ctc({ layout }).withEngine("wasm");
            const given = { ...batch, [field]: scores } as never;
            const call = where.endsWith("in place") ? ({ inPlace: true } as const) : {};
            const found = objective.valueAndGradients(given, call);
            expect(found.value).toBe(wanted.value);
            expect(inOrder(found.gradients[field]!.data as Float32Array, layout)).toBe(bits);
            if (room) release(room);
          }
        }
      }
    }
  });

  it("gives each sequence the loss and gradient it has alone", () => {
    const shape: Shape = { T: 40, B: 9, C: 23, S: 12, spread: 2 };
    const batch = draw(shape, random(31));
    const { T, B, C, S } = shape;
    const data = batch.logits!.data as Float32Array;
    const objective = ctc({ divideBy: { constant: 1 } }).withEngine("wasm");
    const all = objective.valueAndGradients(batch as never).gradients.logits!.data as Float32Array;
    const losses = objective.perUnit(batch as never).data as Float64Array;
    for (let b = 0; b < B; b++) {
      const own = new Float32Array(T * C);
      const wanted = new Float32Array(T * C);
      for (let t = 0; t < T; t++) {
        for (let k = 0; k < C; k++) {
          own[t * C + k] = data[place(shape, t, b, k)]!;
          wanted[t * C + k] = all[place(shape, t, b, k)]!;
        }
      }
      const alone = objective.valueAndGradients({
        logits: tensor(own, [T, 1, C]),
        labels: tensor((batch.labels.data as Int32Array).slice(b * S, (b + 1) * S), [1, S]),
        inputLengths: tensor((batch.inputLengths.data as Int32Array).slice(b, b + 1)),
        labelLengths: tensor((batch.labelLengths.data as Int32Array).slice(b, b + 1)),
      } as never);
      expect(alone.value).toBe(losses[b]);
      expect(bitsOf(alone.gradients.logits!.data as Float32Array)).toBe(bitsOf(wanted));
    }
  });

  it("loses no digits over 10,000 frames, nor where the model is sure", () => {
    const shape: Shape = { T: 10_000, B: 1, C: 3, S: 40, layout: "BTC" };
    const source = random(41);
    const batch = draw(shape, source);
    batch.inputLengths = tensor(Int32Array.of(10_000));
    const data = batch.logits!.data as Float32Array;
    for (let i = 0; i < data.length; i++) data[i] = source.normal();
    compare({ layout: "BTC" }, batch);
    const sure = new Float32Array(30);
    for (let t = 0; t < 10; t++) sure[3 * t + (t % 2)] = t === 4 ? 3 : 35;
    const certain = {
      logits: tensor(sure, [1, 10, 3]),
      labels: tensor(Int32Array.of(1, 1, 1, 1, 1), [1, 5]),
      inputLengths: tensor(Int32Array.of(10)),
      labelLengths: tensor(Int32Array.of(5)),
    } as Batch;
    compare({ layout: "BTC" }, certain);
    const gradientOf = (engine: "wasm" | "reference") =>
      ctc({ layout: "BTC" })
        .withEngine(engine)
        .valueAndGradients(certain as never).gradients.logits!.data as Float32Array;
    const [found, wanted] = [gradientOf("wasm"), gradientOf("reference")];
    for (const [i, entry] of wanted.entries()) {
      // Where p and γ are equal numbers, their difference is but rounding.
      expect(Math.abs(found[i]! - entry)).toBeLessThanOrEqual(1e-5 * Math.abs(entry) + 1e-28);
    }
    for (let t = 0; t < 10; t++) expect(found[3 * t]! + found[3 * t + 1]! + found[3 * t + 2]!).toBeCloseTo(0, 11);
  });

  it("computes the golden cases, cast to float32, as the reference does", () => {
    const { cases } = JSON.parse(readFileSync(new URL("../../test/golden/latent.json", import.meta.url), "utf8"));
    let count = 0;
    for (const { objective, options, reduction, batch, expected } of cases) {
      if (objective !== "ctc" || expected.error) continue;
      const cast = Object.fromEntries(
        Object.entries(batch as Record<string, GoldenTensor>).map(([name, { dtype, shape, data }]) => {
          const isReal = dtype.startsWith("float");
          return [name, tensor(isReal ? Float32Array.from(data, numberOf) : Int32Array.from(data, numberOf), shape)];
        }),
      );
      compare({ ...options, ...reduction }, cast as Batch);
      count++;
    }
    expect(count).toBeGreaterThan(5);
  });
});

/** Computes one sequence by the kernel alone, which must leave nothing to the reference, and compares the two. */
function compareAlone(scores: Float32Array, labels: Int32Array, C: number): void {
  const T = scores.length / C;
  const gradient = new Float32Array(T * C);
  const losses = new Float64Array(1);
  const call = {
    session: session() as Session,
    weights: undefined,
    factors: Float64Array.of(1),
    outputs: [gradient],
    losses,
    labels: undefined,
    odd: () => expect.fail("the sequence was left to the reference"),
    leaveAll: () => expect.fail("the batch was left to the reference"),
    open: () => {},
  };
  const sequences = { labels, frames: () => T, take: () => labels.length };
  runCtc(call, { scores, sequences, framesFirst: true, isNormalized: false, frames: T, classes: C, blank: 0 });
  const wanted = ctc({ divideBy: { constant: 1 } })
    .withEngine("reference")
    .valueAndGradients({
      logits: tensor(scores, [T, 1, C]),
      labels: tensor(labels, [1, labels.length]),
      inputLengths: tensor(Int32Array.of(T)),
      labelLengths: tensor(Int32Array.of(labels.length)),
    } as never);
  expectClose(losses[0]!, wanted.value, 1e-6);
  const right = wanted.gradients.logits!.data as Float32Array;
  expect(gradient.every((entry, i) => Math.abs(entry - right[i]!) <= 1e-6)).toBe(true);
}

interface GoldenTensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly data: (number | string)[];
}

function numberOf(entry: number | string): number {
  if (typeof entry === "number") return entry;
  return entry === "inf" ? Number.POSITIVE_INFINITY : entry === "-inf" ? Number.NEGATIVE_INFINITY : Number.NaN;
}
