// Where a kernel finds what it reads and writes. The host fills one record a job; see `rows.ts`.

/** Offsets of the record, in bytes. Pointers of 0 mean that there is none. */
export const WIDTH: usize = 0;
/** The row of the batch that is row 0 here. */
export const FIRST: usize = 4;
/** float64 out, one a row: the loss, unweighted. */
export const LOSSES: usize = 8;
/** float64, one a row: 0 for a row that is not read; without them every row weighs 1. */
export const WEIGHTS: usize = 12;
/** float64, one a row: what a row's gradient is multiplied by; without them the first parameter. */
export const FACTORS: usize = 16;
/** Bytes, one a row: 1 for a row left to the reference. */
export const ODD: usize = 20;
export const LABELS: usize = 24;
export const FLAGS: usize = 28;
const INPUTS: usize = 32;
const OUTPUTS: usize = 48;
const TABLES: usize = 64;
const PARAMETERS: usize = 80;

@inline
export function word(record: usize, offset: usize): usize {
  return load<u32>(record + offset) as usize;
}

@inline
export function input(record: usize, i: i32): usize {
  return load<u32>(record + INPUTS + ((i as usize) << 2)) as usize;
}

@inline
export function output(record: usize, i: i32): usize {
  return load<u32>(record + OUTPUTS + ((i as usize) << 2)) as usize;
}

@inline
export function table(record: usize, i: i32): usize {
  return load<u32>(record + TABLES + ((i as usize) << 2)) as usize;
}

/** Parameter 0 is the gradient's factor where all rows share one. */
@inline
export function parameter(record: usize, i: i32): f64 {
  return load<f64>(record + PARAMETERS + ((i as usize) << 3));
}

@inline
export function weightOf(weights: usize, row: usize): f64 {
  return weights == 0 ? 1 : load<f64>(weights + (row << 3));
}

@inline
export function factorOf(record: usize, factors: usize, row: usize): f64 {
  return factors == 0 ? parameter(record, 0) : load<f64>(factors + (row << 3));
}
