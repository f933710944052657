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

/** A number as JSON writes it here: `"inf"`, `"-inf"`, `"nan"` for what JSON lacks. */
export function jsonNumber(value: number): number | "inf" | "-inf" | "nan" {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}
