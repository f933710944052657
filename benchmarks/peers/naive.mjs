// The loops one writes over typed arrays, in one thread: float32 gradients, a float64 sum that is not exact.
import { read, serve } from "./serve.mjs";

serve(({ work, inputs }) => {
  const make = loops[work.objective];
  if (!make) throw new Error("no loop is written for it");
  const fields = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, read(input)]));
  const gradient = new Float32Array(work.gradients.length ? fields[work.gradients[0]].length : 0);
  const run = make(fields, gradient, inputs, work.options);
  return { run, gradient: (_, from, count) => gradient.subarray(from, from + count) };
});

const loops = {
  crossEntropy({ logits, labels }, gradient, { logits: { shape } }) {
    const [rows, classes] = shape;
    return () => {
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const at = row * classes;
        let top = Number.NEGATIVE_INFINITY;
        for (let k = 0; k < classes; k++) if (logits[at + k] > top) top = logits[at + k];
        let mass = 0;
        for (let k = 0; k < classes; k++) mass += gradient[at + k] = Math.exp(logits[at + k] - top);
        const scale = 1 / (mass * rows);
        for (let k = 0; k < classes; k++) gradient[at + k] *= scale;
        gradient[at + labels[row]] -= 1 / rows;
        sum += Math.log(mass) + top - logits[at + labels[row]];
      }
      return sum / rows;
    };
  },

  klDivergence: ({ logits, targetLogits }, gradient, { logits: { shape } }) =>
    softened(logits, targetLogits, gradient, shape, 1),

  distillation: ({ logits, teacherLogits }, gradient, { logits: { shape } }, { temperature }) =>
    softened(logits, teacherLogits, gradient, shape, temperature),

  binaryCrossEntropy({ logits, targets }, gradient) {
    const count = logits.length;
    return () => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const z = logits[i];
        const e = Math.exp(-Math.abs(z));
        sum += Math.max(z, 0) - z * targets[i] + Math.log1p(e);
        gradient[i] = ((z >= 0 ? 1 / (1 + e) : e / (1 + e)) - targets[i]) / count;
      }
      return sum / count;
    };
  },

  binaryFocal({ logits, targets }, gradient) {
    const count = logits.length;
    const [alpha, gamma] = [0.25, 2];
    return () => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const [z, y] = [logits[i], targets[i]];
        const e = Math.exp(-Math.abs(z));
        const p = z >= 0 ? 1 / (1 + e) : e / (1 + e);
        const entropy = Math.max(z, 0) - z * y + Math.log1p(e);
        const miss = p + y - 2 * p * y;
        const weight = alpha * y + (1 - alpha) * (1 - y);
        sum += weight * entropy * miss * miss;
        const slope = (p - y) * miss * miss + entropy * gamma * miss * (1 - 2 * y) * p * (1 - p);
        gradient[i] = (weight * slope) / count;
      }
      return sum / count;
    };
  },

  squaredError({ predictions, targets }, gradient) {
    const count = predictions.length;
    return () => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const r = predictions[i] - targets[i];
        sum += r * r;
        gradient[i] = (2 * r) / count;
      }
      return sum / count;
    };
  },

  huber,
  // At their defaults, delta 1 and beta 1, the two are the same function.
  smoothL1: huber,

  exactSum({ terms }) {
    return () => {
      let sum = 0;
      for (let i = 0; i < terms.length; i++) sum += terms[i];
      return sum;
    };
  },
};

function huber({ predictions, targets }, gradient) {
  const count = predictions.length;
  return () => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const r = predictions[i] - targets[i];
      const size = Math.abs(r);
      sum += size <= 1 ? (r * r) / 2 : size - 0.5;
      gradient[i] = (size <= 1 ? r : Math.sign(r)) / count;
    }
    return sum / count;
  };
}

/** T² KL(teacher_T ‖ student_T) of each row. */
function softened(logits, teacher, gradient, [rows, classes], temperature) {
  const t = new Float64Array(classes);
  const s = new Float64Array(classes);
  const distribution = (scores, at, out) => {
    let top = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) if (scores[at + k] > top) top = scores[at + k];
    let mass = 0;
    for (let k = 0; k < classes; k++) mass += out[k] = Math.exp((scores[at + k] - top) / temperature);
    for (let k = 0; k < classes; k++) out[k] /= mass;
    return top / temperature + Math.log(mass);
  };
  return () => {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      const at = row * classes;
      const difference = distribution(logits, at, s) - distribution(teacher, at, t);
      let expected = 0;
      for (let k = 0; k < classes; k++) {
        expected += t[k] * (teacher[at + k] - logits[at + k]);
        gradient[at + k] = (temperature * (s[k] - t[k])) / rows;
      }
      sum += temperature * temperature * (expected / temperature + difference);
    }
    return sum / rows;
  };
}
