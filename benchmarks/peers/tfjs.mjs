// TensorFlow.js on its WebAssembly backend, which runs in one thread under Node.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { read, serve } from "./serve.mjs";

const tf = await import("@tensorflow/tfjs-core");
await import("@tensorflow/tfjs-backend-wasm");
await registerGradients();
await tf.setBackend("wasm");

/** The Node build of tfjs-core leaves the gradients out, and the modules that hold them load in a bundle alone. */
async function registerGradients() {
  const bundled = new URL("../node_modules/.cache/tfjs-gradients.mjs", import.meta.url);
  const file = fileURLToPath(bundled);
  if (!existsSync(file)) {
    const { rolldown } = await import("rolldown");
    const input = fileURLToPath(import.meta.resolve("@tensorflow/tfjs-core/dist/register_all_gradients.js"));
    const bundle = await rolldown({ input, platform: "node", logLevel: "silent" });
    const { output } = await bundle.generate({ format: "es", codeSplitting: false });
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, output[0].code);
  }
  await import(bundled.href);
}

serve(({ work, inputs }) => {
  const make = losses[work.objective];
  if (!make) throw new Error(work.objective === "exactSum" ? "it has no float64" : "it has no such function");
  const fields = {};
  for (const [name, input] of Object.entries(inputs)) fields[name] = tf.tensor(read(input), input.shape, input.dtype);
  const loss = make(fields, work.options);
  const step = tf.valueAndGrads((...leaves) => loss(...leaves));
  const leaves = work.gradients.map((name) => fields[name]);
  let gradients = [];
  return {
    run() {
      tf.dispose(gradients);
      const { value, grads } = step(leaves);
      gradients = grads;
      const [number] = value.dataSync();
      value.dispose();
      return number;
    },
    gradient: (field, from, count) =>
      tf.tidy(() => {
        const flat = tf.reshape(gradients[work.gradients.indexOf(field)], [-1]);
        return tf.slice(flat, [from], [count]).dataSync();
      }),
  };
});

/** Made once, outside of what is timed, in favor of TensorFlow.js. Cast: oneHot to float32 writes integers here. */
function oneHot(labels, classes) {
  return tf.tidy(() => tf.cast(tf.oneHot(labels, classes), "float32"));
}

const rowMean = (losses) => tf.mean(losses);

function softened(teacher, temperature) {
  return (logits) => {
    const s = tf.logSoftmax(temperature === 1 ? logits : tf.div(logits, temperature));
    const t = tf.logSoftmax(temperature === 1 ? teacher : tf.div(teacher, temperature));
    return tf.mul(rowMean(tf.sum(tf.mul(tf.exp(t), tf.sub(t, s)), -1)), temperature * temperature);
  };
}

const huber =
  ({ targets }) =>
  (predictions) =>
    tf.losses.huberLoss(targets, predictions);

const losses = {
  crossEntropy({ logits, labels }) {
    const hot = oneHot(labels, logits.shape[1]);
    return (z) => tf.losses.softmaxCrossEntropy(hot, z);
  },
  binaryCrossEntropy:
    ({ targets }) =>
    (z) =>
      tf.losses.sigmoidCrossEntropy(targets, z),
  binaryFocal:
    ({ targets: y }) =>
    (z) => {
      const p = tf.sigmoid(z);
      const entropy = tf.losses.sigmoidCrossEntropy(y, z, undefined, 0, tf.Reduction.NONE);
      const opposite = tf.sub(1, y);
      const likelihood = tf.add(tf.mul(p, y), tf.mul(tf.sub(1, p), opposite));
      const weight = tf.add(tf.mul(0.25, y), tf.mul(0.75, opposite));
      return tf.mean(tf.mul(tf.mul(weight, entropy), tf.square(tf.sub(1, likelihood))));
    },
  squaredError:
    ({ targets }) =>
    (predictions) =>
      tf.losses.meanSquaredError(targets, predictions),
  huber,
  // At their defaults, delta 1 and beta 1, the two are the same function.
  smoothL1: huber,
  infoNce:
    (_, { temperature }) =>
    (queries, keys) => {
      const unit = (x) => tf.div(x, tf.norm(x, 2, -1, true));
      const [q, k] = [unit(queries), unit(keys)];
      const scores = tf.div(tf.matMul(q, k, false, true), temperature);
      const positives = tf.div(tf.sum(tf.mul(q, k), -1), temperature);
      return rowMean(tf.sub(tf.logSumExp(scores, -1), positives));
    },
  linearCrossEntropy({ labels, weight }) {
    const hot = oneHot(labels, weight.shape[0]);
    return (h, w) => tf.losses.softmaxCrossEntropy(hot, tf.matMul(h, w, false, true));
  },
  klDivergence: ({ targetLogits }) => softened(targetLogits, 1),
  distillation: ({ teacherLogits }, { temperature }) => softened(teacherLogits, temperature),
};
