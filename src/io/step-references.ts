import * as v from "valibot";
import { closest, type LosswrightError, rejectUnknown } from "../errors/index.js";
import { broken } from "./failure.js";
import { checkJson, isObject, oneLine, parseJson, shown } from "./json.js";
import { checkTerms } from "./step-consistency.js";
import { mapLeaves, type StepRecord } from "./step-record.js";
import {
  contextEntries,
  filePattern,
  longestFile,
  namePattern,
  partEntries,
  reportedEntries,
  stepEntries,
  stepSchema,
} from "./step-schema.js";

/**
 * A record whose leaves are the names of its files: all checks that need no tensor.
 *
 * @throws what `parseStep` throws, but for what tensors have to do with each other
 */
export function readReferences(json: unknown, name: string): StepRecord<string> {
  const given = typeof json === "string" ? parseJson(json, name) : json;
  checkJson(given, name);
  if (!isObject(given)) {
    throw broken(name, undefined, shown(given), "the object of a step record", "write the record as one JSON object.");
  }
  if (given.format !== 1) {
    const found = Object.hasOwn(given, "format") ? `format ${shown(given.format)}` : "no format";
    throw broken(name, "format", found, "format 1", 'write "format": 1, or read a later format with a later version.');
  }
  rejectUnknownKeys(given, name);
  checkNames(given.intended, "intended", name);
  const { success, output, issues } = v.safeParse(stepSchema, given, { abortEarly: true });
  if (!success) throw wrongKind(issues[0], name);
  const record: StepRecord<string> = { ...output, name };
  checkHolders(record);
  checkTerms(record);
  mapLeaves(record, (file, { path }) => checkFileName(file, path, name));
  return record;
}

/** What a leaf of a record names: a file, and where the file is an archive perhaps one of its tensors. */
export interface TensorReference {
  readonly file: string;
  readonly isArchive: boolean;
  readonly member?: string;
}

/** `batch.npz#logits` is the tensor `logits` of `batch.npz`; without a member an archive holds one tensor. */
export function tensorReference(leaf: string): TensorReference {
  const [, file, member] = /^(.*?\.(?:npz|safetensors))(?:#(.+))?$/i.exec(leaf) ?? [];
  if (file === undefined) return { file: leaf, isArchive: false };
  return { file, isArchive: true, ...(member !== undefined && { member }) };
}

/** An unknown entry of a context may be one of a later version, but not one that differs by a slip from a known one. */
function rejectSlips(context: Record<string, unknown>, where: string): void {
  const known = Object.keys(contextEntries);
  for (const key of Object.keys(context)) {
    // What is so long is no slip of anything, and would take its time to compare.
    const meant = known.includes(key) || key.length > 100 ? undefined : closest(key, known);
    if (meant === undefined) continue;
    throw broken(where, oneLine(key), `an unknown entry ${shown(key)}`, `"${meant}"`, `write "${meant}".`);
  }
}

/** Inside `context` the format may grow; everywhere else an unknown key is a slip of the pen. */
function rejectUnknownKeys(step: Record<string, unknown>, name: string): void {
  const rejectKeys = (holder: Record<string, unknown>, where: string, entries: object) => {
    const known = Object.keys(entries);
    const odd = Object.keys(holder).find((key) => !namePattern.test(key));
    if (odd !== undefined) {
      throw broken(where, undefined, `the key ${shown(odd)}`, `one of ${known.join(", ")}`, "remove it.");
    }
    rejectUnknown(where, "key", holder, known);
  };
  const reject = (holder: Record<string, unknown>, where: string, entries: object) => {
    rejectKeys(holder, where, entries);
    if (isObject(holder.context)) rejectSlips(holder.context, `${where}: context`);
    if (isObject(holder.reported)) rejectKeys(holder.reported, `${where}: reported`, reportedEntries);
  };
  reject(step, name, stepEntries);
  if (!Array.isArray(step.parts)) return;
  for (const [index, part] of step.parts.entries()) {
    if (isObject(part)) reject(part, `${name}: parts.${index}`, partEntries);
  }
}

/** The names and words in a contract, in all its depth: messages about it quote them. */
function checkNames(value: unknown, path: string, name: string): void {
  const check = (word: string, found: string) => {
    if (namePattern.test(word)) return;
    const expected = "at most 200 characters, without line breaks and other control characters";
    throw broken(name, path, `${found} ${shown(word)}`, expected, "write the contract as losswright writes it.");
  };
  if (typeof value === "string") check(value, "the word");
  if (typeof value !== "object" || value === null) return;
  for (const [key, entry] of Object.entries(value)) {
    check(key, "the name");
    checkNames(entry, `${path}.${key}`.slice(0, longestPath), name);
  }
}

/** As much of a place in a record as a message quotes. */
const longestPath = 200;

function wrongKind(issue: v.BaseIssue<unknown>, name: string): LosswrightError {
  const dots = v.getDotPath(issue);
  const path = dots === null ? undefined : oneLine(dots.slice(0, longestPath));
  const fix = `correct it${path ? ` at ${path}` : ""} in step.json.`;
  if (issue.received !== "undefined") return broken(name, path, shown(issue.input), issue.message, fix);
  return broken(name, path, "nothing", "this entry, which cannot be left out", fix);
}

/** Fields stand in the record or in its parts, never in both, and are never none. */
function checkHolders({ name, fields, parts }: StepRecord<string>): void {
  if (fields && parts.length) {
    const found = `fields beside ${parts.length} parts`;
    throw broken(name, "fields", found, "fields or parts", "move the fields into the parts they belong to.");
  }
  if (!fields && !parts.length) {
    const fix = 'record the tensors where the loss was computed, as "fields" or in "parts".';
    throw broken(name, "fields", "neither fields nor parts", "one of them", fix);
  }
  const holders = fields
    ? [["fields", fields] as const]
    : parts.map((part, i) => [`parts.${i}.fields`, part.fields] as const);
  for (const [path, held] of holders) {
    if (Object.keys(held).length) continue;
    throw broken(name, path, "no field", "at least one", "record the tensors where the loss was computed.");
  }
}

/** See {@link filePattern}; what breaks it is told in words. */
function checkFileName(file: string, path: string, name: string): void {
  const long = file.length > longestFile && [...file].length > longestFile;
  if (!long && filePattern.test(file)) return;
  const wrong = long ? `a path of more than ${longestFile} characters` : oddities.find(([odd]) => odd.test(file))![1];
  const fix = "keep every tensor inside the record's directory and write its path relative to it, with / between.";
  throw broken(name, path, `${wrong}, ${shown(file)}`, "the name of a file inside the record", fix);
}

const oddities: readonly (readonly [odd: RegExp, wrong: string])[] = [
  [/\0/, "a NUL character"],
  [/\p{Cc}/u, "a control character"],
  [/\p{Cs}/u, "half of a character"],
  [/\\/, "a backslash"],
  [/^(\/|[a-z]:)/i, "an absolute path"],
  [/:/, "a colon"],
  [/^(.*\/)?\.\.(\/|$)/, "a path that leads out of the record"],
  [/^/, 'an empty or "." segment'],
];
