import { describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import { elementParts, stepOf, tokenParts } from "../../test/instruments/steps.js";
import { openStep } from "./open-step.js";
import { comparison } from "./pull.js";

describe("how a recorded gradient pulls", () => {
  const parts = tokenParts(new Random(3), { kept: [4, 12] });
  const declared = [1 / 16, 1 / 16];
  const compare = (factors: readonly number[]) => comparison(openStep(stepOf({ parts, loss: 1, factors })));

  it("is 1 in every part where it is the declared one", () => {
    const { factors, lengthRatio, degrees } = compare(declared);
    for (const factor of factors!) expect(factor).toBeCloseTo(1, 6);
    expect(lengthRatio).toBeCloseTo(1, 6);
    expect(degrees).toBeCloseTo(0, 1);
  });

  it("is the ratio of the factors, part by part", () => {
    const { factors } = compare([1 / 8, 1 / 24]);
    expect(factors![0]).toBeCloseTo(2, 6);
    expect(factors![1]).toBeCloseTo(2 / 3, 6);
  });

  it("has the length and the angle of the whole vector", () => {
    const uniform = compare([3 / 16, 3 / 16]);
    expect(uniform.lengthRatio).toBeCloseTo(3, 6);
    expect(uniform.degrees).toBeCloseTo(0, 1);
    const turned = compare([1 / 16, 0]);
    const square = (part: (typeof parts)[number]) =>
      part.units.reduce((sum, { slope }) => sum + Array.from(slope).reduce((all, x) => all + x * x, 0), 0);
    const ratio = Math.sqrt(square(parts[0]!) / (square(parts[0]!) + square(parts[1]!)));
    expect(turned.lengthRatio).toBeCloseTo(ratio, 5);
    expect(Math.cos((turned.degrees! * Math.PI) / 180)).toBeCloseTo(ratio, 5);
    expect(compare([-1 / 16, -1 / 16]).degrees).toBeCloseTo(180, 1);
  });

  it("is not a number in a part whose declared gradient is 0", () => {
    const withEmpty = tokenParts(new Random(3), { kept: [4, 0] });
    const step = openStep(stepOf({ parts: withEmpty, loss: 1, factors: [1 / 4, 0] }));
    expect(comparison(step).factors![1]).toBeNaN();
    expect(comparison(step).lengthRatio).toBeCloseTo(1, 6);
  });

  it("is unknown where no gradients were recorded, or the fields contradict the contract", () => {
    const unknown = { factors: undefined, lengthRatio: undefined, degrees: undefined };
    expect(comparison(openStep(stepOf({ parts, loss: 1 })))).toEqual(unknown);
    const [part] = elementParts(new Random(1), { rows: [2] });
    const contradicted = stepOf({ parts: [{ ...part!, fields: { predictions: part!.fields.predictions! } }], loss: 1 });
    expect(comparison(openStep(contradicted))).toEqual(unknown);
  });
});
