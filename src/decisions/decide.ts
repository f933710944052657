import { rejectUnknown } from "../errors/index.js";
import { formatShape, type Tensor, view } from "../tensor/index.js";
import { type Numbers, readNumbers, unitInterval, wrong } from "./numbers.js";

const where = "decide";

/** How far a row of probabilities may sum from 1: what rounding to half precision leaves. */
const slack = 1e-2;

/**
 * The decision of least expected cost: argmin_a Σ_k p_k c_ka, row by row.
 * With the cost 0 on the diagonal and 1 elsewhere it is the most likely class; for two classes it is a threshold: decide
 * 1 where p_1 ≥ c_01 / (c_01 + c_10), c_01 the cost of a false alarm. There may be more decisions than classes: a last
 * column of constant cost is "ask a person". Of decisions equally cheap the first counts.
 * It is as good as the probabilities: calibrate them first, and undo class weights (`undoPosWeight`).
 *
 * @param input - `probabilities [..., K]`, each row a distribution; `costs [K, A]`, (true class, decision), finite
 * @returns the decision of each row, 0..A−1, of the shape `[...]`
 * @throws `unknown`, `argument`, `role`, `shape`; `value` for a probability outside [0, 1], a row that does not sum to 1,
 * or a cost that is not finite, with its place
 * @see Elkan 2001, eq. 1; Duda, Hart and Stork, section 2.2
 *
 * @example
 * decide({ probabilities: softmax(logits), costs: [[0, 1], [20, 0]] }); // to miss a 1 costs 20 false alarms
 */
export function decide(input: {
  readonly probabilities: Numbers<"probabilities">;
  readonly costs: Numbers;
}): Tensor<"classIndices", "int32"> {
  rejectUnknown(where, "argument", input, ["probabilities", "costs"]);
  const { data, shape } = readNumbers(where, "probabilities", input.probabilities, ["probabilities"], unitInterval);
  const costs = readNumbers(where, "costs", input.costs, [], { has: Number.isFinite, words: "a finite cost" });
  const [classes, decisions] = costs.shape;
  if (costs.shape.length !== 2 || !classes || !decisions) {
    throw wrong(where, "shape", "costs", formatShape(costs.shape), "[K, A]: true class, decision");
  }
  if (shape.length === 0 || shape.at(-1) !== classes) {
    const fix = "of the probability p of 1 alone make rows [1 − p, p].";
    throw wrong(where, "shape", "probabilities", formatShape(shape), `[..., ${classes}], as the costs have rows`, fix);
  }
  const rows = data.length / classes;
  const chosen = new Int32Array(rows);
  const expected = new Float64Array(decisions);
  for (let row = 0; row < rows; row++) {
    expected.fill(0);
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      const probability = data[row * classes + k]!;
      sum += probability;
      for (let a = 0; a < decisions; a++) expected[a]! += probability * costs.data[k * decisions + a]!;
    }
    if (Math.abs(sum - 1) > slack) {
      const fix = "pass the softmax over the last axis.";
      throw wrong(where, "value", "probabilities", `a sum of ${sum} in row ${row}`, "rows that sum to 1", fix, [row]);
    }
    let best = 0;
    for (let a = 1; a < decisions; a++) if (expected[a]! < expected[best]!) best = a;
    chosen[row] = best;
  }
  return view(chosen, shape.slice(0, -1), "classIndices", "int32");
}
