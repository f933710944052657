import { type ComponentChild, h } from "preact";
import type { StepAudit } from "../audit.js";
import type { Finding } from "../finding.js";
import { evidenceView } from "./numbers-view.js";
import { signs, verdictOfFinding } from "./verdict.js";
import { capitalized, told, toldLines } from "./words.js";

/** A finding: what, why, what harm it does, the fix with its code, the numbers it rests on, and where to read more. */
export function findingView(finding: Finding, audit: StepAudit): ComponentChild {
  const { check, message, why, harm, evidence, fix } = finding;
  const verdict = verdictOfFinding(finding, audit);
  const [first = "", ...code] = toldLines(fix);
  const paragraph = (label: string, text: string | undefined) =>
    text ? h("p", null, h("b", { class: "label" }, label), " ", told(text)) : null;
  return h(
    "article",
    { class: `finding ${verdict.toLowerCase()}` },
    h("h4", null, mark(verdict), " ", h("code", null, told(check, 80))),
    h("p", { class: "what" }, told(message)),
    paragraph("Why", why),
    paragraph("Harm", harm),
    h("p", null, h("b", { class: "label" }, "Fix"), " ", capitalized(first)),
    code.length > 0 && h("pre", { tabIndex: 0 }, h("code", null, code.join("\n"))),
    evidenceView(evidence),
    h("p", { class: "docs" }, "More: ", h("code", null, `docs/checks/${told(check, 80)}.md`)),
  );
}

/** A verdict as a badge: sign, word, color. */
export function mark(verdict: keyof typeof signs): ComponentChild {
  return h(
    "span",
    { class: `mark ${verdict.toLowerCase()}` },
    h("span", { class: "sign", "aria-hidden": "true" }, signs[verdict]),
    verdict,
  );
}
