// Token NLL vs answer quality: answers of four tokens, of which the annotators got the last one wrong in nine of ten
// cases, always in the same way. Held-out answers of the same annotators get likelier and likelier; none gets right.
import { crossEntropy, exactMatch, ObjectiveLog, tensor } from "losswright";
import { classes, Linear, main, random } from "./training.mjs";

const [tokens, count] = [4, 10];

/** A prompt of digits; the right answer adds one to each. */
function drawn(next, mistakes) {
  const prompt = Array.from({ length: tokens }, () => Math.floor(next() * count));
  const right = prompt.map((digit) => (digit + 1) % count);
  const annotated = [...right];
  if (next() < mistakes) annotated[tokens - 1] = (right[tokens - 1] + 1) % count;
  const features = new Array(tokens * count).fill(0);
  for (const [t, digit] of prompt.entries()) features[t * count + digit] = 1;
  return { features, right, annotated };
}

function trained(mistakes) {
  const next = random(5);
  const draw = (length) => Array.from({ length }, () => drawn(next, mistakes));
  const [train, held] = [draw(1500), draw(300)];
  const objective = crossEntropy();
  const log = new ObjectiveLog({ objective, metrics: ["exactMatch"] });
  const heads = Array.from({ length: tokens }, () => new Linear(tokens * count, count));
  const labelsOf = (rows, key) =>
    classes(
      rows.flatMap((row) => row[key]),
      [rows.length, tokens],
    );
  const logitsOf = (rows) => {
    const features = rows.map((row) => row.features);
    const parts = heads.map((head) => head.forward(features).data);
    const logits = new Float64Array(rows.length * tokens * count);
    for (let n = 0; n < rows.length; n++) {
      for (let t = 0; t < tokens; t++)
        logits.set(parts[t].subarray(n * count, (n + 1) * count), (n * tokens + t) * count);
    }
    return tensor(logits, [rows.length, tokens, count]);
  };
  const greedy = ({ data }) => {
    const rows = Array.from({ length: data.length / count }, (_, i) => data.subarray(i * count, (i + 1) * count));
    return classes(
      rows.map((row) => row.indexOf(Math.max(...row))),
      [rows.length / tokens, tokens],
    );
  };
  for (let step = 0; step <= 64; step++) {
    if (step % 4 === 0 && step > 0) {
      const logits = logitsOf(held);
      const match = exactMatch().update({ predictions: greedy(logits), labels: labelsOf(held, "right") });
      log.evaluation(step, {
        objective: objective.tally({ logits, labels: labelsOf(held, "annotated") }),
        metrics: { exactMatch: match },
      });
    }
    const { gradients } = objective.valueAndGradients({
      logits: logitsOf(train),
      labels: labelsOf(train, "annotated"),
    });
    for (const [t, head] of heads.entries()) {
      const own = new Float64Array(train.length * count);
      for (let n = 0; n < train.length; n++) {
        own.set(gradients.logits.data.subarray((n * tokens + t) * count, (n * tokens + t + 1) * count), n * count);
      }
      head.learn(
        train.map((row) => row.features),
        tensor(own, [train.length, count]),
        20,
      );
    }
  }
  return log;
}

export default function run() {
  return {
    title: "Tokens get likelier, answers do not get right: a mistake that annotators share",
    runs: [
      { name: "mistaken answers", log: trained(0.9) },
      { name: "clean answers", log: trained(0) },
    ],
  };
}

await main(import.meta.url, run());
