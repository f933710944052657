/** What JSON can hold; ±∞ and NaN stand in it as `"inf"`, `"-inf"` and `"nan"`. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON value with the keys of every object sorted: two contracts are equal when their text is. */
export function canonical(value: Json): Json {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, entry]) => [key, canonical(entry)]));
}

/** The one text of a JSON value, for comparison and hashing. */
export function canonicalText(value: Json): string {
  return JSON.stringify(canonical(value));
}

/** Where two JSON values first differ, in words: "options.delta: 1 and 2". */
export function firstDifference(left: Json, right: Json, path = ""): string {
  const isObject = (value: Json): value is { readonly [key: string]: Json } =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (isObject(left) && isObject(right)) {
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
    // The objective's name first: another objective has other options besides.
    const ordered = keys.includes("objective") ? ["objective", ...keys.filter((key) => key !== "objective")] : keys;
    for (const key of ordered) {
      const [a, b] = [left[key] ?? null, right[key] ?? null];
      if (canonicalText(a) !== canonicalText(b)) return firstDifference(a, b, path ? `${path}.${key}` : key);
    }
  }
  return `${path ? `${path}: ` : ""}${canonicalText(left)} and ${canonicalText(right)}`;
}

/** A number as JSON writes it here: `"inf"`, `"-inf"`, `"nan"` for what JSON lacks. */
export function jsonNumber(value: number): number | "inf" | "-inf" | "nan" {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}
