/** Threads: the same bits for any number of them, and an end to every failure. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type AnyBatch,
  allocate,
  close,
  LosswrightError,
  objectiveFrom,
  release,
  setThreads,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { type KernelModule, runRows, type Session, session } from "../../src/kernels/index.js";
import { Pool } from "../../src/kernels/pool.js";
import { CONTROL_BYTES } from "../../src/kernels/worker-source.js";
import { resultBits } from "../instruments/bits.js";
import { Random } from "../instruments/random.js";

const live = session() as Session;
const root = join(import.meta.dirname, "..", "..");

afterAll(async () => {
  await close();
});

function reals(seed: number, shape: readonly number[], scale = 3): Tensor {
  const random = new Random(seed);
  const count = shape.reduce((product, length) => product * length, 1);
  return tensor(
    Float32Array.from({ length: count }, () => random.real(scale)),
    shape,
  );
}

const labels = (count: number, classes: number) =>
  tensor(Int32Array.from({ length: count }, (_, i) => (i % 11 === 5 ? -100 : (i * 7) % classes)));
const shares = (seed: number, count: number) =>
  tensor(Float32Array.from(reals(seed, [count], 1).data as Float32Array, (x) => Math.abs(x) % 1));

/** Large enough that threads are woken. */
const large: readonly (readonly [string, Readonly<Record<string, unknown>>, () => AnyBatch])[] = [
  ["huber", {}, () => ({ predictions: reals(1, [400_000]), targets: reals(2, [400_000]) })],
  ["binaryCrossEntropy", {}, () => ({ logits: reals(3, [200_000]), targets: shares(4, 200_000) })],
  ["crossEntropy", {}, () => ({ logits: reals(5, [3000, 257]), labels: labels(3000, 257) })],
  ["crossEntropy", {}, () => ({ logits: reals(6, [30_000, 10]), labels: labels(30_000, 10) })],
  [
    "crossEntropy",
    { labelSmoothing: 0.1, zLoss: 1e-3 },
    () => ({ logits: reals(7, [9, 40_000]), labels: labels(9, 40_000) }),
  ],
  ["klDivergence", {}, () => ({ logits: reals(8, [500, 300]), targetLogits: reals(9, [500, 300]) })],
];

describe("the number of threads", () => {
  it.each(large)("leaves the bits of %s %j as they are: 1, 2, 3 and 5", async (objective, options, make) => {
    const batch = make();
    const units = (Object.values(batch)[0] as Tensor).shape[0]!;
    const weighed: AnyBatch = { ...batch, weights: shares(10, units) };
    const results: unknown[] = [];
    for (const count of [1, 2, 3, 5]) {
      setThreads(count);
      const one = objectiveFrom({ objective, options }).withEngine("wasm");
      // The first call starts threads; the second has them all.
      for (let call = 0; call < 2; call++) one.valueAndGradients(batch);
      results.push([resultBits(one.valueAndGradients(batch)), resultBits(one.valueAndGradients(weighed))]);
    }
    for (const result of results.slice(1)) expect(result).toEqual(results[0]);
  });

  it.each(large)(
    "gives %s %j the same bits in plain memory, in kernel memory, and with some of each",
    (objective, options, make) => {
      const batch = make();
      const one = objectiveFrom({ objective, options }).withEngine("wasm");
      const names = Object.keys(batch);
      const inside = (name: string) => {
        const given = batch[name] as Tensor;
        const held = allocate(given.shape, given.dtype);
        held.data.set(given.data as never);
        return held;
      };
      for (const count of [1, 2]) {
        setThreads(count);
        const plain = resultBits(one.valueAndGradients(batch));
        for (const chosen of [names, ...names.map((name) => [name])]) {
          const held = Object.fromEntries(chosen.map((name) => [name, inside(name)]));
          expect(resultBits(one.valueAndGradients({ ...batch, ...held })), `${count} threads, ${chosen}`).toEqual(
            plain,
          );
          for (const tensor of Object.values(held)) release(tensor);
        }
      }
    },
  );

  it.each([0, 1.5, -1, Number.NaN, "2"])("is refused where it is %j", (count) => {
    expect(() => setThreads(count as number)).toThrow(/whole number from 1/);
  });
});

/** Kernels that fail on purpose. */
const source = `
export { drain } from "./sum";
export function fails(record: usize, from: usize, to: usize, scratch: usize): i32 {
  if (from >= 64) unreachable();
  return 0;
}
`;

async function compiled(): Promise<KernelModule> {
  // By a path that is not looked through for types: the compiler's own would take the place of this program's.
  const script: string = join(root, "scripts", "compile-kernels.mjs");
  const { compileKernels } = (await import(script)) as {
    compileKernels(name: string, replaced: Record<string, string>): Promise<Uint8Array>;
  };
  const binary = await compileKernels("ctc", { "ctc.ts": source });
  return { name: "failing", base64: Buffer.from(binary).toString("base64") };
}

describe("a kernel that fails", () => {
  let module: KernelModule;
  beforeAll(async () => {
    module = await compiled();
  });

  const call = (rows: number, nanoseconds: number) => ({
    module,
    kernel: "fails",
    rows,
    width: 1,
    inputs: [],
    outputs: [],
    parameters: [0],
    scratch: 0,
    nanoseconds,
  });
  const sink = { odd: () => {}, add: () => {} };

  it.each([
    ["the calling thread", 1],
    ["any of two threads", 2],
    ["any of five", 5],
  ])("on %s ends in an error with the reason, and the next call works", (_, threads) => {
    setThreads(threads);
    const objective = objectiveFrom({ objective: "huber" }).withEngine("wasm");
    const batch = { predictions: reals(1, [300_000]), targets: reals(2, [300_000]) };
    const before = resultBits(objective.valueAndGradients(batch));
    let error: unknown;
    try {
      runRows(live, call(100_000, 1000), sink);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(LosswrightError);
    expect(error).toMatchObject({ code: "engine" });
    expect((error as Error).message).toMatch(/unreachable/);
    for (let i = 0; i < 3; i++) expect(resultBits(objective.valueAndGradients(batch))).toEqual(before);
  });
});

describe("a thread that dies", () => {
  it("ends the call within its patience, in an error with the reason", async () => {
    const control = live.heap.allocate(CONTROL_BYTES);
    live.views.bytes.fill(0, control, control + CONTROL_BYTES);
    const pool = new Pool(live.memory, control, 1, 300);
    // A thread that counted itself in and never comes back.
    const cells = new Int32Array(live.memory.buffer, control, 16);
    Atomics.add(cells, 4, 1);
    const odd = live.heap.allocate(64);
    const job = {
      run: () => 0,
      moduleAt: 0,
      moduleLength: 0,
      module: 99,
      kernel: 0,
      record: 0,
      rows: 2,
      rowsPerChunk: 1,
      scratch: 0,
      stride: 0,
      odd,
    };
    const began = Date.now();
    pool.begin(job);
    expect(() => pool.complete(job)).toThrow(/did not come back/);
    expect(Date.now() - began).toBeLessThan(5000);
    await pool.close();
  });

  it("is started again when it was ended between calls", async () => {
    setThreads(3);
    const objective = objectiveFrom({ objective: "squaredError" }).withEngine("wasm");
    const batch = { predictions: reals(3, [300_000]), targets: reals(4, [300_000]) };
    const before = resultBits(objective.valueAndGradients(batch));
    for (let i = 0; i < 3; i++) {
      await close();
      expect(resultBits(objective.valueAndGradients(batch))).toEqual(before);
    }
  });
});

describe("a process with threads", () => {
  const folder = mkdtempSync(join(tmpdir(), "losswright-threads-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (body: string) => {
    const file = join(folder, "script.mjs");
    writeFileSync(
      file,
      `import { close, huber, setThreads, tensor } from ${JSON.stringify(join(root, "dist", "index.js"))};
setThreads(3);
const n = 1_000_000;
const batch = { predictions: tensor(new Float32Array(n).fill(2)), targets: tensor(new Float32Array(n)) };
for (let i = 0; i < 3; i++) huber().valueAndGradients(batch);
${body}`,
    );
    return execFileSync(process.execPath, [file], { encoding: "utf8", timeout: 20_000 });
  };

  it("ends by itself, without a call to close", () => {
    expect(run(`console.log(huber().evaluate(batch).value);`)).toBe("1.5\n");
  });

  it("ends while threads are coming up", () => {
    expect(run(`setThreads(8); huber().evaluate(batch); console.log("end");`)).toBe("end\n");
  });

  it("goes on after close, which ends the threads", () => {
    expect(run(`await close(); console.log(huber().evaluate(batch).value); await close(); await close();`)).toBe(
      "1.5\n",
    );
  });
});
