import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { parseNpy } from "./npy.js";
import { encodeStep, parseStep } from "./step.js";
import type { StepContext, StepPart, StepRecord } from "./step-record.js";

const logits = tensor(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
const labels = tensor(new BigInt64Array([0n, 2n]), [2]);
const scalar = tensor(new Float64Array([0.5]), []);
const flat = tensor(new Float32Array(6), [6]);
const store: Record<string, Tensor> = {
  "logits.npy": logits,
  "labels.npy": labels,
  "gradient.npy": tensor(new Float32Array(6), [2, 3]),
  "flat.npy": flat,
  "whole.npy": tensor(new Int32Array(6), [2, 3]),
  "scalar.npy": scalar,
  "part/logits.npy": logits,
  "part/gradient.npy": flat,
};
const load = (file: string): Tensor => store[file]!;

const intended = { objective: "crossEntropy", options: { ignoreIndex: -100 }, version: 1 };
const fields = { logits: "logits.npy", labels: "labels.npy" };
const reported = { loss: 2.31, gradients: { logits: "gradient.npy" } };
const step = { format: 1, intended, fields, reported, context: {}, parts: [] };
const part = { fields: { logits: "part/logits.npy" }, reported: { loss: 1 } };

function errorOf(work: () => unknown): LosswrightError {
  try {
    work();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("parseStep", () => {
  it("reads a record with its tensors, from text and from the value alike", () => {
    const expected = {
      format: 1,
      name: "clean",
      intended,
      fields: { logits, labels },
      reported: { loss: 2.31, gradients: { logits: store["gradient.npy"] } },
      context: {},
      parts: [],
    };
    expect(parseStep(step, load, "clean")).toEqual(expected);
    expect(parseStep(JSON.stringify(step), load, "clean")).toEqual(expected);
  });

  it("reads parts, each with its own fields, report and context", () => {
    const parts = [part, { ...part, fields: { logits: "logits.npy" }, context: { rank: 1, microBatch: 0 } }];
    const record = parseStep({ format: 1, intended, reported: { loss: "nan" }, parts }, load, "parts");
    expect(record.fields).toBeUndefined();
    expect(record.reported).toEqual({ loss: Number.NaN, gradients: {} });
    expect(record.parts[1]).toEqual({
      fields: { logits },
      reported: { loss: 1, gradients: {} },
      context: { rank: 1, microBatch: 0 },
    });
  });

  it.each([
    ["nan", Number.NaN],
    ["inf", Number.POSITIVE_INFINITY],
    ["-inf", Number.NEGATIVE_INFINITY],
    [-0, -0],
    [undefined, null],
    [null, null],
  ])("reads the loss %s as %s", (loss, expected) => {
    const json = JSON.stringify({ ...step, reported: { loss } }).replace('"loss":0', '"loss":-0');
    expect(parseStep(json, load, "x").reported.loss).toBe(expected);
  });

  it("loads the tensors of the context and keeps what it does not know, untouched", () => {
    const context = {
      microBatches: 4,
      combine: { ranks: "mean", microBatches: "sum" },
      splitAxis: "sequence",
      sequence: {
        inputIds: "labels.npy",
        padId: 0,
        eosId: -1,
        intended: { labelShift: 1, lossOn: ["assistant"], endOfSequence: true, acrossSegments: false },
        chatTemplate: "chatml",
      },
      scores: { policyChosen: { logProbs: "logits.npy", mask: "flat.npy", note: [1] } },
      metric: { name: "accuracy", value: "nan", of: "validation", updates: [{ value: "inf", count: 2 }] },
      decision: { threshold: 0.5, tuned: false },
      task: "classification",
      weather: { sky: ["blue.npy", null] },
    };
    const json = { ...step, fields: { policyChosen: "scalar.npy" }, reported: {}, context };
    expect(parseStep(json, load, "x").context).toEqual({
      ...context,
      sequence: { ...context.sequence, inputIds: labels },
      scores: { policyChosen: { logProbs: logits, mask: flat, note: [1] } },
      metric: { ...context.metric, value: Number.NaN, updates: [{ value: Number.POSITIVE_INFINITY, count: 2 }] },
    });
    expect(parseStep({ ...step, context: { metric: null } }, load, "x").context).toEqual({ metric: null });
  });

  it("takes a scalar gradient of what is no field, as of a learned temperature", () => {
    const gradients = { temperature: "scalar.npy" };
    expect(parseStep({ ...step, reported: { gradients } }, load, "x").reported.gradients).toEqual({
      temperature: scalar,
    });
  });

  it("takes names that every object answers to for the fields they are", () => {
    const record = parseStep({ ...step, fields: { toString: "logits.npy" }, reported: {} }, load, "x");
    expect(Object.entries(record.fields!)).toEqual([["toString", logits]]);
    const reported = { gradients: { valueOf: "gradient.npy" } };
    expect(errorOf(() => parseStep({ ...step, reported }, load, "x")).code).toBe("unknown");
  });

  const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));
  const context = (entries: object) => ({ ...step, context: entries });
  const file = (name: unknown) => ({ ...step, fields: { ...fields, labels: name } });
  const { fields: _, ...bare } = step;
  const bad: readonly [what: string, json: unknown, code: string, field: string | undefined, fix: string][] = [
    ["no JSON", "{", "file", undefined, "plain JSON"],
    ["JSON with a comment", "// {}", "file", undefined, "plain JSON"],
    ["millions of brackets", "[".repeat(2_000_000), "file", undefined, "plain JSON"],
    ["a list", [], "file", undefined, "one JSON object"],
    ["null", "null", "file", undefined, "one JSON object"],
    ["nothing", undefined, "file", undefined, "as JSON"],
    ["a function", () => 1, "file", undefined, "as JSON"],
    ["no format", {}, "file", "format", '"format": 1'],
    ["format 2", { ...step, format: 2 }, "file", "format", "later version"],
    ["format 1 in quotes", { ...step, format: "1" }, "file", "format", '"format": 1'],
    ["a misspelt key", { ...step, intendet: {} }, "unknown", "intendet", 'write "intended"'],
    ["an unknown key", { ...step, truth: {} }, "unknown", "truth", 'remove "truth"'],
    ["a misspelt key of the report", { ...step, reported: { los: 1 } }, "unknown", "los", 'write "loss"'],
    ["a misspelt key of a part", { ...bare, parts: [{ ...part, field: {} }] }, "unknown", "field", 'write "fields"'],
    ["a part's format", { ...bare, parts: [{ ...part, format: 1 }] }, "unknown", "format", 'remove "format"'],
    [
      "a misspelt key of a part's report",
      { ...bare, parts: [{ ...part, reported: { gradient: {} } }] },
      "unknown",
      "gradient",
      'write "gradients"',
    ],
    ["no intention", { ...step, intended: undefined }, "file", "intended", "leave it out"],
    ["an intention in words", { ...step, intended: "crossEntropy" }, "file", "intended", "correct it at intended"],
    ["a list of fields", { ...step, fields: ["logits.npy"] }, "file", "fields", "correct it at fields"],
    ["a field that is a list", file([1, 2]), "file", "fields.labels", "correct it at fields.labels"],
    ["no report", { format: 1, intended, fields }, "file", "reported", "correct it at reported"],
    ["a loss in words", { ...step, reported: { loss: "NaN" } }, "file", "reported.loss", "correct it"],
    ["a loss of Infinity", { ...step, reported: { loss: Infinity } }, "file", "reported.loss", '"inf"'],
    ["a loss beyond float64", JSON.stringify(step).replace("2.31", "1e999"), "file", "reported.loss", '"inf"'],
    ["fields and parts", { ...step, parts: [part] }, "file", "fields", "move the fields"],
    ["neither fields nor parts", bare, "file", "fields", "record the tensors"],
    ["no field", { ...step, fields: {}, reported: {} }, "file", "fields", "record the tensors"],
    [
      "no field of a part",
      { ...bare, parts: [{ ...part, fields: {} }] },
      "file",
      "parts.0.fields",
      "record the tensors",
    ],
    ["a part without a report", { ...bare, parts: [{ fields }] }, "file", "parts.0.reported", "correct it"],
    ["a part that is none", { ...bare, parts: [null] }, "file", "parts.0", "correct it at parts.0"],
    ["parts that are no list", { ...bare, parts: { 0: part } }, "file", "parts", "correct it at parts"],
    ["a prototype", JSON.stringify(step).replace('"labels"', '"__proto__"'), "file", "fields.__proto__", "rename"],
    ["a constructor", context({ deep: [{ constructor: 1 }] }), "file", "context.deep.0.constructor", "rename"],
    ["deep nesting", context({ deep: nested(70) }), "file", expect.stringMatching(/^context\.deep\.0/), "flatten"],
    ["a tensor among the JSON", context({ deep: tensor([1]) }), "file", "context.deep.data", "as JSON"],
    ["half a rank", context({ rank: 0.5 }), "file", "context.rank", "correct it at context.rank"],
    ["a negative rank", context({ rank: -1 }), "file", "context.rank", "correct it"],
    ["no ranks", context({ ranks: 0 }), "file", "context.ranks", "correct it"],
    ["a context in a list", context([]), "file", "context", "correct it at context"],
    ["another combination", context({ combine: { ranks: "max" } }), "file", "context.combine.ranks", "correct it"],
    ["another split", context({ splitAxis: 1 }), "file", "context.splitAxis", "correct it"],
    ["a padding in words", context({ sequence: { padId: "0" } }), "file", "context.sequence.padId", "correct it"],
    [
      "a score without its mask",
      context({ scores: { a: { logProbs: "flat.npy" } } }),
      "file",
      "context.scores.a.mask",
      "",
    ],
    ["a slip in a context entry", context({ microBatchs: 2 }), "file", "microBatchs", 'write "microBatches"'],
    ["a metric without a name", context({ metric: { value: 1, of: "step" } }), "file", "context.metric.name", ""],
    ["a decision in words", context({ decision: "tuned" }), "file", "context.decision", "correct it"],
    ["an absolute path", file("/etc/passwd"), "file", "fields.labels", "inside the record's directory"],
    ["a path upwards", file("a/../../labels.npy"), "file", "fields.labels", "inside the record's directory"],
    ["a backslash", file("..\\labels.npy"), "file", "fields.labels", "inside the record's directory"],
    ["a drive", file("C:labels.npy"), "file", "fields.labels", "inside the record's directory"],
    ["a NUL", file("labels.npy\0.png"), "file", "fields.labels", "inside the record's directory"],
    ["another spelling of a path", file("./labels.npy"), "file", "fields.labels", "inside the record's directory"],
    ["an empty path", file(""), "file", "fields.labels", "inside the record's directory"],
    ["a URL", file("https://example.org/a.npy"), "file", "fields.labels", "inside the record's directory"],
    ["a file that is not there", file("missing.npy"), "file", "fields.labels", 'the tensor of "missing.npy"'],
    [
      "a gradient of another shape",
      { ...step, reported: { gradients: { logits: "flat.npy" } } },
      "shape",
      "reported.gradients.logits",
      "as it is recorded",
    ],
    [
      "a scalar gradient of a field",
      { ...step, reported: { gradients: { logits: "scalar.npy" } } },
      "shape",
      "reported.gradients.logits",
      "as it is recorded",
    ],
    [
      "a gradient of another shape in a part",
      { ...bare, reported: {}, parts: [{ ...part, reported: { gradients: { logits: "part/gradient.npy" } } }] },
      "shape",
      "parts.0.reported.gradients.logits",
      "as it is recorded",
    ],
    [
      "a gradient of a misspelt field",
      { ...step, reported: { gradients: { logit: "gradient.npy" } } },
      "unknown",
      "reported.gradients.logit",
      'write "logits"',
    ],
    [
      "a gradient of the whole beside parts",
      { ...bare, parts: [part], reported: { gradients: { logits: "gradient.npy" } } },
      "unknown",
      "reported.gradients.logits",
      "beside the field",
    ],
    [
      "a gradient of whole numbers",
      { ...step, reported: { gradients: { logits: "whole.npy" } } },
      "dtype",
      "reported.gradients.logits",
      "floating-point",
    ],
  ];

  it.each(bad)("refuses %s", (_, json, code, field, fix) => {
    const error = errorOf(() => parseStep(json, load, "record"));
    expect(error).toMatchObject({ code, where: expect.stringMatching(/^record/) });
    expect(error.field).toEqual(field);
    expect(`${error.expected} ${error.fix}`).toContain(fix);
  });

  it("quotes long values short", () => {
    expect(errorOf(() => parseStep(file("/".repeat(1e6)), load, "x")).message.length).toBeLessThan(400);
  });

  it("lets through what the loader throws", () => {
    const loader = () => {
      throw new TypeError("no such thing");
    };
    expect(() => parseStep(step, loader, "x")).toThrow(TypeError);
  });

  it("gives a record or a LosswrightError for any JSON value in any place of a valid record", () => {
    const full = {
      ...step,
      context: { sequence: { roles: "flat.npy", intended: {} }, metric: { name: "r2", value: 1, of: "step" }, rank: 0 },
    };
    const places = [["format"], ["intended"], ["fields"], ["fields", "logits"], ["reported"], ["reported", "loss"]];
    places.push(["reported", "gradients"], ["context"], ["context", "sequence"], ["context", "sequence", "roles"]);
    places.push(["context", "sequence", "intended"], ["context", "metric"], ["context", "metric", "of"], ["parts"], []);
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom("logits.npy", "flat.npy", {}, [], [part], [{}], { logits: "flat.npy" }, null),
    );
    fc.assert(
      fc.property(fc.constantFrom(...places), value, (place, replacement) => {
        const json = structuredClone(full);
        let holder: Record<string, unknown> = { root: json };
        for (const key of ["root", ...place].slice(0, -1)) holder = holder[key] as Record<string, unknown>;
        holder[["root", ...place].at(-1)!] = replacement;
        const given = place.length ? json : replacement;
        try {
          parseStep(JSON.stringify(given), load, "x");
        } catch (error) {
          if (!(error instanceof LosswrightError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("gives a record or a LosswrightError for the text of a record with any characters changed", () => {
    const text = JSON.stringify({ ...bare, parts: [part] });
    const change = fc.tuple(fc.nat(text.length), fc.nat(3), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        let mutated = text;
        for (const [at, gone, come] of changes) mutated = mutated.slice(0, at) + come + mutated.slice(at + gone);
        try {
          parseStep(mutated, load, "x");
        } catch (error) {
          if (!(error instanceof LosswrightError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });
});

// ---- round trips ----

const hidden = new Set(["__proto__", "constructor", "prototype"]);
const anyName = fc.oneof(
  fc.constantFrom("logits", "labels", "Logits", "policyChosen", "toString", "a/b", "../x", "größe", ""),
  fc.string({ maxLength: 8 }).filter((name) => !hidden.has(name)),
);
const anyNumber = fc.double().map((value) => value + 0);
const safeJson = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.parse(JSON.stringify(value).replaceAll(/__proto__|constructor|prototype/g, "")));
const floats = (shape: number[]) =>
  fc
    .array(fc.float(), { minLength: shape.reduce((a, b) => a * b, 1), maxLength: shape.reduce((a, b) => a * b, 1) })
    .map((values): Tensor => tensor(new Float32Array(values), shape));
const anyTensor = fc.array(fc.nat(3), { maxLength: 3 }).chain(floats);
const whole = fc.nat(100);
/** Entries that may be absent, as `exactOptionalPropertyTypes` wants them. */
const maybe = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { requiredKeys: [] }) as unknown as fc.Arbitrary<Partial<T>>;

const anyContext = maybe<Record<string, unknown>>({
  microBatches: fc.integer({ min: 1, max: 9 }),
  rank: whole,
  combine: fc.constantFrom({ ranks: "mean" }, { microBatches: "sum", other: 1 }, {}),
  splitAxis: fc.constantFrom("sequence", "rows"),
  sequence: maybe<Record<string, unknown>>({
    inputIds: anyTensor,
    roles: anyTensor,
    decoderInputIds: anyTensor,
    padId: fc.integer(),
    intended: fc.constantFrom({ labelShift: 1, lossOn: ["all"] }, { acrossSegments: true }, {}),
    extra: safeJson,
  }),
  scores: fc.dictionary(anyName, fc.record({ logProbs: anyTensor, mask: anyTensor }), {
    maxKeys: 2,
    noNullPrototype: true,
  }),
  metric: fc.oneof(
    fc.constant(null),
    fc.record({ name: fc.string(), value: anyNumber, of: fc.constant("step") }),
    fc.record({
      name: fc.string(),
      value: anyNumber,
      of: fc.constant("validation"),
      updates: fc.array(fc.record({ value: anyNumber, count: whole }), { maxLength: 3 }),
    }),
  ),
  decision: fc.record({ threshold: fc.constantFrom(0.5, 0.25), tuned: fc.boolean() }),
  task: fc.string(),
  weather: safeJson,
}) as fc.Arbitrary<StepContext>;

const anyPart: fc.Arbitrary<StepPart> = fc
  .dictionary(anyName, fc.tuple(anyTensor, fc.boolean()), { minKeys: 1, maxKeys: 4, noNullPrototype: true })
  .chain((entries) => {
    const held = Object.fromEntries(Object.entries(entries).map(([name, [field]]) => [name, field]));
    const differentiable = Object.entries(entries).filter(([, [, gradient]]) => gradient);
    const gradients = Object.fromEntries(differentiable.map(([name, [field]]) => [name, floats([...field.shape])]));
    return fc.record({
      fields: fc.constant(held),
      reported: fc.record({
        loss: fc.oneof(fc.constant(null), anyNumber),
        gradients: fc.record(gradients, { noNullPrototype: true }),
      }),
      context: anyContext,
    });
  });

const anyRecord: fc.Arbitrary<StepRecord> = fc.oneof(
  anyPart.map((whole) => ({ format: 1, name: "any", intended, parts: [], ...whole }) as StepRecord),
  fc.array(anyPart, { minLength: 1, maxLength: 3 }).map((parts): StepRecord => {
    return { format: 1, name: "any", intended, reported: { loss: 0.5, gradients: {} }, context: { ranks: 2 }, parts };
  }),
);

const reread = ({ json, files }: ReturnType<typeof encodeStep>) =>
  parseStep(json, (file) => parseNpy(files.get(file)!, file), "any");

describe("encodeStep", () => {
  it("writes a record that parseStep reads back", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        expect(reread(encodeStep(record))).toEqual(record);
      }),
      { numRuns: 500 },
    );
  });

  it("names files after their places, in lower case, and never two alike", () => {
    const context = { sequence: { inputIds: labels }, scores: { policyChosen: { logProbs: logits, mask: flat } } };
    const held = { logits, Logits: logits, "../x y": logits, "∞": logits };
    const whole: StepPart = { fields: held, reported: { loss: 1, gradients: { logits } }, context };
    const names = (record: Partial<StepRecord>) => [
      ...encodeStep({ format: 1, name: "x", intended, parts: [], ...whole, ...record }).files.keys(),
    ];
    const { fields: _, ...outer } = { format: 1 as const, name: "x", intended, ...whole };
    const expected = ["logits", "logits-2", "x-y", "tensor", "logits-gradient", "sequence-input-ids"];
    expected.push("scores-policy-chosen-log-probs", "scores-policy-chosen-mask");
    expect(names({})).toEqual(expected.map((name) => `${name}.npy`));
    const split = { ...outer, reported: { loss: 1, gradients: {} }, context: {}, parts: [{ ...whole, context: {} }] };
    expect([...encodeStep(split).files.keys()]).toEqual(
      ["part0-logits", "part0-logits-2", "part0-x-y", "part0", "part0-logits-gradient"].map((name) => `${name}.npy`),
    );
  });

  const valid: StepRecord = {
    format: 1,
    name: "mine",
    intended,
    fields: { logits },
    reported: { loss: null, gradients: {} },
    context: {},
    parts: [],
  };
  const bad: readonly [what: string, record: object, code: string, phrase: string][] = [
    ["neither fields nor parts", { fields: undefined }, "file", "record the tensors"],
    [
      "a gradient of another shape",
      { reported: { loss: 1, gradients: { logits: flat } } },
      "shape",
      "as it is recorded",
    ],
    ["a field that is no tensor", { fields: { logits: [1, 2] } }, "argument", "tensor(data, shape)"],
    ["a tensor where none is known", { context: { positions: flat } }, "file", "as JSON"],
    ["a threshold of NaN", { context: { decision: { threshold: Number.NaN, tuned: true } } }, "file", '"nan"'],
    ["an entry of another kind", { context: { rank: "first" } }, "file", "a whole number"],
    ["a key that is reserved", { intended: { constructor: 1 } }, "file", "rename"],
  ];
  it.each(bad)("refuses %s, as parseStep would", (_, changes, code, phrase) => {
    const error = errorOf(() => encodeStep({ ...valid, ...changes } as StepRecord));
    expect(error).toMatchObject({ code, where: expect.stringMatching(/^mine/) });
    expect(error.message).toContain(phrase);
  });

  it("refuses a context that contains itself", () => {
    const context: StepContext = {};
    context.self = context;
    expect(errorOf(() => encodeStep({ ...valid, context })).fix).toContain("flatten");
  });
});
