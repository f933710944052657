/** Ranks that share a step: one process, its threads, or the processes of a cluster. */
export { solo } from "./solo.js";
