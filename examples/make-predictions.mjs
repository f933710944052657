// Writes predictions.csv: what a logistic regression, trained on every other row of data/breast_cancer.csv (Wisconsin
// diagnostic breast cancer, as scikit-learn ships it), says of the rows between. node examples/make-predictions.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { binaryCrossEntropy, tensor } from "losswright";

const lines = readFileSync(new URL("data/breast_cancer.csv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .slice(1);
const rows = lines.map((line, id) => {
  const cells = line.split(",").map(Number);
  // The file's 0 is malignant: what a test looks for.
  return { id, features: cells.slice(0, -1), label: 1 - cells.at(-1) };
});
const [train, held] = [1, 0].map((rest) => rows.filter(({ id }) => id % 2 === rest));

const width = train[0].features.length;
const columns = Array.from({ length: width }, (_, j) => train.map(({ features }) => features[j]));
const means = columns.map((column) => column.reduce((sum, each) => sum + each, 0) / column.length);
const spreads = columns.map((column, j) =>
  Math.sqrt(column.reduce((sum, each) => sum + (each - means[j]) * (each - means[j]), 0) / column.length),
);
const scaled = ({ features }) => features.map((each, j) => (each - means[j]) / spreads[j]);

const objective = binaryCrossEntropy();
const inputs = train.map(scaled);
const targets = tensor(train.map(({ label }) => label));
const weights = new Float64Array(width);
let bias = 0;
const logitOf = (input) => input.reduce((sum, each, j) => sum + each * weights[j], bias);
for (let step = 0; step < 300; step++) {
  const logits = tensor(Float64Array.from(inputs, logitOf));
  const slopes = objective.valueAndGradients({ logits, targets }).gradients.logits.data;
  for (let j = 0; j < width; j++) {
    const slope = inputs.reduce((sum, input, i) => sum + slopes[i] * input[j], 0);
    weights[j] -= 0.5 * (slope + 0.001 * weights[j]);
  }
  bias -= 0.5 * slopes.reduce((sum, each) => sum + each, 0);
}

const table = held.map((row) => {
  const logit = logitOf(scaled(row));
  return [row.id, logit.toFixed(4), (1 / (1 + Math.exp(-logit))).toFixed(6), logit > 0 ? 1 : 0, row.label];
});
const text = [["id", "scores", "probabilities", "predictions", "labels"], ...table].map((row) => row.join(","));
writeFileSync(new URL("predictions.csv", import.meta.url), `${text.join("\n")}\n`);
