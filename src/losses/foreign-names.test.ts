import { describe, expect, it } from "vitest";
import { crossEntropy, huber, objectiveFrom, objectiveNames, tensor } from "../index.js";

const fixOf = (make: () => unknown): string | undefined => {
  try {
    make();
  } catch (error) {
    return (error as { fix?: string }).fix;
  }
  throw new Error("nothing was thrown");
};

describe("names of other libraries", () => {
  it.each([
    ["mse_loss", "squaredError"],
    ["MSELoss", "squaredError"],
    ["BCEWithLogitsLoss", "binaryCrossEntropy"],
    ["kl_div", "klDivergence"],
    ["sigmoid_focal_loss", "binaryFocal"],
    ["NLLLoss", "crossEntropy"],
  ])("answer %s with %s", (theirs, ours) => {
    expect(objectiveNames()).toContain(ours);
    expect(fixOf(() => objectiveFrom({ objective: theirs }))).toBe(`write "${ours}".`);
  });

  it("answer an option with ours, and a reduction with what divides", () => {
    expect(fixOf(() => crossEntropy({ weight: [1, 2] } as never))).toBe('write "classWeights".');
    expect(fixOf(() => crossEntropy({ reduction: "sum" } as never))).toContain("divideBy: { constant: 1 }");
    expect(fixOf(() => huber({ beta: 2 } as never))).toBe('write "delta".');
  });

  it("answer a field with the one the loss has", () => {
    const scores = tensor([[1, 2]]);
    expect(fixOf(() => crossEntropy().evaluate({ input: scores, labels: tensor([0]) } as never))).toBe(
      'write "logits".',
    );
    expect(fixOf(() => huber().evaluate({ input: scores, targets: scores } as never))).toBe('write "predictions".');
  });
});
