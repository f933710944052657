// One step on every rank, beside the same step in one process, which every rank computes for itself: prints what differs.
// Arguments: the compiled sources, "threads" or "mpi", for threads how many.
const [dist, carrier, count] = process.argv.slice(2);
const library = await import(`${dist}/index.js`);
const { accumulation, clip, crossEntropy, huber, infoNce, sigLip, squaredError, supervisedContrastive, tensor } =
  library;
const { linearCrossEntropy, binaryCrossEntropy, ntXent } = library;
const group = carrier === "mpi" ? await library.mpi({ timeoutSeconds: 30 }) : await library.threads(Number(count));
const { rank, size } = group;

const rows = 23;
const width = 6;
const reals = (length, phase) => Float64Array.from({ length }, (_, i) => Math.fround(2 * Math.sin(phase * (i + 1))));
const typed = { float64: Float64Array, float32: Float32Array };
const take = (data, width, from, to) =>
  tensor(data.slice(from * width, to * width), width === 1 ? [to - from] : [to - from, width]);

// Uneven parts: the second rank of three or more has no row, and the last one no valid token.
const cuts = Array.from({ length: size + 1 }, (_, r) => Math.round((rows * r * r) / (size * size)));
if (size > 2) cuts[2] = cuts[1];
const last = [cuts[size - 1], rows];
const labels = Int32Array.from({ length: rows }, (_, i) => (size > 1 && i >= last[0] ? -100 : (5 * i) % 4));

function objectives(dtype) {
  const of = (data) => typed[dtype].from(data);
  const [scores, left, right, weight, targets] = [
    of(reals(rows * 4, 1.3)),
    of(reals(rows * width, 0.7)),
    of(reals(rows * width, 2.9)),
    of(reals(4 * width, 1.7)),
    of(reals(rows * 4, 3.1)),
  ];
  const classes = labels.map((label) => Math.abs(label) % 3);
  const ones = of(reals(rows * 4, 3.1).map((x) => Number(x > 0)));
  return {
    crossEntropy: [
      crossEntropy({ classWeights: [1, 0.3, 2, 0] }),
      (a, b) => ({ logits: take(scores, 4, a, b), labels: take(labels, 1, a, b) }),
    ],
    "crossEntropy of sequences": [
      crossEntropy({ per: "sequence" }),
      (a, b) => ({
        logits: tensor(scores.slice(4 * a, 4 * b), [b - a, 1, 4]),
        labels: tensor(labels.slice(a, b), [b - a, 1]),
      }),
    ],
    huber: [huber(), (a, b) => ({ predictions: take(scores, 4, a, b), targets: take(targets, 4, a, b) })],
    squaredError: [squaredError(), (a, b) => ({ predictions: take(scores, 4, a, b), targets: take(targets, 4, a, b) })],
    binaryCrossEntropy: [
      binaryCrossEntropy(),
      (a, b) => ({ logits: take(scores, 4, a, b), targets: take(ones, 4, a, b) }),
    ],
    linearCrossEntropy: [
      linearCrossEntropy(),
      (a, b) => ({
        hidden: take(left, width, a, b),
        weight: tensor(weight, [4, width]),
        labels: take(labels, 1, a, b),
      }),
    ],
    infoNce: [infoNce(), (a, b) => ({ queries: take(left, width, a, b), keys: take(right, width, a, b) })],
    "infoNce, symmetric": [
      infoNce({ symmetric: true }),
      (a, b) => ({ queries: take(left, width, a, b), keys: take(right, width, a, b) }),
    ],
    clip: [clip(), (a, b) => ({ images: take(left, width, a, b), texts: take(right, width, a, b), logScale: 1 })],
    sigLip: [
      sigLip(),
      (a, b) => ({ images: take(left, width, a, b), texts: take(right, width, a, b), logScale: 1, bias: -2 }),
    ],
    supervisedContrastive: [
      supervisedContrastive(),
      (a, b) => ({ embeddings: take(left, width, a, b), labels: take(classes, 1, a, b) }),
    ],
    ntXent: [
      ntXent(),
      (a, b) => ({
        embeddings: tensor(of([...left.slice(a * width, b * width), ...right.slice(a * width, b * width)]), [
          2 * (b - a),
          width,
        ]),
      }),
    ],
  };
}

const wrong = [];
const same = (what, found, wanted) => Object.is(found, wanted) || wrong.push(`${what}: ${found} beside ${wanted}`);

/** This rank's part of a gradient of the whole, or undefined for what ranks share. */
function part(name, whole, shape) {
  if (shape.length === 0 || name === "weight") return undefined;
  const inner = whole.data.length / whole.shape[0];
  if (whole.shape[0] !== 2 * rows) return whole.data.slice(cuts[rank] * inner, cuts[rank + 1] * inner);
  const half = whole.data.length / 2;
  const view = (from) => [...whole.data.slice(from + cuts[rank] * inner, from + cuts[rank + 1] * inner)];
  return [...view(0), ...view(half)];
}

for (const dtype of ["float64", "float32"]) {
  for (const [name, [objective, batch]] of Object.entries(objectives(dtype))) {
    const what = `${name}, ${dtype}, rank ${rank} of ${size}`;
    const whole = objective.valueAndGradients(batch(0, rows));
    const mine = await objective.valueAndGradients(batch(cuts[rank], cuts[rank + 1]), { group });
    for (const field of ["value", "numerator", "denominator"]) same(`${what}: ${field}`, mine[field], whole[field]);
    for (const [field, gradient] of Object.entries(mine.gradients)) {
      const all = whole.gradients[field];
      const wanted = part(field, all, gradient.shape);
      const largest = Math.max(...Array.from(all.data, Math.abs), 1e-300);
      const tolerance = (dtype === "float64" ? 1e-12 : 1e-5) * largest;
      // Shared fields: every rank has its share.
      const found = wanted ? gradient.data : await group.allReduceSum(Float64Array.from(gradient.data));
      const isExact = wanted && !objective.couples;
      for (const [at, entry] of (wanted ?? [...all.data]).entries()) {
        if (isExact) same(`${what}: d/d${field}[${at}]`, found[at], entry);
        else if (!(Math.abs(found[at] - entry) <= tolerance))
          wrong.push(`${what}: d/d${field}[${at}]: ${found[at]} beside ${entry}`);
      }
    }
  }
}

// Micro-batches on every rank: two of its part, counted ahead.
const [objective, batch] = objectives("float32").crossEntropy;
const middle = Math.floor((cuts[rank] + cuts[rank + 1]) / 2);
const micro = [batch(cuts[rank], middle), batch(middle, cuts[rank + 1])];
const step = await accumulation(objective).ahead(
  micro.map(({ labels: own }) => ({ labels: own })),
  { group },
);
for (const each of micro) step.add(each);
same(`micro-batches on rank ${rank} of ${size}`, (await step.finish()).value, objective.evaluate(batch(0, rows)).value);

// A bad label on the last rank is an error of all, and the group goes on.
const bad = batch(0, 3);
if (rank === size - 1) bad.labels.data[1] = 9;
let code = "none";
try {
  await objective.valueAndGradients(bad, { group });
} catch (error) {
  code = error.code;
}
same(`code on rank ${rank} of ${size}`, code, rank === size - 1 ? "value" : "group");
await group.barrier();
for (const each of wrong.slice(0, 5)) console.log(`wrong: ${each}`);
console.log(`rank ${rank} of ${size} is done, ${wrong.length} wrong`);
await group.close();
