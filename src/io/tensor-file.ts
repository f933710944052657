import { LosswrightError } from "../errors/index.js";
import { type Dtype, sizeOf, type Tensor, view } from "../tensor/index.js";
import { broken } from "./failure.js";
import { type Elements, elementOf, longestHead, magic, parseNpy, readLayout, tensorOf } from "./npy.js";
import { openNpz } from "./npz.js";
import { elementsOf, headLength, inFile, openSafetensors, readHeader, unknownTensor } from "./safetensors.js";

export type TensorFileFormat = "npy" | "npz" | "safetensors";

/** The name under which errors speak of a file, and the tensor wanted of it. */
export interface TensorFileOptions {
  readonly name?: string;
  /** Of an archive, the tensor's name: needed where the archive has more than one. */
  readonly member?: string;
}

/**
 * Which format a file is, told by its first bytes; its name does not count.
 *
 * @param head - the file's first 9 bytes at least, or all of them
 * @throws `file` for another format, named where it is a known one
 */
export function tensorFileFormat(head: Uint8Array, name = "tensor file"): TensorFileFormat {
  if (magic.every((byte, i) => head[i] === byte)) return "npy";
  // A zip archive begins with a member, or, where it has none, with its end.
  if (startsWith(head, 0x50, 0x4b, 3, 4) || startsWith(head, 0x50, 0x4b, 5, 6)) return "npz";
  // A length far below 2^40, and the brace of the header.
  if (head[8] === 0x7b && head[5] === 0 && head[6] === 0 && head[7] === 0) return "safetensors";
  const [found, fix] = otherFormat(head);
  throw broken(name, "magic", found, "a .npy, .npz or .safetensors file", fix);
}

/**
 * The names of the tensors in an archive, in its order; that of a `.npy` file has none. Reads no tensor.
 *
 * @param bytes - the whole file
 * @throws `file` for another format, and what `parseNpz` and `parseSafetensors` throw of directory and header
 */
export function tensorNames(bytes: Uint8Array, name = "tensor file"): string[] {
  const format = tensorFileFormat(bytes, name);
  return format === "npy" ? [] : [...openArchive(format, bytes, name).keys()];
}

/**
 * One tensor of a `.npy`, `.npz` or `.safetensors` file, told apart by what is in them. No other tensor of an archive is
 * read.
 *
 * @param bytes - the whole file
 * @throws `unknown` for a member that is not there, with the near miss; `argument` where an archive holds several
 * tensors or none and no member is named; `file` for another format; what `parseNpy`, `parseNpz` or `parseSafetensors`
 * throw
 */
export function parseTensorFile(bytes: Uint8Array, { name = "tensor file", member }: TensorFileOptions = {}): Tensor {
  const format = tensorFileFormat(bytes, name);
  if (format === "npy") {
    refuseMember(member, name);
    return parseNpy(bytes, name);
  }
  const archive = openArchive(format, bytes, name);
  return archive.get(chosenMember([...archive.keys()], member, name))!();
}

/** One tensor of a safetensors file: where its bytes lie, and what they make. */
export interface PlacedTensor {
  readonly offset: number;
  readonly length: number;
  readonly decode: (bytes: Uint8Array) => Tensor;
  /** @throws `unsupported` for a scalar, which has no rows */
  readonly rows: () => RowsLayout;
}

/** The tensors of a safetensors file by name, from its head alone. */
export interface PlacedTensors {
  readonly names: readonly string[];
  /** @throws `unknown` for a name that is not there; `argument` for none where there are several tensors, or none */
  readonly find: (member?: string) => PlacedTensor;
}

/**
 * Where the tensors of a safetensors file lie, so that one is read without the others.
 *
 * @param head - the file's first {@link rowsHeadLength} bytes at least
 * @param size - bytes in the file
 * @throws what `parseSafetensors` throws of the header
 */
export function placedTensors(head: Uint8Array, size: number, name = "safetensors"): PlacedTensors {
  const entries = new Map(readHeader(head, size, name).entries.map((entry) => [entry.name, entry]));
  const names = [...entries.keys()];
  const find = (member?: string): PlacedTensor => {
    const { fileDtype, shape, offset, length, name: found } = entries.get(chosenMember(names, member, name))!;
    const where = inFile(name, found);
    const place = { offset: 0, length, shape, fortranOrder: false };
    return {
      offset,
      length,
      decode: (bytes) => tensorOf(bytes, { ...elementsOf(fileDtype, where), ...place }, where),
      rows: () => layoutOf({ where, format: "safetensors", fileDtype, shape, offset }),
    };
  };
  return { names, find };
}

// ---- rows ----

/** Where the rows of a tensor lie in its file. Plain data: it can be stored and sent to a worker. */
export interface RowsLayout {
  /** What errors call the tensor. */
  readonly where: string;
  readonly format: "npy" | "safetensors";
  /** The element type as the file spells it: `"<f2"`, `"BF16"`. */
  readonly fileDtype: string;
  /** What `decodeRows` makes of it; of uint32 always int64, so that all rows agree. */
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The file's byte at which row 0 begins. */
  readonly offset: number;
  /** Bytes a row, that is a place on axis 0; 0 where another axis is. */
  readonly rowBytes: number;
}

/**
 * How many bytes of a file's beginning {@link rowsLayout} wants: the header, or what holds any header.
 *
 * @param start - the file's first 9 bytes at least, or all of them
 * @param size - bytes in the file
 * @throws `file` for another format, and a header that cannot be in the file
 */
export function rowsHeadLength(start: Uint8Array, size: number, name = "tensor file"): number {
  const format = tensorFileFormat(start, name);
  if (format === "npz")
    throw noRows(name, "an archive of packed members", "read the tensor whole, or save it as .npy.");
  return format === "npy" ? Math.min(size, longestHead) : headLength(start, size, name);
}

/**
 * Where the rows of one tensor lie, from a file's head alone: rows `from` to `to` are the bytes from
 * `offset + from * rowBytes` to `offset + to * rowBytes`, and {@link decodeRows} makes a tensor of them. The head is
 * checked against the file's size, as it is for the whole tensor.
 *
 * @param head - the file's first {@link rowsHeadLength} bytes at least
 * @param size - bytes in the file
 * @param member - of a safetensors file, the tensor's name: needed where it has more than one
 * @throws `unsupported`, with the reason, where rows do not lie in one piece: in `.npz` archives and Fortran order, and
 * of scalars; such a tensor is read whole. `argument` for a head that is too short; beyond that what
 * `parseTensorFile` throws, but for values
 */
export function rowsLayout(head: Uint8Array, size: number, name = "tensor file", member?: string): RowsLayout {
  const wanted = rowsHeadLength(head, size, name);
  if (head.length < wanted) {
    throw wrongCall("rowsLayout", "head", `${head.length} bytes`, `${wanted}`, "ask rowsHeadLength how many to read.");
  }
  const format = tensorFileFormat(head, name);
  if (format === "npy") {
    refuseMember(member, name);
    const { descr, shape, offset, fortranOrder } = readLayout(head, size, name);
    if (fortranOrder && shape.filter((length) => length !== 1).length > 1) {
      throw noRows(name, "an array in Fortran order", "read it whole, or save it with np.ascontiguousarray.");
    }
    return layoutOf({ where: name, format, fileDtype: descr, shape, offset });
  }
  return placedTensors(head, size, name).find(member).rows();
}

/**
 * Rows of a tensor from their bytes alone. The tensor has the rows `from` to `to` on axis 0, and shares the buffer of
 * `bytes` where `parseNpy` would.
 *
 * @param bytes - the file's bytes of these rows, and no others
 * @param from - the number of the first row; errors count from it
 * @param to - the number behind the last; needed where a row has no bytes
 * @throws `argument` for rows that the tensor does not have, or bytes that are not theirs; `file` for a value outside its
 * dtype
 */
export function decodeRows(bytes: Uint8Array, layout: RowsLayout, from = 0, to?: number): Tensor {
  const { where, shape, rowBytes, dtype } = layout;
  const [rows, ...rest] = shape as [number, ...number[]];
  const end = to ?? (rowBytes > 0 ? from + bytes.length / rowBytes : rows);
  if (!(Number.isSafeInteger(from) && Number.isSafeInteger(end) && 0 <= from && from <= end && end <= rows)) {
    const fix = "pass the bytes of whole rows, and the number of the first.";
    throw wrongCall("decodeRows", "from", `rows ${from} to ${end}`, `whole rows in 0 to ${rows}`, fix);
  }
  if (bytes.length !== (end - from) * rowBytes) {
    const expected = `${(end - from) * rowBytes}: ${end - from} rows of ${rowBytes} bytes`;
    throw wrongCall("decodeRows", "bytes", `${bytes.length} bytes`, expected, "pass the bytes of these rows alone.");
  }
  const place = { offset: 0, length: bytes.length, shape: [end - from, ...rest], fortranOrder: false };
  const decoded = tensorOf(bytes, { ...elementsIn(layout), ...place }, where, from);
  if (decoded.dtype === dtype) return decoded;
  return view(BigInt64Array.from(decoded.data as Int32Array, BigInt), decoded.shape, "unlabeled", "int64");
}

// ---- parts ----

function startsWith(head: Uint8Array, ...bytes: readonly number[]): boolean {
  return bytes.every((byte, i) => head[i] === byte);
}

/** What a file of another format is, and what to do about it. */
function otherFormat(head: Uint8Array): [found: string, fix: string] {
  const saved = "save the tensors with numpy.save, numpy.savez or safetensors.";
  if (head.length === 0) return ["an empty file", saved];
  if (head[0] === 0x80 && head[1]! <= 5) return ["what looks like a pickle, which is never executed", saved];
  if (startsWith(head, 0x89, 0x48, 0x44, 0x46)) return ["an HDF5 file", saved];
  if (startsWith(head, 0x47, 0x47, 0x55, 0x46)) return ["a GGUF file", saved];
  if (startsWith(head, 0x50, 0x41, 0x52, 0x31)) return ["a Parquet file", saved];
  if (startsWith(head, 0x1f, 0x8b)) return ["a file packed with gzip", "unpack it first."];
  return ["another beginning", saved];
}

function openArchive(format: "npz" | "safetensors", bytes: Uint8Array, name: string): Map<string, () => Tensor> {
  return format === "npz" ? openNpz(bytes, name) : openSafetensors(bytes, name);
}

/**
 * The member that is meant: the one that is named, or the only one.
 *
 * @throws `unknown` for a name that is not there, with the near miss; `argument` where none is named of several, or of none
 */
export function chosenMember(names: readonly string[], member: string | undefined, where: string): string {
  if (member !== undefined) {
    if (names.includes(member)) return member;
    throw unknownTensor(member, names, where, "member");
  }
  if (names.length === 1) return names[0]!;
  const first = names.slice(0, 8).map((name) => JSON.stringify(name.slice(0, 80)));
  const listed = `${first.join(", ")}${names.length > 8 ? ` and ${names.length - 8} more` : ""}`;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "member",
    found: names.length ? `none named, of ${names.length} tensors: ${listed}` : "an archive without tensors",
    expected: "one tensor",
    fix: names.length ? `name the member, such as ${first[0]}.` : "save a tensor into it.",
  });
}

function refuseMember(member: string | undefined, where: string): void {
  if (member === undefined) return;
  throw new LosswrightError({
    code: "unknown",
    where,
    field: "member",
    found: JSON.stringify(member),
    expected: "no member: a .npy file holds one tensor, without a name",
    fix: "leave the member out.",
  });
}

function layoutOf(given: Omit<RowsLayout, "dtype" | "rowBytes">): RowsLayout {
  const { where, shape } = given;
  if (shape.length === 0) throw noRows(where, "a scalar", "read it whole.");
  const { itemSize, decode } = elementsIn(given);
  const { dtype } = decode(new Uint8Array(0), () => {
    throw new Error("no element, and yet one is refused");
  });
  const isUint32 = given.fileDtype === "U32" || /^[<>]u4$/.test(given.fileDtype);
  return { ...given, dtype: isUint32 ? "int64" : dtype, rowBytes: itemSize * sizeOf(shape.slice(1)) };
}

function elementsIn({ format, fileDtype, where }: Pick<RowsLayout, "format" | "fileDtype" | "where">): Elements {
  return format === "npy" ? elementOf(fileDtype, where) : elementsOf(fileDtype, where);
}

function noRows(where: string, found: string, fix: string): LosswrightError {
  return new LosswrightError({ code: "unsupported", where, found, expected: "rows that lie in one piece", fix });
}

function wrongCall(where: string, field: string, found: string, expected: string, fix: string): LosswrightError {
  return new LosswrightError({ code: "argument", where, field, found, expected, fix });
}
