// posWeight vs calibration: a binary loss with posWeight learns a world in which positives are so many times as frequent.
// Its probabilities are off until undoPosWeight takes the weight back.

import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import {
  binaryCrossEntropy,
  brierScore,
  expectedCalibrationError,
  logLoss,
  recall,
  reliabilityCurve,
  sigmoid,
  tensor,
  undoPosWeight,
} from "losswright";
import { classes, flat, Linear, random, shuffled, standardized, table } from "./training.mjs";

const features = 30;
const posWeight = 20;

function drawn() {
  const rows = shuffled(table("breast_cancer.csv", { head: true }), random(7));
  const inputs = standardized(rows.map((row) => row.slice(0, features)));
  // Malignant (0 in the table) is what must not be missed.
  const all = rows.map((row, i) => ({ input: inputs[i], label: 1 - row[features] }));
  return { train: all.slice(0, 285), held: all.slice(285) };
}

/** What the probabilities of held-out patients are worth. */
function measured(probabilities, labels) {
  const fields = { probabilities, labels };
  const predictions = classes(Array.from(probabilities.data, (p) => (p >= 0.5 ? 1 : 0)));
  return {
    calibrationError: expectedCalibrationError({ bins: 10 }).update(fields).compute(),
    logLoss: logLoss().update(fields).compute(),
    brier: brierScore({ part: "score" }).update(fields).compute(),
    recall: recall({ average: "binary" }).update({ predictions, labels }).compute(),
  };
}

const reliability = (probabilities, labels) =>
  reliabilityCurve({ bins: 8 }).update({ probabilities, labels }).compute();

export default function run() {
  const { train, held } = drawn();
  const objective = binaryCrossEntropy({ posWeight });
  // Three of the thirty variables: enough overlap that probabilities matter.
  const few = (rows) => rows.map(({ input }) => input.slice(8, 11));
  const model = new Linear(3, 1);
  const targets = tensor(Float64Array.from(train, ({ label }) => label));
  for (let step = 0; step < 400; step++) {
    const { gradients } = objective.valueAndGradients({ logits: flat(model.forward(few(train))), targets });
    model.learn(few(train), gradients.logits, 0.2);
  }
  const logits = flat(model.forward(few(held)));
  const labels = classes(held.map(({ label }) => label));
  return {
    title: `posWeight ${posWeight} moves probabilities; undoPosWeight brings them back`,
    before: measured(sigmoid(logits), labels),
    after: measured(sigmoid(undoPosWeight(logits, posWeight)), labels),
    curves: {
      "sigmoid(logits)": reliability(sigmoid(logits), labels),
      undoPosWeight: reliability(sigmoid(undoPosWeight(logits, posWeight)), labels),
    },
  };
}

if (pathToFileURL(argv[1] ?? "").href === import.meta.url) {
  const { title, before, after } = run();
  console.log(`${title}\n`);
  console.log(`${"".padEnd(20)}${"sigmoid(logits)".padStart(18)}${"undoPosWeight".padStart(18)}`);
  for (const name of Object.keys(before)) {
    console.log(`${name.padEnd(20)}${before[name].toFixed(4).padStart(18)}${after[name].toFixed(4).padStart(18)}`);
  }
}
