import { broken } from "./failure.js";

/** Deep enough for every contract and context, shallow enough for every stack. */
const deepest = 64;

/** Keys that reach an object's prototype where code assigns them. */
const reserved = ["__proto__", "constructor", "prototype"];

/**
 * The value of a JSON text.
 *
 * @throws `file` where it is none
 */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Engines differ in words, and some overflow their stack on deep nesting.
    const found = error instanceof Error ? error.message : String(error);
    const bare = /[:[,]\s*-?(NaN|Infinity)\b/.test(text);
    const fix = bare
      ? 'write the words "nan", "inf", "-inf" in quotes: plain JSON has no NaN or Infinity (Python: str(loss)).'
      : "write the record as plain JSON.";
    throw broken(name, undefined, found, "JSON", fix, error);
  }
}

/**
 * Makes sure that a value is what JSON can hold, in all its depth: plain data, no hostile keys, not too deep.
 *
 * @throws `file` at the first place that is not
 */
export function checkJson(root: unknown, name: string): void {
  const path: string[] = [];
  const fail = (found: string, expected: string, fix: string) =>
    broken(name, path.join(".").slice(0, 200) || undefined, found, expected, fix);
  const walk = (value: unknown) => {
    if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return;
    if (!Array.isArray(value) && !isObject(value)) {
      const fix = typeof value === "number" ? 'write "nan", "inf" or "-inf".' : "leave it out, or write it as JSON.";
      throw fail(shown(value), "a JSON value", fix);
    }
    if (path.length >= deepest) {
      throw fail(`nesting deeper than ${deepest}`, `at most ${deepest} levels`, "flatten the record.");
    }
    for (const [key, entry] of Object.entries(value)) {
      path.push(key);
      if (reserved.includes(key))
        throw fail(`the key "${key}"`, "names that JavaScript does not reserve", "rename it.");
      walk(entry);
      path.pop();
    }
  };
  walk(root);
}

/** Whether a value is an object as JSON has it, of this or another realm. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** A value as a message quotes it: short and on one line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value);
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  const plain = value === null || (typeof value !== "object" && typeof value !== "function");
  return plain ? String(value) : Object.prototype.toString.call(value).slice("[object ".length, -1);
}
