// What one rank of the scaling benchmark does: the same works on every carrier; rank 0 prints times as JSON.
// Arguments: "threads" or "mpi", for threads how many, rounds.
import { performance } from "node:perf_hooks";
import { allocate, crossEntropy, infoNce, mpi, setThreads, tensor, threads } from "../../dist/index.js";

const [carrier, count, rounds] = process.argv.slice(2);
const group = carrier === "mpi" ? await mpi() : await threads(Number(count));
const { rank, size } = group;
// One core a rank: what scales is the group, not the kernels' own threads.
setThreads(1);

const classes = 8192;
const width = 256;

function filled(rows, columns, phase) {
  const out = allocate([rows, columns], "float32");
  for (let i = 0; i < out.data.length; i++) out.data[i] = Math.sin(phase * i) * 2;
  return out;
}

/** A batch of so many rows, with room for its gradients, so that no step asks for new memory. */
const works = {
  crossEntropy(rows) {
    const [logits, labels] = [
      filled(rows, classes, 0.37),
      tensor(Int32Array.from({ length: rows }, (_, i) => i % classes)),
    ];
    return {
      objective: crossEntropy(),
      batch: { logits, labels },
      gradients: { logits: allocate([rows, classes], "float32") },
    };
  },
  infoNce(rows) {
    const [queries, keys] = [filled(rows, width, 0.37), filled(rows, width, 0.73)];
    const gradients = {
      queries: tensor(new Float32Array(rows * width), [rows, width]),
      keys: tensor(new Float32Array(rows * width), [rows, width]),
    };
    return { objective: infoNce(), batch: { queries, keys }, gradients };
  },
};

/** Times of rounds of a call, each that of the slowest rank, in milliseconds; and what one call sends. */
async function measure(call) {
  for (let i = 0; i < 3; i++) await call();
  const before = group.traffic;
  await call();
  const after = group.traffic;
  const times = [];
  for (let round = 0; round < Number(rounds); round++) {
    await group.barrier();
    const start = performance.now();
    await call();
    const [slowest] = await group.allReduceMax(Float64Array.of(performance.now() - start));
    times.push(slowest);
  }
  times.sort((a, b) => a - b);
  const traffic = { collectives: after.collectives - before.collectives, sent: after.sent - before.sent };
  return { best: times[0], median: times[times.length >> 1], ...traffic };
}

const results = {};
const rowsOf = { crossEntropy: 2048, infoNce: 2048 };
for (const name of Object.keys(works)) {
  for (const [mode, rows] of [
    ["strong", rowsOf[name] / size],
    ["weak", rowsOf[name] / 2],
  ]) {
    const { objective, batch, gradients } = works[name](rows);
    results[`${name} ${mode}`] = await measure(() =>
      objective.valueAndGradients(batch, { group, into: { gradients } }),
    );
  }
}
const lanes = new BigInt64Array(82);
const megabyte = new Float64Array(131_072);
results["82 integers summed"] = await measure(() => group.allReduceSum(lanes));
results["1 MB gathered"] = await measure(() => group.allGather(megabyte));
results["1 MB of gradients summed"] = await measure(() => group.allReduceSum(megabyte));
if (rank === 0) console.log(JSON.stringify(results));
await group.close();
