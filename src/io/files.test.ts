import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import {
  openTensorFile,
  readJsonFile,
  readNpy,
  readStep,
  readStepByRows,
  readTextFile,
  writeNpy,
  writeStep,
  writeTextFile,
} from "./files.js";
import { encodeNpy } from "./npy.js";
import { encodeNpz } from "./npz.js";
import { isRowSource, type RowSource } from "./row-source.js";
import { encodeSafetensors } from "./safetensors.js";
import type { StepRecord } from "./step-record.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "losswright-io-"));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const logits = tensor(new Float32Array([1, 2, 3, 4]), [2, 2]);
const labels = tensor(new BigInt64Array([0n, 1n]), [2]);
const record: StepRecord = {
  format: 1,
  name: "step",
  intended: { objective: "crossEntropy" },
  fields: { logits, labels },
  reported: { loss: Number.POSITIVE_INFINITY, gradients: { logits } },
  context: { sequence: { roles: labels }, task: "classification" },
  parts: [],
};

async function errorOf(work: Promise<unknown>): Promise<LosswrightError> {
  const error = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof LosswrightError) return error;
  throw error;
}

describe("readTextFile and writeTextFile", () => {
  it("give back what they were given, and leave no other file", async () => {
    const path = join(root, "page.html");
    await writeTextFile(path, "old");
    await writeTextFile(path, "<b>中</b>\n");
    expect(await readTextFile(path)).toBe("<b>中</b>\n");
    expect(await readdir(root)).toEqual(["page.html"]);
  });

  it("name the path that is not there, and the bytes that are no text", async () => {
    const path = join(root, "missing", "page.html");
    expect(await errorOf(readTextFile(path))).toMatchObject({ code: "file", where: path });
    expect(await errorOf(writeTextFile(path, "x"))).toMatchObject({ code: "file", where: path });
    const binary = join(root, "binary");
    await writeFile(binary, Uint8Array.of(0xff));
    expect((await errorOf(readTextFile(binary))).found).toContain("no UTF-8");
  });
});

describe("readJsonFile", () => {
  it("gives what the file holds, and refuses what is no JSON or hides a key", async () => {
    const path = join(root, "contract.json");
    await writeFile(path, '{"objective":"huber"}');
    expect(await readJsonFile(path)).toEqual({ objective: "huber" });
    for (const text of ["{", '{"a":1,"a":2}', '{"__proto__":1}', "[".repeat(100) + "]".repeat(100)]) {
      await writeFile(path, text);
      expect(await errorOf(readJsonFile(path)), text).toMatchObject({ code: "file", where: path });
    }
  });
});

describe("readNpy and writeNpy", () => {
  it("give back what they were given, and leave no other file", async () => {
    const path = join(root, "logits.npy");
    await writeNpy(path, labels);
    await writeNpy(path, logits);
    expect(await readNpy(path)).toEqual(logits);
    expect(await readdir(root)).toEqual(["logits.npy"]);
  });

  it("read a file that is longer than the part that is looked at first", async () => {
    const path = join(root, "long.npy");
    const long: Tensor = tensor(Float64Array.from({ length: 300_000 }, (_, i) => i));
    await writeNpy(path, long);
    expect((await readNpy(path)).data).toEqual(long.data);
  });

  it("name the path that is not there", async () => {
    const path = join(root, "missing.npy");
    const error = await errorOf(readNpy(path));
    expect(error).toMatchObject({ code: "file", where: path });
    expect(error.found).toContain("no such file");
    expect(error.fix).toContain("check the path");
    expect(error.cause).toMatchObject({ code: "ENOENT" });
  });

  it("refuse a directory, and a path that no system takes", async () => {
    expect((await errorOf(readNpy(root))).found).toContain("a directory");
    expect(await errorOf(readNpy("a\0b.npy"))).toMatchObject({ code: "file" });
  });

  it.skipIf(process.platform === "win32")("refuse a pipe at once instead of waiting for a writer", async () => {
    const path = join(root, "pipe.npy");
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    expect((await errorOf(readNpy(path))).found).toContain("no regular file");
  });

  it("refuse a file of a terabyte by its head, without reading it or making room for it", async () => {
    const path = join(root, "sparse.npy");
    await writeFile(path, encodeNpy(logits));
    const size = 2 ** 40;
    const sparse = await truncate(path, size).then(
      () => true,
      () => false,
    );
    if (!sparse) return;
    const error = await errorOf(readNpy(path));
    expect(error).toMatchObject({ code: "file", where: path, field: "data" });
    expect(error.found).toContain(String(size - 128));
  });

  it("leave the old file and nothing else where a write fails", async () => {
    const taken = join(root, "taken.npy");
    await mkdir(taken);
    const error = await errorOf(writeNpy(taken, logits));
    expect(error).toMatchObject({ code: "file", where: taken });
    expect(error.fix).toContain("may be written to");
    expect(await readdir(root)).toEqual(["taken.npy"]);
    expect((await errorOf(writeNpy(join(root, "nowhere", "a.npy"), logits))).found).toContain("no such file");
    expect((await errorOf(writeNpy(join(root, "a.npy"), { ...logits, shape: [3] }))).code).toBe("shape");
    expect(await readdir(root)).toEqual(["taken.npy"]);
  });
});

describe("readStep and writeStep", () => {
  it("give back what they were given, by directory and by step.json, named after the directory", async () => {
    const directory = join(root, "deep", "step");
    await writeStep(directory, record);
    expect(await readStep(directory)).toEqual(record);
    expect(await readStep(join(directory, "step.json"))).toEqual(record);
    const files = ["labels.npy", "logits-gradient.npy", "logits.npy", "sequence-roles.npy", "step.json"];
    expect((await readdir(directory)).sort()).toEqual(files);
  });

  it("replace a record that is there", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    const next: StepRecord = { ...record, fields: { logits: labels }, reported: { loss: 1, gradients: {} } };
    await writeStep(directory, next);
    expect(await readStep(directory)).toEqual(next);
  });

  it("read files in directories inside the record, and through links that stay inside", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    await mkdir(join(directory, "tensors"));
    await cp(join(directory, "logits.npy"), join(directory, "tensors", "logits.npy"));
    await symlink(join(directory, "tensors"), join(directory, "link"));
    const path = join(directory, "step.json");
    await writeFile(path, (await readFile(path, "utf8")).replace('"logits.npy"', '"link/logits.npy"'));
    expect(await readStep(directory)).toEqual(record);
  });

  it("refuse a symbolic link that leads out, of a tensor, of a directory and of step.json", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    const outside = join(root, "outside");
    await mkdir(outside);
    const path = join(directory, "step.json");
    const text = await readFile(path, "utf8");
    for (const name of ["labels.npy", "step.json"]) {
      await cp(join(directory, name), join(outside, name));
      await rm(join(directory, name));
      await symlink(join(outside, name), join(directory, name));
      const error = await errorOf(readStep(directory));
      expect(error).toMatchObject({ code: "file", where: "step" });
      expect(error.field).toBe(name === "labels.npy" ? "fields.labels" : undefined);
      expect(error.found).toContain("leads out");
      expect(error.fix).toContain("copy the file");
      await rm(join(directory, name));
      await cp(join(outside, name), join(directory, name));
    }
    await symlink(outside, join(directory, "link"));
    await writeFile(path, text.replace('"labels.npy"', '"link/labels.npy"'));
    expect((await errorOf(readStep(directory))).found).toContain("leads out");
  });

  it("name a missing tensor by its path in the record and by who refers to it", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    await rm(join(directory, "logits-gradient.npy"));
    const error = await errorOf(readStep(directory));
    expect(error).toMatchObject({ code: "file", where: "step", field: "reported.gradients.logits" });
    expect(error.found).toContain('no such file: "logits-gradient.npy"');
    expect(error.message).not.toContain(root);
  });

  it("name a damaged tensor by its path in the record", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    await truncate(join(directory, "logits.npy"), 130);
    expect(await errorOf(readStep(directory))).toMatchObject({ where: "step/logits.npy", field: "data" });
  });

  it("refuse paths out of the record before they touch the disk", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    const path = join(directory, "step.json");
    await writeFile(path, (await readFile(path, "utf8")).replace('"labels.npy"', '"../labels.npy"'));
    expect((await errorOf(readStep(directory))).found).toContain("leads out of the record");
  });

  it.skipIf(process.platform === "win32")("refuse a pipe and a directory where a tensor should be", async () => {
    const directory = join(root, "step");
    await writeStep(directory, record);
    const path = join(directory, "labels.npy");
    await rm(path);
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    expect((await errorOf(readStep(directory))).found).toContain('no regular file at "labels.npy"');
    await rm(path);
    await mkdir(path);
    expect((await errorOf(readStep(directory))).found).toContain('a directory at "labels.npy"');
  });

  it("refuse a step.json that is missing, is no UTF-8, or is too long for one", async () => {
    expect((await errorOf(readStep(join(root, "nowhere")))).found).toContain("no such file");
    const error = await errorOf(readStep(root));
    expect(error.found).toContain('no such file: "step.json"');
    const path = join(root, "step.json");
    await writeFile(path, Uint8Array.of(0x7b, 0xff, 0x7d));
    expect((await errorOf(readStep(root))).fix).toContain("UTF-8");
    const handle = await open(path, "w");
    await handle.truncate(64 * 1024 * 1024 + 1);
    await handle.close();
    expect((await errorOf(readStep(root))).fix).toContain(".npy files");
  });

  it("leave nothing behind where a write fails, at the last file too", async () => {
    const fresh = join(root, "a", "b");
    await errorOf(writeStep(fresh, { ...record, fields: {} }));
    expect(await readdir(root)).toEqual([]);

    for (const name of ["logits.npy", "labels.npy", "step.json"]) {
      const directory = join(root, name);
      await mkdir(join(directory, name), { recursive: true });
      const error = await errorOf(writeStep(directory, record));
      expect(error).toMatchObject({ code: "file", where: directory });
      expect(await readdir(directory)).toEqual([name]);
    }

    await writeFile(join(root, "file"), "");
    expect((await errorOf(writeStep(join(root, "file", "step"), record))).fix).toContain("may be written to");
  });

  it.skipIf(process.platform !== "linux")("remove the directories they made where a write fails", async () => {
    // The directory's path is just short enough for Linux; that of any file in it is too long.
    let directory = join(root, "made");
    while (directory.length < 3900) directory = join(directory, "x".repeat(150));
    directory = join(directory, "x".repeat(4080 - directory.length));
    expect((await errorOf(writeStep(directory, record))).found).toContain("ENAMETOOLONG");
    expect(await readdir(root)).toEqual([]);
  });
});

/** A step.json that names what it is told to name. */
async function referring(fields: Record<string, string>, more: object = {}): Promise<string> {
  const directory = join(root, "step");
  await mkdir(directory, { recursive: true });
  const { format, intended } = record;
  const json = { format, intended, fields, reported: { loss: 1 }, ...more };
  await writeFile(join(directory, "step.json"), JSON.stringify(json));
  return directory;
}

describe("readStep of archives", () => {
  const tensors = new Map<string, Tensor>([
    ["logits", logits],
    ["labels", labels],
  ]);
  const encoders = [
    ["batch.npz", encodeNpz],
    ["batch.safetensors", encodeSafetensors],
    ["Batch.NPZ", encodeNpz],
  ] as const;

  it.each(encoders)("takes members of %s for fields, gradients and entries of the context", async (name, encode) => {
    const directory = await referring(
      { logits: `${name}#logits`, labels: `${name}#labels` },
      {
        reported: { loss: 1, gradients: { logits: `${name}#logits` } },
        context: { sequence: { roles: `${name}#labels` } },
      },
    );
    await writeFile(join(directory, name), encode(tensors));
    const read = await readStep(directory);
    expect(read.fields).toEqual({ logits, labels });
    expect(read.reported.gradients).toEqual({ logits });
    expect(read.context.sequence).toEqual({ roles: labels });
    const byRows = await readStepByRows(directory);
    expect(byRows.record).toEqual(read);
    await byRows.close();
  });

  it.each(encoders)("needs no member where %s has one tensor", async (name, encode) => {
    const directory = await referring({ labels: name });
    await writeFile(join(directory, name), encode(new Map([["anything", labels]])));
    expect((await readStep(directory)).fields).toEqual({ labels });
  });

  it.each(encoders)("names the near miss, and asks for a member where %s has several", async (name, encode) => {
    const directory = await referring({ logits: `${name}#logit` });
    await writeFile(join(directory, name), encode(tensors));
    expect(await errorOf(readStep(directory))).toMatchObject({
      code: "unknown",
      where: "step",
      field: "fields.logits",
      fix: `write "${name}#logits".`,
    });
    await referring({ logits: name });
    const error = await errorOf(readStep(directory));
    expect(error).toMatchObject({ code: "argument", where: "step", field: "fields.logits" });
    expect(error.found).toContain(`in "${name}" none named, of 2 tensors`);
    expect(error.fix).toMatch(new RegExp(`^write "${name}#(logits|labels)"\\.$`));
  });

  it.each(encoders.slice(0, 2))("gives a record or a LosswrightError for any damage to %s", async (name, encode) => {
    const directory = await referring({ logits: `${name}#logits`, labels: `${name}#labels` });
    const bytes = encode(tensors);
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const damaged = at % 3 === 0 ? bytes.slice(0, at) : Uint8Array.from(bytes);
      if (at % 3 !== 0) damaged[at]! ^= at % 3 === 1 ? 0xff : 1 << (at & 7);
      await writeFile(join(directory, name), damaged);
      const [whole, byRows] = await Promise.all(
        [readStep(directory), readStepByRows(directory, { limit: 1 })].map((reading) =>
          reading.then(
            async (read) => void ("close" in read && (await read.close())),
            (thrown: unknown) => thrown,
          ),
        ),
      );
      for (const thrown of [whole, byRows]) {
        if (thrown === undefined) continue;
        expect(thrown, `byte ${at}`).toBeInstanceOf(LosswrightError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(bytes.length / 2);
  });

  it("reads no member that nobody names", async () => {
    const directory = await referring({ labels: "batch.npz#labels" });
    const bytes = encodeNpz(tensors);
    // The numbers of logits come first; flipped, their CRC is wrong.
    const at = Buffer.from(bytes).indexOf(Buffer.from(Float32Array.of(1, 2, 3, 4).buffer));
    expect(at).toBeGreaterThan(0);
    bytes[at]! ^= 1;
    await writeFile(join(directory, "batch.npz"), bytes);
    expect((await readStep(directory)).fields).toEqual({ labels });
    await referring({ labels: "batch.npz#logits" });
    expect((await errorOf(readStep(directory))).message).toContain("CRC");
  });

  it("refuses an archive outside, a pickle under its name, and a path that leads out behind the member", async () => {
    const directory = await referring({ labels: "../batch.npz#labels" });
    await writeFile(join(root, "batch.npz"), encodeNpz(tensors));
    expect((await errorOf(readStep(directory))).found).toContain("leads out of the record");
    await referring({ labels: "batch.npz#../../labels" });
    expect((await errorOf(readStep(directory))).found).toContain("leads out of the record");
    await symlink(join(root, "batch.npz"), join(directory, "batch.npz"));
    await referring({ labels: "batch.npz#labels" });
    expect((await errorOf(readStep(directory))).found).toContain("a symbolic link that leads out");
    await rm(join(directory, "batch.npz"));
    await writeFile(join(directory, "batch.npz"), Uint8Array.of(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0));
    expect((await errorOf(readStep(directory))).found).toContain("pickle");
  });
});

describe("readStepByRows", () => {
  const tall: Tensor = tensor(
    Float32Array.from({ length: 60 }, (_, i) => i),
    [20, 3],
  );
  const few = tensor(new Int32Array(20), [20]);
  const large: StepRecord = {
    ...record,
    fields: { logits: tall, labels: few },
    reported: { loss: 1, gradients: { logits: tall } },
    context: { outputs: { logits: tall }, sequence: { inputIds: tall } },
  };

  /** All rows of a source, read piece by piece. */
  async function gathered(source: RowSource, step: number): Promise<number[]> {
    const all: number[] = [];
    for (let from = 0; from < source.shape[0]!; from += step) {
      const { shape, data, dtype } = await source.rows(from, Math.min(source.shape[0]!, from + step));
      expect([dtype, shape[1]]).toEqual([source.dtype, source.shape[1]]);
      all.push(...Array.from(data, Number));
    }
    return all;
  }

  it("loads what is small, leaves large fields, gradients and outputs in their files, and counts the bytes", async () => {
    const directory = join(root, "step");
    await writeStep(directory, large);
    const { record: byRows, bytes, isWhole: isAll, close } = await readStepByRows(directory, { limit: 239 });
    expect(isAll).toBe(false);
    const { logits: rows, labels: whole } = byRows.fields!;
    expect([isRowSource(rows), isRowSource(whole)]).toEqual([true, false]);
    expect(rows).toMatchObject({ dtype: "float32", shape: [20, 3] });
    for (const source of [rows, byRows.reported.gradients.logits, byRows.context.outputs!.logits]) {
      expect(await gathered(source as RowSource, 7)).toEqual(Array.from(tall.data, Number));
    }
    // What the context says of the batch is small beside it, and loaded.
    expect(byRows.context.sequence!.inputIds).toEqual(tall);
    expect(bytes).toBe(4 * tall.data.byteLength + few.data.byteLength);
    await close();
  });

  it("loads a tensor of exactly the limit, and everything without one", async () => {
    const directory = join(root, "step");
    await writeStep(directory, large);
    for (const options of [{ limit: 240 }, {}]) {
      const { record: byRows, isWhole, close } = await readStepByRows(directory, options);
      expect(isWhole).toBe(true);
      expect(byRows).toEqual(await readStep(directory));
      await close();
    }
  });

  it("reads rows of a safetensors member, and its other members and scalars whole", async () => {
    const scale = tensor(new Float32Array([3]), []);
    const file = encodeSafetensors(
      new Map<string, Tensor>([
        ["z", tall],
        ["labels", few],
        ["scale", scale],
      ]),
    );
    const directory = await referring({
      logits: "a.safetensors#z",
      labels: "a.safetensors#labels",
      s: "a.safetensors#scale",
    });
    await writeFile(join(directory, "a.safetensors"), file);
    const { record: byRows, close } = await readStepByRows(directory, { limit: 100 });
    expect(await gathered(byRows.fields!.logits as RowSource, 6)).toEqual(Array.from(tall.data, Number));
    expect(byRows.fields!.labels).toEqual(few);
    expect(byRows.fields!.s).toEqual(scale);
    await close();
  });

  it("loads what has no rows in one piece whatever its size: members of .npz, and Fortran order", async () => {
    const fortran = encodeNpy(tall);
    const at = Buffer.from(fortran).indexOf("False");
    fortran.set(new TextEncoder().encode("True "), at);
    const directory = await referring({ logits: "a.npz#logits", turned: "turned.npy" });
    await writeFile(join(directory, "a.npz"), encodeNpz(new Map([["logits", tall]])));
    await writeFile(join(directory, "turned.npy"), fortran);
    const { record: byRows, close } = await readStepByRows(directory, { limit: 1 });
    expect(byRows.fields).toEqual((await readStep(directory)).fields);
    await close();
  });

  it("holds shapes against each other without a number, and refuses rows that are not there or no more", async () => {
    const directory = join(root, "step");
    await writeStep(directory, large);
    const { record: byRows, close } = await readStepByRows(directory, { limit: 1 });
    const rows = byRows.fields!.logits as RowSource;
    for (const [from, to] of [
      [-1, 2],
      [0, 21],
      [3, 2],
      [0.5, 2],
    ] as const) {
      expect((await errorOf(rows.rows(from, to))).code).toBe("argument");
    }
    expect((await rows.rows(20, 20)).shape).toEqual([0, 3]);
    await close();
    await close();
    expect((await errorOf(rows.rows(0, 1))).found).toBe("a file that is closed");
    await writeNpy(join(directory, "logits-gradient.npy"), few);
    expect(await errorOf(readStepByRows(directory, { limit: 1 }))).toMatchObject({
      code: "shape",
      field: "reported.gradients.logits",
    });
  });

  it("names a file that was cut off after it was opened", async () => {
    const directory = join(root, "step");
    await writeStep(directory, large);
    const { record: byRows, close } = await readStepByRows(directory, { limit: 1 });
    await truncate(join(directory, "logits.npy"), 140);
    const error = await errorOf((byRows.fields!.logits as RowSource).rows(10, 20));
    expect(error).toMatchObject({ code: "file", where: "step", field: "fields.logits" });
    expect(error.found).toContain("shrinking");
    await close();
  });
});

describe("openTensorFile", () => {
  it("tells formats by their bytes, and gives names and tensors", async () => {
    const tensors = new Map<string, Tensor>([
      ["logits", logits],
      ["labels", labels],
    ]);
    const files = [
      ["npz", encodeNpz(tensors), ["labels", "logits"]],
      ["safetensors", encodeSafetensors(tensors), ["labels", "logits"]],
      ["npy", encodeNpy(labels), []],
    ] as const;
    for (const [format, bytes, names] of files) {
      const path = join(root, "file.bin");
      await writeFile(path, bytes);
      const file = await openTensorFile(path);
      expect([file.format, [...file.names].sort()]).toEqual([format, names]);
      expect(await file.read(format === "npy" ? undefined : "labels")).toEqual(labels);
      expect((await errorOf(file.read("label"))).code).toBe("unknown");
      await file.close();
    }
    await writeFile(join(root, "text"), "no tensors here");
    expect((await errorOf(openTensorFile(join(root, "text")))).code).toBe("file");
  });
});
