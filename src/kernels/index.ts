export { allocate, release } from "./allocate.js";
export type { BatchCall } from "./batch-call.js";
export { runCtc } from "./ctc.js";
export { type LogitsKernel, runLinearCrossEntropy } from "./linear-cross-entropy.js";
export { type KernelSource, loadKernels } from "./load-kernels.js";
export type { KernelModule } from "./module.js";
export { type RowCall, type RowOperand, type RowSink, runRows } from "./rows.js";
export { close, type Session, session, setThreads } from "./session.js";
export { runSimilarities } from "./similarity.js";
