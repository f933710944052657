/** What kernels read and write: their operands and nothing else, wherever those lie. */
import { execFileSync } from "node:child_process";
import { freemem } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type AnyBatch,
  allocate,
  type EvaluationWithGradients,
  objectiveFrom,
  release,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { session } from "../../src/kernels/index.js";
import { view } from "../../src/tensor/index.js";
import { resultBits } from "../instruments/bits.js";
import { Random } from "../instruments/random.js";

interface Sample {
  readonly objective: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly batch: AnyBatch;
  /** The fields that get gradients. */
  readonly fields: readonly string[];
}

function reals(seed: number, shape: readonly number[], scale = 3): Tensor {
  const random = new Random(seed);
  const count = shape.reduce((product, length) => product * length, 1);
  return tensor(
    Float32Array.from({ length: count }, () => random.real(scale)),
    shape,
  );
}

const shares = (seed: number, count: number) =>
  tensor(Float32Array.from(reals(seed, [count], 1).data as Float32Array, (x) => Math.abs(x) % 1));
const labels = tensor(Int32Array.from({ length: 30 }, (_, i) => (i % 7 === 3 ? -100 : (i * 5) % 11)));

const samples: readonly Sample[] = [
  { objective: "huber", batch: { predictions: reals(1, [301]), targets: reals(2, [301]) }, fields: ["predictions"] },
  { objective: "binaryCrossEntropy", batch: { logits: reals(3, [301]), targets: shares(4, 301) }, fields: ["logits"] },
  {
    objective: "pairwiseLogistic",
    batch: { chosen: reals(5, [57]), rejected: reals(6, [57]) },
    fields: ["chosen", "rejected"],
  },
  { objective: "crossEntropy", batch: { logits: reals(7, [30, 11]), labels }, fields: ["logits"] },
  {
    objective: "crossEntropy",
    options: { labelSmoothing: 0.1, logitSoftCap: 4, zLoss: 0.01 },
    batch: { logits: reals(8, [30, 37]), labels },
    fields: ["logits"],
  },
  {
    objective: "crossEntropy",
    options: { labelShift: 1 },
    batch: { logits: reals(9, [3, 10, 23]), labels: view(labels.data as Int32Array, [3, 10], "unlabeled", "int32") },
    fields: ["logits"],
  },
  { objective: "focal", batch: { logits: reals(10, [30, 19]), labels }, fields: ["logits"] },
  {
    objective: "klDivergence",
    batch: { logits: reals(11, [30, 21]), targetLogits: reals(12, [30, 21]) },
    fields: ["logits"],
  },
  {
    objective: "distillation",
    options: { temperature: 3 },
    batch: { logits: reals(13, [30, 13]), teacherLogits: reals(14, [30, 13]), labels },
    fields: ["logits"],
  },
];

const named = samples.map((sample) => [`${sample.objective} ${JSON.stringify(sample.options ?? {})}`, sample] as const);

function compute({ objective, options = {} }: Sample, batch: AnyBatch, call = {}): EvaluationWithGradients {
  return objectiveFrom({ objective, options }).withEngine("wasm").valueAndGradients(batch, call);
}

/** A float32 tensor with the numbers of another, `offset` entries into a piece of kernel memory full of `filler`. */
function placed(given: Tensor, offset: number, filler: number) {
  const count = given.data.length;
  const around = allocate([count + 64], "float32");
  around.data.fill(filler);
  const data = around.data.subarray(offset, offset + count);
  data.set(given.data as Float32Array);
  const untouched = () => {
    const outside = [...around.data.subarray(0, offset), ...around.data.subarray(offset + count)];
    return outside.every((entry) => Object.is(entry, filler));
  };
  return { tensor: view(data, given.shape, "unlabeled", "float32"), untouched, around };
}

describe.each(named)("%s", (_, sample) => {
  const plain = compute(sample, sample.batch);

  it.each([0, 1, 2, 3, 5, 16])(
    "has the same bits in kernel memory at an offset of %i entries, and nothing around it is read or written",
    (offset) => {
      const blocks: Tensor[] = [];
      const checks: (() => boolean)[] = [];
      const take = (given: Tensor, filler: number) => {
        const { tensor: inside, untouched, around } = placed(given, offset, filler);
        blocks.push(around);
        checks.push(untouched);
        return inside;
      };
      const batch = Object.fromEntries(
        Object.entries(sample.batch).map(([name, field]) => [
          name,
          typeof field === "object" && field.dtype === "float32" ? take(field, Number.NaN) : field,
        ]),
      );
      const gradients = Object.fromEntries(sample.fields.map((name) => [name, take(batch[name] as Tensor, 123.5)]));
      const found = compute(sample, batch, { into: { gradients } });
      expect(resultBits(found)).toEqual(resultBits(plain));
      for (const name of sample.fields) expect(found.gradients[name]).toBe(gradients[name]);
      expect(checks.map((untouched) => untouched())).toEqual(checks.map(() => true));
      for (const block of blocks) release(block);
    },
  );

  it.each(["plain memory", "kernel memory"])("writes its gradient over its own field, in %s", (where) => {
    if (sample.fields.length > 1 && where === "kernel memory") return;
    const own = (given: Tensor) => {
      const copy =
        where === "plain memory"
          ? tensor(given.data.slice() as Float32Array, given.shape)
          : allocate(given.shape, "float32");
      (copy.data as Float32Array).set(given.data as Float32Array);
      return copy;
    };
    const batch = {
      ...sample.batch,
      ...Object.fromEntries(sample.fields.map((name) => [name, own(sample.batch[name] as Tensor)])),
    };
    const found = compute(sample, batch, { inPlace: true });
    expect(resultBits(found)).toEqual(resultBits(plain));
    for (const name of sample.fields) expect(found.gradients[name]!.data).toBe((batch[name] as Tensor).data);
  });

  it("writes over its own field in the reference too, zeros where nothing counts", () => {
    const objective = objectiveFrom({ objective: sample.objective, options: sample.options ?? {} }).withEngine(
      "reference",
    );
    const fresh = objective.valueAndGradients(sample.batch);
    const copies = sample.fields.map((name) => {
      const given = sample.batch[name] as Tensor;
      return [name, tensor(given.data.slice() as Float32Array, given.shape)] as const;
    });
    const found = objective.valueAndGradients({ ...sample.batch, ...Object.fromEntries(copies) }, { inPlace: true });
    expect(resultBits(found)).toEqual(resultBits(fresh));
  });

  it("computes odd units before anything is written over them", () => {
    if (sample.fields.length > 1) return;
    const name = sample.fields[0]!;
    const given = sample.batch[name] as Tensor;
    const broken = given.data.slice() as Float32Array;
    broken[broken.length >> 1] = Number.NaN;
    const apart = compute(sample, { ...sample.batch, [name]: tensor(broken.slice(), given.shape) });
    const over = compute(sample, { ...sample.batch, [name]: tensor(broken.slice(), given.shape) }, { inPlace: true });
    expect(resultBits(over)).toEqual(resultBits(apart));
    const reference = objectiveFrom({ objective: sample.objective, options: sample.options ?? {} })
      .withEngine("reference")
      .valueAndGradients({ ...sample.batch, [name]: tensor(broken.slice(), given.shape) });
    expect(over.notes).toEqual(reference.notes);
    expect(Number.isNaN(over.value)).toBe(Number.isNaN(reference.value));
  });

  it("reads nothing of masked units: poison there leaves no trace", () => {
    const counted = (sample.batch[sample.fields[0]!] as Tensor).shape.slice(
      0,
      sample.objective === "crossEntropy" || sample.batch.labels || sample.batch.targetLogits ? -1 : undefined,
    );
    const units = counted.reduce((product, length) => product * length, 1);
    const mask = view(
      Uint8Array.from({ length: units }, (_, i) => (i % 3 === 1 ? 0 : 1)),
      counted,
      "mask",
      "uint8",
    );
    const clean = compute(sample, { ...sample.batch, mask });
    const poisoned = Object.fromEntries(
      Object.entries(sample.batch).map(([name, field]) => {
        if (typeof field !== "object" || field.dtype !== "float32") return [name, field];
        const data = field.data.slice() as Float32Array;
        const width = data.length / units;
        const shift = (sample.options as { labelShift?: number })?.labelShift ?? 0;
        for (let unit = 0; unit < units; unit++) {
          // A unit's label is scored a shift before it.
          const row = name === "logits" ? unit - shift : unit;
          if (unit % 3 === 1 && row >= 0 && row % 10 <= 9 - shift)
            data.fill(Number.NaN, row * width, (row + 1) * width);
        }
        return [name, tensor(data, field.shape)];
      }),
    );
    expect(resultBits(compute(sample, { ...poisoned, mask }))).toEqual(resultBits(clean));
  });
});

describe("allocate", () => {
  it("gives zeroed tensors of every dtype in one memory, which kernels know", () => {
    const live = session();
    if (typeof live === "string") throw new Error(live);
    for (const dtype of ["float32", "float64", "int32", "int64", "uint8", "bool"] as const) {
      const made = allocate([3, 5], dtype);
      expect([made.dtype, made.shape]).toEqual([dtype, [3, 5]]);
      expect(Array.from(made.data as Float32Array, Number)).toEqual(new Array(15).fill(0));
      expect(live.addressOf(made.data)).toBe(made.data.byteOffset);
      release(made);
    }
    expect(allocate([2]).dtype).toBe("float32");
  });

  it("gives memory back, and takes it again zeroed", () => {
    const live = session();
    if (typeof live === "string") throw new Error(live);
    const before = live.heap.used;
    for (let i = 0; i < 100; i++) {
      const [a, b, c] = [allocate([1000]), allocate([2000]), allocate([10])];
      a.data.fill(1);
      b.data.fill(2);
      release(b);
      const again = allocate([1500]);
      expect(again.data.every((entry) => entry === 0)).toBe(true);
      for (const made of [a, c, again]) release(made);
    }
    expect(live.heap.used).toBe(before);
  });

  it("refuses what is no shape, no dtype, not its own, or given back twice", () => {
    expect(() => allocate([2, -1])).toThrow(/shape/);
    expect(() => allocate([2], "float8" as never)).toThrow(/float32/);
    expect(() => release(tensor(new Float32Array(3)))).toThrow(/plain/);
    const made = allocate([4]);
    release(made);
    expect(() => release(made)).toThrow(/given back already/);
    // The same place, another tensor.
    const next = allocate([4]);
    expect(() => release(made)).toThrow(/given back already/);
    expect(() => release(tensor((next.data as Float32Array).subarray(0, 2)))).toThrow(/a part of a tensor/);
    release(next);
    expect(() => release(null as never)).toThrow(/no tensor/);
  });

  it("says when the memory has no room, and works on afterwards", () => {
    expect(() => allocate([2 ** 30 + 1000], "float32")).toThrow(/no room.*4 GiB/s);
    const made = allocate([100]);
    expect(made.data.length).toBe(100);
    release(made);
    const objective = objectiveFrom({ objective: "huber" }).withEngine("wasm");
    expect(objective.evaluate(samples[0]!.batch).ranBy).toBe("wasm");
  });
});

describe("a field of fewer numbers than its shape says", () => {
  it("is refused by name, and its shape alone is enough for a denominator", () => {
    const short = { ...tensor(new Float32Array(300), [100, 3]), data: new Float32Array(3) };
    const targets = tensor(new Float32Array(300), [100, 3]);
    const objective = objectiveFrom({ objective: "huber" }).withEngine("wasm");
    expect(() => objective.evaluate({ predictions: short, targets })).toThrow(/predictions.*over 3 numbers/);
    expect(objective.denominator({ predictions: short, targets }).value).toBe(300);
  });
});

describe("10,000 calls", () => {
  it("let neither the kernels' memory nor the heap grow", () => {
    const script = `
import { allocate, crossEntropy, huber, tensor } from "losswright";
const { session } = await import(${JSON.stringify(join(import.meta.dirname, "..", "..", "dist", "kernels", "index.js"))});
const logits = tensor(new Float32Array(2000), [100, 20]);
const labels = tensor(new Int32Array(100));
const into = { gradients: { logits: tensor(new Float32Array(2000), [100, 20]) } };
const [predictions, targets] = [tensor(new Float32Array(1000)), tensor(new Float32Array(1000))];
const intoOther = { gradients: { predictions: tensor(new Float32Array(1000)) } };
const [a, b] = [crossEntropy(), huber()];
const run = (calls) => { for (let i = 0; i < calls; i++) { a.valueAndGradients({ logits, labels }, { into }); b.valueAndGradients({ predictions, targets }, { into: intoOther }); } };
run(500);
gc();
const before = [session().heap.used, session().memory.buffer.byteLength, process.memoryUsage().heapUsed];
run(10000);
gc();
const after = [session().heap.used, session().memory.buffer.byteLength, process.memoryUsage().heapUsed];
console.log(JSON.stringify([before, after]));
`;
    const out = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "--eval", script], {
      cwd: join(import.meta.dirname, "..", ".."),
      encoding: "utf8",
    });
    const [before, after] = JSON.parse(out) as [number[], number[]];
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after[2]! - before[2]!).toBeLessThan(500_000);
  });
});

const room = freemem() > 8 * 2 ** 30;
if (!room) console.log("skipped: logits beyond 4 GiB, since less than 8 GiB of memory are free");

describe("logits beyond 4 GiB", () => {
  it.skipIf(!room)("go through in pieces, and their gradient takes their place", () => {
    const script = `
import { crossEntropy, tensor } from "losswright";
const [rows, classes] = [8600, 128256];
const data = new Float32Array(rows * classes);
const pattern = Float32Array.from({ length: classes }, (_, k) => ((k * 7919) % 1000) / 100);
for (let row = 0; row < rows; row++) { data.set(pattern, row * classes); data[row * classes] = row / 1000; }
const labelOf = (row) => (row * 31) % classes;
const labels = tensor(Int32Array.from({ length: rows }, (_, row) => labelOf(row)));
const objective = crossEntropy();
const { ranBy, gradients } = objective.valueAndGradients({ logits: tensor(data, [rows, classes]), labels }, { inPlace: true });
let worst = 0;
for (const row of [0, 4300, rows - 1]) {
  const own = pattern.slice();
  own[0] = row / 1000;
  const alone = { logits: tensor(own, [1, classes]), labels: tensor(Int32Array.of(labelOf(row))) };
  const { gradients: wanted } = objective.valueAndGradients(alone, { denominator: rows, engine: "reference" });
  for (let k = 0; k < classes; k++) worst = Math.max(worst, rows * Math.abs(wanted.logits.data[k] - data[row * classes + k]));
}
console.log(JSON.stringify([ranBy, gradients.logits.data === data, data.byteLength > 4 * 2 ** 30, worst]));
`;
    const out = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: join(import.meta.dirname, "..", ".."),
      encoding: "utf8",
    });
    const [ranBy, isSame, isLarge, worst] = JSON.parse(out);
    expect([ranBy, isSame, isLarge]).toEqual(["wasm", true, true]);
    expect(worst).toBeLessThan(1e-6);
  });
});
