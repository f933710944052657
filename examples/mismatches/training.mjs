// What the examples share: small tables, a linear model trained by an objective's own gradients, seeded chance, and the
// printing of runs.
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { tensor } from "losswright";
import { logPage } from "losswright/log";

/** Rows of numbers of a table of ../data. */
export function table(name, { head = false, separator = "," } = {}) {
  const bytes = readFileSync(new URL(`../data/${name}`, import.meta.url));
  const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
  const lines = text
    .trim()
    .split("\n")
    .slice(head ? 1 : 0);
  return lines.map((line) => line.trim().split(separator).map(Number));
}

/** Columns at mean 0 and variance 1. */
export function standardized(rows) {
  const columns = rows[0].map((_, f) => rows.map((row) => row[f]));
  const means = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / column.length);
  const spreads = columns.map((column, f) =>
    Math.sqrt(column.reduce((sum, value) => sum + (value - means[f]) ** 2, 0) / column.length),
  );
  return rows.map((row) => row.map((value, f) => (value - means[f]) / (spreads[f] || 1)));
}

/** Numbers in [0, 1) that follow from a seed (Marsaglia's xorshift). */
export function random(seed) {
  let state = Math.imul(seed, 2654435761) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

/** A normal number, of two uniform ones (Box and Muller). */
export const normal = (next) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

/** The same list in another order. */
export function shuffled(list, next) {
  const order = [...list];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** A linear map from features to outputs, with a bias; it learns by gradient descent. */
export class Linear {
  constructor(features, outputs, { next, scale = 0 } = {}) {
    this.features = features;
    this.outputs = outputs;
    this.weights = Float64Array.from({ length: (features + 1) * outputs }, () => (scale ? scale * normal(next) : 0));
  }

  /** Outputs of rows, `[N, outputs]`. */
  forward(rows) {
    const { features, outputs, weights } = this;
    const out = new Float64Array(rows.length * outputs);
    for (const [n, row] of rows.entries()) {
      for (let k = 0; k < outputs; k++) {
        let sum = weights[features * outputs + k];
        for (let f = 0; f < features; f++) sum += row[f] * weights[f * outputs + k];
        out[n * outputs + k] = sum;
      }
    }
    return tensor(out, [rows.length, outputs]);
  }

  /** One step against the gradient of the outputs, `[N, outputs]` or `[N]`. */
  learn(rows, gradient, rate) {
    const { features, outputs, weights } = this;
    for (const [n, row] of rows.entries()) {
      for (let k = 0; k < outputs; k++) {
        const pull = rate * gradient.data[n * outputs + k];
        if (pull === 0) continue;
        for (let f = 0; f < features; f++) weights[f * outputs + k] -= pull * row[f];
        weights[features * outputs + k] -= pull;
      }
    }
  }
}

/** Class indices as a tensor. */
export const classes = (list, shape) => tensor(Int32Array.from(list), shape);

/** `[N, 1]` as `[N]`. */
export const flat = ({ data }) => tensor(data, [data.length]);

/**
 * Runs an example where its file is started by hand: prints its runs and what the log says of them; with a folder as an
 * argument, writes each run there as JSON lines, and one page with the curves.
 */
export async function main(url, { title, runs, notes = [] }) {
  if (pathToFileURL(argv[1] ?? "").href !== url) return;
  console.log(`${title}\n`);
  for (const { name, log } of runs) {
    const metrics = Object.keys(log.header.metrics);
    const row = (cells) => `  ${cells.map((cell) => `${cell}`.padStart(14)).join("")}`;
    console.log(name);
    console.log(row(["step", "objective", ...metrics]));
    const shown = log.evaluations.filter((_, i, { length }) => i % Math.ceil(length / 5) === 0 || i === length - 1);
    for (const { step, objective, metrics: found } of shown) {
      const numbers = [objective.value, ...metrics.map((metric) => found[metric])];
      console.log(row([step, ...numbers.map((value) => value.toPrecision(4))]));
    }
    console.log();
  }
  // The first run is the one that goes wrong; the others show what helps.
  for (const { message, advice } of runs[0].log.diagnose().metrics) {
    console.log(`${runs[0].name}: ${message}`);
    for (const line of advice) console.log(`  try: ${line}`);
  }
  for (const note of notes) console.log(note);
  const [folder] = argv.slice(2);
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  for (const { name, log } of runs)
    await writeFile(join(folder, `${name.replaceAll(/\W+/g, "-")}.jsonl`), log.toText());
  await writeFile(join(folder, "curves.html"), logPage(runs.map(({ name, log }) => ({ name, log }))));
  console.log(`the logs and curves.html are in ${folder}`);
}
