import type { Group } from "../../src/tally/index.js";

export function reals(seed: number, length: number, withSpecial?: boolean): Float64Array;
export function everyCall(group: Group, options?: { rounds?: number; large?: number }): Promise<bigint>;
export function everybody(group: Group, hash: bigint): Promise<string[]>;
