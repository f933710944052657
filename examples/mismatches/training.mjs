// What the examples share: small tables, a linear model trained by an objective's own gradients, and seeded chance.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { tensor } from "losswright";

/** Rows of numbers of a table of ../data, without its head. */
export function table(name, { head = false, separator = "," } = {}) {
  const bytes = readFileSync(new URL(`../data/${name}`, import.meta.url));
  const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
  const lines = text
    .trim()
    .split("\n")
    .slice(head ? 1 : 0);
  return lines.map((line) => line.trim().split(separator).map(Number));
}

/** Numbers in [0, 1) that follow from a seed (Marsaglia's xorshift). */
export function random(seed) {
  let state = seed * 2654435761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

/** A normal number, of two uniform ones (Box and Muller). */
export const normal = (next) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

/** The same rows in another order. */
export function shuffled(rows, next) {
  const order = [...rows];
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
    rows.forEach((row, n) => {
      for (let k = 0; k < outputs; k++) {
        let sum = weights[features * outputs + k];
        for (let f = 0; f < features; f++) sum += row[f] * weights[f * outputs + k];
        out[n * outputs + k] = sum;
      }
    });
    return tensor(out, [rows.length, outputs]);
  }

  /** One step against the gradient of the outputs, `[N, outputs]`. */
  learn(rows, gradient, rate) {
    const { features, outputs, weights } = this;
    rows.forEach((row, n) => {
      for (let k = 0; k < outputs; k++) {
        const pull = rate * gradient.data[n * outputs + k];
        if (pull === 0) continue;
        for (let f = 0; f < features; f++) weights[f * outputs + k] -= pull * row[f];
        weights[features * outputs + k] -= pull;
      }
    });
  }
}

/** Class indices as a tensor. */
export const classes = (list) => tensor(Int32Array.from(list));

/** The same numbers without their axis of one output. */
export const flat = ({ data }) => tensor(data, [data.length]);
