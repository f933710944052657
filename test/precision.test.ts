/**
 * Cross entropy and binary cross entropy against multi-precision truth: value and gradient within
 * 2 ulp × max(1, max z − min z), the condition number of the softmax. The worst of each is printed.
 */
import { describe, expect, it } from "vitest";
import { binaryCrossEntropy, crossEntropy, tensor } from "../src/index.js";
import {
  add,
  compare,
  divide,
  exactly,
  multiply,
  negate,
  one,
  oracleExp,
  oracleLog,
  oracleLog1p,
  oracleLog1pExp,
  oracleSigmoid,
  type Real,
  subtract,
  toNearestDouble,
  ulpError,
  zero,
} from "../src/numerics/oracle.test-helper.js";
import { Random } from "./instruments/random.js";

/** −log p_y and p − onehot(y), the derivative at the label from the other classes' mass. */
function crossEntropyTruth(logits: readonly number[], label: number): { loss: Real; slopes: Real[] } {
  const masses = logits.map((logit) => oracleExp(subtract(exactly(logit), exactly(logits[label]!))));
  const others = masses.reduce((sum, mass, k) => (k === label ? sum : add(sum, mass)), zero);
  const all = add(one, others);
  return {
    loss: oracleLog1p(others),
    slopes: masses.map((mass, k) => (k === label ? negate(divide(others, all)) : divide(mass, all))),
  };
}

/** How far a number may be: its distance in ulp over the condition number. Results below the normal range are excused. */
function distance(got: number, truth: Real, condition: number): number {
  const size = Math.abs(toNearestDouble(truth));
  if (size < 2 ** -1022) return Math.abs(got) < 2 ** -1021 ? 0 : Infinity;
  return ulpError(got, truth) / condition;
}

interface Worst {
  value: number;
  gradient: number;
  at: string;
}

function crossEntropyDistance(logits: readonly number[], label: number): { value: number; gradient: number } {
  const batch = { logits: tensor(Float64Array.from(logits), [1, logits.length]), labels: tensor(Int32Array.of(label)) };
  const { value, gradients } = crossEntropy().valueAndGradients(batch);
  const condition = Math.max(1, Math.max(...logits) - Math.min(...logits));
  const { loss, slopes } = crossEntropyTruth(logits, label);
  const ofSlopes = slopes.map((slope, k) => distance(Number(gradients.logits.data[k]), slope, condition));
  return { value: distance(value, loss, condition), gradient: Math.max(...ofSlopes) };
}

function worstOf(name: string, samples: Iterable<readonly [string, { value: number; gradient: number }]>): Worst {
  const worst: Worst = { value: 0, gradient: 0, at: "" };
  for (const [at, { value, gradient }] of samples) {
    if (Math.max(value, gradient) > Math.max(worst.value, worst.gradient)) worst.at = at;
    worst.value = Math.max(worst.value, value);
    worst.gradient = Math.max(worst.gradient, gradient);
  }
  console.log(
    `${name}: worst value ${worst.value.toFixed(3)}, gradient ${worst.gradient.toFixed(3)} ulp per condition`,
  );
  return worst;
}

const within = {
  value: expect.toSatisfy((ulp: number) => ulp <= 2),
  gradient: expect.toSatisfy((ulp: number) => ulp <= 2),
};

describe("cross entropy against multi-precision truth", () => {
  it("keeps logits [40, 0, −3] with label 0: 4.46e−18", () => {
    const { loss } = crossEntropyTruth([40, 0, -3], 0);
    expect(toNearestDouble(loss).toExponential(2)).toBe("4.46e-18");
    // The loss is one rounding of a sum of two exponentials: within 2 ulp, whatever the condition number.
    const batch = { logits: tensor([[40, 0, -3]]), labels: tensor([0]) };
    expect(ulpError(crossEntropy().evaluate(batch).value, loss)).toBeLessThanOrEqual(2);
    expect(crossEntropyDistance([40, 0, -3], 0)).toMatchObject(within);
  });

  it.each([1, 40, 700])("is within 2 ulp × condition for logits that range over %d", (range) => {
    const random = new Random(range);
    function* samples() {
      for (let i = 0; i < 150; i++) {
        const classes = random.integer(2, i % 10 === 0 ? 100 : 8);
        const logits = Array.from({ length: classes }, () => (random.next() - 0.5) * range);
        const label = random.integer(0, classes - 1);
        yield [`[${logits}] label ${label}`, crossEntropyDistance(logits, label)] as const;
      }
    }
    expect(worstOf(`cross entropy, range ${range}`, samples())).toMatchObject(within);
  });

  it("is within 2 ulp × condition where one class is nearly certain, at every margin", () => {
    function* samples() {
      for (let margin = 1; margin < 740; margin += 7.3) {
        for (const label of [0, 1]) {
          yield [
            `margin ${margin} label ${label}`,
            crossEntropyDistance([margin, 0, 0.5 - margin / 3], label),
          ] as const;
        }
      }
    }
    expect(worstOf("cross entropy, one class ahead", samples())).toMatchObject(within);
  });

  it("of soft targets is within 2 ulp × condition in value", () => {
    const random = new Random(4);
    let worst = 0;
    for (let i = 0; i < 100; i++) {
      const logits = Array.from({ length: 4 }, () => random.real(10));
      const targets = Array.from({ length: 4 }, () => random.between(0, 1));
      const batch = { logits: tensor([logits]), targets: tensor(Float64Array.from(targets), [1, 4]) };
      const truth = targets
        .map((target, k) => multiply(exactly(target), crossEntropyTruth(logits, k).loss))
        .reduce(add);
      const condition = Math.max(1, Math.max(...logits) - Math.min(...logits));
      worst = Math.max(worst, distance(crossEntropy().evaluate(batch).value, truth, condition));
    }
    console.log(`cross entropy of soft targets: worst value ${worst.toFixed(3)} ulp per condition`);
    expect(worst).toBeLessThanOrEqual(2);
  });
});

describe("binary cross entropy against multi-precision truth", () => {
  const distanceOf = (z: number, y: number) => {
    const batch = { logits: tensor(Float64Array.of(z)), targets: tensor(Float64Array.of(y)) };
    const { value, gradients } = binaryCrossEntropy().valueAndGradients(batch);
    const [logit, target] = [exactly(z), exactly(y)];
    const rest = subtract(one, target);
    const loss = add(multiply(target, oracleLog1pExp(negate(logit))), multiply(rest, oracleLog1pExp(logit)));
    const [pull, push] = [multiply(target, oracleSigmoid(negate(logit))), multiply(rest, oracleSigmoid(logit))];
    const slope = subtract(push, pull);
    // Between 0 and 1 the two terms of the gradient may cancel: there it is right to the larger term.
    const larger = compare(push, pull) > 0 ? push : pull;
    const cancelled = slope.mantissa === 0n ? 0 : toNearestDouble(divide(larger, slope));
    const condition = Math.max(1, Math.abs(z));
    const ofSlope = slope.mantissa === 0n ? 0 : distance(Number(gradients.logits.data[0]), slope, condition);
    return { value: distance(value, loss, condition), gradient: ofSlope / Math.max(1, Math.abs(cancelled)) };
  };

  it.each([1, 40, 700])("is within 2 ulp × condition for logits in ±%d", (range) => {
    const random = new Random(range + 1);
    function* samples() {
      for (let i = 0; i < 300; i++) {
        const [z, y] = [(2 * random.next() - 1) * range, random.pick([0, 1, 0.5, random.next()])];
        yield [`z ${z} y ${y}`, distanceOf(z, y)] as const;
      }
    }
    expect(worstOf(`binary cross entropy, ±${range}`, samples())).toMatchObject(within);
  });

  it("is within 2 ulp at hard targets, whatever the logit", () => {
    function* samples() {
      for (let z = -700; z <= 700; z += 13.7) {
        for (const y of [0, 1]) {
          const found = distanceOf(z, y);
          const condition = Math.max(1, Math.abs(z));
          yield [`z ${z} y ${y}`, { value: found.value * condition, gradient: found.gradient * condition }] as const;
        }
      }
    }
    expect(worstOf("binary cross entropy, hard targets, absolute", samples())).toMatchObject(within);
  });

  it("agrees with the oracle itself at 0: log 2 and ∓1/2", () => {
    const batch = { logits: tensor(Float64Array.of(0)), targets: tensor(Float64Array.of(1)) };
    const { value, gradients } = binaryCrossEntropy().valueAndGradients(batch);
    expect(ulpError(value, oracleLog(exactly(2)))).toBeLessThanOrEqual(1);
    expect(gradients.logits.data[0]).toBe(-0.5);
  });
});
