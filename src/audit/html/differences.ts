import { canonicalText, type Json } from "../../contract/index.js";

/** An entry in which two contracts differ. */
export interface Difference {
  /** Its place: `options.labelShift`. */
  readonly entry: string;
  /** What stands there in each, as JSON; undefined where the entry is absent. */
  readonly declared: string | undefined;
  readonly other: string | undefined;
}

type Entry = Json | undefined;

/** The entries in which two contracts differ, in the order of their names; lists are compared as wholes. */
export function differencesOf(declared: Entry, other: Entry, place: readonly string[] = []): readonly Difference[] {
  if (isEntries(declared) && isEntries(other)) {
    const names = [...new Set([...Object.keys(declared), ...Object.keys(other)])].sort();
    const own = (entries: Entries, name: string) => (Object.hasOwn(entries, name) ? entries[name] : undefined);
    return names.flatMap((name) => differencesOf(own(declared, name), own(other, name), [...place, name]));
  }
  const [mine, theirs] = [declared, other].map((entry) => (entry === undefined ? undefined : canonicalText(entry)));
  return mine === theirs ? [] : [{ entry: place.join("."), declared: mine, other: theirs }];
}

type Entries = { readonly [key: string]: Json };

function isEntries(value: Entry): value is Entries {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
