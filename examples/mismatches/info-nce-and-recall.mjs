// InfoNCE vs Recall@K: the left half of a digit is to find its right half. Among four in a batch that is soon solved;
// among five hundred it is not, and solving the four better does not help.
import { infoNce, ObjectiveLog, recallAtK, tensor } from "losswright";
import { Linear, main, random, shuffled, table } from "./training.mjs";

const width = 32;

function drawn() {
  const rows = shuffled(table("digits.csv.gz"), random(23));
  const half = (row, from) => Array.from({ length: 32 }, (_, i) => row[(i >> 2) * 8 + from + (i & 3)] / 16);
  const pairs = rows.map((row) => ({ left: half(row, 0), right: half(row, 4) }));
  return { pairs, held: pairs.slice(1200, 1700) };
}

const objective = infoNce({ temperature: 0.1 });

/** The 500 right halves are the corpus; each left half has one that is its own. */
function recall(queries, keys, held) {
  const [left, right] = [queries.forward(held.map((pair) => pair.left)), keys.forward(held.map((pair) => pair.right))];
  const count = held.length;
  const unit = (data, n) => {
    const row = data.subarray(n * width, (n + 1) * width);
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    return row.map((x) => x / length);
  };
  const [lefts, rights] = [left, right].map(({ data }) => Array.from({ length: count }, (_, n) => unit(data, n)));
  const scores = Float64Array.from({ length: count * count }, (_, at) => {
    const [query, key] = [lefts[Math.floor(at / count)], rights[at % count]];
    return query.reduce((sum, x, d) => sum + x * key[d], 0);
  });
  const relevance = Uint8Array.from({ length: count * count }, (_, at) => (at % (count + 1) === 0 ? 1 : 0));
  return recallAtK({ k: 1 }).update({
    scores: tensor(scores, [count, count]),
    relevance: tensor(relevance, [count, count]),
  });
}

function trained({ pairs, held }, { size, batch, rate, steps }) {
  const next = random(29);
  const train = pairs.slice(0, size);
  const [queries, keys] = [0, 1].map(() => new Linear(32, width, { next, scale: 0.3 }));
  const log = new ObjectiveLog({ objective, metrics: ["recallAtK"] });
  const draw = () => Array.from({ length: batch }, () => train[Math.floor(next() * size)]);
  const embed = (part) => ({
    queries: queries.forward(part.map((pair) => pair.left)),
    keys: keys.forward(part.map((pair) => pair.right)),
  });
  // The loss that a training run reports: of batches as it draws them.
  const fixed = Array.from({ length: 100 }, draw);
  for (let step = 0; step <= steps; step++) {
    if (step % (steps / 16) === 0 && step > 0) {
      const values = fixed.map((part) => objective.evaluate(embed(part)).value);
      log.evaluation(step, {
        objective: values.reduce((sum, value) => sum + value, 0) / values.length,
        metrics: { recallAtK: recall(queries, keys, held) },
      });
    }
    const part = draw();
    const { gradients } = objective.valueAndGradients(embed(part));
    queries.learn(
      part.map((pair) => pair.left),
      gradients.queries,
      rate,
    );
    keys.learn(
      part.map((pair) => pair.right),
      gradients.keys,
      rate,
    );
  }
  return log;
}

export default function run() {
  const data = drawn();
  return {
    title: "InfoNCE falls, Recall@1 does not rise: four in a batch are no corpus",
    runs: [
      { name: "batches of 4 out of 150", log: trained(data, { size: 150, batch: 4, rate: 0.1, steps: 24000 }) },
      { name: "batches of 64 out of 1200", log: trained(data, { size: 1200, batch: 64, rate: 1, steps: 1600 }) },
    ],
  };
}

await main(import.meta.url, run());
