/** Ten thousand frames: equal scores make losses and posteriors ratios of whole numbers, which are known exactly. */
import { describe, expect, it } from "vitest";
import { lgamma } from "../../numerics/index.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { ctc } from "./ctc.js";
import { linearChainCrf } from "./linear-chain-crf.js";
import { rnnTransducer } from "./rnn-transducer.js";

const logBinomial = (n: number, k: number) => lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
const ids = (...numbers: number[]) => tensor(Int32Array.from(numbers));
const numbers = ({ data }: Tensor) => data as Float64Array;

/** The largest |Σ of a row|. */
function largestRowSum(entries: Float64Array, width: number): number {
  let largest = 0;
  for (let from = 0; from < entries.length; from += width) {
    let sum = 0;
    for (let k = from; k < from + width; k++) sum += entries[k]!;
    largest = Math.max(largest, Math.abs(sum));
  }
  return largest;
}

describe("over 10,000 frames", () => {
  it("ctc of n labels and r repeats has binomial(T + n − r, 2n) alignments", () => {
    const [T, C, n] = [10_000, 5, 60];
    const labels = Int32Array.from({ length: n }, (_, i) => (i % 6 < 2 ? 1 : 1 + (i % 4)));
    const repeats = labels.filter((label, i) => label === labels[i - 1]).length;
    expect(repeats).toBeGreaterThan(5);
    const batch = {
      logits: tensor(new Float64Array(T * C).fill(3), [T, 1, C]),
      labels: tensor(labels),
      inputLengths: ids(T),
      labelLengths: ids(n),
    };
    const { value, gradients } = ctc().valueAndGradients(batch);
    const wanted = T * Math.log(C) - logBinomial(T + n - repeats, 2 * n);
    expect(Math.abs(value / wanted - 1)).toBeLessThan(1e-13);
    expect(largestRowSum(numbers(gradients.logits!), C)).toBeLessThan(1e-15);
  });

  it("ctc's posteriors keep twelve digits", () => {
    const [T, C, n] = [2000, 3, 10];
    const labels = Int32Array.from({ length: n }, (_, i) => 1 + (i % 2));
    const states = 2 * n + 1;
    // Numbers of ways to each state and on from it; labels alternate, so that every blank may be skipped.
    const ways = (t: number) => {
      let row: bigint[] = Array.from({ length: states }, (_, s) => (s < 2 ? 1n : 0n));
      for (let i = 0; i < t; i++) {
        row = row.map((stay, s) => stay + (row[s - 1] ?? 0n) + (s % 2 === 1 ? (row[s - 2] ?? 0n) : 0n));
      }
      return row;
    };
    const batch = {
      logProbs: tensor(new Float64Array(T * C).fill(-Math.log(C)), [T, 1, C]),
      labels: tensor(labels),
      inputLengths: ids(T),
      labelLengths: ids(n),
    };
    const gradient = numbers(ctc().valueAndGradients(batch).gradients.logProbs!);
    for (const t of [0, 1, 17, 999, 1000, 1500, T - 1]) {
      const [to, from] = [ways(t), ways(T - 1 - t).reverse()];
      const through = to.map((count, s) => count * from[s]!);
      const total = through.reduce((sum, count) => sum + count);
      for (let k = 0; k < C; k++) {
        const mine = through.filter((_, s) => (s % 2 === 1 ? labels[(s - 1) / 2] : 0) === k);
        const wanted = ratio(
          mine.reduce((sum, count) => sum + count, 0n),
          total,
        );
        const found = 0 - gradient[t * C + k]!;
        if (wanted === 0) expect(found).toBe(0);
        else expect(Math.abs(found / wanted - 1)).toBeLessThan(1e-12);
      }
    }
  });

  it("rnnTransducer has binomial(T + U − 1, U) alignments", () => {
    const [T, U, C] = [10_000, 4, 3];
    const batch = {
      logits: tensor(new Float64Array(T * (U + 1) * C), [1, T, U + 1, C]),
      labels: tensor(Int32Array.of(1, 1, 2, 1), [1, U]),
      inputLengths: ids(T),
      labelLengths: ids(U),
    };
    const { value, gradients } = rnnTransducer().valueAndGradients(batch);
    const wanted = (T + U) * Math.log(C) - logBinomial(T + U - 1, U);
    expect(Math.abs(value / wanted - 1)).toBeLessThan(1e-13);
    expect(largestRowSum(numbers(gradients.logits!), C)).toBeLessThan(1e-15);
  });

  it("linearChainCrf has K^T labelings, and is sure of labels that nothing else comes near", () => {
    const [T, K] = [10_000, 4];
    const labels = tensor(new Int32Array(T).fill(2), [1, T]);
    const even = {
      emissions: tensor(new Float64Array(T * K).fill(7), [1, T, K]),
      transitions: tensor(new Float64Array(16), [4, 4]),
      labels,
    };
    expect(Math.abs(linearChainCrf().evaluate(even).value / (T * Math.log(K)) - 1)).toBeLessThan(1e-13);
    // Each of T positions may turn to each of three others, at e^−45: log (1 + 3 e^−45)^T, which 1 − p would call 0.
    const sure = Float64Array.from({ length: T * K }, (_, at) => (at % K === 2 ? 45 : 0));
    const { value, gradients } = linearChainCrf().valueAndGradients({ ...even, emissions: tensor(sure, [1, T, K]) });
    expect(value / (T * 3 * Math.exp(-45))).toBeCloseTo(1, 12);
    expect((gradients.emissions!.data[4 * 5_000 + 2] as number) / (-3 * Math.exp(-45))).toBeCloseTo(1, 12);
  });
});

/** A quotient of whole numbers of any size, to a rounding or two. */
function ratio(part: bigint, whole: bigint): number {
  if (part === 0n) return 0;
  // The quotient is scaled to 80 bits or so, so that a small one keeps its digits.
  const shift = BigInt(Math.max(0, whole.toString(2).length - part.toString(2).length + 80));
  return Number((part << shift) / whole) * 2 ** -Number(shift);
}
