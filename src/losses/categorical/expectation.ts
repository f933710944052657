import type { SoftmaxRow } from "../softmax-row.js";

/** Σ_k p_k a_k; a class of probability 0 is silent, also where its value is infinite. */
export function expectation(softmax: SoftmaxRow, values: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < values.length; k++) {
    const probability = softmax.probability(k);
    if (probability !== 0) sum += probability * values[k]!;
  }
  return sum;
}

/**
 * Adds d/dz of Σ_k p_k a_k for constant a to a row: p_j (a_j − Σ_k p_k a_k).
 *
 * Values are taken relative to a_t of the most probable class: p_j ((a_j − a_t) − Σ_{k≠t} p_k (a_k − a_t)), so that
 * where p_t rounds to 1 its own derivative, −p_t Σ_{k≠t} p_k (a_k − a_t), is still there.
 */
export function addExpectationGradient(softmax: SoftmaxRow, values: Float64Array, own: Float64Array): void {
  const top = softmax.exponentials.indexOf(1);
  const reference = values[top]!;
  let mean = 0;
  for (let k = 0; k < values.length; k++) {
    const probability = softmax.probability(k);
    if (k !== top && probability !== 0) mean += probability * (values[k]! - reference);
  }
  for (let k = 0; k < values.length; k++) {
    const probability = softmax.probability(k);
    // The reference itself is 0 from itself, also where it is infinite.
    if (probability !== 0) own[k]! += probability * ((k === top ? 0 : values[k]! - reference) - mean);
  }
}
