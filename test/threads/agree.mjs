/** `agree.mjs [how] COUNT`: every call on so many threads; each rank prints what all ranks got. */
import { everybody, everyCall } from "./every-call.mjs";

const { threads } = await import(process.env.LOSSWRIGHT_THREADS);
// Runtimes without it look from time to time.
if (process.argv.includes("without waking")) delete Atomics.waitAsync;

const group = await threads(Number(process.argv.at(-1)), { timeoutSeconds: 30 });
const all = await everybody(group, await everyCall(group));
console.log(`${group.rank} ${all}`);
await group.close();
