import { distance } from "fastest-levenshtein";
import { LosswrightError } from "../../errors/index.js";

/** What the distance can tell apart: it compares UTF-16 code units. */
const symbols = 65536;

/**
 * The least number of insertions, deletions and substitutions that make one list the other (Levenshtein 1966). Each
 * distinct entry is written as one code unit, so that a fast distance of strings serves lists of words and of code
 * points beyond the first plane.
 *
 * @throws `unsupported` for more than 65,536 distinct entries
 */
export function editDistance(where: string, left: readonly string[], right: readonly string[]): number {
  const units = new Map<string, string>();
  const write = (list: readonly string[]) => {
    let text = "";
    for (const entry of list) {
      let unit = units.get(entry);
      if (unit === undefined) {
        unit = String.fromCharCode(units.size);
        units.set(entry, unit);
      }
      text += unit;
    }
    return text;
  };
  const [first, second] = [write(left), write(right)];
  if (units.size <= symbols) return distance(first, second);
  throw new LosswrightError({
    code: "unsupported",
    where,
    found: `a pair of texts with ${units.size} distinct parts`,
    expected: `at most ${symbols}`,
    fix: "cut the texts, by paragraph for instance.",
  });
}
