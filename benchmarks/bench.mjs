// Speed of losswright against a naive loop, TensorFlow.js, jax-js and PyTorch, forward and gradient in float32 with
// exact sums on, in one run: read the ratios and the share of the machine's bandwidth, not the milliseconds.
//   npm run bench                              all works; Ctrl-C prints what was measured so far
//   npm run bench -- --only "cross entropy"    works whose name holds the words
//   npm run bench -- --html FILE --json FILE   a page with charts, and the numbers
//   npm run bench -- --quick                   1/64 of every size and 2 rounds: does everything run?
// Further: --rounds 7, --threads 2, --engine reference|wasm, --python COMMAND (one that imports torch), --no-build
// (measures dist/ as it stands).
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, install } from "../scripts/prepare.mjs";
import { copyBandwidth } from "./bandwidth.mjs";
import { Measurements } from "./measure.mjs";
import { allPeers, findPyTorch, installPeers } from "./peers/setup.mjs";
import { judge, page, text } from "./report.mjs";
import { allWorks } from "./works.mjs";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string" },
    threads: { type: "string" },
    only: { type: "string" },
    json: { type: "string" },
    html: { type: "string" },
    engine: { type: "string" },
    python: { type: "string" },
    quick: { type: "boolean", default: false },
    "no-build": { type: "boolean", default: false },
  },
});

/** A whole number from 1 of an option. */
function wholeNumber(name, fallback) {
  if (flags[name] === undefined) return fallback;
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${name} ${flags[name]}: expected a whole number from 1`);
  return value;
}

const cores = availableParallelism();
const threads = wholeNumber("threads", Math.min(2, cores));
const rounds = wholeNumber("rounds", flags.quick ? 2 : 7);
const words = flags.only?.toLowerCase().replaceAll(" x ", " × ");
const works = allWorks(flags).filter(({ name }) => words === undefined || name.toLowerCase().includes(words));
if (works.length === 0) {
  const names = allWorks(flags).map(({ name }) => name);
  throw new Error(`--only ${flags.only}: expected words of one of ${names.join("; ")}`);
}

let stopped = false;
process.on("SIGINT", () => {
  // A second one ends at once.
  if (stopped) process.exit(130);
  stopped = true;
  measurements?.close();
});

/** One line on a terminal that says what is under way, nothing elsewhere. */
function say(what) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${what}`);
}

install();
if (!flags["no-build"]) build();
say("installing the peers");
const notes = [installPeers()].filter(Boolean);
const pytorch = findPyTorch(flags.python);
if (flags.python && !pytorch) throw new Error(`--python ${flags.python}: expected a Python that imports torch`);
say("measuring the memory");
const bandwidth = await copyBandwidth(threads);
const report = {
  machine: {
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores,
    memory: totalmem(),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    pytorch: pytorch?.version,
    pytorchBlas: pytorch?.blas,
  },
  date: new Date().toISOString(),
  quick: flags.quick,
  threads,
  rounds,
  bandwidth,
  notes,
  works: [],
};

const folder = mkdtempSync(join(tmpdir(), "losswright-bench-"));
const measurements = new Measurements({
  peers: allPeers({ pytorch }),
  threads,
  rounds,
  engine: flags.engine,
  folder,
  say: (what) => say(`[${report.works.length}/${works.length}] ${what}`),
  stopped: () => stopped,
});
try {
  for (const work of works) {
    if (stopped) break;
    const result = {};
    report.works.push(result);
    await measurements.measure(work, result);
  }
} finally {
  measurements.close();
  rmSync(folder, { recursive: true, force: true });
  say("");
}
// What others do to the machine only ever slows a copy down: the faster of two is nearer to what it can.
if (!stopped) report.bandwidth = Math.max(bandwidth, await copyBandwidth(threads));
for (const result of report.works) judge(result, report);
if (stopped) {
  notes.push("Interrupted: the last work may be incomplete, and those after it are missing.");
  process.exitCode = 130;
}
report.works = report.works.filter(({ median, cannot }) => median !== undefined || cannot !== undefined);
process.stdout.write(text(report));
if (flags.json) writeFileSync(flags.json, `${JSON.stringify(report, null, 2)}\n`);
if (flags.html) writeFileSync(flags.html, await page(report));
