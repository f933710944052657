import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { readNpy, readStep, readTextFile, writeNpy, writeStep, writeTextFile } from "./files.js";
import { encodeNpy } from "./npy.js";
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
