import { broken } from "./failure.js";

/** Deep enough for every contract and context, shallow enough for every stack. */
const deepest = 64;

/** Keys that reach an object's prototype where code assigns them. */
export const reserved: readonly string[] = ["__proto__", "constructor", "prototype"];

/**
 * The value of a JSON text; a byte order mark before it is passed over.
 *
 * @throws `file` where it is none, and where an object has a key twice: `JSON.parse` keeps the last in silence, other
 * readers the first, so that two audits of one record could see two records
 */
export function parseJson(text: string, name: string): unknown {
  const plain = text.startsWith("\ufeff") ? text.slice(1) : text;
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch (error) {
    // Engines differ in words, and some overflow their stack on deep nesting.
    const found = oneLine(error instanceof Error ? error.message : String(error));
    const bare = /[:[,]\s*-?(NaN|Infinity)\b/.test(plain);
    const fix = bare
      ? 'write the words "nan", "inf", "-inf" in quotes: plain JSON has no NaN or Infinity (Python: str(loss)).'
      : "write the record as plain JSON.";
    throw broken(name, undefined, found, "JSON", fix, error);
  }
  const twice = firstRepeatedKey(plain);
  if (twice) {
    const path = oneLine(twice.path.join(".").slice(0, 200));
    throw broken(name, path, `the key ${shown(twice.path.at(-1))} twice`, "each key once", "remove one of them.");
  }
  return value;
}

/** An object or list around the place of the scan. */
interface Enclosing {
  /** The keys so far; a list has none. */
  readonly keys: Set<string> | undefined;
  key: string;
  index: number;
}

/** Where an object of a JSON text has a key for the second time. The text is known to be JSON. */
function firstRepeatedKey(text: string): { path: string[] } | undefined {
  const around: Enclosing[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    const within = around.at(-1);
    switch (text.charCodeAt(at)) {
      case openBrace:
        around.push({ keys: new Set(), key: "", index: 0 });
        expectsKey = true;
        break;
      case openBracket:
        around.push({ keys: undefined, key: "", index: 0 });
        expectsKey = false;
        break;
      case closeBrace:
      case closeBracket:
        around.pop();
        break;
      case comma:
        within!.index++;
        expectsKey = within!.keys !== undefined;
        break;
      case quote: {
        const end = endOfString(text, at);
        if (expectsKey) {
          expectsKey = false;
          const spelling = text.slice(at, end + 1);
          const key = spelling.includes("\\") ? (JSON.parse(spelling) as string) : spelling.slice(1, -1);
          within!.key = key;
          if (within!.keys!.has(key)) return { path: around.map((one) => (one.keys ? one.key : String(one.index))) };
          within!.keys!.add(key);
        }
        at = end;
      }
    }
  }
  return undefined;
}

const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const [comma, quote, backslash] = [0x2c, 0x22, 0x5c];

/** The closing quote of the string that opens at a place. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
  return at;
}

/**
 * Makes sure that a value is what JSON can hold, in all its depth: plain data, no hostile keys, not too deep.
 *
 * @throws `file` at the first place that is not
 */
export function checkJson(root: unknown, name: string): void {
  // Keys and places on the way to the value that is looked at.
  const path: (string | number)[] = [];
  const fail = (depth: number, found: string, expected: string, fix: string) => {
    const way = oneLine(path.slice(0, depth).join(".").slice(0, 200));
    return broken(name, way || undefined, found, expected, fix);
  };
  const walk = (value: unknown, depth: number) => {
    if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return;
    const isList = Array.isArray(value);
    if (!isList && !isObject(value)) {
      const fix = typeof value === "number" ? 'write "nan", "inf" or "-inf".' : "leave it out, or write it as JSON.";
      throw fail(depth, shown(value), "a JSON value", fix);
    }
    if (depth >= deepest) {
      throw fail(depth, `nesting deeper than ${deepest}`, `at most ${deepest} levels`, "flatten the record.");
    }
    // A list may have millions of entries: no object is made of any.
    if (isList) {
      for (let i = 0; i < value.length; i++) {
        path[depth] = i;
        walk(value[i], depth + 1);
      }
      return;
    }
    for (const key of Object.keys(value)) {
      path[depth] = key;
      if (reserved.includes(key)) {
        throw fail(depth + 1, `the key "${key}"`, "names that JavaScript does not reserve", "rename it.");
      }
      walk(value[key], depth + 1);
    }
  };
  walk(root, 0);
}

/** Whether a value is an object as JSON has it, of this or another realm. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

/** A value as a message quotes it: short and on one line. */
export function shown(value: unknown): string {
  if (typeof value === "string") return oneLine(JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value));
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "an object";
  const plain = value === null || (typeof value !== "object" && typeof value !== "function");
  return plain ? String(value) : Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** A text without what breaks a line or moves a cursor: control characters as JSON escapes them. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
