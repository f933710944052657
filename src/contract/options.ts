import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { type Json, jsonNumber } from "./json.js";

/**
 * One option as its loss declares it: what it means, what it accepts, what it is when nobody says.
 * The same object checks the option, writes it into the contract and prints its documentation.
 */
export interface OptionSpec<T> {
  /** What the option does, for a reader of the docs; no full stop needed. */
  readonly meaning: string;
  /** What is accepted, in words that complete "expected …". */
  readonly accepts: string;
  readonly fallback: T;
  /** The value in its one form, or `undefined` when it is not accepted. */
  read(value: unknown): T | undefined;
}

/** One spec for each option of a loss. */
export type OptionSpecs<Options> = { readonly [K in keyof Options]-?: OptionSpec<Options[K]> };

interface Range {
  /** Exclusive bounds. */
  readonly above?: number;
  readonly below?: number;
  /** Inclusive bounds. */
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly integer?: boolean;
  /** Whether ±∞ (in JSON `"inf"`, `"-inf"`) is a value. */
  readonly infinite?: boolean;
}

/** A number in a range. */
export function numberOption(meaning: string, fallback: number, range: Range = {}): OptionSpec<number> {
  return { meaning, accepts: rangeInWords(range), fallback, read: (value) => readNumber(value, range) };
}

/** True or false. */
export function flagOption(meaning: string, fallback: boolean): OptionSpec<boolean> {
  return {
    meaning,
    accepts: "true or false",
    fallback,
    read: (value) => (typeof value === "boolean" ? value : undefined),
  };
}

/** One of some words. */
export function choiceOption<W extends string>(meaning: string, fallback: W, words: readonly W[]): OptionSpec<W> {
  return {
    meaning,
    accepts: words.map((word) => `"${word}"`).join(" or "),
    fallback,
    read: (value) => words.find((word) => word === value),
  };
}

/** A list of numbers, one a class or an entry of the last axis, or null for none. Typed arrays are accepted. */
export function numbersOption(meaning: string, range: Range = {}): OptionSpec<readonly number[] | null> {
  return {
    meaning,
    accepts: `a list of numbers, each ${rangeInWords(range)}, or null`,
    fallback: null,
    read: (value) => (value === null ? null : readNumbers(value, range)),
  };
}

/** Either of two kinds of value; the first one's fallback counts. */
export function eitherOption<A, B>(first: OptionSpec<A>, second: OptionSpec<B>): OptionSpec<A | B> {
  return {
    meaning: first.meaning,
    accepts: `${first.accepts}, or ${second.accepts}`,
    fallback: first.fallback,
    read: (value) => {
      const read = first.read(value);
      return read === undefined ? second.read(value) : read;
    },
  };
}

/** The same option, null when nobody says. */
export function nullableOption<T>(spec: OptionSpec<T>): OptionSpec<T | null> {
  return {
    ...spec,
    accepts: `${spec.accepts}, or null`,
    fallback: null,
    read: (value) => (value === null ? null : spec.read(value)),
  };
}

/**
 * The options in full: every default written, every value in its one form.
 *
 * @throws `unknown` for a name the loss does not have, `option` for a value out of range
 */
export function resolveOptions<Options extends object>(
  where: string,
  specs: OptionSpecs<Options>,
  given: object,
): Options {
  const names = Object.keys(specs) as (keyof Options & string)[];
  rejectUnknown(where, "option", given, names);
  const resolved = {} as Options;
  for (const name of names) {
    const spec = specs[name];
    const value = (given as Record<string, unknown>)[name];
    const read = value === undefined ? spec.fallback : spec.read(value);
    if (read === undefined) {
      throw new LosswrightError({
        code: "option",
        where,
        field: name,
        found: inWords(value),
        expected: spec.accepts,
        fix: `${name}: ${spec.meaning}; without it the default is ${inWords(spec.fallback)}.`,
      });
    }
    resolved[name] = read;
  }
  return resolved;
}

/** Options as the contract writes them. */
export function optionsToJson(options: object): Json {
  const write = (value: unknown): Json =>
    typeof value === "number" ? jsonNumber(value) : Array.isArray(value) ? value.map(write) : (value as Json);
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, write(value)]));
}

/** A received value, short enough for a message. */
export function inWords(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `the bigint ${value}`;
  const plain = ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value;
  let shown: string;
  try {
    shown = JSON.stringify(plain, (_, entry) => (typeof entry === "bigint" ? String(entry) : entry)) ?? String(value);
  } catch {
    // A cycle has no text.
    shown = Object.prototype.toString.call(value);
  }
  return shown.length > 80 ? `${shown.slice(0, 77)}…` : shown;
}

function readNumber(value: unknown, range: Range): number | undefined {
  const number = value === "inf" ? Number.POSITIVE_INFINITY : value === "-inf" ? Number.NEGATIVE_INFINITY : value;
  if (typeof number !== "number" || Number.isNaN(number)) return undefined;
  if (!Number.isFinite(number) && !range.infinite) return undefined;
  if (range.integer && !Number.isSafeInteger(number)) return undefined;
  const { above = Number.NEGATIVE_INFINITY, below = Number.POSITIVE_INFINITY } = range;
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = range;
  if (Number.isFinite(number) && !(number > above && number < below)) return undefined;
  return number >= atLeast && number <= atMost ? number + 0 : undefined;
}

function readNumbers(value: unknown, range: Range): readonly number[] | undefined {
  const list =
    Array.isArray(value) || value instanceof Float64Array || value instanceof Float32Array ? value : undefined;
  if (!list?.length) return undefined;
  const numbers = Array.from(list, (entry) => readNumber(entry, range));
  return numbers.every((entry) => entry !== undefined) ? numbers : undefined;
}

function rangeInWords(range: Range): string {
  const bounds = [
    range.above !== undefined && `above ${range.above}`,
    range.atLeast !== undefined && `at least ${range.atLeast}`,
    range.below !== undefined && `below ${range.below}`,
    range.atMost !== undefined && `at most ${range.atMost}`,
  ].filter(Boolean);
  const kind = range.integer ? "a whole number" : range.infinite ? "a number or ±∞" : "a finite number";
  return bounds.length ? `${kind} ${bounds.join(" and ")}` : kind;
}
