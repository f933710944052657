// Reward loss vs human preference: hurried annotators mostly prefer the longer answer. The reward learns length: its loss
// falls on their pairs, and careful annotators' held-out preferences get no better than before.
import { ObjectiveLog, pairAccuracy, pairwiseLogistic } from "losswright";
import { flat, Linear, main, normal, random } from "./training.mjs";

/** An answer has a quality, seen through two noisy signs, and a length that says nothing of it. */
function answer(next) {
  const [quality, length] = [normal(next), normal(next)];
  const sign = () => quality + 1.5 * normal(next);
  return { quality, length, features: [sign(), sign(), length] };
}

function drawn() {
  const next = random(17);
  const pairs = (count, prefer) =>
    Array.from({ length: count }, () => {
      const [one, other] = [answer(next), answer(next)];
      return prefer(one) >= prefer(other) ? [one, other] : [other, one];
    });
  const hurried = ({ quality, length }) => 0.3 * quality + length;
  const careful = ({ quality }) => quality;
  return { train: pairs(1000, hurried), held: pairs(500, hurried), careful: pairs(500, careful) };
}

const objective = pairwiseLogistic();

function trained({ train, held, careful }, features) {
  const log = new ObjectiveLog({ objective, metrics: ["pairAccuracy"] });
  const side = (pairs, index) => pairs.map((pair) => pair[index].features.slice(0, features));
  const model = new Linear(features, 1);
  const scored = (pairs) => ({
    chosen: flat(model.forward(side(pairs, 0))),
    rejected: flat(model.forward(side(pairs, 1))),
  });
  for (let step = 0; step <= 80; step++) {
    if (step % 5 === 0 && step > 0) {
      log.evaluation(step, {
        objective: objective.tally(scored(held)),
        metrics: { pairAccuracy: pairAccuracy().update(scored(careful)) },
      });
    }
    const { gradients } = objective.valueAndGradients(scored(train));
    model.learn(side(train, 0), gradients.chosen, 1);
    model.learn(side(train, 1), gradients.rejected, 1);
  }
  return log;
}

export default function run() {
  const data = drawn();
  return {
    title: "Reward loss falls, held-out preferences do not get better: length",
    runs: [
      { name: "with length", log: trained(data, 3) },
      { name: "without length", log: trained(data, 2) },
    ],
  };
}

await main(import.meta.url, run());
