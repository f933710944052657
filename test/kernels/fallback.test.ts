/** Where WebAssembly is missing, or its vectors are, the reference computes and says so once. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { huber, loadKernels, tensor } from "../../src/index.js";

const root = join(import.meta.dirname, "..", "..");

/** Runs code beside the built package, after `before`. */
function run(before: string, code: string): unknown {
  const script = `${before}
const { allocate, crossEntropy, huber, release, setThreads, close, loadKernels, tensor } = await import("losswright");
const batch = { predictions: tensor(Float32Array.of(1, 2, 5)), targets: tensor(new Float32Array(3)) };
${code}`;
  const out = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: root,
    encoding: "utf8",
  });
  return JSON.parse(out);
}

const report = `
const results = [huber().evaluate(batch), huber().valueAndGradients(batch), crossEntropy().evaluate({ logits: tensor(new Float32Array(4), [2, 2]), labels: tensor([0, 1]) })];
let refusal = "";
try { huber().withEngine("wasm").evaluate(batch); } catch (error) { refusal = error.code + ": " + error.message; }
const held = allocate([3]);
held.data.fill(2);
setThreads(4);
await loadKernels({ url: "http://localhost/nowhere" });
console.log(JSON.stringify({ ranBy: results.map((r) => r.ranBy), notes: results.map((r) => r.notes.map((n) => n.code + ": " + n.message)), refusal, held: huber().evaluate({ ...batch, predictions: held }).value }));
release(held);
await close();`;

describe("without", () => {
  it.each([
    ["WebAssembly", "globalThis.WebAssembly = undefined;", /WebAssembly cannot run here/],
    ["its vectors", "WebAssembly.validate = () => false;", /no WebAssembly SIMD/],
    [
      "shared memory",
      "WebAssembly.Memory = class { constructor() { throw new TypeError('shared memory is off'); } };",
      /shared memory is off/,
    ],
  ])("%s the reference computes, says so once, and refuses kernels with the reason", (_, before, reason) => {
    const found = run(before, report) as { ranBy: string[]; notes: string[][]; refusal: string; held: number };
    expect(found.ranBy).toEqual(["reference", "reference", "reference"]);
    expect(found.notes.map((each) => each.length)).toEqual([1, 0, 0]);
    expect(found.notes[0]![0]).toMatch(/^engine-fallback: the reference computes, since/);
    expect(found.notes[0]![0]).toMatch(reason);
    expect(found.refusal).toMatch(/^unsupported: /);
    expect(found.refusal).toMatch(reason);
    expect(found.held).toBe(1.5);
  });

  it("nothing, there is no note", () => {
    const notes = run("", `console.log(JSON.stringify(huber().evaluate(batch).notes));`);
    expect(notes).toEqual([]);
  });
});

describe("modules from elsewhere", () => {
  it("are refused where they are no module of this package, and what is embedded runs", async () => {
    const wrong = readFileSync(join(root, "dist", "kernels", "wasm", "ctc.wasm"));
    const server = createServer((_, response) => response.end(wrong));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await expect(loadKernels({ url })).rejects.toThrow(/loadKernels.*has no function/s);
    server.close();
    const batch = { predictions: tensor(Float32Array.of(1, 2, 5)), targets: tensor(new Float32Array(3)) };
    expect(huber().evaluate(batch).ranBy).toBe("wasm");
  });

  it.each([undefined, null, "/kernels", {}, { url: 3 }])("need a URL: %j is none", async (source) => {
    await expect(loadKernels(source as never)).rejects.toThrow(/the URL of a folder/);
  });
});
