import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { parseNpy } from "./npy.js";
import { encodeStep, parseStep } from "./step.js";
import type { StepRecord } from "./step-record.js";

const zeros = (...shape: number[]): Tensor =>
  tensor(new Float32Array(shape.reduce((product, length) => product * length, 1)), shape);
const wholes = (...values: number[]): Tensor => tensor(Int32Array.from(values));

const store: Record<string, Tensor> = {
  scalar: zeros(),
  two: zeros(2),
  three: zeros(3),
  "two by three": zeros(2, 3),
  "three by two": zeros(3, 2),
  "two by three by five": zeros(2, 3, 5),
  "nine axes": zeros(1, 1, 1, 1, 1, 1, 1, 1, 1),
  "0 4": wholes(0, 4),
  "0 4 as int64": tensor(BigInt64Array.of(0n, 4n)),
  "0 4 as float64": tensor(Float64Array.of(0, 4)),
  "4 0": wholes(4, 0),
  "4 4": wholes(4, 4),
  "-1 4": wholes(-1, 4),
  "0 6": wholes(0, 6),
  "0 half": tensor(Float32Array.of(0, 0.5)),
  "0 nan": tensor(Float32Array.of(0, Number.NaN)),
  "0 and 2^62": tensor(BigInt64Array.of(0n, 2n ** 62n)),
  flags: tensor([true, false]),
  none: wholes(),
  "one row of places": tensor(Int32Array.of(0, 4), [1, 2]),
};
const load = (file: string): Tensor => store[file]!;

const intended = { objective: "crossEntropy" };
const reported = { loss: 1 };

/** A record with fields of its own: logits `[2, 3, 5]` and labels `[2, 3]`. */
const whole = (context: object) => ({
  format: 1,
  intended,
  fields: { logits: "two by three by five", labels: "two by three" },
  reported,
  context,
});

/** The same record in two parts, the second of other rows; a context of the record or of the second part. */
const split = (context: object, ofSecond: object = {}) => ({
  format: 1,
  intended,
  reported,
  context,
  parts: [
    { fields: { logits: "two by three by five", keys: "two by three" }, reported },
    { fields: { logits: "three by two", keys: "two by three" }, reported, context: ofSecond },
  ],
});

const term = (name: string, more: object = {}) => ({ name, coefficient: 1, ...more });
const task = term("task", { intended: true, fields: ["logits"] });
const sample = (more: object = {}) => ({
  sampled: { units: "0 4", shape: [2, 3], fields: ["logits"], tally: { denominator: 6 }, ...more },
});
const aligned = (fields: object, featureLengths: string, more: object = {}) => ({
  ...whole({ alignment: { featureLengths }, ...more }),
  fields,
});

function errorOf(work: () => unknown): LosswrightError {
  try {
    work();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const good: readonly [what: string, json: object][] = [
  ["one intended term among others", whole({ terms: [task, term("auxiliary", { coefficient: 0 })] })],
  ["a term of a field that was not recorded", whole({ terms: [task, term("balance", { fields: ["routerScores"] })] })],
  ["terms of a part", split({}, { terms: [task] })],
  ["gathered rows with their owners and ids", whole({ gathered: { labels: { ranks: "two", ids: "0 4" } } })],
  ["gathered rows with neither", whole({ gathered: { labels: {} } })],
  ["rows gathered in every part alike", split({ gathered: { keys: { ranks: "two" } } })],
  ["rows gathered in a part", split({}, { gathered: { logits: { ranks: "three" } } })],
  ["an output of the shape of its field", whole({ outputs: { logits: "two by three by five" } })],
  ["an output in a part", split({}, { outputs: { logits: "three by two" } })],
  ["a sample of two units", whole(sample())],
  ["a sample whose places are int64", whole(sample({ units: "0 4 as int64" }))],
  ["a sample whose places are whole floating-point numbers", whole(sample({ units: "0 4 as float64" }))],
  ["a sample of nothing", { ...whole(sample({ units: "none", fields: [] })) }],
  ["a sample of no field", whole(sample({ fields: [] }))],
  ["feature lengths beside labels", aligned({ labels: "two by three" }, "two")],
  [
    "feature lengths beside label lengths and labels in one row",
    aligned({ labels: "three", labelLengths: "two" }, "two"),
  ],
  ["feature lengths where nothing says how many examples there are", aligned({ logits: "three by two" }, "two")],
  [
    "feature lengths of all examples beside sampled labels",
    aligned({ labels: "two by three" }, "three", sample({ fields: ["labels"] })),
  ],
];

const bad: readonly [what: string, json: object, code: string, field: string, fix: string][] = [
  ["no term", whole({ terms: [] }), "file", "context.terms", '"intended": true'],
  [
    "terms of which none is intended",
    whole({ terms: [term("a"), term("b")] }),
    "file",
    "context.terms",
    '"intended": true',
  ],
  [
    "a term that says it is not intended",
    whole({ terms: [term("a", { intended: false })] }),
    "file",
    "context.terms",
    '"intended": true',
  ],
  [
    "two intended terms",
    whole({ terms: [task, term("b", { intended: true })] }),
    "file",
    "context.terms",
    "and in no other",
  ],
  ["terms of one name", whole({ terms: [task, term("task")] }), "file", "context.terms.1.name", "a name of its own"],
  [
    "a term of a misspelt field",
    whole({ terms: [{ ...task, fields: ["logit"] }] }),
    "unknown",
    "context.terms.0.fields",
    'write "logits"',
  ],
  ["terms of a part", split({}, { terms: [term("a")] }), "file", "parts.1.context.terms", '"intended": true'],
  [
    "gathered rows of no field",
    whole({ gathered: { keys: { ranks: "two" } } }),
    "unknown",
    "context.gathered.keys",
    "name a field of the record",
  ],
  [
    "gathered rows of a misspelt field",
    whole({ gathered: { label: { ranks: "two" } } }),
    "unknown",
    "context.gathered.label",
    'write "labels"',
  ],
  [
    "gathered rows of a name that every object answers to",
    whole({ gathered: { toString: { ranks: "two" } } }),
    "unknown",
    "context.gathered.toString",
    "name a field",
  ],
  [
    "more owners than rows",
    whole({ gathered: { logits: { ranks: "three" } } }),
    "shape",
    "context.gathered.logits.ranks",
    "each row as it was gathered",
  ],
  [
    "ids in two axes",
    whole({ gathered: { labels: { ids: "two by three" } } }),
    "shape",
    "context.gathered.labels.ids",
    "each row",
  ],
  [
    "owners of the rows of a scalar",
    { ...whole({ gathered: { scale: { ranks: "scalar" } } }), fields: { scale: "scalar" } },
    "shape",
    "context.gathered.scale.ranks",
    "each row",
  ],
  [
    "owners that fit one part and not the other",
    split({ gathered: { logits: { ranks: "two" } } }),
    "shape",
    "context.gathered.logits.ranks",
    "each row",
  ],
  [
    "owners in a part that has no such field",
    split({}, { gathered: { queries: { ranks: "two" } } }),
    "unknown",
    "parts.1.context.gathered.queries",
    "name a field",
  ],
  ["an output of no field", whole({ outputs: { hidden: "two" } }), "unknown", "context.outputs.hidden", "name a field"],
  [
    "an output of another shape",
    whole({ outputs: { labels: "three by two" } }),
    "shape",
    "context.outputs.labels",
    "entry for entry",
  ],
  [
    "an output of nine axes",
    whole({ outputs: { labels: "nine axes" } }),
    "shape",
    "context.outputs.labels",
    "entry for entry",
  ],
  [
    "an output of another shape in a part",
    split({}, { outputs: { logits: "two by three" } }),
    "shape",
    "parts.1.context.outputs.logits",
    "entry for entry",
  ],
  [
    "a sample of a field that is not there",
    whole(sample({ fields: ["logits", "mask"] })),
    "unknown",
    "context.sampled.fields.1",
    "name a field",
  ],
  [
    "a sample of a misspelt field",
    whole(sample({ fields: ["logit"] })),
    "unknown",
    "context.sampled.fields.0",
    'write "logits"',
  ],
  [
    "fewer units than rows",
    whole(sample({ units: "none" })),
    "shape",
    "context.sampled.units",
    "name no field that is whole",
  ],
  [
    "a sample of a scalar",
    { ...whole(sample({ fields: ["scale"] })), fields: { scale: "scalar" } },
    "shape",
    "context.sampled.units",
    "name no field that is whole",
  ],
  ["units in descending order", whole(sample({ units: "4 0" })), "value", "context.sampled.units", "ascending order"],
  ["a unit twice", whole(sample({ units: "4 4" })), "value", "context.sampled.units", "each once"],
  ["a negative unit", whole(sample({ units: "-1 4" })), "value", "context.sampled.units", "places below 6"],
  ["a unit outside", whole(sample({ units: "0 6" })), "value", "context.sampled.units", "places below 6"],
  ["a unit far outside", whole(sample({ units: "0 and 2^62" })), "value", "context.sampled.units", "places below 6"],
  ["half a unit", whole(sample({ units: "0 half" })), "value", "context.sampled.units", "whole numbers"],
  ["a unit that is no number", whole(sample({ units: "0 nan" })), "value", "context.sampled.units", "whole numbers"],
  ["a mask in place of units", whole(sample({ units: "flags" })), "dtype", "context.sampled.units", "not a mask"],
  ["units in two axes", whole(sample({ units: "one row of places" })), "shape", "context.sampled.units", "[n]"],
  ["units of an empty step", whole(sample({ shape: [0, 3] })), "value", "context.sampled.units", "places below 0"],
  [
    "a shape of units that no array has",
    whole(sample({ shape: [2 ** 30, 2 ** 30] })),
    "shape",
    "context.sampled.shape",
    "below 2^53",
  ],
  [
    "an empty shape of units whose other axes overflow",
    whole(sample({ shape: [0, 2 ** 50, 2 ** 50], units: "none", fields: [] })),
    "shape",
    "context.sampled.shape",
    "below 2^53",
  ],
  [
    "a shape of a thousand axes",
    whole(sample({ shape: new Array(1000).fill(2) })),
    "shape",
    "context.sampled.shape",
    "below 2^53",
  ],
  [
    "feature lengths of other examples than the labels",
    aligned({ labels: "two by three" }, "three"),
    "shape",
    "context.alignment.featureLengths",
    "frames of each example",
  ],
  [
    "feature lengths of other examples than the lengths say",
    aligned({ labels: "three by two", inputLengths: "two" }, "three"),
    "shape",
    "context.alignment.featureLengths",
    "frames of each example",
  ],
  [
    "feature lengths in two axes",
    aligned({ labels: "two by three" }, "two by three"),
    "shape",
    "context.alignment.featureLengths",
    "[B]",
  ],
];

describe("a record whose entries fit each other", () => {
  it("may hold tensors without a number, as long as a step makes them", () => {
    for (const shape of [[0, 2048, 128256], [2 ** 16, 0], [4096, 0, 512], [0]]) {
      const empty = tensor(new Float32Array(0), shape);
      expect(parseStep(whole({}), () => empty, "record").fields!.logits).toBe(empty);
    }
  });

  it.each(good)("may have %s", (_, json) => {
    const record = parseStep(json, load, "record");
    const { json: text, files } = encodeStep(record);
    expect(parseStep(text, (file) => parseNpy(files.get(file)!, file), "record")).toEqual(record);
  });
});

describe("a record whose entries contradict each other", () => {
  it.each(bad)("is refused: %s", (_, json, code, field, fix) => {
    const error = errorOf(() => parseStep(json, load, "record"));
    expect(error).toMatchObject({ code, where: "record", field });
    expect(`${error.expected} ${error.fix}`).toContain(fix);
    expect(error.message.length).toBeLessThan(500);
  });

  it("is not written either", () => {
    const logits = zeros(2, 3);
    const valid: StepRecord = {
      format: 1,
      name: "mine",
      intended,
      fields: { logits },
      reported: { loss: 1, gradients: {} },
      context: {},
      parts: [],
    };
    const contexts: [StepRecord["context"], string][] = [
      [{ outputs: { logits: zeros(3, 2) } }, "context.outputs.logits"],
      [{ terms: [{ name: "a", coefficient: 1 }] }, "context.terms"],
    ];
    for (const [context, field] of contexts) {
      expect(errorOf(() => encodeStep({ ...valid, context }))).toMatchObject({ where: "mine", field });
    }
  });

  it.each([
    ["rows of nothing", [2 ** 17, 0]],
    ["rows of nothing in two axes", [2 ** 9, 2 ** 9, 0]],
    ["entries in no row", [0, 2 ** 25]],
  ])("is refused where a tensor without a number has too many %s", (_, shape) => {
    const empty = tensor(new Float32Array(0), shape);
    const error = errorOf(() => parseStep(whole({}), () => empty, "record"));
    expect(error).toMatchObject({ code: "shape", where: "record", field: "fields.logits" });
    expect(error.expected).toContain("in an empty tensor");
  });

  it("names the place of the unit that is wrong", () => {
    expect(errorOf(() => parseStep(whole(sample({ units: "0 6" })), load, "x")).index).toEqual([1]);
  });
});
