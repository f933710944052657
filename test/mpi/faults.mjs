// A rank that fails, each in its way. Arguments: the compiled sources, what happens, timeoutSeconds.
const [dist, fault, seconds = "20"] = process.argv.slice(2);
const launched = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);
if (fault === "never" && launched === 1) process.exit(0);

const { mpi } = await import(`${dist}/group/mpi.js`);
const group = await mpi({ timeoutSeconds: Number(seconds) });
const isOdd = group.rank === group.size - 1;
const values = Float64Array.of(1, 2, 3);
await group.allReduceSum(values);

/** Keeps the core busy, so that no event is seen. */
function compute(milliseconds) {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

/** What the odd rank does instead of what the others do, all of which then sum. */
const faults = {
  call: () => group.allReduceMax(values),
  type: () => group.allReduceSum(BigInt64Array.of(1n, 2n, 3n)),
  length: () => group.allReduceSum(Float64Array.of(1, 2)),
  throw: () => {
    throw new TypeError("no data on this rank");
  },
  reject: () => new Promise((_, reject) => setTimeout(() => reject(new TypeError("no data on this rank")), 100)),
  exit: () => process.exit(3),
  // At a time at which the others wait.
  kill: () => {
    compute(800);
    process.kill(process.pid, "SIGKILL");
  },
  late: () => new Promise((resolve) => setTimeout(resolve, 6000)).then(() => group.allReduceSum(values)),
  busy: () => compute(60_000),
  ends: () => {},
  closes: () => group.close(),
  argument: () => group.allReduceSum([1, 2, 3]),
};
try {
  await (isOdd ? faults[fault]() : group.allReduceSum(values));
  console.log(`rank ${group.rank} went on`);
} catch (error) {
  console.log(`rank ${group.rank} caught ${error.code}: ${error.message}`);
  throw error;
}
