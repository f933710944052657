import type { ErrorCode, LosswrightError } from "../../errors/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Check, Finding } from "../finding.js";
import { ctcBlank } from "./ctc-blank.js";
import { ctcLayout } from "./ctc-layout.js";
import { ctcLengths } from "./ctc-lengths.js";

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

/** Checks that know more of a contradiction than the error that names it. */
const finer: readonly Check[] = [ctcLayout, ctcBlank, ctcLengths];

/** The finding for fields that the contract cannot be evaluated on; none where a finer check has it. */
export function contradictionOf(id: "shape" | "label-dtype", step: AuditedStep): readonly Finding[] {
  const { contradiction } = step;
  if (!contradiction || kinds[contradiction.code] !== id) return [];
  if (finer.some((check) => check.inspect(step).length > 0)) return [];
  return [findingOf(id, contradiction)];
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
