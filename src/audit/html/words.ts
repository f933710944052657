import type { StepContext } from "../../io/index.js";
import type { AuditedStep } from "../audited-step.js";
import { short } from "../numbers.js";
import { partWord, unitWord } from "../words.js";

/** The longest text of a record that a page repeats; what is longer says how much is left out. */
const longestText = 1200;

/**
 * Text out of a record on one line, without what acts on the page that shows it: control characters, characters that
 * turn the direction of text, halves of characters. Cut where it is longer than a page has room for.
 */
export function told(text: string, most = longestText): string {
  // Cut before anything else: nobody should wait for a page because a name is a megabyte.
  const cut = text.length > most ? `${text.slice(0, most)}… (${text.length - most} more characters)` : text;
  return cut.replace(/\p{C}+/gu, " ");
}

/** Code or prose of several lines, each as {@link told}; indentation stays. */
export function toldLines(text: string): string[] {
  const cut = text.length > 4 * longestText ? `${text.slice(0, 4 * longestText)}…` : text;
  return cut.split(/\r\n|[\n\r]/).map((line) => told(line.replaceAll("\t", "    ")));
}

/** A number as a page shows it; what is not finite in words. */
export function figure(value: number): string {
  if (Number.isNaN(value)) return "not a number";
  if (value === Number.POSITIVE_INFINITY) return "infinity";
  if (value === Number.NEGATIVE_INFINITY) return "minus infinity";
  return minus(short(value));
}

/** A number with the sign of a minus: no line is broken behind it. */
function minus(digits: string): string {
  return digits.replaceAll("-", "−");
}

/** "3.65x", "0.250x": how hard something pulls. */
export function times(factor: number): string {
  if (!Number.isFinite(factor)) return figure(factor);
  const size = Math.abs(factor);
  const digits = size !== 0 && (size >= 1e4 || size < 1e-3) ? factor.toExponential(1) : factor.toPrecision(3);
  return `${minus(digits)}x`;
}

/** A relative error in one digit: "2e−7", "exact" where there is none. */
export function errorInWords(error: number | undefined): string {
  if (error === undefined) return "not compared";
  if (Number.isNaN(error)) return "not comparable";
  if (error === 0) return "exact";
  return Number.isFinite(error) ? minus(error.toExponential(0)) : "infinite";
}

/** "gradientLengthRatio" as "gradient length ratio". */
export function spelled(name: string): string {
  return name.replace(/([a-z\d])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
}

/** With a capital first. */
export function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** What a part of the step is called beside its number: "micro-batch 2", "part 3 (rank 1)". */
export function partName(step: AuditedStep, index: number): string {
  const { rank, microBatch }: StepContext = step.parts[index]!.context;
  const word = partWord(step);
  const own = [
    rank !== undefined && word !== "rank" && `rank ${rank}`,
    microBatch !== undefined && word !== "micro-batch" && `micro-batch ${microBatch}`,
  ].filter((name) => name !== false);
  return `${word} ${index + 1}${own.length ? ` (${own.join(", ")})` : ""}`;
}

/** What one of so many units is called. */
export function unitsInWords(step: AuditedStep, count: number): string {
  return `${count === 1 ? unitWord(step) : `${unitWord(step)}s`}`;
}

/** A step as an overview names it: by its number where the run counted, by its name otherwise. */
export function stepName({ record }: AuditedStep): string {
  const { step } = record.context;
  const name = told(record.name, 120);
  return step === undefined ? name : `${name}, step ${step}`;
}
