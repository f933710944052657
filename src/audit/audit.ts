import { type Contract, jsonNumber } from "../contract/index.js";
import type { StepRecord } from "../io/index.js";
import type { AuditedStep } from "./audited-step.js";
import { checks } from "./checks/index.js";
import { contradicts } from "./checks/unexplained.js";
import type { Finding, Severity } from "./finding.js";
import { openStep } from "./open-step.js";

/** What an audit found in one record. */
export interface StepAudit {
  readonly step: AuditedStep;
  readonly findings: readonly Finding[];
}

type JsonNumber = number | "nan" | "inf" | "-inf";

/** The JSON of one audited record, stable from version 0.1 on. */
export interface StepAuditJson {
  readonly path: string;
  readonly declared: {
    readonly value: JsonNumber;
    readonly numerator: JsonNumber;
    readonly denominator: JsonNumber;
    readonly contract: Contract;
  } | null;
  /** Why nothing is declared. */
  readonly reason?: string;
  readonly reported: { readonly loss: JsonNumber | null };
  readonly findings: readonly {
    readonly check: string;
    readonly severity: Severity;
    readonly message: string;
    readonly evidence: Readonly<Record<string, JsonNumber | string | readonly JsonNumber[]>>;
    readonly fix: string;
  }[];
  readonly explanations: readonly {
    readonly contract: Contract;
    readonly aggregation: string;
    readonly transform: readonly unknown[];
    readonly relativeError: JsonNumber;
    readonly gradientError: JsonNumber | null;
  }[];
}

/**
 * Audits a recorded step: evaluates its contract on its fields, sets the reported loss and gradients against it, and
 * says which objective the reported numbers belong to.
 *
 * @throws `unsupported` for an objective this version does not compute, `contract` and its kin for a bad contract
 */
export function audit(record: StepRecord): StepAudit {
  const step = openStep(record);
  const findings = checks.flatMap((check) => check.inspect(step));
  const framework = frameworkOf(record);
  return { step, findings: framework ? findings.map((finding) => pointedTo(framework, finding)) : findings };
}

/** Frameworks other than PyTorch, in which fixes are written, by what a record may call them. */
const frameworks: readonly (readonly [name: RegExp, heading: string])[] = [
  [/jax|flax|optax/i, "JAX"],
  [/tensorflow\.?js|tfjs/i, "TensorFlow.js"],
  [/keras|tensorflow/i, "Keras"],
  [/losswright/i, "losswright"],
];

function frameworkOf({ context }: StepRecord): string | undefined {
  return frameworks.find(([name]) => name.test(context.framework ?? ""))?.[1];
}

/** A fix whose code is PyTorch's, with the place of the same in the framework that computed the step. */
function pointedTo(framework: string, finding: Finding): Finding {
  if (!finding.fix.includes("\n")) return finding;
  return { ...finding, fix: `${finding.fix}\n# in ${framework}: docs/checks/${finding.check}.md` };
}

/** Whether a step is not clean: an error, a warning, or numbers that contradict the contract without a known cause. */
export function hasFindings({ findings, step }: StepAudit): boolean {
  return findings.some(({ severity }) => severity !== "note") || contradicts(step);
}

/** An audit as JSON, not finite numbers as `"nan"`, `"inf"`, `"-inf"`. */
export function auditToJson(path: string, { step, findings }: StepAudit): StepAuditJson {
  const { declared, contradiction, record, explanations } = step;
  const loss = record.reported.loss;
  return {
    path,
    declared: declared
      ? {
          value: jsonNumber(declared.value),
          numerator: jsonNumber(declared.numerator),
          denominator: jsonNumber(declared.denominator),
          contract: declared.contract,
        }
      : null,
    ...(contradiction && { reason: contradiction.message }),
    reported: { loss: loss === null ? null : jsonNumber(loss) },
    findings: findings.map(({ check, severity, message, why, harm, evidence, fix }) => ({
      check,
      severity,
      message: [message, why, harm].filter(Boolean).join(" "),
      evidence: Object.fromEntries(Object.entries(evidence).map(([name, value]) => [name, evidenceToJson(value)])),
      fix,
    })),
    explanations: explanations.map(({ contract, aggregation, transform, relativeError, gradientError }) => ({
      contract,
      aggregation,
      transform,
      relativeError: jsonNumber(relativeError),
      gradientError: gradientError === undefined ? null : jsonNumber(gradientError),
    })),
  };
}

function evidenceToJson(value: number | string | readonly number[]): JsonNumber | string | readonly JsonNumber[] {
  if (typeof value === "string") return value;
  return typeof value === "number" ? jsonNumber(value) : value.map(jsonNumber);
}
