import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import { countOf, gradientOf, mean, meanOf, sumOf, tokenParts, total } from "../../test/instruments/steps.js";
import { audit } from "../audit/index.js";
import { LosswrightError } from "../errors/index.js";
import { directorySink, readStep } from "../io/files.js";
import { parseNpy, parseStep, type StepRecord } from "../io/index.js";
import { dtypeOf, type Tensor, tensor } from "../tensor/index.js";
import { contextNames, keysIn } from "./context.js";
import { createRecorder, memorySink, type RecorderOptions, type StepValues } from "./index.js";

const contract = { objective: "crossEntropy" };
const parts = tokenParts(new Random(7), { kept: [3, 9, 5] });
const count = total(parts.map(countOf));
const [part] = parts;

/** A step whose mean is that of its one part. */
const values = (): StepValues => ({
  loss: meanOf(part!),
  fields: part!.fields,
  gradients: { logits: gradientOf(part!, 1 / countOf(part!)) },
});

const recorded = (options: Partial<RecorderOptions> = {}) => {
  const warnings: string[] = [];
  const sink = memorySink();
  const warn = (message: string) => warnings.push(message);
  const recorder = createRecorder({ contract: part!.intended, every: 1, sink, warn, ...options } as RecorderOptions);
  return { recorder, sink, warnings };
};

const thrownBy = (act: () => unknown): LosswrightError => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(LosswrightError);
    return error as LosswrightError;
  }
  throw new Error("nothing was thrown");
};

interface JsonSchema {
  readonly properties?: Record<string, JsonSchema>;
  readonly anyOf?: JsonSchema[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
}

const scratch = mkdtempSync(join(tmpdir(), "losswright-recorder-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("a recorded step", () => {
  it("audits clean where it is right, and wrong where its loss is not that of its contract", async () => {
    const { recorder, sink, warnings } = recorded();
    recorder.record(0, values());
    recorder.record(1, { ...values(), loss: sumOf(part!) });
    await recorder.flush();
    const [right, wrong] = sink.records();
    expect(audit(right!).findings).toEqual([]);
    expect(audit(wrong!).findings.length).toBeGreaterThan(0);
    expect(right!.context).toMatchObject({ step: 0 });
    expect(warnings).toEqual([]);
  });

  it("holds copies: what the training does with its tensors afterwards does not reach it", async () => {
    const logits = Float32Array.of(2, 0, -1, 0, 3, 1);
    const { recorder, sink } = recorded({ contract });
    recorder.record(0, { loss: 1, fields: { logits: tensor(logits, [2, 3]), labels: tensor(Int32Array.of(0, 1)) } });
    logits.fill(9);
    await recorder.flush();
    expect(Array.from(sink.records()[0]!.fields!.logits!.data, Number)).toEqual([2, 0, -1, 0, 3, 1]);
    expect(Array.from(logits)).toEqual([9, 9, 9, 9, 9, 9]);
  });

  it("is made of typed arrays, nested lists, and the tensors of frameworks alike", async () => {
    const numbers = Float32Array.of(2, 0, -1, 0, 3, 1);
    const given: Record<string, unknown>[] = [
      { logits: tensor(numbers, [2, 3]), labels: tensor(Int32Array.of(0, 1)) },
      { logits: { data: numbers, shape: [2, 3] }, labels: Int32Array.of(0, 1) },
      {
        logits: { dtype: "float32", shape: [2, 3], dataId: {}, dataSync: () => numbers },
        labels: { dtype: "int32", shape: [2], data: async () => Int32Array.of(0, 1) },
      },
    ];
    const { recorder, sink, warnings } = recorded({ contract });
    for (const [step, fields] of given.entries()) recorder.record(step, { loss: 1, fields } as StepValues);
    recorder.record(3, { loss: 1, fields: { logits: [[2, 0, -1], [0, 3, 1]], labels: [0, 1] } }); // biome-ignore format: rows
    await recorder.flush();
    const records = sink.records();
    expect(warnings).toEqual([]);
    expect(records.slice(0, 3).map((record) => record.fields)).toEqual([
      records[0]!.fields,
      records[0]!.fields,
      records[0]!.fields,
    ]);
    expect(records[3]!.fields!.labels!.dtype).toBe("int32");
    expect(Array.from(records[3]!.fields!.logits!.data, Number)).toEqual(Array.from(numbers));
    expect(records.map(({ context }) => context.framework)).toEqual([undefined, undefined, "tensorflow.js", undefined]);
  });

  it("takes no reference away from an array that counts them", async () => {
    let references = 1;
    const counted = {
      dtype: "float32",
      shape: [1, 3],
      get ref() {
        references++;
        return counted;
      },
      dataSync() {
        references--;
        return Float32Array.of(2, 0, -1);
      },
    };
    const { recorder } = recorded({ contract });
    recorder.record(0, { loss: 1, fields: { logits: counted, labels: [0] } });
    await recorder.flush();
    expect(references).toBe(1);
  });

  it("takes values that come later, and keeps the order of micro-batches", async () => {
    const { recorder, sink } = recorded({ contract });
    const batch = (label: number) => ({ loss: label, fields: { logits: [[2, 0, -1]], labels: [label] } });
    recorder.record(0, async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return batch(0);
    });
    recorder.record(0, () => batch(1));
    await recorder.flush();
    expect(sink.records()[0]!.parts.map(({ reported }) => reported.loss)).toEqual([0, 1]);
  });

  it("notes the least precise type of loss and fields with a gradient", async () => {
    const bits = Uint16Array.of(0x4000, 0, 0xbf80);
    const { recorder, sink } = recorded({ contract });
    const logits = { data: bits, shape: [1, 3], dtype: "bfloat16" };
    const gradient = tensor(new Float32Array(3), [1, 3]);
    recorder.record(0, { loss: Float32Array.of(1), fields: { logits, labels: [0] }, gradients: { logits: gradient } });
    recorder.record(1, { loss: 1, fields: { logits: tensor(new Float64Array(3), [1, 3]), labels: [0] } });
    await recorder.flush();
    const [half, plain] = sink.records();
    expect(half!.context.computation).toEqual({ dtype: "bfloat16" });
    expect(Array.from(half!.fields!.logits!.data, Number)).toEqual([2, 0, -1]);
    expect(plain!.context.computation).toBeUndefined();
  });
});

describe("micro-batches", () => {
  const step = (scale: number, reported: number) => {
    const found = recorded();
    for (const each of parts) {
      const gradients = { logits: gradientOf(each, scale === 0 ? 1 / countOf(each) / parts.length : scale) };
      found.recorder.record(4, { loss: meanOf(each), fields: each.fields, gradients });
    }
    found.recorder.report(4, { loss: reported, metric: null });
    return found;
  };

  it("are parts of one step, which audits clean where they are divided by the count of the whole", async () => {
    const { recorder, sink, warnings } = step(1 / count, total(parts.map(sumOf)) / count);
    await recorder.flush();
    const [record] = sink.records();
    expect(record!.context).toEqual({ step: 4, microBatches: 3, metric: null, computation: { dtype: "float32" } });
    expect(record!.parts.map(({ context }) => context.microBatch)).toEqual([0, 1, 2]);
    expect(audit(record!).findings.filter(({ check }) => check !== "metric-missing")).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it("are found where the trainer takes the mean of their means", async () => {
    const { recorder, sink } = step(0, mean(parts.map(meanOf)));
    await recorder.flush();
    expect(audit(sink.records()[0]!).findings.map(({ check }) => check)).toContain("accumulation");
  });
});

describe("ranks", () => {
  it("are parts of one step, with their share of an average of gradients", async () => {
    const { recorder, sink } = recorded({ ranks: 2 });
    for (const rank of [1, 0]) recorder.record(0, { ...values(), rank });
    recorder.report(0, { loss: meanOf(part!) });
    await recorder.flush();
    const [record] = sink.records();
    expect(record!.context).toMatchObject({ ranks: 2, combine: { ranks: "mean" }, microBatches: 1 });
    expect(record!.parts.map(({ context }) => context.rank)).toEqual([0, 1]);
    const [own, whole] = [record!.parts[0]!.reported.gradients.logits!, gradientOf(part!, 1 / countOf(part!))];
    expect(Array.from(own.data, Number)).toEqual(Array.from(whole.data as Float32Array, (entry) => entry / 2));
    expect(audit(record!).findings).toEqual([]);
  });

  it("are all there, or there is no record", async () => {
    const { recorder, sink, warnings } = recorded({ ranks: 3 });
    recorder.record(0, { ...values(), rank: 0 });
    recorder.record(0, { ...values(), rank: 2 });
    await recorder.flush();
    expect(sink.records()).toEqual([]);
    expect(warnings.join()).toMatch(/step 0 is not recorded: .*no part of rank 1/);
  });
});

describe("a step that is not recorded", () => {
  it("asks nothing of what it is given", async () => {
    const { recorder, sink } = recorded({ every: 10 });
    const untouched = new Proxy({} as StepValues, {
      get: () => {
        throw new Error("read");
      },
      ownKeys: () => {
        throw new Error("listed");
      },
    });
    let calls = 0;
    recorder.record(0, values());
    recorder.record(1, () => {
      calls++;
      return values();
    });
    for (let step = 2; step < 10; step++) recorder.record(step, untouched);
    recorder.report(9, untouched);
    await recorder.flush();
    expect([calls, sink.records().length]).toEqual([0, 1]);
  });

  it("is every one where every is 0", async () => {
    const { recorder, sink } = recorded({ every: 0 });
    for (let step = 0; step < 5; step++) recorder.record(step, () => expect.fail("called"));
    await recorder.flush();
    expect([recorder.due(0), sink.records().length]).toEqual([false, 0]);
  });
});

describe("what goes wrong", () => {
  it("is a warning, once a reason, and costs the one record", async () => {
    const { recorder, sink, warnings } = recorded();
    recorder.record(0, values());
    for (const step of [1, 2]) {
      recorder.record(step, () => {
        throw new Error(`device ${step} lost`);
      });
    }
    recorder.record(3, { ...values(), loss: [1, 2] });
    recorder.record(4, { ...values(), lables: 1 } as StepValues);
    recorder.record(5, values());
    recorder.record(Number.NaN, values());
    recorder.record("6" as unknown as number, values());
    await recorder.flush();
    expect(sink.records().map(({ name }) => name)).toEqual(["step-00000000", "step-00000005"]);
    expect(warnings.map((warning) => warning.slice(0, 40))).toHaveLength(5);
    expect(warnings[0]).toBe("losswright: step 1 is not recorded: device 1 lost (said once; the training goes on)");
  });

  it("in one micro-batch costs the whole step", async () => {
    const { recorder, sink } = recorded();
    recorder.record(0, values());
    recorder.record(0, async () => {
      throw new Error("late");
    });
    recorder.record(0, values());
    recorder.record(1, values());
    await recorder.flush();
    expect(sink.records().map(({ name }) => name)).toEqual(["step-00000001"]);
  });

  it("in a sink is a warning, and with strict an error of the next call", async () => {
    const sink = async () => {
      throw new Error("no space");
    };
    const { recorder, warnings } = recorded({ sink });
    recorder.record(0, values());
    await recorder.flush();
    expect(warnings).toHaveLength(1);
    const strict = recorded({ sink, strict: true }).recorder;
    strict.record(0, values());
    await expect(strict.flush()).rejects.toThrow("no space");
    await strict.flush();
  });

  it("is thrown at once with strict", () => {
    const { recorder } = recorded({ strict: true });
    recorder.record(0, values());
    expect(() => recorder.record(1, () => expect.fail("broken"))).toThrow("broken");
    expect(thrownBy(() => recorder.record(2, { ...values(), loss: "much" as unknown as number })).field).toBe("loss");
  });

  it("is swallowed even where the warning fails", async () => {
    const { recorder } = recorded({
      warn: () => {
        throw new Error("no console");
      },
    });
    recorder.record(0, values());
    recorder.record(1, () => expect.fail("broken"));
    await recorder.flush();
  });

  it("is a number of an epoch: it is said that records are replaced", async () => {
    const { recorder, warnings } = recorded();
    for (const step of [0, 1, 0]) recorder.record(step, values());
    await recorder.flush();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/step 0 comes after step 1/);
  });
});

describe("a slip of the pen", () => {
  it("is an error before anything is trained, and names the near miss", () => {
    const slips: [() => unknown, string, string][] = [
      [() => recorded({ evry: 3 } as object), "evry", 'write "every".'],
      [() => recorded({ clasCounts: [1] } as object), "clasCounts", 'write "classCounts".'],
      [() => recorded().recorder.record(0, { ...values(), gradient: {} } as StepValues), "gradient", 'write "gradients".'],
      [() => recorded().recorder.record(0, { ...values(), logits: [[1]] } as StepValues), "logits", 'write "fields: { logits }".'],
      [() => recorded().recorder.record(0, { fields: { logit: [[1]] } }), "logit", 'write "logits".'],
      [() => recorded().recorder.record(0, { ...values(), gradients: { logit: [[1]] } }), "logit", 'write "logits".'],
      [() => recorded().recorder.record(0, { ...values(), outputs: { logit: [[1]] } }), "logit", 'write "logits".'],
      [() => recorded().recorder.record(0, () => ({ ...values(), task: "x", los: 1 })), "los", 'write "loss".'],
    ]; // biome-ignore format: a table
    for (const [act, field, fix] of slips) expect(thrownBy(act)).toMatchObject({ code: "unknown", field, fix });
    expect(thrownBy(() => recorded({ contract: { objective: "crossEntropie" } })).fix).toMatch(/crossEntropy/);
    expect(thrownBy(() => recorded({ sequence: { padIdd: 0 } } as object)).message).toMatch(/padId/);
    expect(thrownBy(() => recorded().recorder.record(0, { ...values(), combine: { rank: "mean" } })).message).toMatch(
      /ranks/,
    );
  });

  it("is also an option or an entry of another kind, or one that the recorder writes itself", () => {
    const wrong: [() => unknown, string][] = [
      [() => recorded({ every: -1 }), "every"],
      [() => recorded({ sink: 3 as never }), "sink"],
      [() => recorded({ strict: 1 as never }), "strict"],
      [() => recorded({ rank: 0 } as object), "rank"],
      [() => recorded({ sequence: { inputIds: [[1]] } } as object), "sequence.inputIds"],
      [() => recorded().recorder.record(0, { ...values(), step: 1 } as StepValues), "step"],
      [() => recorded().recorder.record(0, { ...values(), rank: 0, ranks: 0 }), "ranks"],
      [() => recorded().recorder.record(0, { ...values(), rank: 2, ranks: 2 }), "rank"],
      [() => recorded().recorder.record(0, { fields: {} }), "fields"],
      [() => recorded().recorder.record(0, { ...values(), lossScale: 0 }), "lossScale"],
      [() => recorded().recorder.record(0, { ...values(), task: (() => "") as never }), "task"],
      [() => recorded().recorder.record(-1, values()), "step"],
    ];
    for (const [act, field] of wrong) expect(thrownBy(act).field).toBe(field);
  });

  it("cannot be a name that the format has", () => {
    const schema = JSON.parse(readFileSync(join(import.meta.dirname, "../../schema/step.schema.json"), "utf8"));
    const entries = Object.keys(schema.$defs.context.properties);
    expect([...contextNames, "sampled", "step"].sort()).toEqual(entries.sort());
    const found: Record<string, string[]> = {};
    const walk = (path: string, { properties, anyOf, items, additionalProperties: map }: JsonSchema): void => {
      if (properties) found[path] = Object.keys(properties);
      for (const [key, inner] of Object.entries(properties ?? {})) walk(`${path}.${key}`, inner);
      for (const inner of [...(anyOf ?? []), ...(items ? [items] : []), ...(typeof map === "object" ? [map] : [])]) {
        walk(path, inner);
      }
    };
    for (const name of contextNames) walk(name, schema.$defs.context.properties[name]);
    const sorted = (all: object) =>
      Object.fromEntries(Object.entries(all).map(([path, keys]) => [path, [...keys].sort()]));
    expect(sorted(keysIn)).toEqual(sorted(found));
  });
});

describe("a directory of records", () => {
  it("holds one directory a step, in the context the run's name, and gives each record back", async () => {
    const run = join(scratch, "my-run");
    const { recorder } = recorded({ every: 500, sink: directorySink(run), task: "test" });
    for (let step = 0; step <= 1000; step += 250) recorder.record(step, values());
    await recorder.flush();
    expect(readdirSync(run).sort()).toEqual(["step-00000000", "step-00000500", "step-00001000"]);
    const record = await readStep(join(run, "step-00000500"));
    expect(record.context).toMatchObject({ run: "my-run", step: 500, task: "test" });
    expect(audit(record).findings).toEqual([]);
  });

  it("replaces a record, and nothing else", async () => {
    const run = join(scratch, "again");
    for (const loss of [1, 2]) {
      const { recorder } = recorded({ sink: directorySink(run) });
      recorder.record(0, { ...values(), loss });
      await recorder.flush();
    }
    expect((await readStep(join(run, "step-00000000"))).reported.loss).toBe(2);
    writeFileSync(join(run, "step-00000000", "notes.txt"), "mine");
    const { recorder, warnings } = recorded({ sink: directorySink(run) });
    recorder.record(0, { ...values(), loss: 3 });
    await recorder.flush();
    expect(warnings.join()).toMatch(/no record/);
    expect(readFileSync(join(run, "step-00000000", "notes.txt"), "utf8")).toBe("mine");
    expect(readdirSync(run)).toEqual(["step-00000000"]);
  });

  it("never holds half a step", async () => {
    const run = join(scratch, "half");
    const { recorder, warnings } = recorded({ sink: directorySink(run) });
    recorder.record(0, values());
    // A gradient of another shape is no gradient: the record is refused when it is made.
    recorder.record(1, { ...values(), gradients: { logits: [[1, 2.5]] } });
    await recorder.flush();
    expect(readdirSync(run)).toEqual(["step-00000000"]);
    expect(warnings).toHaveLength(1);
    writeFileSync(join(scratch, "file"), "");
    const blocked = recorded({ sink: directorySink(join(scratch, "file", "run")) });
    blocked.recorder.record(0, values());
    await blocked.recorder.flush();
    expect(blocked.warnings).toHaveLength(1);
  });

  it("takes no name that leads elsewhere", async () => {
    const [record] = await recordsOf(values());
    for (const name of ["..", "../x", "a/b", "", ".hidden", "a\\b", "a\n"]) {
      await expect(directorySink(scratch).write(name, record!), name).rejects.toThrow(LosswrightError);
    }
  });
});

async function recordsOf(...steps: StepValues[]): Promise<StepRecord[]> {
  const { recorder, sink } = recorded();
  for (const [step, each] of steps.entries()) recorder.record(step, each);
  await recorder.flush();
  return sink.records();
}

describe("the record", () => {
  it("is the same where it is handed over, in memory, and on the disk", async () => {
    const run = join(scratch, "same");
    let step = 0;
    const shaped = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 })).chain(([rows, classes]) => {
      const numbers = (least: number, most: number, count: number) =>
        fc.array(fc.integer({ min: least, max: most }), { minLength: count, maxLength: count });
      return fc.record({
        loss: fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY)),
        logits: fc
          .float32Array({ minLength: rows * classes, maxLength: rows * classes })
          .map((all) => tensor(all, [rows, classes])),
        gradient: fc
          .float64Array({ minLength: rows * classes, maxLength: rows * classes })
          .map((all) => tensor(all, [rows, classes])),
        labels: numbers(-100, classes - 1, rows).map((all) => tensor(Int32Array.from(all))),
        roles: numbers(0, 2, rows).map((all) => tensor(Uint8Array.from(all))),
        task: fc.option(fc.constantFrom("classes", "größe", "a/b", "__proto__"), { nil: undefined }),
        value: fc.double(),
      });
    });
    await fc.assert(
      fc.asyncProperty(fc.array(shaped, { minLength: 1, maxLength: 3 }), async (batches) => {
        const handed: StepRecord[] = [];
        const [memory, disk] = [memorySink(), directorySink(run)];
        const write = async (name: string, record: StepRecord) => {
          handed.push(record);
          memory.write(name, record);
          await disk.write(name, record);
        };
        const recorder = createRecorder({ contract, every: 1, sink: { run: "same", write }, strict: true });
        step++;
        for (const { loss, logits, labels, gradient, roles, task } of batches) {
          const entries = { sequence: { roles, padId: 0 }, ...(task !== undefined && { task }) };
          recorder.record(step, { loss, fields: { logits, labels }, gradients: { logits: gradient }, ...entries });
        }
        recorder.report(step, { metric: { name: "accuracy", value: batches[0]!.value } });
        await recorder.flush();
        const [record] = handed;
        // A loss of −0 is written as 0.
        const positive = <T extends { loss: number | null }>(reported: T) => ({
          ...reported,
          loss: (reported.loss ?? 0) + 0,
        });
        const plain = (found: StepRecord) => ({
          ...found,
          reported: positive(found.reported),
          parts: found.parts.map((each) => ({ ...each, reported: positive(each.reported) })),
          context: { ...found.context, metric: undefined },
        });
        expect(memory.records().map(plain)).toEqual([plain(record!)]);
        expect(plain(await readStep(join(run, record!.name)))).toEqual(plain(record!));
      }),
      { numRuns: 40 },
    );
  });

  it("of a browser is a zip file of all steps", async () => {
    const { recorder, sink } = recorded();
    recorder.record(0, values());
    recorder.record(1, values());
    await recorder.flush();
    const { unzipSync } = await import("fflate");
    const members = unzipSync(sink.zip());
    expect(Object.keys(members).sort()).toEqual(
      ["step-00000000", "step-00000001"].flatMap((step) =>
        ["labels.npy", "logits-gradient.npy", "logits.npy", "step.json"].map((file) => `${step}/${file}`),
      ),
    );
    const json = new TextDecoder().decode(members["step-00000001/step.json"]);
    const load = (file: string): Tensor => parseNpy(members[`step-00000001/${file}`]!, file);
    expect(audit(parseStep(json, load, "step-00000001")).findings).toEqual([]);
    expect(sink.zip()).toEqual(sink.zip());
    sink.clear();
    expect(sink.records()).toEqual([]);
    expect(dtypeOf(sink.zip())).toBe("uint8");
  });
});
