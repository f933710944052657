import { type ComponentChild, h } from "preact";
import { canonicalText, type Json } from "../../contract/index.js";
import { numbered } from "../../inspect/index.js";
import { type AuditedStep, agrees } from "../audited-step.js";
import type { Explanation } from "../explain/explain.js";
import type { Transform } from "../explain/hypothesis.js";
import { differencesOf } from "./differences.js";
import { errorInWords, told } from "./words.js";

/** Explanations that a page tells in full. */
const mostExplanations = 6;

/** What reproduces the reported numbers, simplest first: only what is otherwise than the contract. Null for numbers that are its own. */
export function explanationsView(step: AuditedStep): ComponentChild {
  const { explanations, declared } = step;
  if (!declared || agrees(step) || explanations.length === 0) return null;
  const fits = explanations.some((explanation) => explanation.fits);
  const shown = explanations.slice(0, mostExplanations);
  const left = explanations.length - shown.length;
  return h(
    "section",
    null,
    h("h3", null, fits ? "What gives the reported numbers" : "What comes nearest to the reported numbers"),
    !fits && h("p", null, "No contract, transform or aggregation that was tried reproduces them."),
    fits &&
      explanations.length > 1 &&
      h("p", null, `${numbered(explanations.length, "explanation")} fit; the simplest is the first.`),
    h("ol", { class: "explanations" }, ...shown.map((explanation) => explanationView(explanation, step))),
    left > 0 && h("p", { class: "more" }, `${numbered(left, "more explanation")}, not on this page`),
  );
}

function explanationView(
  { contract, aggregation, transform, words, instead, relativeError, gradientError }: Explanation,
  { declared, parts, loss }: AuditedStep,
): ComponentChild {
  const differences = differencesOf(declared!.contract as unknown as Json, contract as unknown as Json);
  const isWhole = aggregation === "whole";
  const nothingElse = differences.length === 0 && transform.length === 0 && isWhole;
  return h(
    "li",
    null,
    instead && h("p", null, `The numbers are those of ${told(instead)}.`),
    h(
      "table",
      { class: "changes" },
      h(
        "tbody",
        null,
        ...differences.map(({ entry, declared: was, other }) => change(entry, was ?? "absent", other ?? "absent")),
        ...transform.map((each) => change("transform", "none", transformInWords(each))),
        differences.some(({ entry }) => entry.startsWith("reduction")) ? change("divides", words, words) : null,
        parts.length > 1 || !isWhole ? change("put together", "whole", aggregation) : null,
        nothingElse && h("tr", null, h("td", { colSpan: 4 }, "the declared contract itself")),
      ),
    ),
    h(
      "p",
      { class: "residual" },
      `Residual: loss ${loss === null ? "not compared" : errorInWords(relativeError)}, gradient ${errorInWords(gradientError)}.`,
    ),
  );
}

/** An entry as declared and as it explains the numbers; the same on both sides is said without an arrow. */
function change(entry: string, was: string, is: string): ComponentChild {
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, told(entry, 80)),
    was === is ? h("td", { colSpan: 3 }, h("code", null, told(is, 240))) : null,
    was === is ? null : h("td", null, h("code", null, told(was, 240))),
    was === is ? null : h("td", { class: "arrow" }, "→"),
    was === is ? null : h("td", null, h("code", null, told(is, 240))),
  );
}

/** "softmax of logits", "scaleLoss: 0.25". */
function transformInWords({ apply, field, value }: Transform): string {
  const of = field === undefined ? "" : ` of ${field}`;
  return `${apply}${of}${value === undefined ? "" : `: ${canonicalText(value)}`}`;
}
