import { distance } from "fastest-levenshtein";
import { LosswrightError } from "./losswright-error.js";

/** The candidate a misspelt name most likely meant, or `undefined` when none is near. */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

/**
 * Throws `unknown` for the first key of `given` that `known` does not list, naming the near miss.
 *
 * @param kind - what the keys are, in the words of the message ("option", "field")
 */
export function rejectUnknown(where: string, kind: string, given: object, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const meant = closest(key, known);
    throw new LosswrightError({
      code: "unknown",
      where,
      field: key,
      found: `an unknown ${kind} "${key}"`,
      expected: known.length ? `one of ${known.join(", ")}` : `no ${kind} at all`,
      fix: meant ? `write "${meant}".` : `remove "${key}".`,
    });
  }
}
