/**
 * Kernels in a real browser: the bits of Node, on threads where the page is cross-origin isolated, on one elsewhere.
 * Pages are served from here, since threads need headers.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromium, flags } from "../instruments/chromium.js";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "losswright-kernels-"));
if (!chromium)
  console.log("skipped: kernels in a browser, since no Chromium is on the path (Debian: apt install chromium)");

/** Runs kernels of every module over small and large batches, and gives one hash over the bits. */
const script = `
import { allocate, binaryCrossEntropy, crossEntropy, ctc, huber, infoNce, loadKernels, setThreads, tensor } from ${JSON.stringify(join(root, "dist/index.js"))};
let hash = 0xcbf29ce484222325n;
const mix = (numbers) => {
  for (const word of new BigUint64Array(Float64Array.from(numbers).buffer)) hash = BigInt.asUintN(64, (hash ^ word) * 0x100000001b3n);
};
let state = 1;
const draw = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2147483648 - 1;
const reals = (count, scale) => Float32Array.from({ length: count }, () => scale * draw());
const ranBy = new Set();
const notes = new Set();
const add = (result) => {
  ranBy.add(result.ranBy);
  for (const note of result.notes) notes.add(note.code);
  mix([result.value]);
  for (const name of Object.keys(result.gradients).sort()) mix(result.gradients[name].data);
};
export const run = async (url) => {
  if (url) await loadKernels({ url });
  setThreads(2);
  for (let round = 0; round < 3; round++) {
    state = 1;
    hash = 0xcbf29ce484222325n;
    const n = 300000;
    add(huber().valueAndGradients({ predictions: tensor(reals(n, 3)), targets: tensor(reals(n, 3)) }));
    add(binaryCrossEntropy().valueAndGradients({ logits: tensor(reals(n, 9)), targets: tensor(reals(n, 1).map(Math.abs)) }));
    const labels = tensor(Int32Array.from({ length: 600 }, (_, i) => i % 300));
    const inside = allocate([600, 300], "float32");
    inside.data.set(reals(180000, 9));
    add(crossEntropy({ labelSmoothing: round / 10 }).valueAndGradients({ logits: inside, labels }));
    add(infoNce().valueAndGradients({ queries: tensor(reals(320, 1), [20, 16]), keys: tensor(reals(320, 1), [20, 16]) }));
    add(ctc().valueAndGradients({
      logits: tensor(reals(12 * 2 * 5, 3), [12, 2, 5]),
      labels: tensor(Int32Array.of(1, 2, 2, 4, 3, 1), [2, 3]),
      inputLengths: tensor(Int32Array.of(12, 9)),
      labelLengths: tensor(Int32Array.of(3, 2)),
    }));
    // Threads come up while the page is idle.
    await new Promise((done) => setTimeout(done, 100));
  }
  return { hash: hash.toString(16), ranBy: [...ranBy], notes: [...notes].sort() };
};
`;

let code: string;
let server: Server;
let address: string;

beforeAll(async () => {
  if (!chromium) return;
  const entry = join(folder, "entry.js");
  writeFileSync(entry, script);
  const build = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
  const { output } = await build.generate({ format: "iife", name: "page" });
  code = output[0].code;
  server = createServer((request, response) => {
    const url = new URL(request.url!, "http://localhost");
    const isolated = url.pathname.startsWith("/isolated");
    if (isolated) {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    const module = /^\/wasm\/(\w+)\.wasm$/.exec(url.pathname)?.[1];
    if (module) {
      response.setHeader("Content-Type", "application/wasm");
      response.end(readFileSync(join(root, "dist", "kernels", "wasm", `${module}.wasm`)));
      return;
    }
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    const from = url.searchParams.get("from");
    response.end(`<!doctype html><body>waiting<script>${code};
page.run(${JSON.stringify(from)}).then((result) => { document.body.textContent = "result " + JSON.stringify({ ...result, isolated: crossOriginIsolated }); },
  (error) => { document.body.textContent = "result " + JSON.stringify({ error: String(error) }); })
  .then(() => fetch("/done", { method: "POST", body: document.body.textContent }));
</script>`);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server?.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

/** Opens a page and gives what it posts back. */
async function open(path: string): Promise<{ hash: string; ranBy: string[]; notes: string[]; isolated: boolean }> {
  const profile = `--user-data-dir=${join(folder, `profile-${Math.random()}`)}`;
  const posted = new Promise<string>((found) => {
    server.on("request", (request) => {
      if (request.url !== "/done") return;
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => found(body));
    });
  });
  const browser = spawn(chromium!, [...flags, profile, `${address}${path}`, "--remote-debugging-port=0"], {
    stdio: "ignore",
    detached: true,
  });
  try {
    const body = await Promise.race([
      posted,
      new Promise<string>((_, fail) => setTimeout(() => fail(new Error(`${path}: the page did not answer`)), 45_000)),
    ]);
    return JSON.parse(body.replace(/^result /, ""));
  } finally {
    // The whole group, or its renderers would write into the profile while it is removed.
    process.kill(-browser.pid!, "SIGKILL");
    await new Promise((done) =>
      browser.exitCode === null && browser.signalCode === null ? browser.once("exit", done) : done(0),
    );
  }
}

describe("kernels in a browser", () => {
  const here = async () => (await new Function(`${code}; return page.run(null);`)()) as { hash: string };

  it.skipIf(!chromium)("give the bits of Node on threads, in a page that is cross-origin isolated", async () => {
    const found = await open("/isolated");
    expect(found).toMatchObject({ isolated: true, ranBy: ["wasm"], notes: [] });
    expect(found.hash).toBe((await here()).hash);
  });

  it.skipIf(!chromium)("give the same on one thread elsewhere, and say so", async () => {
    const found = await open("/plain");
    expect(found).toMatchObject({ isolated: false, ranBy: ["wasm"], notes: ["one-thread"] });
    expect(found.hash).toBe((await here()).hash);
  });

  it.skipIf(!chromium)("run from modules that the page fetches", async () => {
    const found = await open(`/plain?from=${encodeURIComponent("/wasm")}`);
    expect(found).toMatchObject({ ranBy: ["wasm"] });
    expect(found.hash).toBe((await here()).hash);
  });

  it.skipIf(!chromium)("name the file that cannot be fetched", async () => {
    const found = (await open(`/plain?from=${encodeURIComponent("/nowhere")}`)) as unknown as { error: string };
    expect(found.error).toMatch(/loadKernels.*nowhere\/\w+\.wasm/s);
  });
});
