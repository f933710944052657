// MSE vs rank correlation: patients of whom one in twenty was measured in another unit, twenty times the number. Squared
// error is nearly all theirs, so gradient descent spends its steps on them; how the others rank does not get better.
import { ObjectiveLog, pairwiseLogistic, spearman, squaredError, tensor } from "losswright";
import { flat, Linear, main, random, shuffled, standardized, table } from "./training.mjs";

function drawn() {
  const variables = standardized(table("diabetes_data_raw.csv.gz", { separator: " " }));
  const progress = table("diabetes_target.csv.gz").map(([value]) => value);
  const patients = shuffled(
    variables.map((row, i) => ({ row, target: progress[i] })),
    random(11),
  ).map(({ row, target }, i) => {
    const isOther = i % 20 === 0;
    return { features: [...row, isOther ? 1 : 0], target: isOther ? 20 * target : target, isOther };
  });
  return { train: patients.slice(0, 300), held: patients.slice(300) };
}

const targetsOf = (patients) => tensor(Float64Array.from(patients, ({ target }) => target));

function evaluated(log, step, model, held) {
  const scores = (patients) => flat(model.forward(patients.map(({ features }) => features)));
  const ordinary = held.filter(({ isOther }) => !isOther);
  const ranks = spearman().update({ predictions: scores(ordinary), targets: targetsOf(ordinary) });
  log.evaluation(step, {
    objective: squaredError().tally({ predictions: scores(held), targets: targetsOf(held) }),
    metrics: { spearman: ranks },
  });
}

function bySquares({ train, held }) {
  const log = new ObjectiveLog({ objective: squaredError(), metrics: ["spearman"] });
  const features = train.map((patient) => patient.features);
  const model = new Linear(features[0].length, 1);
  for (let step = 0; step <= 200; step++) {
    if (step % 10 === 0 && step > 0) evaluated(log, step, model, held);
    const batch = { predictions: flat(model.forward(features)), targets: targetsOf(train) };
    model.learn(features, squaredError().valueAndGradients(batch).gradients.predictions, 0.1);
  }
  return log;
}

/** Every pair of patients that were measured alike: the one who fared worse is to score higher. */
function byPairs({ train, held }) {
  const log = new ObjectiveLog({ objective: pairwiseLogistic(), metrics: ["spearman"] });
  const pairsOf = (patients) => {
    const ordinary = patients.filter(({ isOther }) => !isOther);
    const pairs = ordinary.flatMap((one, i) => ordinary.slice(i + 1, i + 20).map((other) => [one, other]));
    return pairs.map(([one, other]) => (one.target >= other.target ? [one, other] : [other, one]));
  };
  const [learned, heldOut] = [pairsOf(train), pairsOf(held)];
  const side = (pairs, index) => pairs.map((pair) => pair[index].features);
  const model = new Linear(train[0].features.length, 1);
  const ordinary = held.filter(({ isOther }) => !isOther);
  for (let step = 0; step <= 200; step++) {
    const scores = (rows) => flat(model.forward(rows));
    if (step % 10 === 0 && step > 0) {
      const ranks = spearman().update({
        predictions: scores(ordinary.map(({ features }) => features)),
        targets: targetsOf(ordinary),
      });
      const pairs = { chosen: scores(side(heldOut, 0)), rejected: scores(side(heldOut, 1)) };
      log.evaluation(step, { objective: pairwiseLogistic().tally(pairs), metrics: { spearman: ranks } });
    }
    const batch = { chosen: scores(side(learned, 0)), rejected: scores(side(learned, 1)) };
    const { gradients } = pairwiseLogistic().valueAndGradients(batch);
    model.learn(side(learned, 0), gradients.chosen, 0.1);
    model.learn(side(learned, 1), gradients.rejected, 0.1);
  }
  return log;
}

export default function run() {
  const data = drawn();
  return {
    title: "Squared error falls, ranks do not get better: outliers of another unit",
    runs: [
      { name: "squared error", log: bySquares(data) },
      { name: "pairs", log: byPairs(data) },
    ],
  };
}

await main(import.meta.url, run());
