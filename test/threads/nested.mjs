/** `nested.mjs SCRIPT …`: runs a script in a worker of its own, which is rank 0 of the group that the script makes. */
import { Worker } from "node:worker_threads";

const [, , script, ...rest] = process.argv;
const worker = new Worker(new URL(script, import.meta.url), { argv: rest });
worker.on("error", (error) => console.log(`worker threw ${error.found ?? error}`));
worker.on("exit", (code) => console.log(`worker ended with ${code}`));
