/**
 * `losswright tally` and `losswright merge` as processes: parts of a step counted apart and merged to the bits of the
 * whole. The sources are compiled for this file into a folder of their own, so that no earlier build can answer in
 * their place.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { crossEntropy, huber, infoNce, objectiveFrom, Tally, tensor, total, weightedSum } from "../src/index.js";
import { writeStep } from "../src/io/files.js";
import { encodeNpy, encodeNpz, encodeSafetensors, type StepContext, type StepRecord } from "../src/io/index.js";
import type { Tensor } from "../src/tensor/index.js";
import { bits } from "./instruments/bits.js";
import { compiledCommand, plainEnvironment, root, runCommand } from "./instruments/command.js";
import { Random } from "./instruments/random.js";

const { folder, main } = compiledCommand("merge");

/** Runs the command in the folder of the files. */
const losswright = (...args: readonly string[]) => runCommand(main, args, { cwd: folder });

/** Runs it where it must succeed, and gives what it printed. */
function printed(...args: readonly string[]): string {
  const { out, err, code } = losswright(...args);
  expect([err, code], args.join(" ")).toEqual(["", 0]);
  return out;
}

/** What it says where it refuses: one line, and nothing on standard output. */
function refusal(...args: readonly string[]): string {
  const { out, err, code } = losswright(...args);
  expect([out, code], err).toEqual(["", 2]);
  expect(err).toMatch(/^losswright: [^\n]*\n$/);
  return err.trimEnd();
}

const path = (name: string) => join(folder, name);
const write = (name: string, content: string | Uint8Array) => writeFileSync(path(name), content);
const writeJson = (name: string, content: unknown) => write(name, JSON.stringify(content));
const read = (name: string) => readFileSync(path(name), "utf8");
const readJson = (name: string) => JSON.parse(read(name));

type Fields = Readonly<Record<string, Tensor>>;

/** Rows of axis 0 of every field. */
function rows(fields: Fields, from: number, to: number): Fields {
  const cut = Object.entries(fields).map(([name, { data, shape }]) => {
    const width = shape.slice(1).reduce((product, length) => product * length, 1);
    return [name, tensor(data.slice(from * width, to * width), [to - from, ...shape.slice(1)])] as const;
  });
  return Object.fromEntries(cut);
}

/** Writes fields in the format that the number says, and gives the arguments that name them. */
function written(name: string, fields: Fields, format: number): string[] {
  const entries = new Map(Object.entries(fields));
  if (format % 3 === 0) {
    write(`${name}.npz`, encodeNpz(entries));
    return [`${name}.npz`];
  }
  if (format % 3 === 1) {
    write(`${name}.safetensors`, encodeSafetensors(entries));
    return [`${name}.safetensors`];
  }
  return [...entries].map(([field, value]) => {
    write(`${name}-${field}.npy`, encodeNpy(value));
    return `${field}=${name}-${field}.npy`;
  });
}

/** Value, numerator and denominator of a document of `--json`, each to the bit. */
function numbers(json: string) {
  const { value, numerator, denominator } = JSON.parse(json);
  return { value: bits(value), numerator: bits(numerator), denominator: bits(denominator) };
}

/** Cross entropy as a contract gives it, which takes any fields. */
const tokenMean = (more: object = {}) => objectiveFrom({ objective: "crossEntropy", ...more });

// ------------------------------------------------------------------------------------------------ batches

/** Rows of a batch that the parts begin at: uneven, one part without rows, one whose only row counts nothing. */
const cuts = [0, 4, 4, 5, 9] as const;
const emptyRow = 4;
const [rowCount, length, classes] = [9, 7, 5];

/** Token labels: every row with some that are ignored, one row with nothing else. */
function tokens(random: Random): Fields {
  const labels = BigInt64Array.from({ length: rowCount * length }, (_, at) => {
    const isIgnored = Math.floor(at / length) === emptyRow || random.chance(0.3);
    return isIgnored ? -100n : BigInt(random.integer(0, classes - 1));
  });
  const logits = Float32Array.from({ length: rowCount * length * classes }, () => random.real(3));
  return { logits: tensor(logits, [rowCount, length, classes]), labels: tensor(labels, [rowCount, length]) };
}

function withWeights(fields: Fields, random: Random): Fields {
  const weights = Float32Array.from({ length: rowCount * length }, () => random.between(0.1, 3));
  return { ...fields, weights: tensor(weights, [rowCount, length]) };
}

/** Elements in float64, with a mask that leaves nothing of one row. */
function elements(random: Random): Fields {
  const numbers = () =>
    tensor(
      Float64Array.from({ length: rowCount * 3 }, () => random.next() * 4 - 2),
      [rowCount, 3],
    );
  const mask = Uint8Array.from({ length: rowCount * 3 }, (_, at) =>
    Math.floor(at / 3) !== emptyRow && random.chance(0.8) ? 1 : 0,
  );
  return { predictions: numbers(), targets: numbers(), mask: tensor(mask, [rowCount, 3]) };
}

/** Tokens on one axis, of sequences that lie in pieces over all of it. */
function pieces(random: Random): Fields {
  const units = rowCount * length;
  const { logits, labels } = tokens(random);
  const keys = BigInt64Array.from({ length: units }, () => BigInt(random.integer(0, 11)) * 2n ** 40n);
  return {
    logits: tensor(logits!.data, [units, classes]),
    labels: tensor(labels!.data, [units]),
    groupKeys: tensor(keys),
  };
}

/** Columns of axis 1 of every field. */
function columns(fields: Fields, from: number, to: number): Fields {
  const cut = Object.entries(fields).map(([name, { data, shape }]) => {
    const [count, all, ...rest] = shape as [number, number, ...number[]];
    const width = rest.reduce((product, each) => product * each, 1);
    const kept = Array.from({ length: count }, (_, row) =>
      Array.from(data.slice((row * all + from) * width, (row * all + to) * width) as ArrayLike<number>),
    ).flat();
    const made = new (data.constructor as Float32ArrayConstructor)(kept);
    return [name, tensor(made, [count, to - from, ...rest])] as const;
  });
  return Object.fromEntries(cut);
}

/** Writes a record of these parts. */
async function step(name: string, contract: object, parts: readonly Fields[], context: StepContext = {}) {
  const reported = { loss: null, gradients: {} };
  const whole = parts.length === 1 ? { fields: parts[0], parts: [] } : undefined;
  const record = {
    format: 1,
    name,
    intended: { ...contract, version: 1 },
    reported: { loss: 0, gradients: {} },
    context,
    ...(whole ?? { parts: parts.map((fields) => ({ fields, reported, context: {} })) }),
  };
  await writeStep(path(name), record as unknown as StepRecord);
}

// ------------------------------------------------------------------------------------------------ files of all tests

/** What `plain-whole.npz` holds, and by its parts the files of `plain-0.json` and so on. */
const plain = tokens(new Random(8));
const plainParts = cuts.slice(1).map((_, i) => `plain-${i}.json`);

beforeAll(async () => {
  writeJson("plain.json", { objective: "crossEntropy" });
  written("plain-whole", plain, 0);
  for (const [i, part] of plainParts.entries()) {
    const files = written(`plain-${i}`, rows(plain, cuts[i]!, cuts[i + 1]!), 0);
    // Without -o the tally is what is printed.
    write(part, printed("tally", "--contract", "plain.json", ...files));
  }
  for (const [i, name] of ["own-left", "own-right"].entries())
    writeJson(`${name}.json`, tokenMean().tally(tokens(new Random(i))));
  await step("single", { objective: "crossEntropy" }, [tokens(new Random(31))]);
}, 60_000);

// ------------------------------------------------------------------------------------------------ laws

const weighted = { objective: "crossEntropy", options: { classWeights: [0.1, 3, 1, 0.7, 2.5], labelSmoothing: 0.1 } };

interface Case {
  readonly what: string;
  readonly contract: object;
  readonly batchOf: (random: Random) => Fields;
  readonly engine?: "wasm";
  /** Entries of axis 0 that stand for a row of the cuts. */
  readonly scale?: number;
  /** Whether it is merged as a tree too. */
  readonly isTree?: boolean;
}

const weightedTokens = (random: Random) => withWeights(tokens(random), random);
const cases: readonly Case[] = [
  { what: "a mean over tokens", contract: { objective: "crossEntropy" }, batchOf: tokens, isTree: true },
  { what: "class weights by kernels", contract: weighted, batchOf: tokens, engine: "wasm" },
  {
    what: "a mean inside sequences",
    contract: { ...weighted, reduction: { per: "sequence" } },
    batchOf: weightedTokens,
  },
  {
    what: "sums inside samples",
    contract: { objective: "squaredError", reduction: { per: "sample" } },
    batchOf: elements,
  },
  {
    what: "a constant by kernels",
    contract: { objective: "crossEntropy", reduction: { divideBy: { constant: 1000 } } },
    batchOf: weightedTokens,
    engine: "wasm",
  },
  {
    what: "sequences in pieces, weighted, where nothing counted is an error",
    contract: { ...weighted, reduction: { per: "sequence", onEmpty: "throw" } },
    batchOf: pieces,
    scale: length,
    isTree: true,
  },
];

describe("parts counted apart merge to the bits of the whole:", () => {
  it.each(cases)("$what", ({ what, contract, batchOf, engine, scale = 1, isTree }) => {
    const name = what.replace(/\W/g, "-");
    writeJson(`${name}.json`, contract);
    const whole = batchOf(new Random(what.length));
    const common = ["--contract", `${name}.json`, ...(engine ? ["--engine", engine] : [])];
    const wanted = numbers(printed("evaluate", ...common, ...written(`${name}-whole`, whole, 0), "--json"));
    const parts = cuts.slice(1).map((to, i) => {
      const part = `${name}-${i}.json`;
      const fields = rows(whole, cuts[i]! * scale, to * scale);
      const said = printed("tally", ...common, ...written(`${name}-${i}`, fields, i), "-o", part);
      expect(said).toBe(`wrote ${part}\n`);
      return part;
    });
    const mergedOf = (given: readonly string[], into: string) => {
      expect(numbers(printed("merge", ...given, "--json", "-o", into))).toEqual(wanted);
      return read(into);
    };
    const inOrder = mergedOf(parts, `${name}-order.json`);
    // The whole file, not only what is read from it: the order leaves no trace.
    expect(mergedOf(new Random(1).shuffled(parts), `${name}-shuffled.json`)).toBe(inOrder);
    if (!isTree) return;
    printed("merge", parts[1]!, parts[2]!, "-o", `${name}-nothing.json`);
    printed("merge", parts[3]!, `${name}-nothing.json`, "-o", `${name}-right.json`);
    expect(mergedOf([`${name}-right.json`, parts[0]!], `${name}-tree.json`)).toBe(inOrder);
  });

  it("and print as evaluate does, with how many there were", () => {
    const told = printed("evaluate", "--contract", "plain.json", "plain-whole.npz");
    expect(printed("merge", ...plainParts)).toBe(`${told}merged 4 parts, of which 2 count nothing\n`);
    const only = printed("evaluate", "--contract", "plain.json", "plain-0.npz");
    expect(printed("merge", plainParts[0]!, "-o", "plain-one.json")).toBe(
      `${only}merged 1 part\nwrote plain-one.json\n`,
    );
    const nothing = printed("merge", plainParts[1]!, plainParts[2]!);
    expect(nothing).toMatch(/^0 \/ 0 = 0\nmerged 2 parts, in which nothing counts$/m);
  });

  it("and say as JSON what evaluate says, with the merged tally and the number of parts", () => {
    const document = JSON.parse(printed("merge", "plain-0.json", "plain-1.json", "plain-3.json", "--json"));
    const own = JSON.parse(printed("evaluate", "--contract", "plain.json", "plain-3.npz", "--json"));
    expect(Object.keys(document)).toEqual([...Object.keys(own), "merged"]);
    expect(document.contract).toEqual(own.contract);
    expect(document.merged).toEqual({ parts: 3, empty: 1 });
    const tallies = [0, 1, 3].map((i) => Tally.fromJSON(readJson(`plain-${i}.json`)));
    expect(document.tallies).toEqual([JSON.parse(JSON.stringify(total(tallies)))]);
  });

  it("and one from the library's own JSON, which knows no sources", () => {
    const objective = tokenMean();
    const { value } = JSON.parse(printed("merge", "own-left.json", "own-right.json", "--json", "-o", "own.json"));
    expect(bits(value)).toBe(
      bits(objective.value(total([0, 1].map((seed) => objective.tally(tokens(new Random(seed))))))),
    );
    expect(readJson("own.json")).not.toHaveProperty("sources");
    // Beside one with sources, those of the others are kept.
    printed("merge", "own-left.json", "plain-3.json", "-o", "own.json");
    expect(readJson("own.json").sources).toEqual(readJson("plain-3.json").sources);
  });

  it("and a note where engines were mixed", () => {
    const files = written("mixed", tokens(new Random(9)), 1);
    for (const engine of ["reference", "wasm"])
      printed("tally", "--contract", "plain.json", ...files, "--engine", engine, "-o", `mixed-${engine}.json`);
    write("other.npz", encodeNpz(new Map(Object.entries(tokens(new Random(10))))));
    printed("tally", "--contract", "plain.json", "other.npz", "--engine", "wasm", "-o", "mixed-other.json");
    const said = printed("merge", "mixed-reference.json", "mixed-other.json").split("\n");
    const note = "the tally merges losses of the engines reference and wasm, which may differ in the last bits";
    expect(said.slice(2)).toEqual(["merged 2 parts", `note: ${note}`, ""]);
    // The same numbers are one source, whatever computed them.
    expect(refusal("merge", "mixed-reference.json", "mixed-wasm.json")).toContain("counted twice");
  });

  it("and a note that names the first file with a loss that is not finite", () => {
    const { logits, labels } = tokens(new Random(11));
    const data = Float32Array.from(logits!.data as Float32Array, (z, at) => (at % 20 === 3 ? Number.NaN : z));
    const files = written("nan", { logits: tensor(data, logits!.shape), labels: labels! }, 0);
    printed("tally", "--contract", "plain.json", ...files, "-o", "nan.json");
    const document = JSON.parse(printed("merge", "plain-0.json", "nan.json", "plain-3.json", "--json"));
    const { nan } = readJson("nan.json").numerator;
    expect(nan).toBeGreaterThan(1);
    expect(document.value).toBe("nan");
    const message = `${nan} terms of the numerator are NaN or infinite, first in nan.json`;
    expect(document.notes).toEqual([{ code: "non-finite-loss", message, count: nan }]);
  });
});

// ------------------------------------------------------------------------------------------------ weighted sums

describe("a weighted sum", () => {
  const objective = weightedSum({
    policy: { objective: crossEntropy({ per: "sequence" }), weight: 1 },
    "value-head": { objective: huber({ delta: 0.5 }), weight: -0.3 },
  });
  const random = new Random(21);
  const policy = tokens(random);
  const value = elements(random);
  const spelt = (batch: Readonly<Record<string, Fields>>) =>
    Object.fromEntries(
      Object.entries(batch).flatMap(([part, fields]) =>
        Object.entries(fields).map(([field, each]) => [`${part}.${field}`, each] as const),
      ),
    );
  const parts = [0, 1, 2].map((i) => `sum-${i}.json`);

  beforeAll(() => {
    writeJson("sum.json", objective.contract);
    write("sum-whole.npz", encodeNpz(new Map(Object.entries(spelt({ policy, "value-head": value })))));
    const batches = [
      { policy: rows(policy, 0, 2), "value-head": rows(value, 0, 5) },
      { policy: rows(policy, 2, 6), "value-head": rows(value, 5, 6) },
      { policy: rows(policy, 6, 9), "value-head": rows(value, 6, 9) },
    ];
    for (const [i, batch] of batches.entries()) {
      const files = written(`sum-${i}`, spelt(batch), i);
      printed("tally", "--contract", "sum.json", "--engine", "reference", ...files, "-o", parts[i]!);
    }
  }, 60_000);

  it("merges part by part, to the bits of the whole, which evaluate gives too", () => {
    const whole = objective.evaluate({ policy, "value-head": value } as never);
    const own = (name: "policy" | "value-head") => {
      const fields = name === "policy" ? policy : value;
      const {
        value: each,
        numerator,
        denominator,
      } = objectiveFrom(objective.contract.parts[name]!.contract).withEngine("reference").evaluate(fields);
      const { weight } = objective.contract.parts[name]!;
      return { weight, value: each, numerator, denominator };
    };
    const wanted = { policy: own("policy"), "value-head": own("value-head") };
    const documents = [
      printed("evaluate", "--contract", "sum.json", "sum-whole.npz", "--json"),
      printed("merge", ...parts, "--json", "-o", "sum-order.json"),
      printed("merge", parts[2]!, parts[0]!, parts[1]!, "--json", "-o", "sum-other.json"),
    ].map((text) => JSON.parse(text));
    for (const document of documents) {
      expect(document.parts).toEqual(wanted);
      expect(document.value).toBe(wanted.policy.value + -0.3 * wanted["value-head"].value);
      expect(document.contract).toEqual(objective.contract);
    }
    expect(documents[0].value).toBeCloseTo(whole.value, 6);
    expect(read("sum-other.json")).toBe(read("sum-order.json"));
  });

  it("is printed with the division of each part", () => {
    const lines = printed("merge", ...parts).split("\n");
    expect(lines[0]).toBe(objective.describe());
    expect(lines[1]).toMatch(/^policy: {5}\S+ \/ 8 = (\S+)$/);
    expect(lines[2]).toMatch(/^value-head: \S+ \/ \d+ = (\S+)$/);
    const [left, right] = [1, 2].map((i) => lines[i]!.split(" = ")[1]);
    expect(lines[3]).toMatch(`1 x ${left} + -0.3 x ${right} = `);
    expect(lines.slice(4)).toEqual(["merged 3 parts", ""]);
    const evaluated = printed("evaluate", "--contract", "sum.json", "sum-whole.npz");
    expect(lines.slice(0, 4).join("\n")).toBe(evaluated.trimEnd());
  });

  it("of the library's JSON has no weights, which is said; with the contract beside it, it has", () => {
    const tally = objective.tally({ policy, "value-head": value } as never);
    writeJson("bare.json", tally);
    const document = JSON.parse(printed("merge", "bare.json", "--json"));
    expect([document.value, document.contract]).toEqual([null, null]);
    expect(document.notes.map(({ code }: { code: string }) => code)).toEqual(["no-weights"]);
    const said = printed("merge", "bare.json");
    expect(said).toMatch(/^a weighted sum of policy \(cross entropy /);
    expect(said).toContain("note: no file holds the weights of the sum, so its value is not known: write ");
    expect(said).not.toContain(" x ");
    writeJson("with-contract.json", { ...tally.toJSON(), contract: objective.contract });
    expect(JSON.parse(printed("merge", "with-contract.json", "--json")).value).toBe(objective.value(tally));
    // The weights of one file are those of all.
    expect(JSON.parse(printed("merge", "bare.json", "with-contract.json", "--json")).contract.objective).toBe(
      "weightedSum",
    );
  });

  it("refuses other weights, other parts, and one objective", () => {
    const other = weightedSum({
      policy: { objective: crossEntropy({ per: "sequence" }), weight: 1 },
      "value-head": { objective: huber({ delta: 0.5 }), weight: 0.5 },
    });
    const batch = { policy: rows(policy, 0, 1), "value-head": rows(value, 0, 1) };
    writeJson("heavier.json", { ...other.tally(batch as never).toJSON(), contract: other.contract });
    expect(refusal("merge", parts[0]!, "heavier.json")).toBe(
      "losswright: heavier.json: contract: found parts.value-head.weight: -0.3 and 0.5, in sum-0.json and here; expected parts of one contract. Fix: count every part under one contract: losswright tally --contract FILE.",
    );
    const loose = weightedSum({
      policy: { objective: crossEntropy(), weight: 1 },
      "value-head": { objective: huber({ delta: 0.5 }), weight: -0.3 },
    });
    writeJson("loose.json", loose.tally(batch as never));
    expect(refusal("merge", parts[0]!, "loose.json")).toContain(
      'loose.json: contract: found policy: reduction.per: "sequence" and "token", in sum-0.json and here;',
    );
    writeJson("lone.json", tokenMean({ reduction: { per: "sequence" } }).tally(policy));
    expect(refusal("merge", "lone.json", parts[0]!)).toBe(
      "losswright: sum-0.json: found the tally of a weighted sum of policy, value-head; expected one objective, as in lone.json. Fix: count every part under one contract.",
    );
    const policyAlone = weightedSum({ policy: { objective: crossEntropy({ per: "sequence" }), weight: 1 } });
    writeJson("policy.json", policyAlone.tally({ policy } as never));
    expect(refusal("merge", parts[0]!, "policy.json")).toContain(
      "found the tally of a weighted sum of policy; expected a weighted sum of policy, value-head, as in sum-0.json.",
    );
    const both = objective.tally({ policy, "value-head": value } as never);
    writeJson("foreign.json", { ...both.toJSON(), contract: policyAlone.contract });
    expect(refusal("merge", "foreign.json")).toContain(
      "foreign.json: contract: found the parts policy; expected a weighted sum of the parts that were counted: policy, value-head.",
    );
  });

  it("wants fields with their part before them", () => {
    write("unspelt.npz", encodeNpz(new Map(Object.entries(policy))));
    const [, said] = refusal("tally", "--contract", "sum.json", "unspelt.npz").split("unspelt.npz: ");
    expect(said).toContain(
      'logits: found an unknown field of a weighted sum "logits"; expected one of policy.logits, ',
    );
    expect(said).toContain('Fix: write "policy.logits".');
    expect(refusal("evaluate", "--contract", "sum.json", "value-head.target=unspelt.npz")).toContain(
      'Fix: write "value-head.targets".',
    );
    expect(refusal("evaluate", "--contract", "sum.json", "policy.logits=sum-1.safetensors")).toContain("none named");
  });
});

// ------------------------------------------------------------------------------------------------ step records

describe("a step record", () => {
  it("of several micro-batches gives one tally of all, and each is a source", () => {
    const record = "examples/steps/sft-mean-of-means";
    const run = (...args: readonly string[]) => runCommand(main, args, { cwd: root });
    const { out, err, code } = run("tally", record, "-o", path("example.json"));
    expect([out, err, code]).toEqual([`wrote ${path("example.json")}\n`, "", 0]);
    const { sources, batches } = readJson("example.json");
    expect(sources.map(({ name }: { name: string }) => name)).toEqual([0, 1, 2, 3].map((i) => `${record}#parts.${i}`));
    expect(batches).toBe(4);
    const told = run("evaluate", record).out;
    expect(printed("merge", "example.json")).toBe(`${told}merged 1 part\n`);
    const wanted = numbers(run("evaluate", record, "--json").out);
    // One of its micro-batches, counted from its files, is known again.
    writeJson("example-contract.json", JSON.parse(readFileSync(join(root, record, "step.json"), "utf8")).intended);
    const files = ["logits", "labels"].map((field) => `${field}=${join(root, record, `part2-${field}.npy`)}`);
    printed("tally", "--contract", "example-contract.json", ...files, "-o", "example-2.json");
    expect(refusal("merge", "example.json", "example-2.json")).toContain(
      `counted twice: here and in example.json, there called "${record}#parts.2"`,
    );
    expect(numbers(printed("merge", "example.json", "--json"))).toEqual(wanted);
  });

  it("has the same source as its tensors in an archive", () => {
    printed("tally", "single", "-o", "single.json");
    printed(
      "tally",
      "--contract",
      "plain.json",
      ...written("single-copy", tokens(new Random(31)), 1),
      "-o",
      "single-copy.json",
    );
    const [own, copy] = ["single.json", "single-copy.json"].map((file) => readJson(file).sources);
    expect(own).toEqual([{ name: "single", sha256: copy[0].sha256 }]);
    expect(copy[0].name).toBe("single-copy.safetensors");
  });

  it.each(["token", "sequence"])("cut along time is put together first: per %s", async (per) => {
    const whole = withWeights(tokens(new Random(32)), new Random(33));
    const contract = { objective: "crossEntropy", options: { labelShift: 1 }, reduction: { per, onEmpty: "throw" } };
    const cutAt = [columns(whole, 0, 2), columns(whole, 2, 3), columns(whole, 3, length)];
    await step(`time-${per}`, contract, cutAt, { splitAxis: "sequence" });
    printed("tally", `time-${per}`, "-o", `time-${per}.json`);
    const wanted = numbers(printed("evaluate", `time-${per}`, "--json"));
    expect(numbers(printed("merge", `time-${per}.json`, "--json"))).toEqual(wanted);
    const objective = objectiveFrom(contract as never).withEngine("reference");
    expect(wanted.value).toBe(bits(objective.evaluate(whole).value));
    expect(readJson(`time-${per}.json`).sources).toHaveLength(3);
  });

  it("in which nothing counts has a tally, and no source", async () => {
    const nothing = rows(tokens(new Random(34)), emptyRow, emptyRow + 1);
    const contract = { objective: "crossEntropy", reduction: { onEmpty: "throw" } };
    await step("nothing", contract, [nothing]);
    await step("nothing-in-time", contract, [columns(nothing, 0, 3), columns(nothing, 3, length)], {
      splitAxis: "sequence",
    });
    for (const name of ["nothing", "nothing-in-time"]) {
      printed("tally", name, "-o", `${name}.json`);
      expect(readJson(`${name}.json`).sources).toEqual([]);
    }
    // Any number of them are no repetition; all together are still nothing.
    const said = refusal("merge", "nothing.json", "nothing-in-time.json");
    expect(said).toContain("crossEntropy: found nothing that counts: the denominator is 0;");
    const out = printed("merge", "nothing.json", "nothing-in-time.json", "-o", "still-nothing.json");
    expect(out).toMatch(/^0 \/ 0 = no value\nmerged 2 parts, in which nothing counts$/m);
    expect(out).toContain("note: nothing counts, which the contract calls an error where it is the whole step");
    const document = JSON.parse(printed("merge", "still-nothing.json", "-o", "again.json", "--json"));
    expect([document.value, document.denominator]).toEqual([null, 0]);
    // With a part that counts there is a value.
    writeJson("throwing.json", contract);
    printed("tally", "--contract", "throwing.json", "plain-3.npz", "-o", "something.json");
    expect(printed("merge", "still-nothing.json", "something.json")).toContain(
      "merged 2 parts, of which 1 counts nothing",
    );
  });

  it("of ranks that know each other's rows is one batch", async () => {
    const random = new Random(35);
    const embeddings = () =>
      tensor(
        Float32Array.from({ length: 24 }, () => random.real(1)),
        [6, 4],
      );
    const whole = { queries: embeddings(), keys: embeddings() };
    await step("ranks", { objective: "infoNce" }, [rows(whole, 0, 2), rows(whole, 2, 6)], { ranks: 2 });
    printed("tally", "ranks", "-o", "ranks.json");
    const wanted = bits(infoNce().withEngine("reference").evaluate(whole).value);
    expect(numbers(printed("merge", "ranks.json", "--json")).value).toBe(wanted);
    expect(readJson("ranks.json")).toMatchObject({ batches: 1, couples: true });
    expect(readJson("ranks.json").sources).toHaveLength(2);
  });

  it("whose ranks each hold the keys of all is several batches of one set of negatives", async () => {
    const random = new Random(36);
    const keys = tensor(
      Float32Array.from({ length: 24 }, () => random.real(1)),
      [6, 4],
    );
    const part = (from: number, to: number) => ({
      queries: tensor(
        Float32Array.from({ length: (to - from) * 4 }, () => random.real(1)),
        [to - from, 4],
      ),
      keys,
      labels: tensor(Int32Array.from({ length: to - from }, (_, i) => from + i)),
    });
    await step("gathered", { objective: "infoNce" }, [part(0, 4), part(4, 6)], { ranks: 2 });
    printed("tally", "gathered", "-o", "gathered.json");
    const wanted = numbers(printed("evaluate", "gathered", "--json"));
    expect(numbers(printed("merge", "gathered.json", "--json"))).toEqual(wanted);
    expect(readJson("gathered.json").batches).toBe(2);
  });

  it("that is a sample, of a weighted sum, or for kernels is refused", async () => {
    const fields = rows(tokens(new Random(37)), 0, 1);
    const sampled = {
      units: tensor(Int32Array.from({ length }, (_, i) => i)),
      shape: [rowCount, length],
      fields: ["logits"],
      tally: { numerator: 1, denominator: 3 },
    };
    const { logits, labels } = fields;
    const flat = { logits: tensor(logits!.data, [length, classes]), labels: tokens(new Random(37)).labels! };
    expect(labels!.shape).toEqual([1, length]);
    await step("sampled", { objective: "crossEntropy" }, [flat], { sampled } as StepContext);
    expect(refusal("tally", "sampled")).toBe(
      "losswright: sampled: context.sampled: found a sample of a step, of which rounded sums of crossEntropy were kept; expected a step recorded whole: a tally is exact. Fix: record the step whole, or merge tallies of its parts.",
    );
    await step("single-of-sum", { objective: "weightedSum", parts: {} }, [fields]);
    for (const command of ["tally", "evaluate"]) {
      expect(refusal(command, "single-of-sum")).toContain(
        "single-of-sum: intended: found a weighted sum, whose parts each have their own fields; expected the contract of one objective.",
      );
      expect(refusal(command, "single", "--engine", "wasm")).toContain(
        `${command}: --engine: found wasm for a step record; expected reference:`,
      );
      expect(refusal(command, "single", "single")).toContain(`Fix: ${command} one record at a time, or say --contract`);
    }
  });
});

// ------------------------------------------------------------------------------------------------ repetition, coupling

describe("a source that was counted twice", () => {
  beforeAll(() => {
    const fields = tokens(new Random(41));
    write("shard.npz", encodeNpz(new Map(Object.entries(fields))));
    write("retried.npz", encodeNpz(new Map(Object.entries(fields))));
    write("last.npz", encodeNpz(new Map(Object.entries(tokens(new Random(42))))));
    for (const name of ["shard", "retried", "last"])
      printed("tally", "--contract", "plain.json", `${name}.npz`, "-o", `${name}.json`);
    printed("merge", "shard.json", "last.json", "-o", "both.json");
  }, 60_000);

  it("is refused with both files and the fix, also inside a merged one", () => {
    const fix =
      "expected every source once. Fix: leave one of the two files out; where the same numbers are meant to count twice, say --allow-repeated.";
    expect(refusal("merge", "last.json", "shard.json", "retried.json")).toBe(
      `losswright: retried.json: sources: found "retried.npz" counted twice: here and in shard.json, there called "shard.npz"; ${fix}`,
    );
    expect(refusal("merge", "both.json", "last.json")).toBe(
      `losswright: last.json: sources: found "last.npz" counted twice: here and in both.json; ${fix}`,
    );
  });

  it("is accepted where it is asked for, and stands once in what is written", () => {
    const repeated = ["shard.json", "retried.json", "last.json"];
    const { tallies } = JSON.parse(printed("merge", ...repeated, "--allow-repeated", "--json", "-o", "repeated.json"));
    const counted = repeated.map((file) => Tally.fromJSON(readJson(file)));
    expect(tallies).toEqual([JSON.parse(JSON.stringify(total(counted)))]);
    const names = readJson("repeated.json").sources.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["last.npz", "retried.npz"]);
    // A file that was written so is one part, and is read as any other.
    printed("merge", "repeated.json");
    const byName = read("repeated.json");
    printed("merge", ...repeated.toReversed(), "--allow-repeated", "-o", "repeated.json");
    expect(read("repeated.json")).toBe(byName);
  });

  it("is known by the file where nothing else is known", () => {
    expect(refusal("merge", "own-left.json", "./own-left.json")).toBe(
      "losswright: ./own-left.json: found the file twice among the parts; expected every part once. Fix: name it once; where it is meant to count twice, say --allow-repeated.",
    );
    printed("merge", "own-left.json", "./own-left.json", "--allow-repeated");
  });
});

describe("batches of an objective that couples its rows", () => {
  beforeAll(() => {
    const random = new Random(51);
    writeJson("info.json", { objective: "infoNce", options: { temperature: 0.2 } });
    for (const name of ["near", "far"]) {
      const embeddings = () =>
        tensor(
          Float32Array.from({ length: 20 }, () => random.real(1)),
          [5, 4],
        );
      write(
        `${name}.npz`,
        encodeNpz(
          new Map([
            ["queries", embeddings()],
            ["keys", embeddings()],
          ]),
        ),
      );
      printed("tally", "--contract", "info.json", `${name}.npz`, "-o", `${name}.json`);
    }
  }, 60_000);

  it("are one tally each, and two are refused", () => {
    expect(printed("merge", "near.json")).toContain("merged 1 part\n");
    expect(refusal("merge", "near.json", "far.json")).toBe(
      "losswright: far.json: found a batch of its own of infoNce, whose losses depend on their whole batch, beside near.json; expected one tally of the whole batch. Fix: gather the rows of all parts and count them as one; or accept smaller sets of negatives: --across-batches independent.",
    );
  });

  it("are of another contract first, where they are", () => {
    expect(refusal("merge", "plain-0.json", "far.json")).toContain(
      'far.json: contract: found objective: "crossEntropy" and "infoNce", in plain-0.json and here;',
    );
  });

  it("merge as independent ones where it is said", () => {
    const independent = ["--across-batches", "independent"];
    const { value } = JSON.parse(printed("merge", "near.json", "far.json", ...independent, "--json"));
    const tallies = ["near.json", "far.json"].map((file) => Tally.fromJSON(readJson(file)));
    const objective = infoNce({ temperature: 0.2 });
    expect(value).toBe(objective.value(total(tallies, { acrossBatches: "independent" })));
    const { out, err, code } = losswright("merge", "near.json", "far.json", "--across-batches", "dependent");
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain("Allowed choices are independent.");
  });
});

// ------------------------------------------------------------------------------------------------ what is refused

describe("losswright merge refuses", () => {
  const noTally =
    'expected a tally: "format": "losswright tally", or "parts" that each are one. Fix: give files that losswright tally or merge -o wrote, or JSON.stringify(objective.tally(batch)).';

  it("parts of other contracts and axes, by file and first difference", () => {
    const fields = tokens(new Random(61));
    writeJson("shifted.json", tokenMean({ options: { labelShift: 1 } }).tally(fields));
    expect(refusal("merge", "plain-3.json", "plain-0.json", "shifted.json")).toBe(
      "losswright: shifted.json: contract: found options.labelShift: 0 and 1, in plain-3.json and here; expected parts of one contract. Fix: count every part under one contract: losswright tally --contract FILE.",
    );
    const { logits, labels } = fields;
    const flat = {
      logits: tensor(logits!.data, [rowCount * length, classes]),
      labels: tensor(labels!.data, [rowCount * length]),
    };
    writeJson("flat.json", crossEntropy().tally(flat));
    expect(refusal("merge", "plain-3.json", "flat.json")).toContain(
      "flat.json: unitAxes: found units of 1 axes beside units of 2 in plain-3.json;",
    );
  });

  it.each<[string, () => readonly string[], string]>([
    [
      "no part",
      () => [],
      "merge: part: found none; expected files of tallies, one at least. Fix: losswright merge part-*.json; losswright tally STEP -o part-0.json writes one.",
    ],
    [
      "a pattern that no file matches",
      () => ["parts/part-*.json"],
      'parts/part-*.json: found no such file: "parts/part-*.json"; expected a file that can be read. Fix: check the pattern: a shell hands it on as it stands where no file matches.',
    ],
    [
      "a file that is not there",
      () => ["plain-3.json", "part-8.json"],
      'part-8.json: found no such file: "part-8.json"; expected a file that can be read. Fix: check the path and the rights to read it.',
    ],
    [
      "a directory",
      () => {
        mkdirSync(path("a-directory"), { recursive: true });
        return ["a-directory/"];
      },
      'a-directory/: found a directory at "a-directory/"; expected a regular file. Fix: give the files in it: losswright merge a-directory/*.json.',
    ],
    [
      "a step record",
      () => ["single"],
      'single: found a directory at "single"; expected a regular file. Fix: count the step first: losswright tally single -o part.json.',
    ],
    [
      "the JSON of one",
      () => ["single/step.json"],
      'single/step.json: found a step record; expected a tally: "format": "losswright tally", or "parts" that each are one. Fix: count it first: losswright tally single/step.json -o part.json.',
    ],
    ["a contract", () => ["plain.json"], `plain.json: found a contract; ${noTally}`],
    [
      "what evaluate prints",
      () => {
        write("evaluated.json", printed("evaluate", "--contract", "plain.json", "plain-3.npz", "--json"));
        return ["evaluated.json"];
      },
      `evaluated.json: found what --json prints; ${noTally}`,
    ],
    ["other JSON", () => ["package.json"], `package.json: found an object that is no tally; ${noTally}`],
    [
      "a list",
      () => {
        writeJson("list.json", [1, 2]);
        return ["list.json"];
      },
      `list.json: found [1,2]; ${noTally}`,
    ],
    [
      "another wire version",
      () => {
        writeJson("later.json", { ...readJson("plain-3.json"), version: 2 });
        return ["plain-0.json", "later.json"];
      },
      "later.json: version: found wire version 2; expected version 1. Fix: merge with the losswright that wrote it, or count the part again with this one.",
    ],
    [
      "half a file",
      () => {
        write("half.json", read("plain-3.json").slice(0, 200));
        return ["half.json"];
      },
      "expected JSON. Fix: copy the file again, or count the part again: losswright tally writes it.",
    ],
    [
      "a damaged sum",
      () => {
        writeJson("damaged.json", { ...readJson("plain-3.json"), numerator: { mantissa: "12", exponent: 0 } });
        return ["damaged.json"];
      },
      'damaged.json: found {"mantissa":"12","exponent":0}; expected the JSON of an exact sum: { "mantissa": "0x…", "exponent": … }. Fix: count the part again: losswright tally writes it.',
    ],
    [
      "entries of another kind",
      () => {
        const { denominator, ...rest } = readJson("plain-3.json");
        writeJson("null.json", { ...rest, denominator: { ...denominator, open: null } });
        return ["null.json"];
      },
      "null.json: found entries of another kind; expected a whole tally. Fix: count the part again: losswright tally writes it.",
    ],
    [
      "sources that are none",
      () => {
        writeJson("sourced.json", { ...readJson("plain-3.json"), sources: [{ name: "x", sha256: "12" }] });
        return ["sourced.json"];
      },
      'sourced.json: sources: found [{"name":"x","sha256":"12"}]; expected a list of { "name": …, "sha256": 64 hexadecimal digits }. Fix: leave the entry out where nothing is known of them.',
    ],
    [
      "an objective of a later version",
      () => {
        const { contract, ...rest } = readJson("own-left.json");
        const named = { ...contract, objective: "crossEntropie" };
        writeJson("named.json", { ...rest, contract: named, denominator: { ...rest.denominator, contract: named } });
        return ["named.json"];
      },
      'named.json: contract.objective: found "crossEntropie"; expected one of ',
    ],
    [
      "no place to write to",
      () => ["plain-3.json", "-o", "nowhere/whole.json"],
      "nowhere/whole.json: found no such file; expected a place to write to. Fix: check that the directory is there and may be written to.",
    ],
  ])("%s", (_, given, said) => {
    expect(refusal("merge", ...given())).toContain(said);
  });

  it("to write a tally that no merge could read", () => {
    for (const [name, digit] of ["long-left", "long-right"].map((each, i) => [each, i] as const)) {
      const sources = [{ name: name.repeat(4_000_000), sha256: String(digit).repeat(64) }];
      writeJson(`${name}.json`, { ...readJson("own-left.json"), sources });
    }
    const said = refusal("merge", "long-left.json", "long-right.json", "-o", "long.json");
    expect(said).toMatch(
      /long\.json: found a tally of \d{8} bytes, with 0 groups of groupKeys; expected at most 67108864/,
    );
    expect(existsSync(path("long.json"))).toBe(false);
  });

  // The superuser may read everything, and Windows knows no such bits.
  it.skipIf(process.getuid?.() === 0 || process.platform === "win32")("a file without right to it", () => {
    write("locked.json", read("plain-3.json"));
    chmodSync(path("locked.json"), 0);
    expect(refusal("merge", "locked.json")).toContain('locked.json: found no right to it: "locked.json"');
  });

  it("and writes nothing where it does", () => {
    expect(refusal("merge", "plain-3.json", "plain.json", "-o", "unwritten.json")).toContain("found a contract");
    expect(existsSync(path("unwritten.json"))).toBe(false);
  });
});

describe("losswright tally refuses", () => {
  it("what evaluate refuses, in the same words", () => {
    for (const args of [
      ["--contract", "plain.json", "label=plain-3.npz"],
      ["--contract", "plain.json", "plain-3.npz", "plain-3.npz"],
      ["no/such/step"],
    ]) {
      const evaluated = refusal("evaluate", ...args);
      expect(refusal("tally", ...args)).toBe(evaluated.replace("evaluate", "tally"));
    }
  });

  it("a place that is a directory, and leaves no other file behind", () => {
    mkdirSync(path("in-the-way"), { recursive: true });
    const before = readdirSync(folder);
    const said = refusal("tally", "--contract", "plain.json", "plain-3.npz", "-o", "in-the-way");
    expect(said).toContain("in-the-way: found a directory in the way; expected a place to write to.");
    expect(readdirSync(folder)).toEqual(before);
  });
});

describe("a fold", () => {
  it("writes over the file it read", () => {
    write("fold.json", read("plain-0.json"));
    printed("merge", "fold.json", "plain-3.json", "-o", "fold.json");
    printed("merge", "fold.json", "plain-1.json", "-o", "fold.json");
    printed("merge", "plain-0.json", "plain-3.json", "plain-1.json", "-o", "at-once.json");
    expect(read("fold.json")).toBe(read("at-once.json"));
  });
});

describe("many parts", () => {
  it("merge in little memory", () => {
    mkdirSync(path("many"));
    const objective = crossEntropy({ per: "sequence" });
    const random = new Random(71);
    const tallies: Tally[] = [];
    const names = Array.from({ length: 1200 }, (_, i) => {
      const batch = {
        logits: tensor(
          Float32Array.from({ length: 12 }, () => random.real(2)),
          [4, 3],
        ),
        labels: tensor(Int32Array.from({ length: 4 }, () => random.integer(0, 2))),
        groupKeys: tensor(Int32Array.from({ length: 4 }, () => random.integer(0, 50) + i)),
      };
      const tally = objective.tally(batch);
      tallies.push(tally);
      // Each as large as a part with a thousand sequences: together they do not fit into what the command is given.
      writeJson(`many/${i}.json`, { ...tally.toJSON(), note: "x".repeat(80_000) });
      return `many/${i}.json`;
    });
    const limited = { NODE_OPTIONS: "--max-old-space-size=64" };
    const { out, err, code } = runCommand(main, ["merge", ...names, "--json"], { cwd: folder, env: limited });
    expect([err, code]).toEqual(["", 0]);
    expect(numbers(out).value).toBe(bits(objective.value(total(tallies))));
    expect(JSON.parse(out).merged.parts).toBe(1200);
  });
});

// ------------------------------------------------------------------------------------------------ help and documents

describe("help", () => {
  it.each([
    ["tally", "Usage: losswright tally [options] <step|tensors...>", "losswright tally --contract contract.json"],
    ["merge", "Usage: losswright merge [options] <part...>", "losswright merge part-*.json"],
    [
      "evaluate",
      "Usage: losswright evaluate [options] <step|tensors...>",
      "losswright evaluate --contract contract.json",
    ],
  ])("of %s fits 80 columns and shows how it is called", (command, usage, example) => {
    const out = printed(command, "--help");
    expect(out.split("\n")[0]).toBe(usage);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(out).toContain(example);
    for (const option of command === "merge" ? ["--across-batches", "--allow-repeated", "-o, --output"] : ["--engine"])
      expect(out).toContain(option);
  });
});

/** Blocks of the page, in its order. */
const blocks = [
  ...readFileSync(join(root, "docs", "map-reduce.md"), "utf8").matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm),
].map(([, language, text]) => ({ language: language!, text: text! }));

/** Runs a program in a folder of its own where "losswright" is this command. */
function runIn(name: string, program: string, args: readonly string[]) {
  const [here, bin] = [path(name), path("bin")];
  mkdirSync(here, { recursive: true });
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "losswright"), `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, { mode: 0o755 });
  if (!existsSync(join(here, "examples"))) symlinkSync(join(root, "examples"), join(here, "examples"));
  const env = plainEnvironment({ PATH: `${bin}${delimiter}${process.env.PATH}` });
  const { stdout, stderr, status } = spawnSync(program, args, { cwd: here, env, encoding: "utf8" });
  return { out: stdout, err: stderr, code: status };
}

describe.skipIf(process.platform === "win32")("docs/map-reduce.md", () => {
  it("shows what its commands print", () => {
    const shown = blocks.flatMap(({ language, text }, i) =>
      language === "sh" && blocks[i + 1]?.language === "text" ? [{ script: text, prints: blocks[i + 1]!.text }] : [],
    );
    expect(shown.length).toBeGreaterThan(4);
    // One after the other in one folder, as a reader would.
    for (const { script, prints } of shown) {
      const code = prints.startsWith("losswright: ") ? 2 : 0;
      expect(runIn("page", "sh", ["-c", script]), script).toEqual({ out: prints, err: "", code });
    }
  });

  it("holds scripts that a shell can read", () => {
    for (const { language, text } of blocks)
      if (language === "sh") expect(runIn("page", "sh", ["-n", "-c", text]), text).toMatchObject({ err: "", code: 0 });
  });

  const hasNumpy = spawnSync("python3", ["-c", "import numpy"]).status === 0;
  if (!hasNumpy) console.warn("Skipped: the Python of docs/map-reduce.md, since there is no python3 with NumPy.");

  it.skipIf(!hasNumpy)("has a module for Python that counts and merges", () => {
    const parts = blocks.find(({ text }) => text.startsWith("# losswright_parts.py\n"))!;
    mkdirSync(path("python"), { recursive: true });
    write("python/losswright_parts.py", parts.text);
    write(
      "python/count.py",
      `import numpy as np
from losswright_parts import merge, tally
logits = np.load("logits.npy")
labels = np.load("labels.npy")
contract = {"objective": "crossEntropy", "reduction": {"per": "sequence"}}
lines = [tally(contract, f"part-{i}", logits=logits[a:b], labels=labels[a:b]) for i, (a, b) in enumerate([(0, 4), (4, 4), (4, 9)])]
document = merge(reversed(lines))
print(repr(document["value"]), document["merged"]["parts"], document["merged"]["empty"])
`,
    );
    const batch = tokens(new Random(81));
    for (const [name, each] of Object.entries(batch)) write(`python/${name}.npy`, encodeNpy(each));
    const { value } = tokenMean({ reduction: { per: "sequence" } })
      .withEngine("reference")
      .evaluate(batch);
    const { out, err, code } = runIn("python", "python3", ["count.py"]);
    expect([out.trim().split(" ").map(Number), err, code]).toEqual([[value, 3, 1], "", 0]);
  });
});
