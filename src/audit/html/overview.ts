import { type ComponentChild, h } from "preact";
import { numbered } from "../../inspect/index.js";
import type { StepAudit } from "../audit.js";
import type { Severity } from "../finding.js";
import { mark } from "./finding-view.js";
import { sentenceOf, severityOf, type Verdict, verdictOf } from "./verdict.js";
import { figure, stepName, told } from "./words.js";

/** Steps that the table of an overview lists; what is beyond is counted. */
const mostSteps = 600;

const order: readonly Verdict[] = ["WRONG", "DOUBT", "NOTE", "CLEAN"];

/** A step of an overview, and the fragment of its section where it has one. */
export interface OverviewStep {
  readonly audit: StepAudit;
  readonly link: string | undefined;
}

/** The verdict over several steps, what was found since when and how often, and every step in a line. */
export function overview(title: string, steps: readonly OverviewStep[]): ComponentChild {
  const verdicts = steps.map(({ audit }) => verdictOf(audit));
  const worst = order.find((verdict) => verdicts.includes(verdict)) ?? "NOTE";
  const counted = order
    .map((verdict) => ({ verdict, count: verdicts.filter((each) => each === verdict).length }))
    .filter(({ count }) => count > 0)
    .map(({ verdict, count }) => `${count} ${inWords[verdict]}`);
  const firstBad = steps.findIndex((_, i) => verdicts[i] === worst);
  const nameOf = namesOf(steps.map(({ audit }) => audit));
  const { audit: first } = steps[firstBad]!;
  const sentence = worst === "CLEAN" ? "" : ` In ${nameOf(first)}: ${sentenceOf(first)}`;
  return h(
    "section",
    { class: "overview" },
    h(
      "header",
      { class: `verdict ${worst.toLowerCase()}` },
      h("h1", null, mark(worst), " ", title),
      h("p", { class: "sentence" }, `${numbered(steps.length, "step")}: ${counted.join(", ")}.${sentence}`),
    ),
    historyView(
      steps.map(({ audit }) => audit),
      nameOf,
    ),
    stepsView(steps, verdicts, nameOf),
  );
}

type NameOf = (audit: StepAudit) => string;

/** What lines call their steps: by number alone where all are numbered steps of one run. */
function namesOf(audits: readonly StepAudit[]): NameOf {
  const contexts = audits.map(({ step }) => step.record.context);
  const isOneRun = contexts.every(
    ({ run, step }) => step !== undefined && run !== undefined && run === contexts[0]!.run,
  );
  return ({ step }) => (isOneRun ? `step ${step.record.context.step}` : stepName(step));
}

const inWords: Readonly<Record<Verdict, string>> = {
  WRONG: "wrong",
  DOUBT: "in doubt",
  NOTE: "not compared in full",
  CLEAN: "clean",
};

// ---- what was found, since when, how often ----

interface History {
  readonly check: string;
  /** The gravest severity in each step, in the order of the steps; undefined where it was not found. */
  readonly found: readonly (Severity | undefined)[];
}

const gravity: readonly Severity[] = ["error", "warning", "note"];

function historiesOf(audits: readonly StepAudit[]): readonly History[] {
  const checks = [...new Set(audits.flatMap(({ findings }) => findings.map(({ check }) => check)))];
  return checks.map((check) => ({
    check,
    found: audits.map((audit) => {
      const own = audit.findings.filter((finding) => finding.check === check).map((each) => severityOf(each, audit));
      return gravity.find((severity) => own.includes(severity));
    }),
  }));
}

function historyView(audits: readonly StepAudit[], nameOf: NameOf): ComponentChild {
  const histories = historiesOf(audits);
  if (histories.length === 0) return null;
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "group", "aria-label": "What was found, since when, how often" },
    h(
      "table",
      { class: "history" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ...["finding", "steps", "since", "last", "over the steps"].map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h(
        "tbody",
        null,
        ...histories.map(({ check, found }) => {
          const places = found.flatMap((severity, i) => (severity ? [i] : []));
          return h(
            "tr",
            null,
            h("th", { scope: "row" }, h("code", null, told(check, 80))),
            h("td", null, `${places.length} of ${found.length}`),
            h("td", null, nameOf(audits[places[0]!]!)),
            h("td", null, places.length > 1 ? nameOf(audits[places.at(-1)!]!) : "–"),
            h("td", { class: "over" }, stripOf(found)),
          );
        }),
      ),
    ),
  );
}

/** A cell a step: tall for an error, of half the height for a warning, low for a note; several steps share one in long runs. */
function stripOf(found: readonly (Severity | undefined)[]): ComponentChild {
  const each = Math.ceil(found.length / 120);
  const cells = Math.ceil(found.length / each);
  const heights: Readonly<Record<Severity, number>> = { error: 14, warning: 9, note: 4 };
  const paths = gravity.map((severity) => {
    let d = "";
    for (let cell = 0; cell < cells; cell++) {
      const own = found.slice(cell * each, (cell + 1) * each);
      if (gravity.find((level) => own.includes(level)) !== severity) continue;
      d += `M${cell * 6 + 0.5} 16v${-heights[severity]}h5v${heights[severity]}z`;
    }
    return d ? h("path", { class: severity, d }) : null;
  });
  const width = Math.min(360, cells * 14);
  return h(
    "svg",
    {
      class: "over",
      viewBox: `0 0 ${cells * 6} 17`,
      width,
      height: 17,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    h("path", { class: "ground", d: `M0 16.5h${cells * 6}` }),
    ...paths,
  );
}

// ---- every step in a line ----

function stepsView(steps: readonly OverviewStep[], verdicts: readonly Verdict[], nameOf: NameOf): ComponentChild {
  const left = steps.length - mostSteps;
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "group", "aria-label": "The steps" },
    h(
      "table",
      { class: "steps" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ...["step", "verdict", "declared", "reported", "findings"].map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h(
        "tbody",
        null,
        ...steps.slice(0, mostSteps).map(({ audit, link }, i) => {
          const { declared, loss } = audit.step;
          const name = nameOf(audit);
          const checks = [...new Set(audit.findings.map(({ check }) => check))];
          return h(
            "tr",
            null,
            h("th", { scope: "row" }, link ? h("a", { href: `#${link}` }, name) : name),
            h("td", null, mark(verdicts[i]!)),
            h("td", null, declared ? figure(declared.value) : "–"),
            h("td", null, loss === null ? "–" : figure(loss)),
            h("td", null, told(checks.join(", "), 240)),
          );
        }),
        left > 0 && h("tr", null, h("td", { colSpan: 5 }, `${numbered(left, "more step")}, not on this page`)),
      ),
    ),
  );
}
