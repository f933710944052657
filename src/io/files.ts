import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, realpath, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { LosswrightError } from "../errors/index.js";
import type { Tensor } from "../tensor/index.js";
import { allocating, broken } from "./failure.js";
import { encodeNpy, longestHead, parseNpy, readLayout } from "./npy.js";
import { encodeStep, resolveStep } from "./step.js";
import { mapLeaves, type StepRecord } from "./step-record.js";
import { readReferences } from "./step-references.js";

/** The file of a record that names the others. */
const stepFile = "step.json";

/** A `step.json` names its numbers and holds none: one of this size is something else. */
const longestStep = 64 * 1024 * 1024;

/** Bytes a system call: Node reads and writes less than 2 GiB at once. */
const piece = 256 * 1024 * 1024;

/**
 * Reads a NumPy array file of any size that a typed array holds.
 *
 * @throws `file` for a file that is missing, unreadable or not regular, and whatever `parseNpy` throws
 */
export async function readNpy(path: string): Promise<Tensor> {
  return readTensor(path, path, { where: path, name: path });
}

/**
 * Writes a tensor as a NumPy array file: to a temporary name beside it, then renamed, so that whoever reads `path` sees
 * the old file or the whole new one. A write that fails leaves nothing behind.
 *
 * @throws `file` where the disk refuses, and whatever `encodeNpy` throws
 */
export async function writeNpy(path: string, tensor: Tensor): Promise<void> {
  const file = { name: basename(path), bytes: encodeNpy(tensor, path) };
  await placing(path, () => place(dirname(path), [file]));
}

/**
 * Reads a text file in UTF-8, of at most 64 MiB: a vocabulary, a step's JSON.
 *
 * @throws `file` for a file that is missing, unreadable, not regular, too long or no UTF-8
 */
export async function readTextFile(path: string): Promise<string> {
  return readText(path, { where: path, name: path });
}

/**
 * Writes a text file in UTF-8: to a temporary name beside it, then renamed, as {@link writeNpy} does.
 *
 * @throws `file` where the disk refuses
 */
export async function writeTextFile(path: string, text: string): Promise<void> {
  const file = { name: basename(path), bytes: new TextEncoder().encode(text) };
  await placing(path, () => place(dirname(path), [file]));
}

/**
 * Reads a step record with all its tensors. It is named after its directory.
 *
 * Only regular files inside the directory are read: a symbolic link that leads out is refused.
 *
 * @param path - the record's directory, or its `step.json`
 * @throws `file` for a file that is missing, unreadable, not regular or outside, and whatever `parseStep` and
 * `parseNpy` throw
 */
export async function readStep(path: string): Promise<StepRecord> {
  const isDirectory = await asking({ where: path, name: path }, async () => (await stat(path)).isDirectory());
  const directory = isDirectory ? path : dirname(path);
  const where = basename(resolve(directory));
  const step = { where, name: isDirectory ? stepFile : basename(path) };
  const references = readReferences(await readText(await insideOf(directory, step), step), where);

  const wanted: Asked[] = [];
  mapLeaves(references, (name, { path: field }) => wanted.push({ where, field, name }));
  const tensors = new Map<string, Tensor>();
  for (const asked of wanted) {
    // A file that many places name is read once: a record may name one of gigabytes a million times.
    if (tensors.has(asked.name)) continue;
    const inside = await insideOf(directory, asked);
    tensors.set(asked.name, await readTensor(inside, `${where}/${asked.name}`, asked));
  }
  return resolveStep(references, (file) => tensors.get(file)!);
}

/**
 * Writes a step record: the directory, made where there is none, its tensors, and last the `step.json` that names them.
 * A record that is there already is replaced; its `step.json` goes before the first tensor changes, so that no reader
 * ever finds the one of the old record beside tensors of the new. A write that fails leaves nothing of its own behind.
 *
 * @throws `file` where the disk refuses, and whatever `encodeStep` throws
 */
export async function writeStep(directory: string, record: StepRecord): Promise<void> {
  const { json, files } = encodeStep(record);
  const all = [...files].map(([name, bytes]) => ({ name, bytes }));
  all.push({ name: stepFile, bytes: new TextEncoder().encode(json) });
  await placing(directory, async () => {
    const made = await mkdir(directory, { recursive: true });
    try {
      await place(directory, all);
    } catch (error) {
      if (made !== undefined) await removeEmpty(resolve(directory), resolve(made));
      throw error;
    }
  });
}

// ---- reading ----

/** A file as messages speak of it. */
interface Asked {
  /** Who asks for it: a record, or the file itself. */
  readonly where: string;
  /** The place in the record that refers to it. */
  readonly field?: string;
  /** Its path, relative to the record. */
  readonly name: string;
}

async function readTensor(path: string, name: string, asked: Asked): Promise<Tensor> {
  const bytes = await withFile(path, asked, async (handle, size) => {
    const head = await readPieces(handle, new Uint8Array(Math.min(size, longestHead)), asked);
    // A file that is not what it says is refused before the rest of it is read, or room is made for it.
    readLayout(head, size, name);
    if (size === head.length) return head;
    const whole = allocating(name, () => new Uint8Array(size));
    return readPieces(handle, whole, asked);
  });
  return parseNpy(bytes, name);
}

async function readText(path: string, asked: Asked): Promise<string> {
  const bytes = await withFile(path, asked, (handle, size) => {
    if (size <= longestStep) return readPieces(handle, new Uint8Array(size), asked);
    const expected = `at most ${longestStep}`;
    throw refused(asked, `${size} bytes in "${asked.name}"`, expected, "keep numbers in .npy files.");
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw refused(asked, `bytes in "${asked.name}" that are no UTF-8`, "JSON in UTF-8", "save it as UTF-8.", error);
  }
}

/** Where a file of a record really lies, followed through symbolic links, which must not lead out. */
async function insideOf(directory: string, asked: Asked): Promise<string> {
  return asking(asked, async () => {
    const root = await realpath(directory);
    const target = await realpath(join(root, asked.name));
    const way = relative(root, target);
    if (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way)) return target;
    const found = `"${asked.name}", a symbolic link that leads out of the record`;
    throw refused(asked, found, "a file inside the record's directory", "copy the file into the record's directory.");
  });
}

async function withFile<T>(
  path: string,
  asked: Asked,
  use: (handle: FileHandle, size: number) => T | Promise<T>,
): Promise<T> {
  return asking(asked, async () => {
    // Without O_NONBLOCK (which Windows does not know) opening a pipe would wait for a writer that never comes.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const info = await handle.stat();
      if (info.isFile()) return await use(handle, info.size);
      const kind = info.isDirectory() ? "a directory" : "no regular file";
      throw refused(asked, `${kind} at "${asked.name}"`, "a regular file", "give the path of a file.");
    } finally {
      await handle.close();
    }
  });
}

async function readPieces(handle: FileHandle, into: Uint8Array, asked: Asked): Promise<Uint8Array> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await handle.read(into, at, Math.min(piece, into.length - at), at);
    if (bytesRead === 0) {
      const found = `"${asked.name}" shrinking while it was read`;
      throw refused(asked, found, "a file that nobody writes to", "read it again when it is written.");
    }
    at += bytesRead;
  }
  return into;
}

async function asking<T>(asked: Asked, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const found = `${problems.get(code) ?? code}: "${asked.name}"`;
    throw refused(asked, found, "a file that can be read", "check the path and the rights to read it.", error);
  }
}

function refused({ where, field }: Asked, found: string, expected: string, fix: string, cause?: unknown) {
  return broken(where, field, found, expected, fix, cause);
}

/** What the system's codes mean to a reader; others speak for themselves. */
const problems = new Map([
  ["ENOENT", "no such file"],
  ["ENOTDIR", "a path through something that is no directory"],
  ["EISDIR", "a directory in the way"],
  ["EACCES", "no right to it"],
  ["EPERM", "no right to it"],
  ["ELOOP", "symbolic links in a circle"],
  ["ENAMETOOLONG", "a name longer than the system takes (ENAMETOOLONG)"],
  ["ENXIO", "a socket or device in the way"],
  ["ENOSPC", "no space left on the disk"],
]);

function systemCode(error: unknown): string | undefined {
  if (error instanceof LosswrightError || !(error instanceof Error) || !("code" in error)) return undefined;
  return String(error.code);
}

// ---- writing ----

interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

async function placing(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    const fix = "check that the directory is there and may be written to.";
    throw broken(path, undefined, problems.get(code) ?? code, "a place to write to", fix, error);
  }
}

/** Writes all files under temporary names, then renames one after the other; the last names the others. */
async function place(directory: string, files: readonly NamedBytes[]): Promise<void> {
  // What stands there by our hand, to be removed when the next step fails.
  const ours = new Set<string>();
  try {
    const moves: { from: string; to: string }[] = [];
    for (const { name, bytes } of files) {
      const from = join(directory, `.${randomUUID()}.tmp`);
      await writePieces(from, bytes, () => ours.add(from));
      moves.push({ from, to: join(directory, name) });
    }
    if (moves.length > 1) await rm(moves.at(-1)!.to, { force: true });
    for (const { from, to } of moves) {
      await rename(from, to);
      ours.delete(from);
      ours.add(to);
    }
  } catch (error) {
    for (const path of ours) await rm(path, { force: true }).catch(() => {});
    throw error;
  }
}

async function writePieces(path: string, bytes: Uint8Array, created: () => void): Promise<void> {
  const handle = await open(path, "wx");
  created();
  try {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, at, Math.min(piece, bytes.length - at), at);
      at += bytesWritten;
    }
    // A rename may reach the disk before the bytes do; after a power cut the name would stand over nothing.
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes the directories from `path` up to `top`, as far as they are empty. */
async function removeEmpty(path: string, top: string): Promise<void> {
  for (let directory = path; directory.startsWith(top); directory = dirname(directory)) {
    try {
      await rmdir(directory);
    } catch {
      return;
    }
  }
}
