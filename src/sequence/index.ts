export { labelShift, type Shift } from "./shift.js";
export { splitNextToken } from "./split-next-token.js";
