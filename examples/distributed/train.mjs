// Digits, learned by ranks that hold uneven parts of them. The same script runs on threads and under MPI:
//
//   node examples/distributed/train.mjs                         two threads
//   mpirun -n 4 node examples/distributed/train.mjs             four processes (and npm install koffi)
//
// Three ways to divide are compared: the one denominator of the step, every rank its own and the mean over ranks
// (another objective wherever ranks hold uneven parts), and one process that holds everything.
import { crossEntropy, mpi, tensor, threads } from "losswright";
import { Linear, standardized, table } from "../mismatches/training.mjs";

const underMpi = "OMPI_COMM_WORLD_SIZE" in process.env || "PMI_SIZE" in process.env;
const group = underMpi ? await mpi() : await threads(2);
const { rank, size } = group;

const rows = table("digits.csv.gz");
const features = standardized(rows.map((row) => row.slice(0, 64)));
const classes = rows.map((row) => row[64]);
// The last rank holds a tenth of the digits, and those of 8 and 9 are all its own.
const last = rows.map((_, row) => row).filter((row) => classes[row] >= 8 && row % 2 === 0);
const others = rows.map((_, row) => row).filter((row) => !last.includes(row));
const everything = [...others, ...last];
const shareOf = (r) => (r === size - 1 ? last : others.filter((_, i) => i % (size - 1) === r));
const mine = size === 1 ? everything : shareOf(rank);

const objective = crossEntropy();
const batchOf = (model, places) => ({
  logits: model.forward(places.map((row) => features[row])),
  labels: tensor(Int32Array.from(places, (row) => classes[row])),
});

/** Trains for some steps; `gradients` gives a rank's gradient by its logits. */
async function train(places, gradients, isShared = true) {
  const model = new Linear(64, 10);
  for (let step = 0; step < 60; step++) {
    const before = model.weights.slice();
    model.learn(
      places.map((row) => features[row]),
      await gradients(batchOf(model, places)),
      1,
    );
    if (!isShared) continue;
    // Gradients of parameters add up over ranks; here the update does, which is the gradient times the rate.
    const update = await group.allReduceSum(model.weights.map((weight, i) => weight - before[i]));
    model.weights.set(before.map((weight, i) => weight + update[i]));
  }
  return model;
}

const oneDenominator = await train(mine, async (batch) => {
  const { gradients } = await objective.valueAndGradients(batch, { group });
  return gradients.logits;
});
const localMeans = await train(mine, (batch) => {
  const { gradients } = objective.valueAndGradients(batch, { scale: 1 / size });
  return gradients.logits;
});

if (rank === 0) {
  const alone = await train(everything, (batch) => objective.valueAndGradients(batch).gradients.logits, false);
  const report = (name, model) => {
    const value = objective.evaluate(batchOf(model, everything)).value;
    const apart = Math.max(...model.weights.map((weight, i) => Math.abs(weight - alone.weights[i])));
    console.log(`${name.padEnd(34)}${value.toFixed(4)}   ${apart < 1e-9 ? "< 1e-9" : apart.toFixed(4)}`);
  };
  console.log(`${size} ranks over ${group.carrier}: ${others.length} digits, and ${last.length} on the last rank`);
  console.log(`${"".padEnd(34)}loss     weights apart from one process`);
  report("one denominator", oneDenominator);
  report("each its own, then the mean", localMeans);
  report("one process", alone);
}
await group.close();
