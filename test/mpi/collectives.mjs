// Every function of a group over MPI, held against one process. Arguments: the compiled sources, the seed.
import assert from "node:assert/strict";
import { checkEveryFunction, checkLargeMessages, checkSmallMessages } from "./checks.mjs";

const [dist, seed] = process.argv.slice(2);
const { mpi } = await import(`${dist}/group/mpi.js`);
const events = ["exit", "SIGTERM", "uncaughtExceptionMonitor"];
const listeners = () => events.map((event) => process.listenerCount(event));
const before = listeners();
const group = await mpi();
assert.equal(group.carrier, "mpi");
assert.equal(await mpi(), group);
await assert.rejects(mpi({ timeoutSeconds: 5 }), { code: "group", message: /other options/ });

await checkEveryFunction(group, Number(seed));
await checkSmallMessages(group, Number(seed) + 1, 1500);
await checkLargeMessages(group, Number(seed) + 2, 10);

// A wait leaves the event loop to others.
let ticks = 0;
const ticking = setInterval(() => ticks++, 5);
if (group.rank === 0) await new Promise((resolve) => setTimeout(resolve, 400));
await group.barrier();
clearInterval(ticking);
// A wait that blocks lets it turn once at most; how often it turns besides depends on the machine.
assert.ok(ticks >= 3, `the event loop turned ${ticks} times`);

// An access out of bounds in WebAssembly is a SIGSEGV to V8, and must stay an error of the program.
const outside = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1],
  ...[7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 65, 120, 40, 2, 0, 11],
]);
const { instance } = await WebAssembly.instantiate(outside);
assert.throws(() => instance.exports.f(), WebAssembly.RuntimeError);

await group.close();
assert.deepEqual(listeners(), before);
await assert.rejects(group.barrier(), { code: "group" });
await assert.rejects(mpi(), { code: "group", message: /after the first was closed/ });
console.log(`rank ${group.rank} of ${group.size} is done`);
