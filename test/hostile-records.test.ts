/**
 * Records that nobody should trust: paths out of the directory, links, pipes, headers that lie, JSON with tricks, numbers
 * that are none, entries that contradict each other. Each ends in a LosswrightError that names the place and a fix, or
 * in a result that is defined; never in another error, and never in a file outside the record being read.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, open, rm, truncate } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { StepAuditJson } from "../src/audit/index.js";
import { LosswrightError, objectiveNames, type Tensor, tensor } from "../src/index.js";
import { readNpy, readStep, readTextFile } from "../src/io/files.js";
import { encodeNpy, encodeStep, parseNpy, parseStep, type StepRecord } from "../src/io/index.js";
import { dropped, type Path, pathsOf, renamed, replaced } from "./instruments/json-mutations.js";

/** What happens to a file between the question how long it is and the first byte read. */
const disk = vi.hoisted(() => ({ afterStat: undefined as ((path: unknown) => Promise<void>) | undefined }));

vi.mock("node:fs/promises", async (original) => {
  const actual = await original<typeof import("node:fs/promises")>();
  const opened: typeof actual.open = async (path, ...rest) => {
    const handle = await actual.open(path, ...rest);
    const stat = handle.stat.bind(handle) as () => Promise<unknown>;
    const watched = async () => {
      const info = await stat();
      await disk.afterStat?.(path);
      return info;
    };
    return Object.assign(handle, { stat: watched as typeof handle.stat });
  };
  return { ...actual, open: opened };
});

const root = fileURLToPath(new URL("..", import.meta.url));
const steps = join(root, "test", "steps");
const posix = process.platform !== "win32";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "losswright-hostile-"));
});
afterEach(async () => {
  disk.afterStat = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** A refusal by the reader: one line that says where, and what to do. */
function refusal(thrown: unknown): LosswrightError {
  if (!(thrown instanceof LosswrightError)) throw thrown;
  expect(thrown.where).toBeTruthy();
  expect(thrown.fix, thrown.message).toMatch(/\.$/);
  expect(thrown.message).not.toContain("\n");
  expect(thrown.message.length).toBeLessThan(3000);
  return thrown;
}

function refused(work: () => unknown): LosswrightError {
  let result: unknown;
  try {
    result = work();
  } catch (error) {
    return refusal(error);
  }
  throw new Error(`nothing was thrown, but given: ${JSON.stringify(result)?.slice(0, 200)}`);
}

async function refusedBy(work: Promise<unknown>): Promise<LosswrightError> {
  const [given, error] = await work.then(
    (value) => [value, undefined] as const,
    (thrown: unknown) => [undefined, thrown] as const,
  );
  if (error === undefined) throw new Error(`nothing was thrown, but given: ${JSON.stringify(given)?.slice(0, 200)}`);
  return refusal(error);
}

// ---- a small record, in memory and on disk ----

const floats = (...shape: number[]): Tensor => {
  const size = shape.reduce((product, length) => product * length, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => ((i * 7) % 5) - 2),
    shape,
  );
};
const wholes = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor(Int32Array.from(values), shape);

const logits = floats(2, 3, 4);
const labels = wholes([0, 1, 2, 3, -100, 1], [2, 3]);
const intended = { objective: "crossEntropy", options: { ignoreIndex: -100 }, version: 1 };
const files: Readonly<Record<string, Uint8Array>> = {
  "logits.npy": encodeNpy(logits),
  "labels.npy": encodeNpy(labels),
};
const step = {
  format: 1,
  intended,
  fields: { logits: "logits.npy", labels: "labels.npy" },
  reported: { loss: 1 },
};

/** Writes a record and gives its directory. */
function written(name: string, json: unknown, more: Readonly<Record<string, Uint8Array>> = {}): string {
  const directory = join(folder, name);
  mkdirSync(directory);
  for (const [file, bytes] of Object.entries({ ...files, ...more })) writeFileSync(join(directory, file), bytes);
  writeFileSync(join(directory, "step.json"), typeof json === "string" ? json : JSON.stringify(json));
  return directory;
}

const withLabels = (file: unknown) => ({ ...step, fields: { ...step.fields, labels: file } });

/** A record of tensors in memory. */
function recordOf(body: Partial<StepRecord>): StepRecord {
  return {
    format: 1,
    name: "hostile",
    intended,
    reported: { loss: 1, gradients: {} },
    context: {},
    parts: [],
    ...body,
  };
}

/** The record as a reader gives it: what a reader refuses is refused here too. */
function reread(record: StepRecord): StepRecord {
  const { json, files } = encodeStep(record);
  return parseStep(json, (file) => parseNpy(files.get(file)!, file), record.name);
}

// ---- the command, compiled, and its audit in a thread of its own ----

const builtIn = join(tmpdir(), `losswright-hostile-dist-${process.pid}`);
const main = join(builtIn, "dist", "cli", "main.js");

beforeAll(() => {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const outcome = spawnSync(process.execPath, [tsc, "-p", "tsconfig.json", "--outDir", join(builtIn, "dist")], {
    cwd: root,
    encoding: "utf8",
  });
  cpSync(join(root, "package.json"), join(builtIn, "package.json"));
  symlinkSync(join(root, "node_modules"), join(builtIn, "node_modules"), "junction");
  if (!existsSync(main)) throw new Error(`the command was not compiled:\n${outcome.stdout}${outcome.stderr}`);
}, 60_000);

/** What an audit gives: as JSON, as text, and the error of fields that contradict the contract. */
interface Audited {
  readonly json: StepAuditJson;
  readonly text: string;
  readonly contradiction: ReturnType<LosswrightError["toJSON"]> | undefined;
}

type Answer = { given: Audited } | { refused: ReturnType<LosswrightError["toJSON"]> } | { thrown: string };

/**
 * Audits records in a thread, so that one that never ends is a failure that names the record, not a test run that never
 * ends.
 */
class Auditor {
  /** Far more than any audit here takes: a guard, no measure. */
  static readonly patience = 45_000;
  #worker: Worker | undefined;

  async audit(record: StepRecord): Promise<Answer> {
    this.#worker ??= new Worker(code, {
      eval: true,
      workerData: pathToFileURL(join(builtIn, "dist/")).href,
      // That of a process; a thread has four times as much unless told.
      resourceLimits: { stackSizeMb: 1 },
    });
    const worker = this.#worker;
    return new Promise((answer, fail) => {
      const guard = setTimeout(async () => {
        this.#worker = undefined;
        await worker.terminate();
        fail(new Error("the audit does not end"));
      }, Auditor.patience);
      worker.once("message", (message: Answer) => {
        clearTimeout(guard);
        answer(message);
      });
      worker.postMessage(record);
    });
  }

  async end(): Promise<void> {
    await this.#worker?.terminate();
  }
}

const code = `
const { parentPort, workerData } = require("node:worker_threads");
const rooms = Promise.all(["audit/index.js", "errors/index.js"].map((room) => import(workerData + room)));
const same = (text) => text;
const paint = { bold: same, dim: same, red: same, yellow: same, green: same };
parentPort.on("message", async (record) => {
  const [{ audit, auditToJson, report }, { LosswrightError }] = await rooms;
  try {
    const result = audit(record);
    const { contradiction } = result.step;
    const given = { json: auditToJson("path", result), text: report(result, paint), contradiction: contradiction?.toJSON() };
    parentPort.postMessage({ given });
  } catch (error) {
    const refused = error instanceof LosswrightError ? error.toJSON() : undefined;
    parentPort.postMessage(refused ? { refused } : { thrown: String(error.stack ?? error) });
  }
});
`;

const auditor = new Auditor();
afterAll(async () => {
  await auditor.end();
  rmSync(builtIn, { recursive: true, force: true });
});

/**
 * Audits a record; what is made of it can be written.
 *
 * @throws a LosswrightError for a contract that is none; another error where the audit throws one, or does not end
 */
async function audited(record: StepRecord): Promise<Audited> {
  const answer = await auditor.audit(record);
  if ("refused" in answer) throw new LosswrightError(answer.refused);
  if ("thrown" in answer) throw new Error(`the audit of ${record.name} threw ${answer.thrown}`);
  const { given } = answer;
  const text = JSON.stringify(given.json, (key, value) => {
    if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${key}: a number that JSON lacks`);
    if (typeof value === "bigint" || value === undefined) throw new Error(`${key}: a value that JSON lacks`);
    return value;
  });
  expect(JSON.parse(text)).toMatchObject({ path: "path" });
  expect(given.text).not.toMatch(/undefined|\[object/);
  return given;
}

/** Audits a record whose contract or fields may be refused: by a LosswrightError, or not at all. */
async function auditedOrRefused(record: StepRecord): Promise<Audited | undefined> {
  try {
    return await audited(record);
  } catch (error) {
    if (error instanceof LosswrightError) return undefined;
    throw error;
  }
}

/** What a reader makes of a record, if it takes it. */
function taken(read: () => StepRecord): StepRecord | undefined {
  try {
    return read();
  } catch (error) {
    refusal(error);
    return undefined;
  }
}

const checksOf = ({ json }: Audited) => json.findings.map(({ check }) => check);

// ---- records of the tests, in memory ----

interface Stored {
  readonly name: string;
  readonly json: unknown;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const stored: readonly Stored[] = readdirSync(steps).map((name) => {
  const names = readdirSync(join(steps, name)).filter((file) => file.endsWith(".npy"));
  return {
    name,
    json: JSON.parse(readFileSync(join(steps, name, "step.json"), "utf8")),
    files: new Map(names.map((file) => [file, new Uint8Array(readFileSync(join(steps, name, file)))])),
  };
});

function loaderOf(files: ReadonlyMap<string, Uint8Array>): (file: string) => Tensor {
  return (file) => {
    const bytes = files.get(file);
    if (bytes) return parseNpy(bytes.slice(), file);
    throw new LosswrightError({
      code: "file",
      where: file,
      found: "no such file",
      expected: "a file",
      fix: "write it.",
    });
  };
}

const parsed = ({ json, files, name }: Stored) => parseStep(json, loaderOf(files), name);

/** The record with every tensor changed. */
function withTensors({ json, files, name }: Stored, change: (tensor: Tensor, file: string) => Tensor): StepRecord {
  const load = loaderOf(files);
  return parseStep(json, (file) => change(load(file), file), name);
}

const isFloat = ({ dtype }: Tensor) => dtype === "float32" || dtype === "float64";
const filled = ({ shape, data }: Tensor, value: number): Tensor =>
  tensor(new Float32Array(data.length).fill(value), shape);

describe("names of files", () => {
  it.each([
    ["a path upwards", "../secret.npy", "leads out of the record"],
    ["a path upwards from below", "a/../../secret.npy", "leads out of the record"],
    ["a path that comes back", "../record/labels.npy", "leads out of the record"],
    ["the directory above", "..", "leads out of the record"],
    ["an absolute path", "/etc/hostname", "an absolute path"],
    ["a share", "//server/share/labels.npy", "an absolute path"],
    ["a share of Windows", "\\\\server\\share\\labels.npy", "a backslash"],
    ["a device of Windows", "\\\\.\\pipe\\x", "a backslash"],
    ["a backslash", "..\\secret.npy", "a backslash"],
    ["a drive", "C:/secret.npy", "an absolute path"],
    ["a place on a drive", "c:secret.npy", "an absolute path"],
    ["a stream of a file", "labels.npy:stream", "a colon"],
    ["a URL", "file:///etc/hostname", "a colon"],
    ["a NUL", "labels.npy\0.txt", "a NUL"],
    ["a line break", "labels\n.npy", "a control character"],
    ["an escape sequence", "\u001b[2Jlabels.npy", "a control character"],
    ["half of a character", "\ud800.npy", "half of a character"],
    ["the directory itself", ".", '"."'],
    ["another spelling", "./labels.npy", '"."'],
    ["nothing", "", "an empty"],
    ["nothing between slashes", "a//labels.npy", "an empty"],
    ["a directory's slash", "labels.npy/", "an empty"],
    ["a name of a megabyte", "x".repeat(1 << 20), "more than 1000 characters"],
  ])("may not be %s", async (_, file, found) => {
    writeFileSync(join(folder, "secret.npy"), files["labels.npy"]!);
    const error = await refusedBy(readStep(written("record", withLabels(file))));
    expect(error).toMatchObject({ code: "file", where: "record", field: "fields.labels" });
    expect(error.found).toContain(found);
    expect(error.fix).toContain("inside the record's directory");
  });

  it.each([
    ["percent-encoded dots", "%2e%2e/secret.npy", "no such file"],
    ["percent-encoded slashes", "..%2fsecret.npy", "no such file"],
    ["a home", "~/secret.npy", "no such file"],
    ["a variable", "$HOME/secret.npy", "no such file"],
    ["a way through a file", "labels.npy/secret.npy", "no directory"],
    ["a name that the system does not take", `${"x".repeat(600)}.npy`, "longer than the system takes"],
  ])("are taken by the letter: %s", async (_, file, found) => {
    writeFileSync(join(folder, "secret.npy"), files["labels.npy"]!);
    const error = await refusedBy(readStep(written("record", withLabels(file))));
    expect(error).toMatchObject({ code: "file", where: "record", field: "fields.labels" });
    expect(error.found).toContain(found);
  });

  it("are told to no other file than one of the record: step.json is no tensor", async () => {
    const error = await refusedBy(readStep(written("record", withLabels("step.json"))));
    expect(error).toMatchObject({ code: "file", where: "record/step.json", field: "magic" });
  });

  it("may stand a hundred thousand times for one file, which is read once", async () => {
    const parts = Array.from({ length: 50_000 }, () => ({ fields: step.fields, reported: {} }));
    const { fields: _, ...outer } = step;
    const record = await readStep(written("record", { ...outer, parts }));
    expect(record.parts).toHaveLength(50_000);
    expect(record.parts[1]!.fields.logits).toBe(record.parts[49_999]!.fields.logits);
  });
});

describe.runIf(posix)("links, pipes and directories", () => {
  /** A record whose labels are what `make` puts in their place. */
  function placed(make: (path: string, directory: string) => void): string {
    const directory = written("record", step);
    rmSync(join(directory, "labels.npy"));
    make(join(directory, "labels.npy"), directory);
    return directory;
  }

  it.each<[string, (path: string, directory: string) => void, string, string]>([
    ["a link out", (path) => symlinkSync(join(folder, "outside.npy"), path), "leads out", "copy the file"],
    ["a relative link out", (path) => symlinkSync("../outside.npy", path), "leads out", "copy the file"],
    ["a link to a device", (path) => symlinkSync("/dev/zero", path), "leads out", "copy the file"],
    ["a link to the terminal", (path) => symlinkSync("/dev/tty", path), "leads out", "copy the file"],
    ["a link to the process", (path) => symlinkSync("/proc/self/environ", path), "leads out", "copy the file"],
    ["a link to itself", (path) => symlinkSync("labels.npy", path), "in a circle", "check the path"],
    ["a link to nothing", (path) => symlinkSync("missing.npy", path), "no such file", "check the path"],
    ["a link to the directory", (path) => symlinkSync(".", path), "a directory", "give the path of a file"],
    ["a directory", (path) => mkdirSync(path), "a directory", "give the path of a file"],
    ["a pipe", (path) => spawnSync("mkfifo", [path]), "no regular file", "give the path of a file"],
    [
      "a link to a pipe",
      (path, directory) => {
        spawnSync("mkfifo", [join(directory, "pipe")]);
        symlinkSync("pipe", path);
      },
      "no regular file",
      "give the path of a file",
    ],
  ])("in place of a tensor: %s", async (_, make, found, fix) => {
    writeFileSync(join(folder, "outside.npy"), files["labels.npy"]!);
    const error = await refusedBy(readStep(placed(make)));
    expect(error).toMatchObject({ code: "file", where: "record", field: "fields.labels" });
    expect(error.found).toContain(found);
    expect(error.fix).toContain(fix);
  });

  it("in place of a tensor: a socket", async () => {
    const directory = placed(() => {});
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(directory, "labels.npy"), done));
    try {
      const error = await refusedBy(readStep(directory));
      expect(error).toMatchObject({ code: "file", where: "record", field: "fields.labels" });
      expect(error.found).toContain("a socket");
    } finally {
      await new Promise((done) => server.close(done));
    }
  });

  it.each<[string, (path: string) => void, string]>([
    ["a link out", (path) => symlinkSync(join(folder, "outside.json"), path), "leads out"],
    ["a link in a circle", (path) => symlinkSync("step.json", path), "in a circle"],
    ["a pipe", (path) => spawnSync("mkfifo", [path]), "no regular file"],
    ["a directory", (path) => mkdirSync(path), "a directory"],
  ])("in place of step.json: %s", async (_, make, found) => {
    const directory = written("record", step);
    writeFileSync(join(folder, "outside.json"), JSON.stringify(step));
    rmSync(join(directory, "step.json"));
    make(join(directory, "step.json"));
    const error = await refusedBy(readStep(directory));
    expect(error).toMatchObject({ code: "file", where: "record" });
    expect(error.found).toContain(found);
  });

  it("in place of the record: a circle, a pipe, a device", async () => {
    const circle = join(folder, "circle");
    symlinkSync(circle, circle);
    expect((await refusedBy(readStep(circle))).found).toContain("in a circle");
    const pipe = join(folder, "pipe");
    spawnSync("mkfifo", [pipe]);
    expect((await refusedBy(readStep(pipe))).found).toContain("no regular file");
    expect((await refusedBy(readStep("/dev/null"))).found).toContain("no regular file");
  });

  it("that stay inside are followed, however many", async () => {
    const directory = placed((path, directory) => {
      writeFileSync(join(directory, "real.npy"), files["labels.npy"]!);
      symlinkSync("link-9", path);
      for (let i = 9; i > 0; i--) symlinkSync(i > 1 ? `link-${i - 1}` : "real.npy", join(directory, `link-${i}`));
    });
    expect((await readStep(directory)).fields!.labels).toEqual(labels);
  });
});

describe("files that change while they are read", () => {
  it("are refused where they shrink, to a part or to nothing", async () => {
    for (const [file, rest] of [
      ["labels.npy", 100],
      ["labels.npy", 0],
      ["step.json", 10],
    ] as const) {
      const directory = written(`record-${file}-${rest}`, step);
      disk.afterStat = async (path) => {
        if (String(path).endsWith(file)) await truncate(String(path), rest);
      };
      const error = await refusedBy(readStep(directory));
      expect(error.found).toContain("shrinking while it was read");
      expect(error.fix).toContain("read it again");
    }
    const path = join(folder, "tensor.npy");
    writeFileSync(path, files["logits.npy"]!);
    disk.afterStat = (path) => truncate(String(path), 64);
    expect((await refusedBy(readNpy(path))).found).toContain("shrinking");
  });

  it("are read as they were first where they grow", async () => {
    const directory = written("record", step);
    disk.afterStat = async (path) => writeFileSync(String(path), new Uint8Array(1000), { flag: "a" });
    expect((await readStep(directory)).fields).toEqual({ logits, labels });
  });
});

describe("heads of tensors that lie", () => {
  const npy = (dict: string, data: Uint8Array = new Uint8Array(0), major = 1): Uint8Array => {
    const head = Buffer.from(`${dict}\n`, "latin1");
    const length = Buffer.alloc(major === 1 ? 2 : 4);
    if (major === 1) length.writeUInt16LE(head.length);
    else length.writeUInt32LE(head.length);
    return Buffer.concat([Buffer.from("\x93NUMPY", "latin1"), Buffer.from([major, 0]), length, head, data]);
  };
  const shaped = (shape: string, data?: Uint8Array) =>
    npy(`{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`, data);
  const longHead = Buffer.concat([Buffer.from("\x93NUMPY\x02\x00", "latin1"), Buffer.from([0xff, 0xff, 0xff, 0xff])]);

  it.each<[string, Uint8Array, string, string]>([
    ["a head of 4 GiB", longHead, "file", "header"],
    ["a head of 2 MiB", npy(" ".repeat(2 << 20), undefined, 2), "file", "header"],
    ["a shape of a terabyte", shaped("(1099511627776,)"), "file", "data"],
    ["a shape beyond 2^53", shaped("(9007199254740993,)"), "shape", "shape"],
    ["a shape whose product overflows", shaped("(4294967296, 4294967296)"), "shape", "shape"],
    ["an empty shape whose product overflows", shaped("(0, 4294967296, 4294967296)"), "shape", "shape"],
    ["a negative length", shaped("(-1,)"), "shape", "shape"],
    ["ten thousand axes", shaped(`(${"2, ".repeat(10_000)})`), "shape", "shape"],
    ["numbers with a number too many", shaped(`(${"9".repeat(400)},)`), "shape", "shape"],
    ["a pickle", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), "dtype", "descr"],
    ["named fields", npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"), "dtype", "descr"],
    ["a call in place of a literal", npy("__import__('os').system('true')"), "file", "header"],
    ["a million brackets", npy("(".repeat(1_000_000), undefined, 2), "file", "header"],
    [
      "an entry twice",
      npy("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (), }"),
      "file",
      "header",
    ],
    ["more numbers than its shape", shaped("(1,)", new Uint8Array(8)), "file", "data"],
    ["nothing at all", new Uint8Array(0), "file", "magic"],
    ["the magic string alone", Buffer.from("\x93NUMPY", "latin1"), "file", "header"],
    [
      "a boolean of 2",
      npy("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", Uint8Array.of(2)),
      "file",
      "data",
    ],
  ])("%s", async (_, bytes, code, field) => {
    const directory = written("record", step, { "labels.npy": bytes });
    const error = await refusedBy(readStep(directory));
    expect(error).toMatchObject({ code, where: "record/labels.npy", field });
  });
});

describe("step.json that tricks", () => {
  const load = (file: string) => parseNpy(files[file]!.slice(), file);
  const parse = (json: unknown) => parseStep(json, load, "record");
  const text = JSON.stringify({ ...step, context: { weather: { sky: "blue" } } });

  it("is taken with a byte order mark, from a file and from text", async () => {
    const directory = written("record", `\ufeff${text}`);
    expect((await readStep(directory)).fields).toEqual({ logits, labels });
    expect(parse(`\ufeff${text}`)).toEqual({ ...parse(text), name: "record" });
    expect(refused(() => parse(`\ufeff\ufeff${text}`)).expected).toBe("JSON");
  });

  it("is refused in UTF-16, and with bytes that are no text", async () => {
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
    for (const bytes of [utf16, Buffer.from([0x7b, 0xc0, 0x80, 0x7d]), Buffer.from([0x7b, 0xed, 0xa0, 0x80])]) {
      const directory = written(`record-${bytes.toString("hex").slice(0, 12)}`, step);
      writeFileSync(join(directory, "step.json"), bytes);
      expect((await refusedBy(readStep(directory))).fix).toContain("UTF-8");
    }
  });

  it.each([
    ["the loss", '"loss":1', '"loss":1,"loss":2', "reported.loss", '"loss"'],
    ["the loss, the first one empty", '"loss":1', '"loss":null,"loss":1', "reported.loss", '"loss"'],
    ["the loss, spelled otherwise", '"loss":1', '"loss":1,"l\\u006fss":2', "reported.loss", '"loss"'],
    ["the report", '"reported":', '"reported":{},"reported":', "reported", '"reported"'],
    ["a field", '"labels":', '"labels" : "x.npy" , "labels":', "fields.labels", '"labels"'],
    ["an entry deep in a context", '"sky":"blue"', '"a":[{},{"b":"}","c":1,"c":2}]', "context.weather.a.1.c", '"c"'],
    ["an empty key", '"sky":"blue"', '"":1,"":2', "context.weather.", '""'],
    ["a key with a quote", '"sky":"blue"', '"\\"":1,"\\"":2', 'context.weather."', '"\\""'],
    ["a key with a line break", '"sky":"blue"', '"\\n":1,"\\n":2', "context.weather.\\u000a", '"\\n"'],
  ])("is refused where a key stands twice: %s", (_, once, twice, field, key) => {
    expect(text).toContain(once);
    const error = refused(() => parse(text.replace(once, twice)));
    expect(error).toMatchObject({ code: "file", where: "record", field, found: `the key ${key} twice` });
    expect(error.fix).toContain("remove one of them");
  });

  it("is taken where the same key stands in two objects, or in a string", () => {
    const weather = {
      sky: '","sky":"',
      a: [{ sky: 1 }, { sky: 2 }, ["sky", "sky"]],
      b: { sky: { sky: "\\" } },
      "\\": 1,
    };
    const json = JSON.stringify({ ...step, context: { weather } });
    expect(parse(json).context).toEqual({ weather });
  });

  it("finds exactly the keys that stand twice, in any JSON", () => {
    const key = fc.constantFrom("a", '"', "\\", "\n");
    const { json } = fc.letrec<{ json: { text: string; twice: boolean } }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 4 },
        fc.oneof(fc.jsonValue({ maxDepth: 0 }), key).map((value) => ({ text: JSON.stringify(value), twice: false })),
        fc.array(tie("json"), { maxLength: 3 }).map((entries) => ({
          text: `[${entries.map(({ text }) => text).join(" ,\t")}]`,
          twice: entries.some(({ twice }) => twice),
        })),
        fc.array(fc.tuple(key, tie("json")), { maxLength: 3 }).map((entries) => ({
          text: `{${entries.map(([name, { text }]) => `${JSON.stringify(name)} : ${text}`).join("\n,")}}`,
          twice: new Set(entries.map(([name]) => name)).size < entries.length || entries.some(([, { twice }]) => twice),
        })),
      ),
    }));
    let repeated = 0;
    fc.assert(
      fc.property(json, ({ text, twice }) => {
        repeated += Number(twice);
        const inside = `{"format":1,"intended":{},"fields":{"a":"logits.npy"},"reported":{},"context":{"weather":${text}}}`;
        if (!twice) expect(parse(inside).context.weather).toEqual(JSON.parse(text));
        else expect(refused(() => parse(inside)).found).toMatch(/^the key ".*" twice$/);
      }),
      { numRuns: 1000 },
    );
    expect(repeated).toBeGreaterThan(100);
  });

  it.each(["__proto__", "constructor", "prototype"])("is refused with the key %s, wherever it stands", (key) => {
    for (const path of pathsOf(JSON.parse(text)).filter(({ length }) => length > 0)) {
      const json = JSON.stringify(renamed(JSON.parse(text), path, key));
      const error = refused(() => parse(json));
      expect(error).toMatchObject({ code: "file", found: `the key "${key}"` });
      expect(error.field).toBe([...path.slice(0, -1), key].join("."));
    }
  });

  it("is refused where it nests too deep, in lists, objects and both", () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
      ['[{"a":', "}]"],
    ] as const) {
      for (const depth of [63, 1000, 100_000]) {
        const nested = `${open.repeat(depth)}1${close.repeat(depth)}`;
        const error = refused(() => parse(text.replace('"blue"', nested)));
        expect(`${error.fix} ${error.expected}`).toMatch(/flatten|plain JSON/);
      }
      expect(parse(text.replace('"blue"', `${open.repeat(20)}1${close.repeat(20)}`)).context.weather).toBeTruthy();
    }
  });

  it.each([
    ["bare NaN", text.replace('"loss":1', '"loss":NaN'), 'the words "nan"'],
    ["bare Infinity", text.replace('"loss":1', '"loss":-Infinity'), 'the words "nan"'],
    ["a comma too many", text.replace('"loss":1', '"loss":1,'), "plain JSON"],
    ["a line break in the middle", `${text.slice(0, 20)}\n\r\n\u2028${text.slice(20)}\n}`, "plain JSON"],
    ["a control character in a string", text.replace("blue", "\u0007"), "plain JSON"],
    ["a second value behind it", `${text}\n${text}`, "plain JSON"],
    ["nothing", "", "plain JSON"],
    ["a number beyond float64", text.replace('"loss":1', '"loss":1e999'), '"inf"'],
    ["a name with a line break", text.replace('"labels"', '"la\\nbels"'), "fields"],
    ["a name of a megabyte", text.replace('"labels"', `"${"x".repeat(1 << 20)}"`), "fields"],
    ["an unknown key with a line break", text.replace('"context"', '"con\\ntext"'), "remove it"],
    ["an unknown key of a megabyte", text.replace('"context"', `"${"x".repeat(1 << 20)}"`), "remove it"],
    ["a slip with a line break", text.replace('"weather"', '"ranks\\n"'), 'write "ranks"'],
    ["an option with a line break", text.replace('"ignoreIndex"', '"ignore\\nIndex"'), "as losswright writes it"],
    ["a score of a name with a line break", text.replace('"weather"', '"scores":{"\\n":{}},"x"'), "correct it at"],
  ])("is refused with %s", (_, json, phrase) => {
    const error = refused(() => parse(json));
    expect(`${error.fix} ${error.field}`).toContain(phrase);
  });

  it("keeps halves of characters in words and unknown entries, and writes them back", async () => {
    const context = { task: "\ud800", weather: { "\udfff": ["\ud800\ud800", "\n"] } };
    const record = parse(JSON.stringify({ ...step, context }));
    expect(record.context).toEqual(context);
    expect(reread(record).context).toEqual(context);
    expect(checksOf(await audited(record))).toEqual(checksOf(await audited(parse(text))));
  });

  it("takes an unknown entry of a context with a name of a megabyte", () => {
    const name = "x".repeat(1 << 20);
    expect(parse(text.replace('"weather"', `"${name}"`)).context).toHaveProperty(name);
  });

  it("is read up to 64 MiB, and refused beyond by its length alone", async () => {
    const directory = written("record", step);
    const path = join(directory, "step.json");
    const limit = 64 * 1024 * 1024;
    writeFileSync(path, `${text}${" ".repeat(limit - text.length)}`);
    expect((await readStep(directory)).fields).toEqual({ logits, labels });
    const handle = await open(path, "w");
    await handle.truncate(2 ** 40).catch(() => handle.truncate(limit + 1));
    await handle.close();
    const error = await refusedBy(readStep(directory));
    expect(error).toMatchObject({ code: "file", where: "record", expected: `at most ${limit}` });
    expect(error.fix).toContain(".npy files");
    expect((await refusedBy(readTextFile(path))).expected).toBe(`at most ${limit}`);
  });

  it("is refused with words in place of 64 MiB of numbers, and as 64 MiB of brackets", async () => {
    const directory = written("record", "[".repeat(64 * 1024 * 1024));
    expect((await refusedBy(readStep(directory))).fix).toContain("plain JSON");
    writeFileSync(join(directory, "step.json"), `{"format":1,"loss":[${"1,".repeat(30_000_000)}1]}`);
    expect((await refusedBy(readStep(directory))).found).toContain('an unknown key "loss"');
  });
});

describe("numbers that are none", () => {
  it.each(stored.map((record) => [record.name, record] as const))(
    "are told as such where every tensor of %s is NaN",
    async (_, record) => {
      const { reported, ...rest } = withTensors(record, (tensor) =>
        isFloat(tensor) ? filled(tensor, Number.NaN) : tensor,
      );
      const result = await audited({ ...rest, reported: { ...reported, loss: Number.NaN } });
      if (!result.contradiction) {
        expect(checksOf(result)).toContain("non-finite");
        return;
      }
      // Where a field may not hold NaN, or is of another shape or dtype than the contract's, that is what is said.
      const { code, found } = result.contradiction;
      if (code === "value") expect(found).toContain("NaN");
      else expect(["shape", "dtype"]).toContain(code);
    },
  );

  it.each([
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["minus infinity", Number.NEGATIVE_INFINITY],
    ["minus zero", -0],
    ["the largest float32", 3.4028234663852886e38],
    ["the smallest float32", 1e-45],
  ])("end in a result where everything is %s, lengths and labels too", async (_, value) => {
    for (const record of stored) {
      const everything = withTensors(record, (tensor) => filled(tensor, value));
      const { json, contradiction } = await audited(everything);
      if (!Number.isFinite(value)) expect(json.findings.length > 0 || contradiction, record.name).toBeTruthy();
    }
  });

  it("tell minus zero as zero: the numbers of a step do not change with its sign", async () => {
    const zeros = withTensors(stored.find(({ name }) => name === "clean-whole-number-targets")!, (tensor) =>
      filled(tensor, 0),
    );
    const loss = { ...zeros, reported: { ...zeros.reported, loss: 0 } };
    const negative = {
      ...loss,
      fields: Object.fromEntries(Object.entries(loss.fields!).map(([name, field]) => [name, filled(field, -0)])),
      reported: { ...loss.reported, loss: -0 },
    };
    expect(checksOf(await audited(negative))).toEqual(checksOf(await audited(loss)));
    expect((await audited(negative)).json.declared!.value).toBeCloseTo(0, 300);
  });

  it("are refused as labels: whole numbers beyond the classes, beyond 2^53, and none", async () => {
    const wrong = [4n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
    for (const label of wrong) {
      const data = BigInt64Array.of(0n, 1n, 2n, 3n, label, 1n);
      const { contradiction } = await audited(recordOf({ fields: { logits, labels: tensor(data, [2, 3]) } }));
      expect(contradiction).toMatchObject({ code: "value", field: "labels", index: [1, 1] });
    }
    for (const label of [0.5, Number.NaN, 1e300]) {
      const data = tensor(Float64Array.of(0, 1, 2, 3, label, 1), [2, 3]);
      const { contradiction } = await audited(recordOf({ fields: { logits, labels: data } }));
      expect(contradiction).toMatchObject({ code: "dtype", field: "labels" });
    }
  });
});

describe("shapes that do not fit", () => {
  const emptied = (axis: number) => (given: Tensor) => {
    const shape = given.shape.map((length, i) => (i === axis ? 0 : length));
    return shape.includes(0) ? tensor(new Float32Array(0), shape) : given;
  };

  it.each([0, 1, 2])("are told where tensors are empty along axis %i, all of them or one", async (axis) => {
    for (const given of stored) {
      await audited(withTensors(given, emptied(axis)));
      for (const only of given.files.keys()) {
        const record = taken(() =>
          withTensors(given, (tensor, file) => (file === only ? emptied(axis)(tensor) : tensor)),
        );
        if (record) await audited(record);
      }
    }
  });

  it("are told where one tensor is a scalar, and where all are", async () => {
    const scalar = () => tensor(new Float32Array([0.5]), []);
    for (const given of stored) {
      await audited(withTensors(given, scalar));
      for (const only of given.files.keys()) {
        const record = taken(() => withTensors(given, (tensor, file) => (file === only ? scalar() : tensor)));
        if (record) await audited(record);
      }
    }
  });

  const fieldsOf: Readonly<Record<string, readonly string[]>> = {
    squaredError: ["predictions", "targets"],
    huber: ["predictions", "targets"],
    binaryCrossEntropy: ["logits", "targets"],
    dice: ["logits", "targets"],
    crossEntropy: ["logits", "labels"],
    klDivergence: ["logits", "targets"],
    infoNce: ["queries", "keys"],
    clip: ["images", "texts"],
    marginRanking: ["scores", "otherScores", "targets"],
    ctc: ["logits", "labels", "inputLengths", "labelLengths"],
    rankingSoftmax: ["scores", "targets"],
  };
  it.each(Object.entries(fieldsOf))(
    "are told where tensors of %s are empty and another axis is as long as no memory",
    async (objective, names) => {
      let audits = 0;
      const shapes = [2 ** 10, 2 ** 22, 2 ** 40].flatMap((long) => [
        [long, 0],
        [0, long],
        [0, long, 4],
        [4, long, 0],
        [long, 0, 4],
      ]);
      for (const shape of shapes) {
        for (const per of ["token", "element", "sequence", "sample"]) {
          const empty = encodeNpy(tensor(new Float32Array(0), shape));
          const shorter = encodeNpy(
            tensor(new Int32Array(0), shape.slice(0, -1).includes(0) ? shape.slice(0, -1) : [0]),
          );
          const bytes = (name: string) => (/^(labels|.*Lengths)$/.test(name) ? shorter : empty);
          const contents = new Map(names.map((name) => [`${name}.npy`, bytes(name)]));
          const fields = Object.fromEntries(names.map((name) => [name, `${name}.npy`]));
          const json = { format: 1, intended: { objective, reduction: { per } }, fields, reported: { loss: 0 } };
          const record = taken(() => parseStep(json, loaderOf(contents), "long"));
          if (!record) continue;
          audits++;
          await auditedOrRefused(record);
        }
      }
      expect(audits).toBeGreaterThan(20);
    },
  );

  const fieldsOfTwo = { logits: floats(2, 3, 4), labels };
  it.each<[string, StepRecord["context"]]>([
    ["roles of another length", { sequence: { roles: wholes(new Array(12).fill(2), [2, 6]) } }],
    ["roles of no axis", { sequence: { roles: wholes([2], []) } }],
    ["roles that are none", { sequence: { roles: wholes([7, -1, 99, 0, 1, 2], [2, 3]) } }],
    ["an attention mask of rows", { sequence: { attentionMask: wholes([1, 0]) } }],
    ["an attention mask of NaN", { sequence: { attentionMask: filled(labels, Number.NaN) } }],
    ["an empty attention mask", { sequence: { attentionMask: wholes([], [2, 0]) } }],
    ["segment ids in floating point", { sequence: { segmentIds: filled(labels, 1.5) } }],
    ["token ids beyond 2^53", { sequence: { inputIds: tensor(new BigInt64Array(6).fill(2n ** 62n), [2, 3]) } }],
    ["a padding beyond every token", { sequence: { inputIds: labels, padId: Number.MAX_SAFE_INTEGER, eosId: -1 } }],
    [
      "everything at once, and nothing of one length",
      {
        sequence: {
          inputIds: wholes([1, 2, 3]),
          roles: wholes(new Array(12).fill(2), [2, 6]),
          attentionMask: floats(1, 1, 1, 1),
          segmentIds: wholes([], [0, 3]),
          decoderInputIds: floats(9),
          padId: 0,
          eosId: 0,
          intended: { labelShift: 1_000_000, lossOn: [], endOfSequence: true, acrossSegments: true },
        },
      },
    ],
    ["scores of no field", { scores: { policyChosen: { logProbs: floats(3), mask: floats(2, 2) } } }],
    ["scores with a mask of another shape", { scores: { logits: { logProbs: floats(2, 9), mask: floats(9, 2) } } }],
    ["a metric of nothing", { metric: { name: "", value: Number.NaN, updates: [] } }],
    ["a metric of counts that are none", { metric: { name: "x", updates: [{ value: Number.NaN, count: -1e308 }] } }],
    ["a threshold outside", { decision: { threshold: -1e308, tuned: false } }],
    ["a loss scale that is tiny", { computation: { dtype: "float16", lossScale: 5e-324 } }],
    ["a loss scale that is huge", { computation: { dtype: "bfloat16", lossScale: 1.7e308 } }],
    ["counts of other classes", { classCounts: [0] }],
    ["counts of a million classes", { classCounts: new Array(1_000_000).fill(1) }],
    ["ranks without end", { ranks: Number.MAX_SAFE_INTEGER, rank: Number.MAX_SAFE_INTEGER }],
    ["micro-batches without end", { microBatches: Number.MAX_SAFE_INTEGER, microBatch: 5, batches: 1 }],
    ["a rank outside", { ranks: 2, rank: 7 }],
    ["terms that cancel", { terms: [{ name: "a", coefficient: 0, intended: true, value: Number.NaN }] }],
    [
      "owners that are none",
      { gathered: { logits: { ranks: tensor(Float32Array.of(Number.NaN, -1)), ids: floats(2) } } },
    ],
    ["feature lengths that are none", { alignment: { featureLengths: filled(floats(2), Number.NaN), stride: 1 } }],
    ["symbols of other classes", { alignment: { symbols: [] } }],
    ["outputs of NaN", { outputs: { logits: filled(floats(2, 3, 4), Number.NaN) } }],
    ["outputs of whole numbers", { outputs: { logits: wholes(new Array(24).fill(1), [2, 3, 4]) } }],
    [
      "a sample of a step that has no unit",
      { sampled: { units: wholes([]), shape: [0], fields: [], tally: { denominator: 0, numerator: Number.NaN } } },
    ],
    [
      "a sample whose tally contradicts it",
      {
        sampled: { units: wholes([0, 5]), shape: [2, 3], fields: ["logits", "labels"], tally: { denominator: -1 } },
      },
    ],
  ])("of a context are refused or end in a defined result: %s", async (_, context) => {
    const whole = { logits: floats(2, 4), labels: wholes([0, 1]) };
    for (const fields of [fieldsOfTwo, whole]) {
      const reported = { loss: 1, gradients: { logits: fields.logits } };
      const record = taken(() => reread(recordOf({ fields, context, reported })));
      if (!record) continue;
      const { json, contradiction } = await audited(record);
      expect(json.declared ?? contradiction).toBeTruthy();
      const part = { fields: record.fields!, reported: record.reported, context: record.context };
      const inParts = recordOf({ parts: [part, part] });
      await audited(reread(inParts));
    }
  });

  const many = 300_000;
  it.each<[string, string, Record<string, Tensor>, StepRecord["context"]]>([
    ["classes", "crossEntropy", { logits: floats(2, many), labels: wholes([3, 4]) }, {}],
    ["labels", "crossEntropy", { logits: floats(many, 2), labels: wholes(new Array(many).fill(1)) }, {}],
    [
      "keys",
      "infoNce",
      { queries: floats(1, 2), keys: floats(many, 2) },
      { gathered: { keys: { ranks: floats(many) } } },
    ],
    [
      "sequences",
      "ctc",
      {
        logits: floats(many, 1, 2),
        labels: wholes(new Array(many).fill(1), [many, 1]),
        inputLengths: wholes(new Array(many).fill(1)),
        labelLengths: wholes(new Array(many).fill(1)),
      },
      { alignment: { featureLengths: floats(many), stride: 2 } },
    ],
    [
      "tokens",
      "crossEntropy",
      { logits: floats(1, many, 2), labels: wholes(new Array(many).fill(1), [1, many]) },
      {
        sequence: {
          inputIds: wholes(new Array(many).fill(1), [1, many]),
          roles: wholes(new Array(many).fill(2), [1, many]),
          segmentIds: wholes(new Array(many).fill(1), [1, many]),
          attentionMask: floats(1, many),
          intended: { labelShift: 1, lossOn: ["assistant"], endOfSequence: true },
        },
      },
    ],
  ])("of more %s than an engine takes arguments end in a result", async (_, objective, fields, context) => {
    const record = recordOf({ intended: { objective }, fields, context, reported: { loss: 0.123, gradients: {} } });
    const { json, contradiction } = await audited(reread(record));
    expect(json.declared ?? contradiction).toBeTruthy();
  });

  it("of two thousand parts end in a result", async () => {
    const part = (i: number) => ({
      fields: { logits: floats(1, 3), labels: wholes([i % 3]) },
      reported: { loss: 1, gradients: { logits: floats(1, 3) } },
      context: { rank: i % 7, microBatch: i },
    });
    const parts = Array.from({ length: 2000 }, (_, i) => part(i));
    const { json } = await audited(recordOf({ parts, context: { ranks: 7, microBatches: 286 } }));
    expect(json.declared!.denominator).toBe(2000);
  });
});

// ---- the command ----

describe("losswright audit", () => {
  it("says one line of each hostile record on standard error, exits with 2, and shows no stack", () => {
    const text = JSON.stringify(step);
    const sample = { units: "labels.npy", shape: [2, 3], fields: ["logits"], tally: { denominator: 6 } };
    const hostile: Record<string, unknown> = {
      "path out": withLabels("../secret.npy"),
      "line break in a path": withLabels("a\nb.npy"),
      "no JSON": '{\n\n"format": 1,\n]\n',
      "line break in a key": { ...step, "a\nb": 1 },
      "line break in a field": { ...step, fields: { ...step.fields, "a\nb": "labels.npy" } },
      "line break in an option": { ...step, intended: { ...intended, options: { "a\nb": 1 } } },
      "line break in an objective": { ...step, intended: { objective: "a\nb\u001b[2J" } },
      "unknown objective": { ...step, intended: { objective: "crossEntropi" } },
      "no contract": { ...step, intended: {} },
      "contract of lists": { ...step, intended: { objective: [], options: [], reduction: [] } },
      prototype: text.replace('"loss"', '"__proto__"'),
      "key twice": text.replace('"loss":1', '"loss":1,"loss":2'),
      "deep nesting": { ...step, context: { x: JSON.parse("[".repeat(99) + "]".repeat(99)) } },
      "bare NaN": text.replace('"loss":1', '"loss":NaN'),
      "missing tensor": withLabels("missing.npy"),
      "no tensor": withLabels("step.json"),
      "terms without an intended one": { ...step, context: { terms: [{ name: "a\nb", coefficient: 1 }] } },
      "sample of other units": { ...step, context: { sampled: sample } },
      "gathered rows of no field": { ...step, context: { gathered: { keys: {} } } },
      "output of another shape": { ...step, context: { outputs: { labels: "logits.npy" } } },
      "gradient of another shape": { ...step, reported: { gradients: { logits: "labels.npy" } } },
    };
    const paths = Object.entries(hostile).map(([name, json]) => written(name, json));
    const { NO_COLOR, FORCE_COLOR, CI, NODE_OPTIONS, ...env } = process.env;
    const run = (args: readonly string[]) =>
      spawnSync(process.execPath, [main, "audit", ...args], { cwd: root, env, encoding: "utf8" });
    const { stdout, stderr, status } = run(paths);
    const lines = stderr.trimEnd().split("\n");
    expect([stdout, status]).toEqual(["", 2]);
    expect(lines.filter((line) => !/^losswright: .+: found .+; expected .+\.$/.test(line))).toEqual([]);
    expect(lines).toHaveLength(paths.length);
    for (const [i, path] of paths.entries()) expect(lines[i]).toContain(`losswright: ${path}: `);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(JSON.parse(run(["--json", ...paths]).stdout)).toEqual({ steps: [] });
  });
});

// ---- any change of real records ----

describe("a record with anything changed", () => {
  const sizeOf = ({ files }: Stored) => [...files.values()].reduce((sum, { length }) => sum + length, 0);
  const byName = new Map(stored.filter((record) => sizeOf(record) < 60_000).map((record) => [record.name, record]));
  const small = [...byName.keys()];
  const hostileNumbers = [0, -0, 1, -1, 0.5, 2, 7, 1e-45, 1e38, -1e300, Number.NaN, Infinity, -Infinity, 2 ** 31, -100];
  const values = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      "",
      "nan",
      "inf",
      "mean",
      "sequence",
      [],
      {},
      [1],
      0,
      -1,
      2,
      0.5,
      1e300,
      2 ** 53,
    ),
    fc.constantFrom<unknown>(
      "token",
      "element",
      "sample",
      "count",
      "weight",
      "zero",
      "throw",
      { constant: 0 },
      [0, -1],
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const contexts = fc.constantFrom<object>(
    { ranks: 2, rank: 1 },
    { microBatches: 3, combine: { ranks: "mean" } },
    { splitAxis: "sequence" },
    { metric: { name: "accuracy", value: 0.5 }, decision: { threshold: 2 } },
    { computation: { dtype: "float16", lossScale: 65536 } },
    { classCounts: [1, 2, 3] },
    { terms: [{ name: "a", coefficient: -1, intended: true, value: 3 }] },
    { sequence: { padId: 0, eosId: 0, intended: { labelShift: 3, lossOn: ["assistant"] } } },
  );

  type Change =
    | { kind: "value"; at: number; value: unknown }
    | { kind: "drop"; at: number }
    | { kind: "rename"; at: number; name: string }
    | { kind: "objective"; name: string }
    | { kind: "context"; entries: object }
    | { kind: "swap"; at: number; with: number }
    | { kind: "tensor"; at: number; how: string }
    | { kind: "refer"; at: number; from: Path }
    | { kind: "bytes"; at: number; place: number; byte: number }
    | { kind: "cut"; at: number; place: number };

  const numbersOf = ({ data }: Tensor) => Array.from<number | bigint, number>(data, Number);
  const wholeOf = (value: number) => BigInt(Number.isFinite(value) ? Math.trunc(value) : 0);
  const withoutLastRow = ({ data, shape: [rows = 1, ...rest] }: Tensor) =>
    rows === 0
      ? tensor(data, [0, ...rest])
      : tensor(data.slice(0, (data.length / rows) * (rows - 1)), [rows - 1, ...rest]);
  const withOne = (given: Tensor, number: number) => {
    const numbers = Float64Array.from(numbersOf(given));
    if (numbers.length) numbers[numbers.length >> 1] = number;
    return tensor(numbers, given.shape);
  };
  const hows: readonly (readonly [words: string, how: (given: Tensor) => Tensor])[] = [
    ["flat", ({ data }) => tensor(data, [data.length])],
    ["turned", ({ data, shape }) => tensor(data, shape.toReversed())],
    ["an axis more", ({ data, shape }) => tensor(data, [...shape, 1])],
    ["a first axis", ({ data, shape }) => tensor(data, [1, ...shape])],
    ["one axis for two", ({ data, shape: [a = 1, b = 1, ...rest] }) => tensor(data, [a * b, ...rest])],
    ["half", ({ data }) => tensor(data.slice(0, data.length >> 1), [data.length >> 1])],
    ["without its last row", withoutLastRow],
    ["one number", (given) => tensor(Float64Array.of(numbersOf(given)[0] ?? 0), [])],
    ["nothing", ({ shape }) => tensor(new Float32Array(0), [0, ...shape.slice(1)])],
    ["float64", (given) => tensor(Float64Array.from(numbersOf(given)), given.shape)],
    ["int32", (given) => tensor(Int32Array.from(numbersOf(given)), given.shape)],
    ["int64", (given) => tensor(BigInt64Array.from(numbersOf(given).map(wholeOf)), given.shape)],
    [
      "booleans",
      (given) => ({
        ...tensor(
          Uint8Array.from(numbersOf(given), (x) => Number(x > 0)),
          given.shape,
        ),
        dtype: "bool",
      }),
    ],
    ...hostileNumbers.map((number) => [`all ${number}`, (given: Tensor) => filled(given, number)] as const),
    ...hostileNumbers.map((number) => [`one ${number}`, (given: Tensor) => withOne(given, number)] as const),
  ];
  const howOf = new Map(hows);

  /** Where a context may name a tensor. */
  const leaves: readonly Path[] = [
    ...["inputIds", "roles", "attentionMask", "segmentIds", "decoderInputIds"].map((name) => ["sequence", name]),
    ...["logits", "predictions", "queries", "policyChosen"].flatMap((field) => [
      ["outputs", field],
      ["gathered", field, "ranks"],
      ["gathered", field, "ids"],
    ]),
    ["alignment", "featureLengths"],
    ["sampled", "units"],
  ];
  const whole = { sequence: { padId: 0, eosId: 1 }, gathered: {}, outputs: {}, alignment: { stride: 2 } };
  const sampled = { shape: [2, 3], fields: ["logits", "labels"], tally: { denominator: 6, numerator: 3 } };

  const at = fc.nat(1 << 20);
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ kind: fc.constant("value" as const), at, value: values }),
    fc.record({ kind: fc.constant("drop" as const), at }),
    fc.record({
      kind: fc.constant("rename" as const),
      at,
      name: fc.constantFrom("labels", "targets", "mask", "logits", "x"),
    }),
    fc.record({ kind: fc.constant("objective" as const), name: fc.constantFrom(...objectiveNames()) }),
    fc.record({ kind: fc.constant("context" as const), entries: contexts }),
    fc.record({ kind: fc.constant("swap" as const), at, with: at }),
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("tensor" as const),
        at,
        how: fc.constantFrom(...hows.map(([words]) => words)),
      }),
    },
    fc.record({ kind: fc.constant("refer" as const), at, from: fc.constantFrom(...leaves) }),
    fc.record({ kind: fc.constant("bytes" as const), at, place: at, byte: fc.nat(255) }),
    fc.record({ kind: fc.constant("cut" as const), at, place: at }),
  );

  function changed({ name, json, files }: Stored, change: Change): Stored {
    const names = [...files.keys()];
    const file = names[("at" in change ? change.at : 0) % names.length]!;
    const withFile = (bytes: Uint8Array) => ({ name, json, files: new Map([...files, [file, bytes]]) });
    const places = pathsOf(json);
    const place = places[("at" in change ? change.at : 0) % places.length]!;
    switch (change.kind) {
      case "value":
        return { name, files, json: replaced(json, place, change.value) };
      case "drop":
        return { name, files, json: dropped(json, place) };
      case "rename":
        return { name, files, json: renamed(json, place, change.name) };
      case "objective":
        return { name, files, json: replaced(json, ["intended"], { objective: change.name }) };
      case "context":
        return { name, files, json: replaced(json, ["context"], change.entries) };
      case "refer": {
        // Beside the tensor stands what its place needs.
        const [holder, field] = change.from;
        const around = holder === "sampled" ? { sampled } : { [holder!]: whole[holder as keyof typeof whole] };
        const base = replaced(json, ["context"], holder === "gathered" ? { gathered: { [field!]: {} } } : around);
        return { name, files, json: replaced(base, ["context", ...change.from], file) };
      }
      case "swap": {
        const other = names[change.with % names.length]!;
        return { name, json, files: new Map([...files, [file, files.get(other)!], [other, files.get(file)!]]) };
      }
      case "tensor": {
        const bytes = files.get(file)!;
        try {
          return withFile(encodeNpy(howOf.get(change.how)!(parseNpy(bytes.slice(), file))));
        } catch (error) {
          // Bytes that an earlier change damaged.
          if (error instanceof LosswrightError) return { name, json, files };
          throw error;
        }
      }
      case "bytes": {
        const bytes = files.get(file)!.slice();
        bytes[change.place % bytes.length] = change.byte;
        return withFile(bytes);
      }
      case "cut":
        return withFile(files.get(file)!.slice(0, change.place % (files.get(file)!.length + 1)));
    }
  }

  it("is refused with a LosswrightError or audited to an end that can be written", async () => {
    let ended = 0;
    const changes = fc.array(change, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...small), changes, async (name, changes) => {
        const record = taken(() => parsed(changes.reduce(changed, byName.get(name)!)));
        if (record && (await auditedOrRefused(record))) ended++;
      }),
      // Not shrunk: the changes are few, and each of those that do not end would cost the auditor's patience.
      { numRuns: 2000, endOnFailure: true },
    );
    expect(ended).toBeGreaterThan(500);
  }, 300_000);
});
