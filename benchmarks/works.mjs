// What is measured: each work names an objective with its fields, what must move through memory, and what is aimed at.
// Inputs are drawn here once and written as raw files, so that every contestant reads the same numbers.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const bytesOf = { float32: 4, float64: 8, int32: 4 };
const arrayOf = { float32: Float32Array, float64: Float64Array, int32: Int32Array };

/** Elements in a shape. */
export const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

const normal = (shape, deviation) => ({ dtype: "float32", shape, draw: "normal", deviation });
const below = (shape, limit, from = 0) => ({ dtype: "int32", shape, draw: "below", from, limit });
const coins = (shape) => ({ dtype: "float32", shape, draw: "coins" });
const constant = (shape, value) => ({ dtype: "int32", shape, draw: "constant", value });

/** At least the first number is promised, the second is aimed at. */
const target = (promised, aim = promised) => ({ promised, aim });

/** "16 M" for 16,777,216. */
function short(count) {
  if (count >= 1 << 20) return `${count / (1 << 20)} M`;
  return count >= 1 << 10 ? `${count / (1 << 10)} k` : String(count);
}

function crossEntropy(rows, classes, { targets, published, sumCost } = {}) {
  return {
    name: `cross entropy ${rows} × ${classes}`,
    objective: "crossEntropy",
    fields: { logits: normal([rows, classes], 3), labels: below([rows], classes) },
    gradients: ["logits"],
    rows,
    targets,
    published,
    sumCost,
  };
}

function binary(objective, title, count, rest) {
  return {
    name: `${title} ${short(count)}`,
    objective,
    fields: { logits: normal([count], 3), targets: coins([count]) },
    gradients: ["logits"],
    rows: count,
    ...rest,
  };
}

function elementwise(objective, title, count, rest) {
  return {
    name: `${title} ${short(count)}`,
    objective,
    fields: { predictions: normal([count], 1), targets: normal([count], 1) },
    gradients: ["predictions"],
    rows: count,
    ...rest,
  };
}

function ctc(classes, frames, batch, labels, published) {
  return {
    name: `CTC T ${frames}, B ${batch}, C ${classes}, S ${labels}`,
    objective: "ctc",
    fields: {
      logits: normal([frames, batch, classes], 1),
      labels: below([batch, labels], classes, 1),
      inputLengths: constant([batch], frames),
      labelLengths: constant([batch], labels),
    },
    gradients: ["logits"],
    targets: { pytorch: target(3) },
    published,
  };
}

function distribution(objective, target, title, rows, classes, options = {}) {
  return {
    name: `${title} ${rows} × ${classes}`,
    objective,
    options,
    fields: { logits: normal([rows, classes], 3), [target]: normal([rows, classes], 3) },
    gradients: ["logits"],
    rows,
  };
}

const small = { small: true, targets: { pytorch: target(10) } };

/**
 * All works. A quick run takes about 1/64 of every size.
 * `published` are milliseconds of PyTorch 2.13 on two cores whose memory copied 34 GB/s (read and written).
 */
export function allWorks({ quick = false } = {}) {
  const by = (length, divisor) => (quick ? Math.max(1, length / divisor) : length);
  const large = { pytorch: target(2.7, 4), bandwidth: target(0.4, 0.6) };
  const residual = { targets: { pytorch: target(1.7, 2), bandwidth: target(0.5, 0.65) }, sumCost: 0.4 };
  const logistic = { targets: { pytorch: target(2, 3) }, sumCost: 0.4 };
  const elements = by(1 << 24, 64);
  const works = [
    crossEntropy(by(1024, 64), 128256, { targets: large, published: { eager: 812, warm: 221 }, sumCost: 0.1 }),
    crossEntropy(by(4096, 64), 32000, { targets: large, published: { eager: 892, warm: 218 }, sumCost: 0.1 }),
    crossEntropy(by(8192, 64), 1000, {
      targets: { pytorch: target(2, 3) },
      published: { eager: 16, warm: 15 },
      sumCost: 0.1,
    }),
    crossEntropy(by(65536, 64), 10, { targets: { pytorch: target(2.7) }, published: { eager: 3.5, warm: 3.2 } }),
    crossEntropy(by(65536, 64), 2, { targets: { pytorch: target(2.7) } }),
    binary("binaryCrossEntropy", "BCE", elements, { ...logistic, published: { eager: 206, warm: 66 } }),
    binary("binaryFocal", "binary focal", elements, logistic),
    elementwise("squaredError", "squared error", elements, { ...residual, published: { eager: 69, warm: 15.8 } }),
    elementwise("huber", "Huber", elements, { ...residual, published: { eager: 76 } }),
    elementwise("smoothL1", "smooth L1", elements, residual),
    ctc(64, by(512, 8), by(32, 8), by(100, 10), { eager: 147 }),
    ctc(by(5000, 10), by(200, 5), by(64, 8), by(40, 4)),
    {
      name: `InfoNCE ${by(2048, 8)} × ${by(512, 8)}`,
      objective: "infoNce",
      options: { temperature: 0.07 },
      fields: {
        queries: normal([by(2048, 8), by(512, 8)], 1),
        keys: normal([by(2048, 8), by(512, 8)], 1),
      },
      gradients: ["queries", "keys"],
    },
    linearCrossEntropy(by(1024, 16), 768, by(32000, 4)),
    distribution("klDivergence", "targetLogits", "KL divergence", by(1024, 64), 32000),
    distribution("distillation", "teacherLogits", "distillation", by(1024, 64), 32000, { temperature: 2 }),
    { ...crossEntropy(100, 10), ...small },
    binary("binaryCrossEntropy", "BCE", 1 << 10, small),
    elementwise("squaredError", "squared error", 1 << 10, small),
    elementwise("huber", "Huber", 1 << 10, small),
    exactSum(by(1 << 22, 64)),
  ];
  return works.map((work) => ({ options: {}, ...work, moved: moved(work), ...(quick && { published: undefined }) }));
}

function linearCrossEntropy(rows, features, classes) {
  return {
    name: `linear cross entropy [${rows}, ${features}] × [${classes}, ${features}]`,
    objective: "linearCrossEntropy",
    fields: {
      hidden: normal([rows, features], 1),
      weight: normal([classes, features], 0.05),
      labels: below([rows], classes),
    },
    gradients: ["hidden", "weight"],
    // Of all rows the float64 reference would take minutes.
    rows,
    truthOfRows: true,
    shared: ["weight"],
    published: { eager: 1360 },
  };
}

/** One term at a time, as the reference adds: what exactness costs before a kernel makes it cheap. */
function exactSum(terms) {
  return {
    name: `sum of ${short(terms)} terms`,
    objective: "exactSum",
    fields: { terms: { dtype: "float64", shape: [terms], draw: "normal", deviation: 1 } },
    gradients: [],
    terms,
    peers: ["naive"],
  };
}

/** Bytes that no implementation can avoid: every input read once, every gradient written once. */
function moved({ fields, gradients }) {
  const bytes = ({ shape, dtype }) => sizeOf(shape) * bytesOf[dtype];
  const read = Object.values(fields).reduce((sum, field) => sum + bytes(field), 0);
  return gradients.reduce((sum, name) => sum + bytes(fields[name]), read);
}

/** Draws the inputs of a work into raw files of `folder`; gives the fields with their paths. */
export function writeInputs(work, folder) {
  const inputs = {};
  let seed = 1;
  for (const [name, field] of Object.entries(work.fields)) {
    const path = join(folder, name);
    writeFileSync(path, drawn(field, seed++));
    inputs[name] = { path, dtype: field.dtype, shape: field.shape };
  }
  return inputs;
}

/** Reproducible numbers of a field: xorshift32; a sum of four uniform numbers stands for a normal one. */
function drawn({ dtype, shape, draw, deviation, from, limit, value }, seed) {
  const data = new arrayOf[dtype](sizeOf(shape));
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
  if (draw === "constant") data.fill(value);
  else if (draw === "below") for (let i = 0; i < data.length; i++) data[i] = from + Math.floor(next() * (limit - from));
  else if (draw === "coins") for (let i = 0; i < data.length; i++) data[i] = next() < 0.3 ? 1 : 0;
  else {
    const scale = deviation * Math.sqrt(3);
    for (let i = 0; i < data.length; i++) data[i] = scale * (next() + next() + next() + next() - 2);
  }
  return new Uint8Array(data.buffer);
}
