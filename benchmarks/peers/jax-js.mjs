// jax-js on its WebAssembly backend, the step compiled by jit.
import { read, serve } from "./serve.mjs";

// Node 20 has no Float16Array, and jax-js asks whether an array is one; none ever is here.
globalThis.Float16Array ??= class Float16Array {};
const jax = await import("@jax-js/jax");
await jax.init("cpu", "wasm");
jax.defaultDevice("wasm");
const { numpy: np, nn } = jax;

serve(({ work, inputs }) => {
  const loss = losses[work.objective];
  if (!loss) throw new Error("it has no such function");
  const fields = {};
  for (const [name, { shape, ...input }] of Object.entries(inputs)) {
    fields[name] = np.array(read(input), { dtype: np[input.dtype] }).reshape(shape);
  }
  const names = [...work.gradients, ...Object.keys(fields).filter((name) => !work.gradients.includes(name))];
  const argnums = work.gradients.map((_, place) => place);
  const step = jax.jit(
    jax.valueAndGrad((...values) => loss(Object.fromEntries(names.map((name, i) => [name, values[i]])), work.options), {
      argnums,
    }),
  );
  let gradients = [];
  return {
    run() {
      for (const gradient of gradients) gradient.dispose();
      const [value, grads] = step(...names.map((name) => fields[name].ref));
      gradients = grads;
      return finished(value, grads);
    },
    gradient: (field, from, count) =>
      gradients[work.gradients.indexOf(field)].ref.dataSync().subarray(from, from + count),
  };
});

/** Waits for the gradients, then reads the value. */
async function finished(value, grads) {
  await jax.blockUntilReady(grads.map((grad) => grad.ref));
  return (await value.data())[0];
}

// Arrays are owned: `x.ref` where x is used again, x where it is used for the last time.

const rowMean = (losses) => np.mean(losses);

function crossEntropy(logits, labels) {
  const [rows, classes] = logits.shape;
  // Its jit has no scatter, which the gradient of picking the label's entry would need, and its oneHot is K × K large.
  const isLabel = np.equal(np.arange(classes).reshape([1, classes]), labels.reshape([rows, 1]));
  const picked = np.sum(np.where(isLabel, logits.ref, 0), -1);
  return rowMean(nn.logsumexp(logits, -1).sub(picked));
}

/** max(z, 0) − z y + log(1 + e^(−|z|)). */
function logistic(z, y) {
  return nn
    .relu(z.ref)
    .sub(z.ref.mul(y))
    .add(np.log1p(np.exp(np.absolute(z).neg())));
}

function huber({ predictions, targets }) {
  const size = np.absolute(predictions.sub(targets));
  const inner = np.minimum(size.ref, 1);
  // r²/2 up to 1, |r| − 1/2 beyond: inner (|r| − inner/2).
  return np.mean(inner.ref.mul(size.sub(inner.mul(0.5))));
}

function softened(student, teacher, temperature) {
  const s = nn.logSoftmax(temperature === 1 ? student : student.mul(1 / temperature), -1);
  const t = nn.logSoftmax(temperature === 1 ? teacher : teacher.mul(1 / temperature), -1);
  return rowMean(np.sum(np.exp(t.ref).mul(t.sub(s)), -1)).mul(temperature * temperature);
}

const losses = {
  crossEntropy: ({ logits, labels }) => crossEntropy(logits, labels),
  binaryCrossEntropy: ({ logits, targets }) => np.mean(logistic(logits, targets)),
  binaryFocal({ logits: z, targets: y }) {
    const p = nn.sigmoid(z.ref);
    const entropy = logistic(z, y.ref);
    const miss = p.ref.add(y.ref).sub(p.mul(y.ref).mul(2));
    const weight = y.mul(-0.5).add(0.75);
    return np.mean(weight.mul(entropy).mul(np.square(miss)));
  },
  squaredError: ({ predictions, targets }) => np.mean(np.square(predictions.sub(targets))),
  huber,
  // At their defaults, delta 1 and beta 1, the two are the same function.
  smoothL1: huber,
  infoNce({ queries, keys }, { temperature }) {
    const unit = (x) => x.ref.div(np.sqrt(np.sum(np.square(x), -1, { keepdims: true })));
    const [q, k] = [unit(queries), unit(keys)];
    const positives = np.sum(q.ref.mul(k.ref), -1).mul(1 / temperature);
    const scores = np.matmul(q, np.transpose(k)).mul(1 / temperature);
    return rowMean(nn.logsumexp(scores, -1).sub(positives));
  },
  linearCrossEntropy: ({ hidden, weight, labels }) => crossEntropy(np.matmul(hidden, np.transpose(weight)), labels),
  klDivergence: ({ logits, targetLogits }) => softened(logits, targetLogits, 1),
  distillation: ({ logits, teacherLogits }, { temperature }) => softened(logits, teacherLogits, temperature),
};
