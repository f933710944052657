import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir, realpath, rename, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { LosswrightError } from "../errors/index.js";
import { dataOf, sizeOf, type Tensor } from "../tensor/index.js";
import type { Column, ColumnKind } from "./columns.js";
import { allocating, broken } from "./failure.js";
import { checkJson, parseJson } from "./json.js";
import { encodeNpy, longestHead, readLayout } from "./npy.js";
import { openNpz } from "./npz.js";
import type { RowSource } from "./row-source.js";
import { encodeStep, resolveStep } from "./step.js";
import { mapLeaves, type Place, type StepRecord } from "./step-record.js";
import { readReferences, tensorReference } from "./step-references.js";
import { problems, systemCode } from "./system-code.js";
import { parseTable, type TableOptions } from "./table.js";
import {
  chosenMember,
  decodeRows,
  parseTensorFile,
  placedTensors,
  type RowsLayout,
  rowsHeadLength,
  rowsLayout,
  type TensorFileFormat,
  tensorFileFormat,
} from "./tensor-file.js";

/** The file of a record that names the others. */
const stepFile = "step.json";

/** A `step.json` names its numbers and holds none: one of this size is something else. */
const longestStep = 64 * 1024 * 1024;

/** Bytes in memory of the largest tensor that is loaded where a record is read by rows. */
const defaultLimit = 64 * 1024 * 1024;

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
 * Reads a JSON file, of at most 64 MiB.
 *
 * @throws `file` for what {@link readTextFile} refuses, and for what is no JSON, has a key twice or a hostile one, or is
 * nested deeper than 64 levels
 */
export async function readJsonFile(path: string): Promise<unknown> {
  const json = parseJson(await readTextFile(path), path);
  checkJson(json, path);
  return json;
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

/** Writes bytes as {@link writeTextFile} writes text. @throws `file` where the disk refuses */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  await placing(path, () => place(dirname(path), [{ name: basename(path), bytes }]));
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
  const { references, directory } = await readStepFile(path);
  const files = new RecordFiles(directory, references.name);
  try {
    const tensors = new Map<string, Tensor>();
    for (const { leaf, place } of leavesOf(references)) {
      // What many places name is read once: a record may name a file of gigabytes a million times.
      if (!tensors.has(leaf)) tensors.set(leaf, await files.read(leaf, place));
    }
    return resolveStep(references, (leaf) => tensors.get(leaf)!);
  } finally {
    await files.close();
  }
}

/** A record whose large tensors are still in their files. */
export interface StepByRows {
  readonly record: StepRecord<Tensor | RowSource>;
  /** Of all tensors as they are in memory once they are read, each one counted once. */
  readonly bytes: number;
  /** Whether every tensor is loaded: then it is what {@link readStep} gives. */
  readonly isWhole: boolean;
  /** Closes the files; no row can be read afterwards. */
  close(): Promise<void>;
}

/**
 * Reads a step record as {@link readStep} does, but leaves fields, gradients and raw outputs above a limit in their
 * files, to be read by rows. What has no rows in one piece is loaded whatever its size: arrays in Fortran order, members
 * of `.npz` archives; so is everything else in a context.
 *
 * The caller closes what it gets. Where this throws, nothing stays open.
 *
 * @param path - the record's directory, or its `step.json`
 * @param limit - bytes in memory of the largest tensor that is loaded
 * @throws what {@link readStep} throws, but for values in rows that nobody has read yet
 */
export async function readStepByRows(path: string, { limit = defaultLimit } = {}): Promise<StepByRows> {
  const { references, directory } = await readStepFile(path);
  const files = new RecordFiles(directory, references.name);
  try {
    const leaves = new Map<string, Tensor | RowSource>();
    const keyOf = (leaf: string, place: Place) => `${isOfUnits(place) ? "rows" : "whole"} ${leaf}`;
    const sizes = new Map<string, number>();
    for (const { leaf, place } of leavesOf(references)) {
      const key = keyOf(leaf, place);
      if (leaves.has(key)) continue;
      const read = isOfUnits(place) ? await files.readOrOpen(leaf, place, limit) : await files.read(leaf, place);
      leaves.set(key, read);
      sizes.set(leaf, bytesOf(read));
    }
    const record = resolveStep(references, (leaf, place) => leaves.get(keyOf(leaf, place))!);
    const bytes = [...sizes.values()].reduce((sum, each) => sum + each, 0);
    const isWhole = [...leaves.values()].every((leaf) => "data" in leaf);
    return { record, bytes, isWhole, close: () => files.close() };
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** A file of tensors that is open: its head is read, its numbers are read when they are asked for. */
export interface TensorFile {
  readonly format: TensorFileFormat;
  /** The names of its tensors, in its order; the one of a `.npy` file has none. */
  readonly names: readonly string[];
  /**
   * @param member - of an archive, the tensor's name: needed where it has more than one
   * @throws `unknown` and `argument` as `parseTensorFile` does; whatever the tensor's numbers give rise to
   */
  read(member?: string): Promise<Tensor>;
  close(): Promise<void>;
}

/**
 * Opens a `.npy`, `.npz` or `.safetensors` file, told apart by what is in it. Of a safetensors file only the tensors
 * that are asked for are read; an `.npz` is read whole, and its members are unpacked when they are asked for.
 *
 * @throws `file` for a file that is missing, unreadable, not regular, or of another format, and what `parseNpz` and
 * `parseSafetensors` throw of directory and header
 */
export async function openTensorFile(path: string): Promise<TensorFile> {
  return openTensors(path, path, { where: path, name: path });
}

/** A file of columns that is open: a table, or an archive of tensors, each of which is a column. */
export interface ColumnsFile {
  /** The names of its columns, in its order; the one tensor of a `.npy` file has none. */
  readonly names: readonly string[];
  /**
   * @param name - needed where the file has several columns
   * @param kind - what the column must hold; without it, what it does
   * @throws `unknown` for a name that is not there, with the near miss; `argument` for none where there are several;
   * `file` for a column that is damaged or of another kind
   */
  column(name?: string, kind?: ColumnKind): Promise<Column>;
  close(): Promise<void>;
}

/**
 * Opens a file of columns: CSV, TSV, JSON lines (packed with gzip or not) and Parquet as `parseTable` reads them, `.npy`,
 * `.npz` and `.safetensors` as {@link openTensorFile} does. The caller closes it.
 *
 * @throws `file` for a file that is missing, unreadable, not regular or damaged; `argument` where its format or its first
 * line is unclear
 */
export async function openTable(path: string, options: Omit<TableOptions, "name"> = {}): Promise<ColumnsFile> {
  const asked = { where: path, name: path };
  const start = await withFile(path, asked, (handle, size) =>
    readPieces(handle, new Uint8Array(Math.min(size, 9)), asked),
  );
  if (options.format === undefined && (isTensorFile(start) || /\.(npy|npz|safetensors)$/i.test(path))) {
    const file = await openTensors(path, path, asked);
    return {
      names: file.names,
      column: (name, kind) => tensorColumn(file, path, name, kind),
      close: () => file.close(),
    };
  }
  const bytes = await withFile(path, asked, (handle, size) =>
    readPieces(
      handle,
      allocating(path, () => new Uint8Array(size)),
      asked,
    ),
  );
  const table = await parseTable(bytes, { ...options, name: path });
  const column: ColumnsFile["column"] = async (name, kind) => table.column(name ?? onlyColumn(table.names, path), kind);
  return { names: table.names, column, close: async () => {} };
}

function isTensorFile(start: Uint8Array): boolean {
  try {
    tensorFileFormat(start);
    return true;
  } catch {
    return false;
  }
}

async function tensorColumn(file: TensorFile, path: string, name?: string, kind?: ColumnKind): Promise<Column> {
  if (kind !== "text") return file.read(name);
  throw broken(path, name, "a file of tensors", "a column of text", "give a table: .csv, .tsv, .jsonl or .parquet.");
}

function onlyColumn(names: readonly string[], path: string): string {
  if (names.length === 1) return names[0]!;
  const listed = `${names
    .slice(0, 8)
    .map((each) => JSON.stringify(each.slice(0, 80)))
    .join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}`;
  throw new LosswrightError({
    code: "argument",
    where: path,
    field: "column",
    found: `none named, of ${names.length}: ${listed}`,
    expected: "one column",
    fix: `name the column: ${path}#${names[0] ?? "name"}.`,
  });
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

/** A sink of records in a directory, one a step: what a recorder writes to. */
export interface DirectorySink {
  /** What the run is called: the name of the directory. */
  readonly run: string;
  /**
   * Writes a record as a directory of its own. It is written beside its place, under a hidden name, and moved there
   * when it is complete, so that whoever reads it sees the old record or the whole new one.
   *
   * @param name - of the directory, one segment of a path
   * @throws `file` where the disk refuses, or what stands there is no record; `argument` for another name; whatever
   * `encodeStep` throws. Nothing half written stays.
   */
  write(name: string, record: StepRecord): Promise<void>;
}

/**
 * Makes a sink that writes records below a directory, which is made with the first.
 *
 * @param path - of this run, and of its recorder alone
 */
export function directorySink(path: string): DirectorySink {
  const directory = resolve(path);
  return {
    run: basename(directory),
    write: async (name, record) => {
      if (!/^[A-Za-z0-9][\w.-]{0,199}$/.test(name)) {
        throw new LosswrightError({
          code: "argument",
          where: "directorySink",
          field: "name",
          found: JSON.stringify(name),
          expected: "letters, digits, dots, underscores and hyphens, a letter or digit first",
        });
      }
      const [hidden, final] = [join(directory, `.${name}.tmp`), join(directory, name)];
      await placing(final, async () => {
        await rm(hidden, { recursive: true, force: true });
        try {
          await writeStep(hidden, record);
          await moveRecord(hidden, final);
        } finally {
          await rm(hidden, { recursive: true, force: true }).catch(() => {});
        }
      });
    },
  };
}

/** Moves a complete record to its place; one that is there already goes, and nothing but a record does. */
async function moveRecord(from: string, to: string): Promise<void> {
  const there = await lstat(to).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (!there) return rename(from, to);
  const files = there.isDirectory() ? await readdir(to) : undefined;
  if (!files?.every((file) => file === stepFile || file.endsWith(".npy"))) {
    const fix = "give the recorder a directory of its own.";
    throw broken(to, undefined, "something that is no record", "no such directory, or a record", fix);
  }
  const old = `${from}-old`;
  await rm(old, { recursive: true, force: true });
  await rename(to, old);
  await rename(from, to);
  await rm(old, { recursive: true, force: true });
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

/** The `step.json` of a record, checked, and the directory that its files are in. */
async function readStepFile(path: string): Promise<{ references: StepRecord<string>; directory: string }> {
  const isDirectory = await asking({ where: path, name: path }, async () => (await stat(path)).isDirectory());
  const directory = isDirectory ? path : dirname(path);
  const where = basename(resolve(directory));
  const step = { where, name: isDirectory ? stepFile : basename(path) };
  return { references: readReferences(await readText(await insideOf(directory, step), step), where), directory };
}

function leavesOf(references: StepRecord<string>): { leaf: string; place: Place }[] {
  const leaves: { leaf: string; place: Place }[] = [];
  mapLeaves(references, (leaf, place) => leaves.push({ leaf, place }));
  return leaves;
}

/** Whether what stands there has an entry for each unit, or may: what a step is large by. */
function isOfUnits({ path }: Place): boolean {
  return /^(parts\.\d+\.)?(fields|reported\.gradients|context\.outputs)\./.test(path);
}

function bytesOf(leaf: Tensor | RowSource): number {
  return "data" in leaf ? leaf.data.byteLength : sizeOf(leaf.shape) * dataOf(leaf.dtype, 0).BYTES_PER_ELEMENT;
}

/** The files of tensors that a record names. An archive is opened once, however many of its tensors are named. */
class RecordFiles {
  readonly #archives = new Map<string, LayoutFile>();
  readonly #open = new Set<LayoutFile>();
  readonly #directory: string;
  readonly #where: string;

  constructor(directory: string, where: string) {
    this.#directory = directory;
    this.#where = where;
  }

  /** The tensor that a leaf names. */
  async read(leaf: string, { path }: Place): Promise<Tensor> {
    const { file, isArchive, member } = tensorReference(leaf);
    const asked = { where: this.#where, field: path, name: file };
    if (!isArchive) return readTensor(await insideOf(this.#directory, asked), `${this.#where}/${file}`, asked);
    const archive = await this.#archive(file, asked);
    return spelled(asked, file, () => archive.read(member));
  }

  /** The tensor that a leaf names, or its rows where it is larger than the limit and has them. */
  async readOrOpen(leaf: string, { path }: Place, limit: number): Promise<Tensor | RowSource> {
    const { file, isArchive, member } = tensorReference(leaf);
    const asked = { where: this.#where, field: path, name: file };
    if (isArchive) {
      const archive = await this.#archive(file, asked);
      return spelled(asked, file, async () => archive.rows(member, limit) ?? archive.read(member));
    }
    const opened = await openTensors(await insideOf(this.#directory, asked), `${this.#where}/${file}`, asked, "npy");
    this.#open.add(opened);
    const rows = opened.rows(undefined, limit);
    if (rows) return rows;
    const tensor = await opened.read();
    this.#open.delete(opened);
    await opened.close();
    return tensor;
  }

  async close(): Promise<void> {
    for (const file of this.#open) await file.close();
    this.#open.clear();
    this.#archives.clear();
  }

  async #archive(file: string, asked: Asked): Promise<LayoutFile> {
    const known = this.#archives.get(file);
    if (known) return known;
    const opened = await openTensors(await insideOf(this.#directory, asked), `${this.#where}/${file}`, asked);
    this.#open.add(opened);
    this.#archives.set(file, opened);
    return opened;
  }
}

/** Where an archive does not have the tensor that a leaf names, the fix is in the spelling of the record. */
async function spelled<T>({ where, field }: Asked, file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof LosswrightError) || error.field !== "member") throw error;
    const { code, found, expected, fix } = error;
    const named = /"(?:[^"\\]|\\.)*"/.exec(fix ?? "")?.[0];
    throw new LosswrightError({
      code,
      where,
      ...(field !== undefined && { field }),
      found: `in "${file}" ${found}`,
      expected,
      fix: named === undefined ? "name a tensor that is in the archive." : `write "${file}#${named.slice(1, -1)}".`,
    });
  }
}

/** A file of tensors that also gives the rows of a large one. */
interface LayoutFile extends TensorFile {
  /**
   * The rows of a tensor above `limit` bytes in memory; `undefined` for a smaller one, and for one whose rows do not
   * lie in one piece.
   */
  rows(member: string | undefined, limit: number): RowSource | undefined;
}

/** @param known - the format that the file must have, where its first bytes are not to tell */
async function openTensors(path: string, name: string, asked: Asked, known?: "npy"): Promise<LayoutFile> {
  const { handle, size } = await openFile(path, asked);
  const read = (into: Uint8Array, at = 0) => asking(asked, () => readPieces(handle, into, asked, at));
  try {
    const start = await read(new Uint8Array(Math.min(size, 9)));
    const format = known ?? tensorFileFormat(start, name);
    if (format === "npz") {
      const bytes = await read(allocating(name, () => new Uint8Array(size)));
      await handle.close();
      const members = openNpz(bytes, name);
      const names = [...members.keys()];
      return {
        format,
        names,
        read: async (member) => members.get(chosenMember(names, member, name))!(),
        rows: () => undefined,
        close: async () => {},
      };
    }
    const file = { handle, asked, isOpen: true };
    const close = async () => {
      if (file.isOpen) await handle.close();
      file.isOpen = false;
    };
    if (format === "npy") {
      const head = await read(new Uint8Array(Math.min(size, longestHead)));
      readLayout(head, size, name);
      return {
        format,
        names: [],
        read: async (member) => {
          const whole = size === head.length ? head : await read(allocating(name, () => new Uint8Array(size)));
          return parseTensorFile(whole, { name, ...(member !== undefined && { member }) });
        },
        rows: (member, limit) => rowsAbove(limit, file, () => rowsLayout(head, size, name, member)),
        close,
      };
    }
    const head = await read(allocating(name, () => new Uint8Array(rowsHeadLength(start, size, name))));
    const { names, find } = placedTensors(head, size, name);
    return {
      format,
      names,
      read: async (member) => {
        const { offset, length, decode } = find(member);
        return decode(
          await read(
            allocating(name, () => new Uint8Array(length)),
            offset,
          ),
        );
      },
      rows: (member, limit) => rowsAbove(limit, file, () => find(member).rows()),
      close,
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A file that rows are read from, for as long as it is open. */
interface RowsFile {
  readonly handle: FileHandle;
  readonly asked: Asked;
  isOpen: boolean;
}

function rowsAbove(limit: number, file: RowsFile, layoutOf: () => RowsLayout): RowSource | undefined {
  let layout: RowsLayout;
  try {
    layout = layoutOf();
  } catch (error) {
    // Such a tensor is read whole.
    if (error instanceof LosswrightError && error.code === "unsupported") return undefined;
    throw error;
  }
  const source = rowSource(file, layout);
  return bytesOf(source) > limit ? source : undefined;
}

function rowSource(file: RowsFile, layout: RowsLayout): RowSource {
  const { dtype, shape, offset, rowBytes, where } = layout;
  const [count] = shape as [number];
  const rows = async (from: number, to: number): Promise<Tensor> => {
    const isRange = Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 <= from && from <= to && to <= count;
    if (!isRange || !file.isOpen) {
      throw new LosswrightError({
        code: "argument",
        where,
        field: "rows",
        found: file.isOpen ? `rows ${from} to ${to}` : "a file that is closed",
        expected: file.isOpen ? `rows in 0 to ${count}` : "an open file",
        fix: file.isOpen ? "ask for rows that the tensor has." : "close the record after its last row is read.",
      });
    }
    const bytes = allocating(where, () => new Uint8Array((to - from) * rowBytes));
    await asking(file.asked, () => readPieces(file.handle, bytes, file.asked, offset + from * rowBytes));
    return decodeRows(bytes, layout, from, to);
  };
  return { dtype, shape, rows };
}

async function readTensor(path: string, name: string, asked: Asked): Promise<Tensor> {
  const file = await openTensors(path, name, asked, "npy");
  try {
    return await file.read();
  } finally {
    await file.close();
  }
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
  const { handle, size } = await openFile(path, asked);
  try {
    return await asking(asked, async () => use(handle, size));
  } finally {
    await handle.close();
  }
}

/** A regular file, open; whoever opens it closes it. */
async function openFile(path: string, asked: Asked): Promise<{ handle: FileHandle; size: number }> {
  return asking(asked, async () => {
    // Without O_NONBLOCK (which Windows does not know) opening a pipe would wait for a writer that never comes.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const info = await handle.stat();
      if (info.isFile()) return { handle, size: info.size };
      const kind = info.isDirectory() ? "a directory" : "no regular file";
      throw refused(asked, `${kind} at "${asked.name}"`, "a regular file", "give the path of a file.");
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

/** Fills `into` with the file's bytes from `start` on. */
async function readPieces(handle: FileHandle, into: Uint8Array, asked: Asked, start = 0): Promise<Uint8Array> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await handle.read(into, at, Math.min(piece, into.length - at), start + at);
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
