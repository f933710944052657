import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { afterAll, describe, expect, it } from "vitest";
import { audit, auditPage } from "../src/audit/index.js";
import { readStep } from "../src/io/files.js";
import { chromium, flags } from "./instruments/chromium.js";

const root = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "losswright-browser-"));
if (!chromium)
  console.log("skipped: the browser tests, since no Chromium is on the path (Debian: apt install chromium)");

/** Runs objectives and prints one hash over the bits of their values and gradients. */
const script = `
import { binaryCrossEntropy, crossEntropy, huber, infoNce, tensor } from ${JSON.stringify(join(root, "dist/index.js"))};
let hash = 0xcbf29ce484222325n;
const mix = (numbers) => {
  for (const word of new BigUint64Array(Float64Array.from(numbers).buffer)) hash = BigInt.asUintN(64, (hash ^ word) * 0x100000001b3n);
};
let state = 1;
const draw = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2147483648 - 1;
const reals = (count, scale) => Float64Array.from({ length: count }, () => scale * draw());
const add = ({ value, gradients }) => {
  mix([value]);
  for (const name of Object.keys(gradients).sort()) mix(gradients[name].data);
};
for (const scale of [1, 30, 700]) {
  const labels = tensor(Int32Array.from({ length: 200 }, (_, i) => i % 10));
  add(crossEntropy({ labelSmoothing: 0.1, zLoss: 0.01, logitSoftCap: 50 }).valueAndGradients({ logits: tensor(reals(2000, scale), [200, 10]), labels }));
  add(crossEntropy().valueAndGradients({ logits: tensor(reals(2000, scale), [200, 10]), labels }));
  add(binaryCrossEntropy({ posWeight: 3 }).valueAndGradients({ logits: tensor(reals(500, scale)), targets: tensor(reals(500, 1).map(Math.abs)) }));
  add(huber().valueAndGradients({ predictions: tensor(reals(500, scale)), targets: tensor(reals(500, scale)) }));
  add(infoNce({ symmetric: true }).valueAndGradients({ queries: tensor(reals(320, scale), [20, 16]), keys: tensor(reals(320, scale), [20, 16]) }));
}
export const result = hash.toString(16);
`;

async function bundle(): Promise<string> {
  const entry = join(folder, "entry.js");
  writeFileSync(entry, script);
  const build = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
  const { output } = await build.generate({ format: "iife", name: "page" });
  return output[0].code;
}

/** A page as Chromium has it after loading, and what it wrote to the console. */
function open(page: string): { readonly dom: string; readonly console: readonly string[] } {
  const profile = `--user-data-dir=${join(folder, "profile")}`;
  const all = [...flags, "--enable-logging=stderr", profile, "--dump-dom", `file://${page}`];
  const { stdout, stderr } = spawnSync(chromium!, all, { encoding: "utf8" });
  return { dom: stdout, console: stderr.split("\n").filter((line) => line.includes(":CONSOLE")) };
}

afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));

describe("the library in a browser", () => {
  it.skipIf(!chromium)("gives the same bits as in Node, value and gradients", async () => {
    const code = await bundle();
    const here = new Function(`${code}; return page.result;`)() as string;
    const page = join(folder, "page.html");
    writeFileSync(
      page,
      `<!doctype html><body><script>${code}; document.body.textContent = "hash " + page.result;</script>`,
    );
    expect(open(page).dom).toContain(`hash ${here}`);
  });
});

describe("the page of an audit in a browser", () => {
  it.skipIf(!chromium)("opens without a word on the console, and is what was written", async () => {
    const paths = ["prompts-in-the-loss", "blank-is-the-last-class", "sft-mean-of-means"];
    const steps = await Promise.all(paths.map((path) => readStep(join(root, "test", "steps", path))));
    const audits = steps.map((step, i) => ({ path: paths[i]!, audit: audit(step) }));
    const page = join(folder, "audit.html");
    writeFileSync(page, auditPage(audits, { title: "</title><script>document.title = 'run'</script>" }));
    const { dom, console } = open(page);
    expect(console).toEqual([]);
    expect(dom).not.toMatch(/<script|<parsererror/);
    expect(dom.match(/<section class="step"/g)).toHaveLength(3);
    expect(dom.match(/<div class="pattern">/g)).toHaveLength(3);
  });

  it.skipIf(!chromium)("would have said so on the console, had it done what its policy forbids", () => {
    const page = join(folder, "forbidden.html");
    const policy = auditPage([]).match(/<meta http-equiv[^>]*>/)![0];
    writeFileSync(page, `<!doctype html><head>${policy}</head><body><script>1</script><img src="x.png">`);
    expect(open(page).console.length).toBeGreaterThan(0);
  });
});
