// Speed of the reference engine against naive typed-array loops, interleaved in one run: read the ratios, not the
// milliseconds. Writes a table to standard output and, with --json FILE, the numbers.
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { build, install } from "../scripts/prepare.mjs";

install();
build();
const { crossEntropy, huber, tensor } = await import("../dist/index.js");
const { ExactSum } = await import("../dist/tally/index.js");

const { values: flags } = parseArgs({
  options: { json: { type: "string" }, rounds: { type: "string", default: "7" } },
});
const rounds = Number(flags.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds ${flags.rounds}: expected a whole number from 1`);

/** Reproducible numbers in [−1, 1): the same inputs in every run. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2147483648 - 1;
  };
}

function crossEntropyWork(rows, classes) {
  const draw = random(rows + classes);
  const logits = Float32Array.from({ length: rows * classes }, () => 4 * draw());
  const labels = Int32Array.from({ length: rows }, () => Math.floor(((draw() + 1) / 2) * classes));
  const batch = { logits: tensor(logits, [rows, classes]), labels: tensor(labels) };
  const into = { gradients: { logits: tensor(new Float32Array(rows * classes), [rows, classes]) } };
  const objective = crossEntropy();
  const gradient = new Float32Array(rows * classes);
  return {
    name: `cross entropy ${rows} x ${classes}`,
    peer: "naive loop",
    mine: () => objective.valueAndGradients(batch, { into }).value,
    theirs() {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const at = row * classes;
        let top = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < classes; k++) if (logits[at + k] > top) top = logits[at + k];
        let mass = 0;
        for (let k = 0; k < classes; k++) mass += gradient[at + k] = Math.exp(logits[at + k] - top);
        for (let k = 0; k < classes; k++) gradient[at + k] /= mass * rows;
        gradient[at + labels[row]] -= 1 / rows;
        sum += Math.log(mass) + top - logits[at + labels[row]];
      }
      return sum / rows;
    },
  };
}

function huberWork(count) {
  const draw = random(count);
  const predictions = Float32Array.from({ length: count }, () => 3 * draw());
  const targets = Float32Array.from({ length: count }, () => 3 * draw());
  const batch = { predictions: tensor(predictions), targets: tensor(targets) };
  const into = { gradients: { predictions: tensor(new Float32Array(count)) } };
  const objective = huber();
  const gradient = new Float32Array(count);
  return {
    name: `Huber ${count}`,
    peer: "naive loop",
    mine: () => objective.valueAndGradients(batch, { into }).value,
    theirs() {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const r = targets[i] - predictions[i];
        const size = Math.abs(r);
        sum += size <= 1 ? (r * r) / 2 : size - 0.5;
        gradient[i] = (size <= 1 ? -r : -Math.sign(r)) / count;
      }
      return sum / count;
    },
  };
}

function sumWork(count) {
  const draw = random(count);
  const terms = Float64Array.from({ length: count }, () => draw() * draw());
  const sum = new ExactSum();
  return {
    name: `sum of ${count} terms`,
    peer: "naive float64 sum",
    mine() {
      sum.clear();
      for (let i = 0; i < count; i++) sum.add(terms[i]);
      return sum.value;
    },
    theirs() {
      let total = 0;
      for (let i = 0; i < count; i++) total += terms[i];
      return total;
    },
  };
}

function milliseconds(work) {
  const start = process.hrtime.bigint();
  const value = work();
  return { value, time: Number(process.hrtime.bigint() - start) / 1e6 };
}

function measure({ name, peer, mine, theirs }) {
  mine();
  theirs();
  const [ours, others] = [[], []];
  let difference = 0;
  for (let round = 0; round < rounds; round++) {
    const [a, b] = [milliseconds(mine), milliseconds(theirs)];
    ours.push(a.time);
    others.push(b.time);
    difference = Math.abs(a.value - b.value) / Math.abs(b.value);
  }
  const median = (times) => times.toSorted((x, y) => x - y)[times.length >> 1];
  const [own, other] = [median(ours), median(others)];
  return {
    name,
    peer,
    milliseconds: own,
    best: Math.min(...ours),
    peerMilliseconds: other,
    ratio: own / other,
    difference,
  };
}

const works = [crossEntropyWork(8192, 1000), crossEntropyWork(65536, 10), huberWork(1 << 20), sumWork(1 << 20)];
const results = works.map(measure);
console.log(`Forward and gradient, float32, one thread, median of ${rounds}; exact sums on. Node ${process.version}.`);
const columns = ["work", "ms", "peer", "peer ms", "ratio", "values differ by"];
const rows = results.map((r) => [
  r.name,
  r.milliseconds.toFixed(2),
  r.peer,
  r.peerMilliseconds.toFixed(2),
  `${r.ratio.toFixed(2)}x`,
  r.difference.toExponential(0),
]);
const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i].length)));
for (const row of [columns, ...rows])
  console.log(
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join("  ")
      .trimEnd(),
  );
if (flags.json) {
  const machine = { node: process.version, platform: process.platform, arch: process.arch, cpu: cpus()[0]?.model };
  writeFileSync(flags.json, `${JSON.stringify({ machine, rounds, results }, null, 2)}\n`);
}
