// CE vs F1: handwritten digits of which nine in ten are one class. The mean over samples falls by learning how frequent
// the classes are; macro F1, in which every class weighs alike, does not move.
import { crossEntropy, fBeta, inverseFrequencyWeights, ObjectiveLog, tensor } from "losswright";
import { classes, Linear, main, random, shuffled, table } from "./training.mjs";

const common = 0;
const [features, count] = [64, 10];

function drawn() {
  const next = random(3);
  const rows = shuffled(table("digits.csv.gz"), next).filter((row) => row[features] === common || next() < 0.06);
  const half = Math.floor(rows.length / 2);
  const split = (list) => ({
    pixels: list.map((row) => row.slice(0, features).map((ink) => ink / 16)),
    labels: classes(list.map((row) => row[features])),
  });
  return { train: split(rows.slice(0, half)), held: split(rows.slice(half)) };
}

function trained(objective, { train, held }) {
  const log = new ObjectiveLog({ objective: crossEntropy(), metrics: ["fBeta"] });
  const model = new Linear(features, count);
  for (let step = 0; step <= 60; step++) {
    if (step % 4 === 0 && step > 0) {
      const logits = model.forward(held.pixels);
      const f1 = fBeta({ average: "macro" }).update({ scores: logits, labels: held.labels });
      log.evaluation(step, {
        objective: crossEntropy().tally({ logits, labels: held.labels }),
        metrics: { fBeta: f1 },
      });
    }
    const batch = { logits: model.forward(train.pixels), labels: train.labels };
    model.learn(train.pixels, objective.valueAndGradients(batch).gradients.logits, 0.02);
  }
  return log;
}

export default function run() {
  const data = drawn();
  const counts = new Array(count).fill(0);
  for (const label of data.train.labels.data) counts[label]++;
  const classWeights = Array.from(inverseFrequencyWeights(tensor(counts)).data);
  return {
    title: "Cross entropy falls, macro F1 does not: imbalanced digits",
    runs: [
      { name: "cross entropy", log: trained(crossEntropy(), data) },
      { name: "with class weights", log: trained(crossEntropy({ classWeights }), data) },
    ],
  };
}

await main(import.meta.url, run());
