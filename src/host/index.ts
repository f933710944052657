/** What the runtime offers: found without an import, so that bundles for browsers hold nothing of Node. */
export { coreCount, type NodeProcess, type NodeWorker, nodeBuiltin, whyNoThreads } from "./runtime.js";
