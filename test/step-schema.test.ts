/**
 * The JSON Schema of step records that the package ships, against the parser: what one takes the other takes.
 *
 * A schema cannot say everything. What it takes and the parser refuses, and nothing else of the kind:
 *   - an entry of a context that differs by a slip from a known one (`microBatchs`),
 *   - nesting deeper than 64 levels,
 *   - two terms of one name, and a term of a field that differs by a slip from one of the record,
 *   - what is lost when a text is parsed: a key that stands twice, a number beyond float64 (`1e999`), a byte order mark.
 */
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../src/index.js";
import { readReferences } from "../src/io/step-references.js";
import { dropped, pathsOf, renamed, replaced } from "./instruments/json-mutations.js";

const read = (path: string) => JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), "utf8"));

interface Schema {
  readonly $ref?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly additionalProperties?: Schema | boolean;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly $id?: string;
  readonly $schema?: string;
}

const schema: Schema = read("schema/step.schema.json");
const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);

const records = ["test/steps", "examples/steps"].flatMap((folder) => {
  const names = readdirSync(new URL(`../${folder}`, import.meta.url));
  return names.map((name) => [`${folder}/${name}`, read(`${folder}/${name}/step.json`)] as const);
});

// ---- every entry of the format, once ----

const reported = { loss: 0.5, gradients: { logits: "gradient.npy" } };
const part = { fields: { logits: "logits.npy" }, reported, context: { rank: 0, microBatch: 1 } };
const intended = {
  objective: "crossEntropy",
  options: { classWeights: [1, 2], ignoreIndex: -100 },
  reduction: { per: "token", divideBy: { constant: 3 }, onEmpty: "zero" },
  version: 1,
};
const context = {
  microBatches: 2,
  ranks: 2,
  batches: 1,
  rank: 1,
  microBatch: 0,
  combine: { ranks: "mean", microBatches: "sum" },
  splitAxis: "rows",
  sequence: {
    inputIds: "sequence/input-ids.npy",
    roles: "sequence/roles.npy",
    attentionMask: "sequence/attention-mask.npy",
    segmentIds: "sequence/segment-ids.npy",
    decoderInputIds: "sequence/decoder-input-ids.npy",
    padId: 0,
    eosId: -1,
    intended: { labelShift: 1, lossOn: ["assistant"], endOfSequence: true, acrossSegments: false },
  },
  scores: { logits: { logProbs: "log-probs.npy", mask: "mask.npy" } },
  metric: {
    name: "accuracy",
    value: "nan",
    of: "validation",
    updates: [{ value: 0.5, count: 8 }],
    reads: "softmax(logits)",
    correctedForWeights: false,
    averaging: "samples",
  },
  decision: { threshold: 0.5, tuned: false },
  phase: "training",
  task: "classification",
  run: "7",
  step: 500,
  framework: "pytorch 2.9",
  outputs: { logits: "outputs.npy" },
  computation: { dtype: "bfloat16", lossScale: 1024 },
  terms: [
    { name: "task", coefficient: 1, value: 0.25, intended: true, fields: ["logits"] },
    { name: "auxiliary", coefficient: 0.01 },
  ],
  gathered: { logits: { ranks: "ranks.npy", ids: "ids.npy" } },
  alignment: { featureLengths: "lengths.npy", stride: 4, symbols: ["", "a"] },
  classCounts: [10, 0],
  sampled: { units: "units.npy", shape: [4, 9], fields: ["logits"], tally: { numerator: "inf", denominator: 36 } },
  weather: { sky: ["blue", null, { deep: 1 }] },
};
const full = { format: 1, intended, fields: { logits: "logits.npy" }, reported, context, parts: [] };
const inParts = { format: 1, intended, reported, context: {}, parts: [part, { ...part, context }] };

// ---- verdicts ----

/** The parser's refusal, if it refuses. */
function refusalOf(value: unknown): LosswrightError | undefined {
  try {
    readReferences(value, "record");
    return undefined;
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
}

/** What the parser may refuse although the schema takes it. */
function isBeyondSchema({ found, expected, fix }: LosswrightError): boolean {
  const slip = found.startsWith("an unknown entry ") && fix!.startsWith("write ");
  const term =
    found.startsWith("a second term ") || (found.endsWith("which is no field here") && fix!.startsWith("write "));
  return slip || term || expected === "at most 64 levels";
}

/** Holds both against each other; gives whether the value is a record. */
function agreed(value: unknown): boolean {
  const refusal = refusalOf(value);
  const valid = validate(value);
  if (valid === (refusal === undefined)) return valid;
  if (valid && isBeyondSchema(refusal!)) return false;
  const says = valid ? "takes" : `refuses, ${JSON.stringify(validate.errors?.[0])},`;
  throw new Error(`the schema ${says} what the parser ${refusal ? `refuses: ${refusal.message}` : "takes"}`);
}

// ---- mutations ----

const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));
const hostileNames = [
  "",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "length",
  "0",
  "a\nb",
  "\u0085",
  "\ud800",
  "größe",
  "microBatchs",
  "logit",
  "x".repeat(200),
  "x".repeat(201),
  "😀".repeat(200),
  "😀".repeat(201),
];
const files = [
  "logits.npy",
  "a/b/c.npy",
  "...",
  "..a",
  ".npy",
  "a..",
  "a/...",
  ".a/.b",
  "NUL",
  "a b",
  "%2e%2e/a.npy",
  "größe.npy",
];
const noFiles = [
  "",
  ".",
  "..",
  "/a",
  "//server/share",
  "a/",
  "a//b",
  "./a",
  "a/.",
  "a/../b",
  "../a",
  "a/..",
  "..\\a",
  "a\\b",
];
noFiles.push(
  "\\\\server\\share",
  "C:a",
  "c:/a",
  "a:stream",
  "a\0b",
  "a\nb",
  "\u007f",
  "a\u0085",
  "\ud800.npy",
  "https://x/y",
);
noFiles.push("\ufeff\n", "x".repeat(1001), "😀".repeat(1001));
const longFiles = ["x".repeat(1000), "😀".repeat(1000), `${"x/".repeat(499)}xx`];
const scalars = [null, true, false, 0, -0, 1, -1, 0.5, 1e300, -1e300, 2 ** 53, 2 ** 53 - 1, -(2 ** 53), 5e-324, 64];
const words = ["nan", "inf", "-inf", "NaN", "Infinity", "1", "mean", "rows", "validation", "all", "float16", "task"];
const holders = [
  [],
  {},
  [[]],
  [1],
  ["all"],
  ["logits.npy"],
  [null],
  { a: 1 },
  { logits: "a.npy" },
  [{}],
  nested(63),
  nested(66),
];
const reserved = ["__proto__", "constructor", "prototype"].map((key) => JSON.parse(`{"${key}": {"a": [1]}}`));
const pieces = [part, [part], [{ ...part, parts: [] }], reported, context, intended, context.terms, context.sampled];
const hostileValues: readonly unknown[] = [
  ...scalars,
  ...words,
  ...files,
  ...noFiles,
  ...longFiles,
  ...holders,
  ...reserved,
  [[reserved[0]]],
  { deep: { deeper: reserved[1] } },
  { "a\nb": 1 },
  { a: [{ "a\nb": 1 }] },
  ["a\nb"],
  ["x".repeat(201)],
  ...pieces,
];

describe("the schema of step records", () => {
  it("is draft 2020-12, and named without a host", () => {
    expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(schema.$id).toBe("losswright/step-1.schema.json");
  });

  /** Every entry that a schema names, with its path. */
  function entriesOf(of: Schema, path: string): [path: string, entry: Schema][] {
    const own = Object.entries(of.properties ?? {});
    const inside = [of.items, ...(of.anyOf ?? []), of.additionalProperties].filter((one) => typeof one === "object");
    return [
      ...own.flatMap(([key, entry]): [string, Schema][] => [
        [`${path}.${key}`, entry],
        ...entriesOf(entry, `${path}.${key}`),
      ]),
      ...inside.flatMap((one) => entriesOf(one, `${path}.*`)),
    ];
  }
  const named = Object.entries(schema.$defs!).flatMap(([name, one]) => entriesOf(one, name));
  const entries = [...entriesOf(schema, "step"), ...named];

  it("describes every entry in words, and every tensor of a context with its shape", () => {
    expect(entries.length).toBeGreaterThan(70);
    const silent = entries.filter(([, { description = "" }]) => !/^[A-Z0-9].{10,}\.$/.test(description));
    expect(silent.map(([path]) => path)).toEqual([]);
    const tensors = entries.filter(([, { $ref }]) => $ref === "#/$defs/file");
    expect(tensors.length).toBeGreaterThan(10);
    const shapeless = tensors.filter(([, { description }]) => !/\[[A-Za-z, …]+\]/.test(description!));
    expect(shapeless.map(([path]) => path)).toEqual([]);
    for (const [name, { description }] of Object.entries(schema.$defs!)) expect(description, name).toMatch(/\.$/);
  });

  it("knows no entry that the record of this test lacks", () => {
    const held = new Set([...pathsOf(full), ...pathsOf(inParts)].flat());
    expect(entries.map(([path]) => path.split(".").at(-1)!).filter((key) => !held.has(key))).toEqual([]);
  });
});

describe("parser and schema", () => {
  it.each(records)("take %s", (_, record) => {
    expect(agreed(record)).toBe(true);
  });

  it("take a record with every entry", () => {
    expect(agreed(full)).toBe(true);
    expect(agreed(inParts)).toBe(true);
    for (const path of pathsOf({ context }).filter(({ length }) => length === 2)) {
      expect(agreed(dropped(full, path)), path.join(".")).toBe(true);
    }
    for (const file of [...files, ...longFiles]) expect(agreed(replaced(full, ["fields", "logits"], file))).toBe(true);
  });

  it("take and refuse alike at every place every value", () => {
    let taken = 0;
    let seen = 0;
    for (const record of [full, inParts]) {
      for (const path of pathsOf(record)) {
        for (const value of hostileValues) {
          seen++;
          taken += Number(agreed(replaced(record, path, value)));
        }
      }
    }
    expect(seen).toBeGreaterThan(20_000);
    expect(taken).toBeGreaterThan(seen / 20);
    expect(taken).toBeLessThan(seen / 2);
  });

  it("take and refuse alike where any entry is gone, renamed, or stands beside a new one", () => {
    const verdicts = [0, 0];
    for (const record of [full, inParts]) {
      for (const path of pathsOf(record)) {
        const mutated = [dropped(record, path)];
        for (const name of [...hostileNames, ...Object.keys(context), ...Object.keys(full)]) {
          mutated.push(renamed(record, path, name), replaced(record, [...path, name], "a.npy"));
        }
        for (const value of mutated) verdicts[Number(agreed(value))]!++;
      }
    }
    expect(Math.min(...verdicts)).toBeGreaterThan(1000);
  });

  it("take and refuse alike any few changes of any record", () => {
    const verdicts = [0, 0];
    const bases = [full, inParts, ...records.map(([, record]) => record)];
    const anyValue = fc.oneof(
      fc.constantFrom(...hostileValues),
      fc.jsonValue({ maxDepth: 3 }),
      fc.string({ unit: "binary" }),
    );
    const anyName = fc.oneof(fc.constantFrom(...hostileNames, ...Object.keys(context)), fc.string());
    const change = fc.record({ at: fc.nat(), kind: fc.nat(3), value: anyValue, name: anyName });
    const mutate = (
      base: unknown,
      { at, kind, value, name }: typeof change extends fc.Arbitrary<infer C> ? C : never,
    ) => {
      const paths = pathsOf(base);
      const path = paths[at % paths.length]!;
      if (kind === 0) return dropped(base, path);
      if (kind === 1) return renamed(base, path, name);
      return kind === 2 ? replaced(base, path, value) : replaced(base, [...path, name], value);
    };
    fc.assert(
      fc.property(fc.constantFrom(...bases), fc.array(change, { minLength: 1, maxLength: 3 }), (base, changes) => {
        const text = JSON.stringify(changes.reduce<unknown>(mutate, base)) ?? "null";
        verdicts[Number(agreed(JSON.parse(text)))]!++;
      }),
      { numRuns: 10_000 },
    );
    expect(Math.min(...verdicts)).toBeGreaterThan(500);
  });
});

describe("what the schema cannot say", () => {
  const only = (context: object) => ({ ...full, context });
  it.each([
    ["a slip in an entry of a context", only({ microBatchs: 2 })],
    ["nesting deeper than 64 levels", only({ weather: nested(64) })],
    ["two terms of one name", only({ terms: [context.terms[0], { name: "task", coefficient: 2 }] })],
    ["a term of a misspelt field", only({ terms: [{ ...context.terms[0], fields: ["logit"] }] })],
  ])("the parser says: %s", (_, record) => {
    expect(validate(record)).toBe(true);
    expect(isBeyondSchema(refusalOf(record)!)).toBe(true);
  });

  it("the parser says of a text: a key twice, a number beyond float64", () => {
    const text = JSON.stringify(full);
    const twice = text.replace('"loss":0.5', '"loss":0.5,"loss":0.25');
    expect(validate(JSON.parse(twice))).toBe(true);
    expect(refusalOf(twice)).toMatchObject({ field: "reported.loss", found: 'the key "loss" twice' });
    expect(refusalOf(text.replace('"loss":0.5', '"loss":1e999'))).toMatchObject({ field: "reported.loss" });
  });
});
