import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { checkObject, rejectUnknown } from "../../errors/index.js";
import type { Vocabulary } from "../../inspect/index.js";
import type { StepAudit } from "../audit.js";
import { overview } from "./overview.js";
import { type PageStep, stepView } from "./step-view.js";
import { style } from "./style.js";
import { verdictOf } from "./verdict.js";
import { stepName, told } from "./words.js";

/** An audited record and where it lies. */
export interface AuditAtPath {
  readonly path: string;
  readonly audit: StepAudit;
}

export interface AuditPageOptions {
  /** The heading over several steps. Default: the run they belong to, or how many they are. */
  readonly title?: string;
  /** The text of a token, by its id: stands on the tokens of the batch in place of ids. */
  readonly textOf?: Vocabulary;
}

/** Steps with a section of their own: those that are not clean first. */
const mostSections = 40;

/** Steps of several whose gradient and batch are drawn. */
const mostPictured = 6;

/**
 * An audit as one HTML page to show: the verdict first, the numbers, the findings with their fixes, what reproduces the
 * reported numbers, the gradient unit by unit and the batch token by token. Several steps have an overview before: what
 * was found, since when, how often.
 *
 * The page needs no other file, runs no script and may load nothing, by its own policy; it reads well in light, in dark
 * and on paper. Everything that comes from a record is escaped, and what is long is cut: pages stay under a megabyte,
 * whatever the size of a step.
 *
 * @throws `unknown` for an option there is none of, `argument` for options that are no object
 */
export function auditPage(audits: readonly AuditAtPath[], options: AuditPageOptions = {}): string {
  checkObject("auditPage", "options", options);
  rejectUnknown("auditPage", "option", options, ["title", "textOf"]);
  const { textOf } = options;
  const title = told(options.title ?? titleOf(audits), 200);
  const sections = sectionsOf(audits);
  const page = h(
    "html",
    { lang: "en" },
    h(
      "head",
      null,
      h("meta", { charset: "utf-8" }),
      h("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; style-src 'unsafe-inline'" }),
      h("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
      h("title", null, `${title} · losswright audit`),
      h("style", { dangerouslySetInnerHTML: { __html: style } }),
    ),
    h(
      "body",
      null,
      h(
        "main",
        null,
        audits.length === 0 && h("h1", null, "No step was audited"),
        audits.length > 1 &&
          overview(
            title,
            audits.map(({ audit }, i) => ({ audit, link: sections.find(({ place }) => place === i)?.step.id })),
          ),
        ...sections.map(({ step }) => stepView(step, textOf)),
      ),
      sections.some(({ step }) => step.room > 0 && step.audit.step.declared) &&
        h("footer", null, "Point at a token or a line to read it here."),
    ),
  );
  return `<!doctype html>\n${renderToString(page)}\n`;
}

/** The heading of a page: the one step, the run, or a count. */
function titleOf(audits: readonly AuditAtPath[]): string {
  if (audits.length === 1) return stepName(audits[0]!.audit.step);
  const runs = new Set(audits.map(({ audit }) => audit.step.record.context.run));
  const [run] = runs;
  return runs.size === 1 && run !== undefined ? `Run ${run}` : `${audits.length} steps`;
}

/** The steps that are told in full, in their order, and those of them that are drawn. */
function sectionsOf(audits: readonly AuditAtPath[]): readonly { readonly place: number; readonly step: PageStep }[] {
  const isClean = ({ audit }: AuditAtPath) => verdictOf(audit) === "CLEAN";
  const places = audits.map((_, place) => place);
  const ranked = [...places.filter((i) => !isClean(audits[i]!)), ...places.filter((i) => isClean(audits[i]!))];
  const told = new Set(ranked.slice(0, mostSections));
  const pictured = new Set(ranked.slice(0, mostPictured));
  const room = 1 / Math.max(1, pictured.size);
  return places
    .filter((place) => told.has(place))
    .map((place) => ({
      place,
      step: {
        ...audits[place]!,
        id: `step-${place + 1}`,
        room: pictured.has(place) ? room : 0,
        isAlone: audits.length === 1,
      },
    }));
}
