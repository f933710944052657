import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

/** Samples what the built package allocates in a few calls on warm code, and prints the bytes of one element. */
const script = (objective: string, make: string, elements: number) => `
import { Session } from "node:inspector";
import { ${objective}, tensor } from "losswright";
const n = ${elements};
const wave = (scale) => Float32Array.from({ length: n }, (_, i) => 3 * Math.sin(scale * i));
const { batch, gradients } = (${make})(tensor, wave, n);
const loss = ${objective}();
const rounds = 5;
const call = () => { for (let i = 0; i < rounds; i++) loss.valueAndGradients(batch, { into: { gradients } }); };
for (let i = 0; i < 6; i++) call();
const session = new Session();
session.connect();
const post = (method, params) => { let result; session.post(method, params, (error, found) => { if (error) throw error; result = found; }); return result; };
post("HeapProfiler.startSampling", { samplingInterval: 1024, includeObjectsCollectedByMinorGC: true, includeObjectsCollectedByMajorGC: true });
call();
const { profile } = post("HeapProfiler.stopSampling");
const total = (node) => node.children.reduce((sum, child) => sum + total(child), node.selfSize);
console.log(total(profile.head) / n / rounds);
`;

const bytesPerElement = (objective: string, make: string, elements: number) =>
  Number(
    // Compiling on the main thread: how far the engine has got does not hang on how busy the machine is.
    execFileSync(
      process.execPath,
      ["--no-concurrent-recompilation", "--input-type=module", "--eval", script(objective, make, elements)],
      {
        cwd: root,
        encoding: "utf8",
      },
    ),
  );

describe("value and gradients into buffers of the caller", () => {
  // A boxed number is 16 bytes: a fraction of one means that none is made an element.
  it("allocate nothing an element", () => {
    const residuals = `(tensor, wave, n) => ({
      batch: { predictions: tensor(wave(1)), targets: tensor(wave(1.3)) },
      gradients: { predictions: tensor(new Float32Array(n)) },
    })`;
    expect(bytesPerElement("huber", residuals, 1 << 18)).toBeLessThan(2);
  });

  it("allocate at most a number or two a row of logits, none a logit", () => {
    const rows = `(tensor, wave, n) => ({
      batch: { logits: tensor(wave(1), [n / 8, 8]), labels: tensor(Int32Array.from({ length: n / 8 }, (_, i) => i % 8)) },
      gradients: { logits: tensor(new Float32Array(n), [n / 8, 8]) },
    })`;
    // Rows of eight: a boxed loss and one more are 32 bytes, 4 a logit.
    expect(bytesPerElement("crossEntropy", rows, 1 << 18)).toBeLessThan(5);
  });
});
