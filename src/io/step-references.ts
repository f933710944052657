import * as v from "valibot";
import { closest, type LosswrightError, rejectUnknown } from "../errors/index.js";
import { broken } from "./failure.js";
import { checkJson, isObject, parseJson, shown } from "./json.js";
import { mapLeaves, type StepRecord } from "./step-record.js";

/**
 * A record whose leaves are the names of its files: all checks that need no tensor.
 *
 * @throws what `parseStep` throws, but for gradients
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
  const { success, output, issues } = v.safeParse(stepSchema, given, { abortEarly: true });
  if (!success) throw wrongKind(issues[0], name);
  const record: StepRecord<string> = { ...output, name };
  checkHolders(record);
  mapLeaves(record, (file, { path }) => checkFileName(file, path, name));
  return record;
}

const choice = <const Options extends readonly string[]>(...options: Options) =>
  v.picklist(options, options.map((option) => `"${option}"`).join(" or "));

const wholeFrom = (least: number) => {
  const message = `a whole number from ${least}`;
  return v.pipe(
    v.number(message),
    v.check((value) => Number.isSafeInteger(value) && value >= least, message),
  );
};

const above = (least: number) => {
  const message = `a number above ${least}`;
  return v.pipe(
    v.number(message),
    v.check((value) => Number.isFinite(value) && value > least, message),
  );
};

const nonFinite = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": Number.NEGATIVE_INFINITY };
const word = v.string("a string");
const flag = v.boolean("true or false");
const whole = v.pipe(
  v.number("a whole number"),
  v.check((value: number) => Number.isSafeInteger(value), "a whole number"),
);
const finite = v.number("a number");
const number = v.union(
  [
    finite,
    v.pipe(
      choice("nan", "inf", "-inf"),
      v.transform((text) => nonFinite[text]),
    ),
  ],
  'a number, "nan", "inf" or "-inf"',
);
/** The objects of valibot take arrays for objects too. */
const object = v.custom<Record<string, unknown>>(isObject, "an object");
const file = v.string("the name of a file");
const files = v.pipe(object, v.record(v.string(), file));
const open = <Entries extends v.ObjectEntries>(entries: Entries) => v.pipe(object, v.looseObject(entries, "an object"));

const combination = choice("mean", "sum");
const contextEntries = {
  microBatches: v.exactOptional(wholeFrom(1)),
  ranks: v.exactOptional(wholeFrom(1)),
  batches: v.exactOptional(wholeFrom(1)),
  rank: v.exactOptional(wholeFrom(0)),
  microBatch: v.exactOptional(wholeFrom(0)),
  combine: v.exactOptional(open({ ranks: v.exactOptional(combination), microBatches: v.exactOptional(combination) })),
  splitAxis: v.exactOptional(choice("sequence", "rows")),
  sequence: v.exactOptional(
    open({
      inputIds: v.exactOptional(file),
      roles: v.exactOptional(file),
      attentionMask: v.exactOptional(file),
      segmentIds: v.exactOptional(file),
      decoderInputIds: v.exactOptional(file),
      padId: v.exactOptional(whole),
      eosId: v.exactOptional(whole),
      intended: v.exactOptional(
        open({
          labelShift: v.exactOptional(wholeFrom(0)),
          lossOn: v.exactOptional(v.array(choice("assistant", "all"), "a list")),
          endOfSequence: v.exactOptional(flag),
          acrossSegments: v.exactOptional(flag),
        }),
      ),
    }),
  ),
  scores: v.exactOptional(v.pipe(object, v.record(v.string(), open({ logProbs: file, mask: file })))),
  metric: v.exactOptional(
    v.nullable(
      open({
        name: word,
        value: v.exactOptional(number),
        of: v.exactOptional(choice("validation", "step")),
        updates: v.exactOptional(v.array(open({ value: number, count: finite }), "a list")),
        reads: v.exactOptional(word),
        correctedForWeights: v.exactOptional(flag),
        averaging: v.exactOptional(choice("samples", "batches", "accumulated")),
      }),
    ),
  ),
  decision: v.exactOptional(open({ threshold: v.exactOptional(finite), tuned: v.exactOptional(flag) })),
  phase: v.exactOptional(word),
  task: v.exactOptional(word),
  run: v.exactOptional(word),
  step: v.exactOptional(wholeFrom(0)),
  framework: v.exactOptional(word),
  outputs: v.exactOptional(files),
  computation: v.exactOptional(
    open({
      dtype: v.exactOptional(choice("float64", "float32", "float16", "bfloat16")),
      lossScale: v.exactOptional(above(0)),
    }),
  ),
  terms: v.exactOptional(
    v.array(
      open({
        name: word,
        coefficient: finite,
        value: v.exactOptional(number),
        intended: v.exactOptional(flag),
        fields: v.exactOptional(v.array(word, "a list of fields")),
      }),
      "a list",
    ),
  ),
  gathered: v.exactOptional(
    v.pipe(object, v.record(v.string(), open({ ranks: v.exactOptional(file), ids: v.exactOptional(file) }))),
  ),
  alignment: v.exactOptional(
    open({
      featureLengths: v.exactOptional(file),
      stride: v.exactOptional(wholeFrom(1)),
      symbols: v.exactOptional(v.array(word, "a list of symbols")),
    }),
  ),
  classCounts: v.exactOptional(v.array(wholeFrom(0), "a list")),
  sampled: v.exactOptional(
    open({
      units: file,
      shape: v.array(wholeFrom(0), "a list of lengths"),
      fields: v.array(word, "a list of fields"),
      tally: open({ numerator: v.exactOptional(number), denominator: finite }),
    }),
  ),
};
const contextSchema = open(contextEntries);

const reportedEntries = { loss: v.optional(v.nullable(number), null), gradients: v.optional(files, {}) };
const partEntries = { fields: files, reported: open(reportedEntries), context: v.optional(contextSchema, {}) };
const stepEntries = {
  format: v.literal(1),
  intended: object,
  ...partEntries,
  fields: v.exactOptional(files),
  parts: v.optional(v.array(open(partEntries), "a list of parts"), []),
};
const stepSchema = v.object(stepEntries, "an object");

/** An unknown entry of a context may be one of a later version, but not one that differs by a slip from a known one. */
function rejectSlips(context: Record<string, unknown>, where: string): void {
  const known = Object.keys(contextEntries);
  for (const key of Object.keys(context)) {
    const meant = known.includes(key) ? undefined : closest(key, known);
    if (meant !== undefined) throw broken(where, key, `an unknown entry "${key}"`, `"${meant}"`, `write "${meant}".`);
  }
}

/** Inside `context` the format may grow; everywhere else an unknown key is a slip of the pen. */
function rejectUnknownKeys(step: Record<string, unknown>, name: string): void {
  const reject = (holder: Record<string, unknown>, where: string, entries: object) => {
    rejectUnknown(where, "key", holder, Object.keys(entries));
    if (isObject(holder.context)) rejectSlips(holder.context, `${where}: context`);
    if (!isObject(holder.reported)) return;
    rejectUnknown(`${where}: reported`, "key", holder.reported, Object.keys(reportedEntries));
  };
  reject(step, name, stepEntries);
  if (!Array.isArray(step.parts)) return;
  for (const [index, part] of step.parts.entries()) {
    if (isObject(part)) reject(part, `${name}: parts.${index}`, partEntries);
  }
}

function wrongKind(issue: v.BaseIssue<unknown>, name: string): LosswrightError {
  const path = v.getDotPath(issue) ?? undefined;
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

/** The name of a file inside the record's directory, in the one spelling that every system reads alike. */
function checkFileName(file: string, path: string, name: string): void {
  const segments = file.split("/");
  const wrong = file.includes("\0")
    ? "a NUL character"
    : file.includes("\\")
      ? "a backslash"
      : file.startsWith("/") || /^[a-z]:/i.test(file)
        ? "an absolute path"
        : segments.includes("..")
          ? "a path that leads out of the record"
          : segments.includes("") || segments.includes(".")
            ? 'an empty or "." segment'
            : undefined;
  if (!wrong) return;
  const fix = "keep every tensor inside the record's directory and write its path relative to it, with / between.";
  throw broken(name, path, `${wrong}, ${shown(file)}`, "the name of a file inside the record", fix);
}
