import { type ComponentChild, h } from "preact";
import type { Vocabulary } from "../../inspect/index.js";
import type { StepAudit } from "../audit.js";
import type { AuditedStep } from "../audited-step.js";
import { batchView, isWorthALook, seenBatches } from "./batch-view.js";
import { explanationsView } from "./explanation-view.js";
import { findingView, mark } from "./finding-view.js";
import { numbersView } from "./numbers-view.js";
import { patternsOf } from "./pattern.js";
import { patternView } from "./pattern-view.js";
import { byGravity, sentenceOf, verdictOf } from "./verdict.js";
import { stepName, told } from "./words.js";

/** A step on a page: where it was recorded, its audit, and what it is to show. */
export interface PageStep {
  readonly path: string;
  readonly audit: StepAudit;
  /** The fragment that leads to it. */
  readonly id: string;
  /** The share of the page that its pictures may take, up to 1; 0 for none. */
  readonly room: number;
  /** Whether it is the one step of its page, and its name the page's heading. */
  readonly isAlone: boolean;
}

/** What pictures take at most on a page. */
const pictures = { positions: 1200, ofRow: 256, parts: 12, lines: 48, leastLines: 24, cells: 128 } as const;

/** Findings that are told in full. */
const mostFindings = 24;

/** Everything about one step: verdict first, the numbers, findings, explanations, gradient and batch. */
export function stepView({ path, audit, id, room, isAlone }: PageStep, textOf: Vocabulary | undefined): ComponentChild {
  const { step } = audit;
  const findings = byGravity(audit);
  const left = findings.length - mostFindings;
  return h(
    "section",
    { class: "step", id },
    verdictView(audit, path, isAlone),
    numbersView(step),
    findings.length > 0 && h("h3", null, findings.length === 1 ? "Finding" : "Findings"),
    ...findings.slice(0, mostFindings).map((finding) => findingView(finding, audit)),
    left > 0 && h("p", { class: "more" }, `${left} more findings, not on this page`),
    explanationsView(step),
    ...(room > 0 ? picturesOf(step, room, textOf) : []),
  );
}

function verdictView(audit: StepAudit, path: string, isAlone: boolean): ComponentChild {
  const { record } = audit.step;
  const { task, phase, framework, run, step, computation } = record.context;
  const facts = [
    task ?? phase,
    run !== undefined && `run ${run}`,
    step !== undefined && `step ${step}`,
    framework,
    computation?.dtype,
  ];
  const verdict = verdictOf(audit);
  return h(
    "header",
    { class: `verdict ${verdict.toLowerCase()}` },
    h(isAlone ? "h1" : "h2", null, mark(verdict), " ", stepName(audit.step)),
    h("p", { class: "sentence" }, sentenceOf(audit)),
    h(
      "p",
      { class: "facts" },
      ...facts.filter((fact) => fact).map((fact) => h("span", { class: "fact" }, told(String(fact), 240))),
      h("span", { class: "fact" }, h("code", null, told(path, 240))),
    ),
  );
}

/** The gradient's pattern and the batch, as far as they were recorded; what is missing is said. */
function picturesOf(step: AuditedStep, room: number, textOf: Vocabulary | undefined): ComponentChild[] {
  const { batches, reason } = seenBatches(step);
  const share = (most: number) => Math.max(1, Math.floor(most * room));
  const tokens = step.parts.map((_, part) => {
    const batch = batches[part];
    return batch?.shows === "tokens" ? batch : undefined;
  });
  const limits = {
    parts: pictures.parts,
    lines: Math.max(pictures.leastLines, share(pictures.lines)),
    cells: pictures.cells,
  };
  const patterns = patternsOf(step, tokens, limits);
  const shown = batches.filter((batch) => isWorthALook(batch, step));
  return [
    h("h3", null, "The gradient, unit by unit"),
    patterns.length ? patternView(step, patterns) : h("p", { class: "note" }, withoutPattern(step)),
    shown.length ? h("h3", null, shown.some(({ shows }) => shows === "tokens") ? "The batch" : "The alignments") : null,
    shown.length
      ? batchView(shown, textOf, { positions: share(pictures.positions), ofRow: pictures.ofRow, parts: pictures.parts })
      : null,
    batches.length === 0 && step.declared ? h("p", { class: "note" }, `The batch is not shown. ${reason ?? ""}`) : null,
  ];
}

function withoutPattern(step: AuditedStep): string {
  if (!step.declared) return "Nothing is declared on these fields, so that no gradient can be set against it.";
  const recorded = step.parts.filter(({ reported }) => Object.keys(reported.gradients).length > 0).length;
  if (recorded === 0) return "No gradients were recorded: what each unit pulls is not known.";
  if (recorded < step.parts.length) {
    return `Only ${recorded} of ${step.parts.length} parts recorded gradients: what each unit pulls is not known.`;
  }
  return "The recorded gradients are of fields that the contract has no gradient for.";
}
