/** Errors as data with stable codes; the sentence is composed here, once, for everyone. */
export { type ErrorCode, type ErrorDetails, LosswrightError } from "./losswright-error.js";
export { checkObject, closest, rejectUnknown } from "./near-miss.js";
