import { objectiveFrom } from "../losses/index.js";
import { tensor } from "../tensor/index.js";
import { inspectTokens } from "./inspect-tokens.js";
import type { Inspection } from "./inspection.js";

/** A chat of two packed documents with a prompt token in the loss, padding, and texts that want to break out. */
export function packedChat(name = "packed"): Inspection {
  const labels = tensor([-100, 4, 5, 6, -100, 7, -100, -100, -100, -100], [1, 10]);
  const row = (numbers: number[]) => tensor(numbers, [1, 10]);
  const batch = inspectTokens(
    objectiveFrom({ objective: "crossEntropy", options: { labelShift: 1 } }),
    {
      logits: tensor(new Float64Array(80), [1, 10, 8]),
      labels,
      segmentIds: row([1, 1, 1, 1, 2, 2, 0, 0, 0, 0]),
    },
    { inputIds: row([3, 4, 5, 6, 3, 7, 0, 0, 0, 0]), roles: row([1, 1, 2, 2, 1, 2, 0, 0, 0, 0]) },
  );
  return { name, task: "a packed chat", rule: "cross entropy of each next token", contract: null, batches: [batch] };
}

const texts = ["<pad>", "", "", "<s>", " a", "<b>&\"'", "\u001b[31m", "中"];
export const textOf = (id: number) => texts[id];
