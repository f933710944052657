import { type ComponentChild, h } from "preact";
import { numbered } from "../../inspect/index.js";
import { formatShape, isTensor } from "../../tensor/index.js";
import type { AuditedStep } from "../audited-step.js";
import { agrees } from "../audited-step.js";
import { comparison } from "../pull.js";
import { partWord, unitWord } from "../words.js";
import { errorInWords, figure, partName, spelled, times, told, unitsInWords } from "./words.js";

/** Parts that a table lists; a step of more is told in the last line. */
const mostParts = 128;

/** Parts that stand one below the other; a table of more scrolls, so that findings are not far below. */
const shortTable = 20;

/** The contract in words, the declared numbers beside the reported ones, and what each part counts and how it pulls. */
export function numbersView(step: AuditedStep): ComponentChild {
  const { declared, objective, parts } = step;
  return h(
    "div",
    { class: "numbers" },
    h("p", { class: "contract" }, "The contract: ", h("b", null, told(objective.describe())), "."),
    h("p", { class: "fields" }, "Recorded: ", ...fieldsView(step)),
    tilesView(step),
    declared && parts.length > 1 && partsView(step),
  );
}

/** Name, type and shape of each field; parts of other shapes are said. */
function fieldsView({ parts }: AuditedStep): ComponentChild[] {
  const shapeOf = (value: unknown) =>
    isTensor(value) ? `${value.dtype} ${formatShape(value.shape)}` : figure(Number(value));
  const [first] = parts;
  const names = Object.keys(first!.batch).filter((name) => first!.batch[name] !== undefined);
  const shown = names.slice(0, 12).map((name) => {
    const own = shapeOf(first!.batch[name]);
    const same = parts.every(({ batch }) => shapeOf(batch[name]) === own);
    return h("span", { class: "fact" }, h("code", null, told(name, 60)), ` ${own}${same ? "" : " and others"}`);
  });
  const more = names.length > shown.length ? [h("span", { class: "fact" }, `${names.length - shown.length} more`)] : [];
  const times = parts.length > 1 ? [h("span", { class: "fact" }, `in each of ${numbered(parts.length, "part")}`)] : [];
  return [...shown, ...more, ...times];
}

// ---- declared, reported, gradient ----

function tilesView(step: AuditedStep): ComponentChild {
  const { declared, loss, lossError, tolerance, gradientError, contradiction } = step;
  if (!declared) {
    const why = contradiction?.code === "unsupported" ? "it cannot be evaluated" : "the fields contradict the contract";
    const { loss: recorded } = step.record.reported;
    return h(
      "dl",
      { class: "tiles" },
      tile("Declared", "no value", why, undefined),
      tile("Reported", recorded === null ? "no loss" : figure(recorded), "with nothing to compare", undefined),
    );
  }
  const { numerator, denominator, value } = declared;
  const sum = denominator === 0 ? "nothing is counted" : `${figure(numerator)} / ${figure(denominator)}`;
  const what = denominator === 0 ? "" : ` ${weightOrUnits(step, denominator)}`;
  const lossAgrees = loss === null ? undefined : lossError <= tolerance.loss;
  const gradientAgrees = gradientError === undefined ? undefined : gradientError <= tolerance.gradient;
  return h(
    "dl",
    { class: "tiles" },
    tile("Declared", figure(value), `${sum}${what}`, undefined),
    tile("Reported", loss === null ? "no loss" : figure(loss), lossInWords(step), lossAgrees),
    tile("Gradient", gradientHead(step), gradientInWords(step), gradientAgrees),
  );
}

function tile(name: string, head: string, words: string, agreed: boolean | undefined): ComponentChild {
  const state = agreed === undefined ? "open" : agreed ? "right" : "wrong";
  const sign = agreed === undefined ? "" : agreed ? "✓ " : "✗ ";
  return h(
    "div",
    { class: `tile ${state}` },
    h("dt", null, name),
    h("dd", null, h("b", null, head), h("span", null, sign ? h("i", null, sign) : null, words)),
  );
}

function weightOrUnits(step: AuditedStep, denominator: number): string {
  const { divideBy, per } = step.objective.reduction;
  if (typeof divideBy === "object") return "(a constant)";
  if (!Number.isInteger(denominator)) return "of weight";
  if (per === "sequence") return denominator === 1 ? "sequence" : "sequences";
  const isOfElements = per === "sample" && step.objective.definition.unit === "element";
  return isOfElements ? (denominator === 1 ? "sample" : "samples") : unitsInWords(step, denominator);
}

function lossInWords({ declared, loss, lossError, tolerance, record }: AuditedStep): string {
  if (loss === null)
    return record.reported.loss === null ? "none was recorded" : "what was recorded cannot be compared";
  const term = Object.is(loss, record.reported.loss) ? "" : "; of the contract's own term";
  if (lossError <= tolerance.loss) return `the same (${errorInWords(lossError)})${term}`;
  const percent = (100 * (loss - declared!.value)) / Math.abs(declared!.value);
  if (!Number.isFinite(percent)) return `not the declared value${term}`;
  const size = Math.abs(percent);
  const shown = size >= 1000 ? times(loss / declared!.value) : `${size.toPrecision(2)} %`;
  return size >= 1000
    ? `${shown} the declared value${term}`
    : `${shown} ${percent > 0 ? "higher" : "lower"} than declared${term}`;
}

function gradientHead(step: AuditedStep): string {
  const { gradientError, tolerance } = step;
  if (gradientError === undefined) return "none";
  if (gradientError <= tolerance.gradient) return "the same";
  const { lengthRatio = Number.NaN } = comparison(step);
  return Number.isFinite(lengthRatio) ? `${times(lengthRatio)} as long` : "another";
}

function gradientInWords(step: AuditedStep): string {
  const { gradientError, tolerance, reported, declared } = step;
  if (gradientError === undefined) {
    return step.parts.length > 1 ? "not recorded for every part: not compared" : "not recorded: not compared";
  }
  if (gradientError <= tolerance.gradient) return `as declared (${errorInWords(gradientError)})`;
  if (reported?.some((gradients) => !gradients.isFinite)) return "not finite: NaN or infinity was reported";
  if (declared?.gradients.some((gradients) => !gradients.isFinite)) return "finite, where the declared one is not";
  const { degrees = Number.NaN } = comparison(step);
  if (!Number.isFinite(degrees)) return "not the declared one";
  return degrees < 0.5 ? "in the declared direction" : `${degrees.toFixed(0)} degrees off the declared direction`;
}

// ---- parts ----

/** One row a part: what it counts, what it reported, and how hard its gradient pulls, as a bar beside a tick at 1x. */
function partsView(step: AuditedStep): ComponentChild {
  const { declared, parts, record } = step;
  const { factors } = comparison(step);
  const tallies = declared!.tallies;
  const isWeighted = tallies.some(({ denominator }) => !Number.isInteger(denominator.value));
  const unit = isWeighted ? "weight" : `${unitWord(step)}s`;
  const heads = [partWord(step), unit, "sum of losses", "mean", "reported", ...(factors ? ["gradient pulls"] : [])];
  const finite = (factors ?? []).filter(Number.isFinite);
  const most = finite.reduce((max, factor) => Math.max(max, Math.abs(factor)), 1);
  const shown = parts.slice(0, mostParts);
  const cell = (text: string) => h("td", null, text);
  return h(
    "div",
    {
      class: parts.length > shortTable ? "scroll tall" : "scroll",
      tabIndex: 0,
      role: "group",
      "aria-label": "The parts of the step",
    },
    h(
      "table",
      { class: "parts" },
      h("thead", null, h("tr", null, ...heads.map((head) => h("th", { scope: "col" }, head)))),
      h(
        "tbody",
        null,
        ...shown.map(({ reported }, i) => {
          const { numerator, denominator } = tallies[i]!;
          const factor = factors?.[i];
          return h(
            "tr",
            null,
            h("th", { scope: "row" }, partLabel(step, i)),
            cell(figure(denominator.value)),
            cell(figure(numerator)),
            cell(denominator.value === 0 ? "–" : figure(numerator / denominator.value)),
            cell(reported.loss === null ? "–" : figure(reported.loss)),
            factor === undefined ? null : h("td", { class: "pull" }, pullBar(factor, most)),
          );
        }),
        parts.length > shown.length &&
          h(
            "tr",
            null,
            h("td", { colSpan: heads.length }, `${parts.length - shown.length} more parts, not on this page`),
          ),
        h(
          "tr",
          { class: "whole" },
          h("th", { scope: "row" }, "whole step"),
          cell(figure(declared!.denominator)),
          cell(figure(declared!.numerator)),
          cell(figure(declared!.value)),
          cell(record.reported.loss === null ? "–" : figure(record.reported.loss)),
          factors ? h("td", { class: "pull" }, agrees(step) ? "as declared" : "") : null,
        ),
      ),
    ),
  );
}

/** The part's number, with the numbers that the record gives it. */
function partLabel(step: AuditedStep, index: number): string {
  return partName(step, index).slice(partWord(step).length + 1);
}

/** How far a factor may lie from 1 and still be as declared. */
const asDeclared = 0.005;

function pullBar(factor: number, most: number): ComponentChild[] {
  if (!Number.isFinite(factor)) return [h("span", { class: "times" }, "–")];
  const kind = Math.abs(factor - 1) <= asDeclared ? "same" : factor < 0 ? "turned" : factor > 1 ? "stronger" : "weaker";
  const said = { same: "", stronger: "too hard", weaker: "too little", turned: "the other way" }[kind];
  const width = 120;
  const at = (value: number) => Math.round((10 * width * Math.abs(value)) / most) / 10;
  return [
    h(
      "svg",
      { class: "lines pullbar", viewBox: `0 0 ${width + 2} 14`, width: width + 2, height: 14, "aria-hidden": "true" },
      h("path", { class: kind, d: `M0 2h${at(factor)}v10h${-at(factor)}z` }),
      h("path", { class: "ticks", d: `M${at(1)} 0v14` }),
    ),
    h("span", { class: "times" }, times(factor)),
    said ? h("span", { class: "said" }, said) : null,
  ];
}

/** The numbers that a finding rests on, by name. */
export function evidenceView(evidence: Readonly<Record<string, number | string | readonly number[]>>): ComponentChild {
  const entries = Object.entries(evidence);
  if (entries.length === 0) return null;
  return h(
    "dl",
    { class: "evidence" },
    ...entries
      .slice(0, 40)
      .map(([name, value]) =>
        h("div", null, h("dt", null, spelled(told(name, 60))), h("dd", null, evidenceText(value))),
      ),
  );
}

/** Numbers of a list that are told one by one. */
const mostOfList = 12;

function evidenceText(value: number | string | readonly number[]): string {
  if (typeof value === "string") return told(value, 300);
  if (typeof value === "number") return figure(value);
  const more = value.length > mostOfList ? `, … ${value.length} in all` : "";
  return `${value.slice(0, mostOfList).map(figure).join(", ")}${more}` || "none";
}
