/**
 * Elementary functions with the same bits on every engine: they use + − × ÷ √, comparisons and integer operations only,
 * which IEEE 754 and ECMAScript define to the last bit, where `Math.exp` and its kind may differ between engines.
 * An ulp is the distance between neighboring doubles at the true value.
 */
export { acos } from "./acos.js";
export { atan } from "./atan.js";
export { powerOfTwo, productRemainder } from "./bits.js";
export { cos } from "./cos.js";
export { exp } from "./exp.js";
export { expm1 } from "./expm1.js";
export { hash53, hashWords } from "./hash.js";
export { lgamma } from "./lgamma.js";
export { log } from "./log.js";
export { log1p } from "./log1p.js";
export { log1pExp } from "./log1p-exp.js";
export { pow } from "./pow.js";
export { sigmoid } from "./sigmoid.js";
export { sin } from "./sin.js";
export { sortedOrder } from "./sorted-order.js";
export { tanh } from "./tanh.js";
