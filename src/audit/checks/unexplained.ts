import { agrees } from "../audited-step.js";
import type { Check } from "../finding.js";
import { short } from "../numbers.js";
import { hasBrokenGradients } from "./non-finite.js";

/** Reported numbers that are not those of the contract, and that nothing tried reproduces: said, not guessed at. */
export const unexplained: Check = {
  id: "unexplained",
  inspect(step) {
    const { declared, record, explanations, contradiction, lossError, gradientError } = step;
    if (contradiction?.code === "unsupported") {
      return [
        {
          check: "unexplained",
          severity: "note",
          message: `The contract cannot be evaluated on these parts: ${contradiction.found}.`,
          evidence: {},
          fix: contradiction.fix ?? "record the step whole.",
        },
      ];
    }
    const finite = declared && Number.isFinite(declared.value) && Number.isFinite(record.reported.loss ?? 0);
    if (!finite || hasBrokenGradients(step) || agrees(step) || explanations[0]?.fits) return [];
    const [nearest] = explanations;
    const near = nearest
      ? ` Nearest: ${nearest.words}, ${nearest.aggregation}, off by ${Math.max(nearest.relativeError, nearest.gradientError ?? 0).toPrecision(2)}.`
      : "";
    const loss = record.reported.loss;
    return [
      {
        check: "unexplained",
        severity: "note",
        message: `The contract gives ${short(declared.value)}${loss === null ? "" : `, reported was ${short(loss)}`}; no reduction or aggregation tried reproduces loss and gradient.${near}`,
        evidence: { declared: declared.value, lossError, ...(gradientError !== undefined && { gradientError }) },
        fix: "compare what the loss was given with the recorded fields: another input, shift, mask or option than declared.",
      },
    ];
  },
};
