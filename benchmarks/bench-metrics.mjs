// Time and memory of metrics over many scores, beside scikit-learn's where python3 can import it. Each measurement is a
// process of its own: what it holds at its peak, above the numbers it was given, is the metric's.
//   npm run bench:metrics                      10 million scores, 3 rounds
//   npm run bench:metrics -- --samples 1e6 --rounds 1 --json FILE --python COMMAND --no-build
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build, install } from "../scripts/prepare.mjs";

const { values: flags } = parseArgs({
  options: {
    samples: { type: "string", default: "1e7" },
    rounds: { type: "string", default: "3" },
    json: { type: "string" },
    python: { type: "string" },
    "no-build": { type: "boolean", default: false },
  },
});
const samples = Number(flags.samples);
const rounds = Number(flags.rounds);
if (!Number.isSafeInteger(samples) || samples < 1000)
  throw new Error(`--samples ${flags.samples}: expected 1000 or more`);
if (!Number.isSafeInteger(rounds) || rounds < 1)
  throw new Error(`--rounds ${flags.rounds}: expected a whole number from 1`);

if (!flags["no-build"]) {
  install();
  build();
}

const works = [
  { name: "auroc", title: "AUROC, exact" },
  { name: "auroc-bounded", title: "AUROC, bounded memory" },
  { name: "average-precision", title: "average precision, exact" },
  { name: "calibration", title: "calibration error, 15 bins" },
  { name: "confusion", title: "confusion matrix, 10 classes" },
];

const folder = mkdtempSync(join(tmpdir(), "losswright-metrics-"));
const inFolder = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Scores that repeat and classes that overlap, as raw little-endian numbers that every peer can map. */
function writeInputs() {
  let state = 20260101;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const probabilities = new Float64Array(samples);
  const labels = new Int32Array(samples);
  const [classes, predictions] = [new Int32Array(samples), new Int32Array(samples)];
  for (let i = 0; i < samples; i++) {
    const p = next() * next();
    // A tenth of the scores lie on a grid, so that there are ties.
    probabilities[i] = i % 10 === 0 ? Math.round(p * 1000) / 1000 : p;
    labels[i] = next() < 0.8 * probabilities[i] + 0.05 ? 1 : 0;
    classes[i] = Math.floor(next() * 10);
    predictions[i] = next() < 0.7 ? classes[i] : Math.floor(next() * 10);
  }
  for (const [name, data] of Object.entries({ probabilities, labels, classes, predictions })) {
    writeFileSync(join(folder, `${name}.bin`), new Uint8Array(data.buffer));
  }
}

const ours = { name: "losswright", command: process.execPath, args: [inFolder("peers/metrics.mjs")] };

function findScikitLearn() {
  for (const command of flags.python ? [flags.python] : ["/usr/bin/python3", "python3"]) {
    const { status, stdout } = spawnSync(command, ["-c", "import sklearn; print(sklearn.__version__)"], {
      encoding: "utf8",
    });
    if (status === 0) return { name: `scikit-learn ${stdout.trim()}`, command, args: [inFolder("peers/metrics.py")] };
  }
  return undefined;
}

/** One measurement: seconds, bytes at the peak above the inputs, and the value. */
function run(peer, work) {
  const { status, stdout, stderr } = spawnSync(peer.command, [...peer.args, work.name, folder, String(samples)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${peer.name} ${work.name}: ${stderr.trim().split("\n").at(-1)}`);
  return JSON.parse(stdout);
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

try {
  writeInputs();
  const sklearn = findScikitLearn();
  const peers = sklearn ? [ours, sklearn] : [ours];
  console.log(
    `${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores, Node ${process.version}; ${samples.toLocaleString("en")} samples, median of ${rounds}`,
  );
  if (!sklearn) console.log("scikit-learn: no Python here imports it");
  const results = [];
  for (const work of works) {
    const runs = peers.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, peer] of peers.entries()) {
        const found = run(peer, work);
        if (found) runs[i].push(found);
      }
    }
    console.log(work.title);
    for (const [i, peer] of peers.entries()) {
      if (runs[i].length === 0) {
        console.log(`  ${peer.name.padEnd(20)} has no such function`);
        continue;
      }
      const [seconds, bytes] = [median(runs[i].map((r) => r.seconds)), median(runs[i].map((r) => r.bytes))];
      const { value, bounds } = runs[i][0];
      results.push({ work: work.name, peer: peer.name, seconds, bytes, value, bounds });
      const within = bounds ? ` in [${bounds[0].toFixed(9)}, ${bounds[1].toFixed(9)}]` : "";
      console.log(
        `  ${peer.name.padEnd(20)} ${seconds.toFixed(3).padStart(8)} s ${(bytes / 1e6).toFixed(0).padStart(7)} MB   ${value.toFixed(12)}${within}`,
      );
    }
  }
  if (flags.json) writeFileSync(flags.json, `${JSON.stringify({ samples, rounds, results }, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
