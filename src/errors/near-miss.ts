import { distance } from "fastest-levenshtein";
import { LosswrightError } from "./losswright-error.js";

/** The candidate a misspelt name most likely meant, or `undefined` when none is near. */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  // Two edits are a transposition; in a name of three letters they would be another name.
  let least = name.length < 4 ? 2 : Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

/** @throws `argument` for what is no plain object of options */
export function checkObject(where: string, field: string, given: unknown): void {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return;
  throw new LosswrightError({
    code: "argument",
    where,
    field,
    found: given === null ? "null" : Array.isArray(given) ? "a list" : typeof given,
    expected: "an object",
    fix: "leave it out, or write { … }.",
  });
}

/**
 * Throws `unknown` for the first key of `given` that `known` does not list, naming the near miss.
 *
 * @param kind - what the keys are, in the words of the message ("option", "field")
 * @param translate - what a key of another library is called here: a known key, or a sentence that says what to do
 */
export function rejectUnknown(
  where: string,
  kind: string,
  given: object,
  known: readonly string[],
  translate: (name: string) => string | undefined = () => undefined,
): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const meant = translate(key) ?? closest(key, known);
    throw new LosswrightError({
      code: "unknown",
      where,
      field: key,
      found: `an unknown ${kind} "${key}"`,
      expected: known.length ? `one of ${known.join(", ")}` : `no ${kind} at all`,
      fix: meant === undefined ? `remove "${key}".` : known.includes(meant) ? `write "${meant}".` : meant,
    });
  }
}
