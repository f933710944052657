import type { ErrorCode, LosswrightError } from "../../errors/index.js";
import type { Check, Finding } from "../finding.js";

/** What the fields can contradict a contract in, by the code of the error. */
const kinds: Readonly<Partial<Record<ErrorCode, "shape" | "label-dtype">>> = {
  shape: "shape",
  "missing-field": "shape",
  unknown: "shape",
  argument: "shape",
  option: "shape",
  merge: "shape",
  dtype: "label-dtype",
  role: "label-dtype",
  value: "label-dtype",
};

function contradictions(id: "shape" | "label-dtype"): Check {
  return {
    id,
    inspect({ contradiction }) {
      if (!contradiction || kinds[contradiction.code] !== id) return [];
      return [findingOf(id, contradiction)];
    },
  };
}

function findingOf(check: string, error: LosswrightError): Finding {
  return {
    check,
    severity: "error",
    message: `The fields contradict the contract: ${[error.where, error.field].filter(Boolean).join(": ")}: found ${error.found}, expected ${error.expected}.`,
    evidence: {
      field: error.field ?? "",
      found: error.found,
      expected: error.expected,
      ...(error.index && { index: error.index }),
    },
    fix: error.fix ?? `give ${error.field ?? "the fields"} as ${error.expected}.`,
  };
}

/** Shapes that do not fit each other or the contract: what a framework broadcasts or reshapes without a word. */
export const shape: Check = contradictions("shape");

/** Labels or targets of a type or range that the loss cannot mean. */
export const labelDtype: Check = contradictions("label-dtype");
