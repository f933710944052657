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
  const pairs = (count, prefer, isLevel = false) =>
    Array.from({ length: count }, () => {
      const [one, other] = [answer(next), answer(next)];
      // Cut to one length, the longer answer cannot be told by it.
      if (isLevel) [other.length, other.features[2]] = [one.length, one.length];
      return prefer(one) >= prefer(other) ? [one, other] : [other, one];
    });
  const hurried = ({ quality, length }) => 0.3 * quality + length;
  const careful = ({ quality }) => quality;
  const judged = { careful: pairs(500, careful) };
  return {
    ofAnyLength: { train: pairs(1000, hurried), held: pairs(500, hurried), ...judged },
    ofOneLength: { train: pairs(1000, hurried, true), held: pairs(500, hurried, true), ...judged },
  };
}

const objective = pairwiseLogistic();

function trained({ train, held, careful }) {
  const log = new ObjectiveLog({ objective, metrics: ["pairAccuracy"] });
  const side = (pairs, index) => pairs.map((pair) => pair[index].features);
  const model = new Linear(3, 1);
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
    model.learn(side(train, 0), gradients.chosen, 0.3);
    model.learn(side(train, 1), gradients.rejected, 0.3);
  }
  return log;
}

export default function run() {
  const data = drawn();
  return {
    title: "Reward loss falls, held-out preferences do not get better: length",
    runs: [
      { name: "pairs of any length", log: trained(data.ofAnyLength) },
      { name: "pairs of one length", log: trained(data.ofOneLength) },
    ],
  };
}

await main(import.meta.url, run());
