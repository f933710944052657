export { allocate, release } from "./allocate.js";
export type { BatchCall } from "./batch-call.js";
export type { KernelModule } from "./module.js";
export { whyNoThreads as whyOneThread } from "./pool.js";
export { type RowCall, type RowOperand, type RowSink, runRows } from "./rows.js";
export { close, type Session, session, setThreads } from "./session.js";
