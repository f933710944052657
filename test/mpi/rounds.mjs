// Messages that are longer than a round, with rounds of 1000 bytes in place of 256 MiB. Arguments: the compiled sources, the seed.
import { checkEveryFunction, checkLargeMessages, checkSmallMessages } from "./checks.mjs";

const [dist, seed] = process.argv.slice(2);
const { Collectives } = await import(`${dist}/group/collectives.js`);
const { MpiCarrier } = await import(`${dist}/group/mpi-carrier.js`);
const { loadMpi } = await import(`${dist}/group/mpi-library.js`);
const group = new Collectives(await MpiCarrier.start(loadMpi(process), { timeoutSeconds: 60, bytesOfARound: 1000 }));
await checkEveryFunction(group, Number(seed));
await checkSmallMessages(group, Number(seed) + 1, 100);
await checkLargeMessages(group, Number(seed) + 2, 1);
await group.close();
console.log(`rank ${group.rank} of ${group.size} is done`);
