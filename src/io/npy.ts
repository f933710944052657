import { LosswrightError } from "../errors/index.js";
import {
  type DataOfDtype,
  type Dtype,
  dataOf,
  decodeFloat16,
  formatShape,
  isTensor,
  placeOf,
  sizeOf,
  type Tensor,
  type TensorData,
  view,
} from "../tensor/index.js";
import { allocating, broken } from "./failure.js";

export const magic: readonly number[] = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** No header of plain numbers comes near this; the bound keeps a hostile length from becoming a string of gigabytes. */
const longestHeader = 1 << 20;

/** The most bytes that {@link readLayout} looks at. */
export const longestHead = 12 + longestHeader;

/** The byte order of this machine's typed arrays, as NumPy writes it. */
const nativeOrder = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? "<" : ">";

/**
 * Reads a NumPy array file: format versions 1.0, 2.0 and 3.0, either byte order, C or Fortran order (turned to
 * row-major), any shape, `()` included.
 *
 * | NumPy dtype | tensor dtype |
 * |---|---|
 * | float64, float32, int64, int32, uint8, bool | the same |
 * | float16 | float32, exactly |
 * | int8, int16, uint16 | int32 |
 * | uint32 | int32 where every value fits, otherwise int64 |
 * | uint64 | int64; a value from 2^63 on is an error |
 *
 * The tensor shares the buffer of `bytes` where the numbers lie in it as the machine wants them (its own byte order,
 * C order, aligned, a dtype that stays): changing one then changes the other. Otherwise they are copied.
 *
 * @param bytes - the whole file
 * @param name - what errors call it
 * @throws `file` for what is no such file, a malformed header, missing or trailing bytes, a value outside its dtype;
 * `dtype` for elements that are no plain numbers (pickled objects are never executed); `shape` for negative or
 * impossible dimensions
 */
export function parseNpy(bytes: Uint8Array, name = "npy"): Tensor {
  return tensorOf(bytes, readLayout(bytes, bytes.length, name), name);
}

/**
 * The tensor that lies in `bytes` as a layout says; it shares their buffer where it can. The other formats read their
 * elements through it too.
 *
 * @param firstRow - what the first place on axis 0 is called, where `bytes` hold later rows of a tensor
 * @throws `file` for a value outside its dtype
 */
export function tensorOf(bytes: Uint8Array, layout: Layout, where: string, firstRow = 0): Tensor {
  const { shape, fortranOrder } = layout;
  const refuse: Refuse = (at, found, expected, fix) => {
    const index = fortranOrder ? placeOf(at, shape.toReversed()).reverse() : placeOf(at, shape);
    if (firstRow > 0) index[0]! += firstRow;
    const place = `${found} at ${formatShape(index)}`;
    throw new LosswrightError({ code: "file", where, field: "data", found: place, expected, fix, index });
  };
  return allocating(where, () => {
    const { dtype, data } = layout.decode(nativeBytes(bytes, layout), refuse);
    return view(fortranOrder ? rowMajor(dtype, data, shape) : data, shape, "unlabeled", dtype);
  });
}

/**
 * A tensor as a NumPy array file, byte for byte as `numpy.save` writes it: little-endian, C order, version 1.0 (2.0
 * where the header is too long for it). Role and weakness of the tensor are not part of the format.
 *
 * @param tensor - of any dtype and shape
 * @param name - what errors call it
 * @throws `argument` for what is no tensor, `shape` where its shape and numbers disagree, `value` for a boolean that
 * is neither 0 nor 1
 */
export function encodeNpy(tensor: Tensor, name = "npy"): Uint8Array {
  checkWhole(tensor, name);
  const head = encodeHeader(tensor.dtype, tensor.shape);
  return allocating(name, () => {
    const raw = littleEndian(tensor.data);
    const out = new Uint8Array(head.length + raw.length);
    out.set(head);
    out.set(raw, head.length);
    return out;
  });
}

/**
 * Makes sure that a value is a tensor whose parts agree: whoever writes one checks it so.
 *
 * @throws what {@link encodeNpy} throws
 */
export function checkWhole(tensor: Tensor, where: string): void {
  if (!isTensor(tensor)) {
    throw new LosswrightError({
      code: "argument",
      where,
      field: "tensor",
      found: typeof tensor,
      expected: "a tensor",
      fix: "make one with tensor(data, shape).",
    });
  }
  const { dtype, shape, data } = tensor;
  if (sizeOf(shape) !== data.length) {
    throw new LosswrightError({
      code: "shape",
      where,
      field: "tensor",
      found: `${data.length} numbers under the shape ${formatShape(shape)}`,
      expected: `${sizeOf(shape)} numbers`,
      fix: "make the tensor with tensor(data, shape), which checks this.",
    });
  }
  if (dtype === "bool") {
    firstOtherThanBoolean(data as Uint8Array, (at, found, expected, fix) => {
      const index = placeOf(at, shape);
      throw new LosswrightError({ code: "value", where, field: "tensor", found, expected, fix, index });
    });
  }
}

/**
 * The tensors of an archive that is to be written, with their names.
 *
 * @throws `argument` for what is no map from names
 */
export function namedTensors(tensors: ReadonlyMap<string, Tensor>, where: string): [name: string, Tensor][] {
  const isMap = Object.prototype.toString.call(tensors) === "[object Map]";
  const entries = isMap ? [...tensors] : [];
  const odd = entries.find(([name]) => typeof name !== "string");
  if (isMap && !odd) return entries;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "tensors",
    found: odd ? `a name that is a ${typeof odd[0]}` : tensors === null ? "null" : typeof tensors,
    expected: "a Map from names to tensors",
    fix: "pass new Map(Object.entries({ name: tensor })).",
  });
}

/** The bytes of numbers, each little-endian; a view of them where the machine is. */
export function littleEndian(data: TensorData | Uint16Array): Uint8Array {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return nativeOrder === "<" ? raw : swapped(raw, data.BYTES_PER_ELEMENT);
}

// ---- elements ----

/** Refuses the element at a place of the file's own order. */
type Refuse = (at: number, found: string, expected: string, fix: string) => never;

type Decoded = { [D in Dtype]: { dtype: D; data: DataOfDtype[D] } }[Dtype];

/** Elements of one NumPy type, aligned and in the machine's byte order, as elements of a tensor. */
export type Decode = (raw: Uint8Array, refuse: Refuse) => Decoded;

interface ArrayOver<A> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
  readonly BYTES_PER_ELEMENT: number;
}

export function over<A>(type: ArrayOver<A>, { buffer, byteOffset, byteLength }: Uint8Array): A {
  return new type(buffer, byteOffset, byteLength / type.BYTES_PER_ELEMENT);
}

/** By kind and bytes an element, the rest of a `descr` after its byte order. */
const decoders = new Map<string, Decode>([
  ["f2", (raw) => ({ dtype: "float32", data: decodeFloat16(over(Uint16Array, raw)) })],
  ["f4", (raw) => ({ dtype: "float32", data: over(Float32Array, raw) })],
  ["f8", (raw) => ({ dtype: "float64", data: over(Float64Array, raw) })],
  ["i1", (raw) => ({ dtype: "int32", data: new Int32Array(over(Int8Array, raw)) })],
  ["i2", (raw) => ({ dtype: "int32", data: new Int32Array(over(Int16Array, raw)) })],
  ["i4", (raw) => ({ dtype: "int32", data: over(Int32Array, raw) })],
  ["i8", (raw) => ({ dtype: "int64", data: over(BigInt64Array, raw) })],
  ["u1", (raw) => ({ dtype: "uint8", data: raw })],
  ["u2", (raw) => ({ dtype: "int32", data: new Int32Array(over(Uint16Array, raw)) })],
  ["u4", decodeUint32],
  ["u8", decodeUint64],
  ["b1", decodeBoolean],
]);

const descrs: Record<Dtype, string> = {
  float64: "<f8",
  float32: "<f4",
  int64: "<i8",
  int32: "<i4",
  uint8: "|u1",
  bool: "|b1",
};

function decodeUint32(raw: Uint8Array): Decoded {
  // A value that fits has the same bits in both types.
  const signed = over(Int32Array, raw);
  if (signed.every((value) => value >= 0)) return { dtype: "int32", data: signed };
  const data = new BigInt64Array(signed.length);
  for (let i = 0; i < data.length; i++) data[i] = BigInt(signed[i]! >>> 0);
  return { dtype: "int64", data };
}

function decodeUint64(raw: Uint8Array, refuse: Refuse): Decoded {
  const data = over(BigInt64Array, raw);
  const beyond = data.findIndex((value) => value < 0n);
  if (beyond >= 0) {
    const found = String(BigInt.asUintN(64, data[beyond]!));
    refuse(beyond, found, "values below 2^63, which int64 holds", "save with .astype(np.int64) what fits into it.");
  }
  return { dtype: "int64", data };
}

function decodeBoolean(raw: Uint8Array, refuse: Refuse): Decoded {
  firstOtherThanBoolean(raw, refuse);
  return { dtype: "bool", data: raw };
}

function firstOtherThanBoolean(data: Uint8Array, refuse: Refuse): void {
  const at = data.findIndex((value) => value > 1);
  if (at >= 0) refuse(at, `the byte ${data[at]}`, "0 or 1 in an array of booleans", "save with .astype(bool).");
}

/** The data of the file, aligned and in the machine's byte order; a view of `bytes` where they are so already. */
function nativeBytes(bytes: Uint8Array, { offset, length, itemSize, foreign }: Layout): Uint8Array {
  // Not a subarray: that of a Node Buffer is a Buffer, which a tensor should not hold.
  const raw = new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
  if (foreign) return swapped(raw, itemSize);
  return raw.byteOffset % itemSize === 0 ? raw : raw.slice();
}

/** A copy with the bytes of every element reversed. */
function swapped(raw: Uint8Array, itemSize: number): Uint8Array {
  const out = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) out[at + itemSize - 1 - 2 * (at % itemSize)] = raw[at]!;
  return out;
}

/** Column-major to row-major: the source is walked in its order, an odometer keeps the place in the target. */
function rowMajor<D extends Dtype>(dtype: D, data: DataOfDtype[D], shape: readonly number[]): DataOfDtype[D] {
  const axes: { length: number; stride: number; count: number }[] = [];
  let stride = 1;
  for (const length of shape.toReversed()) {
    if (length !== 1) axes.unshift({ length, stride, count: 0 });
    stride *= length;
  }
  if (axes.length < 2) return data;
  const out = dataOf(dtype, data.length);
  // Elements are moved, never computed with: one element type stands for all.
  const [from, to] = [data as Float64Array, out as Float64Array];
  let place = 0;
  for (let i = 0; i < from.length; i++) {
    to[place] = from[i]!;
    for (const axis of axes) {
      place += axis.stride;
      if (++axis.count < axis.length) break;
      place -= axis.stride * axis.length;
      axis.count = 0;
    }
  }
  return out;
}

// ---- header ----

/** What the elements of a file are. */
export interface Elements {
  /** Bytes an element. */
  itemSize: number;
  /** Whether the bytes of an element stand in the order that is not the machine's. */
  foreign: boolean;
  decode: Decode;
}

/** Where the numbers of a file lie and what they are; lengths in bytes. */
export interface Layout extends Elements {
  offset: number;
  length: number;
  shape: readonly number[];
  fortranOrder: boolean;
}

/**
 * The layout that a file's head declares, checked against the size of the whole: nothing need be allocated, or read
 * on, for a file that does not hold what it says.
 *
 * @param head - the file's first {@link longestHead} bytes, or all of them
 * @param size - bytes in the file
 * @throws what {@link parseNpy} throws, but for the values
 */
export function readLayout(head: Uint8Array, size: number, where: string): Layout & { descr: string } {
  const { text, offset } = headerText(head, size, where);
  const { descr, fortranOrder, shape } = parseHeader(text, where);
  const { decode, itemSize, foreign } = elementOf(descr, where);
  const length = sizeOf(shape) * itemSize;
  const found = `${size - offset} bytes of data`;
  const expected = `${length} bytes (shape ${shownShape(shape)}, ${itemSize} bytes an element)`;
  if (size - offset < length) {
    throw broken(where, "data", found, expected, "copy or save the file again: it is cut off.");
  }
  if (size - offset > length) {
    throw broken(where, "data", found, expected, "save one array a file, with nothing behind it.");
  }
  return { offset, length, itemSize, foreign, decode, shape, fortranOrder, descr };
}

function headerText(head: Uint8Array, size: number, where: string): { text: string; offset: number } {
  if (!magic.every((byte, i) => head[i] === byte)) {
    const [found, fix] = foreignFile(head);
    throw broken(where, "magic", found, "a NumPy array file, which begins with \\x93NUMPY", fix);
  }
  const [major, minor] = [head[6], head[7]];
  const known = minor === 0 && (major === 1 || major === 2 || major === 3);
  if (head.length >= 8 && !known) {
    const found = `format version ${major}.${minor}`;
    throw broken(where, "version", found, "version 1.0, 2.0 or 3.0", "save the array with numpy.save.");
  }
  const start = major === 1 ? 10 : 12;
  const again = "copy or save the file again: it is cut off.";
  if (head.length < start) throw broken(where, "header", `a file of ${size} bytes`, `at least ${start}`, again);
  const words = new DataView(head.buffer, head.byteOffset, start);
  const length = major === 1 ? words.getUint16(8, true) : words.getUint32(8, true);
  if (length > size - start) {
    throw broken(
      where,
      "header",
      `a header of ${length} bytes, ${size - start} in the file`,
      "the whole header",
      again,
    );
  }
  if (length > longestHeader) {
    const found = `a header of ${length} bytes`;
    throw broken(where, "header", found, `at most ${longestHeader}`, "save a plain array, with numpy.save.");
  }
  const decoder = new TextDecoder(major === 3 ? "utf-8" : "latin1");
  // Copied, since browsers decode no text that lies in shared memory.
  const text = decoder.decode(new Uint8Array(head.subarray(start, start + length)));
  return { text, offset: start + length };
}

/** What a file without the magic string is, and what to do about it. */
function foreignFile(head: Uint8Array): [found: string, fix: string] {
  if (head.length === 0) return ["an empty file", "save the array again, with numpy.save."];
  if (head[0] === 0x50 && head[1] === 0x4b) return ["a zip archive (.npz?)", "save each array alone, with numpy.save."];
  if (head[0] === 0x80) return ["what looks like a pickle, which is never executed", "save the array with numpy.save."];
  return ["another beginning", "save the array with numpy.save."];
}

interface Header {
  descr: string;
  fortranOrder: boolean;
  shape: number[];
}

/** Reads the Python literal of a header: a dict of exactly `descr`, `fortran_order` and `shape`, in any order. */
function parseHeader(text: string, where: string): Header {
  let at = 0;
  const fail = (expected: string) => {
    const rest = text.slice(at, at + 24);
    const found = rest ? `${JSON.stringify(rest)} at character ${at}` : "the header's end";
    return broken(where, "header", found, expected, "save the array with numpy.save.");
  };
  const skipSpace = () => {
    while (at < text.length && " \t\r\n\f".includes(text[at]!)) at++;
  };
  const take = (token: string) => {
    skipSpace();
    const there = text.startsWith(token, at);
    if (there) at += token.length;
    return there;
  };
  const demand = (token: string) => {
    if (!take(token)) throw fail(`"${token}"`);
  };
  const word = () => {
    const quote = take("'") ? "'" : take('"') ? '"' : undefined;
    const end = quote ? text.indexOf(quote, at) : -1;
    // No name that can stand here needs an escape.
    if (end < 0 || text.slice(at, end).includes("\\")) throw fail("a string without escapes");
    const value = text.slice(at, end);
    at = end + 1;
    return value;
  };
  const descr = () => {
    skipSpace();
    if ("[({".includes(text[at] ?? " ")) throw unreadable(where, "a structured dtype (named fields)");
    return word();
  };
  const flag = () => {
    if (take("True")) return true;
    if (take("False")) return false;
    throw fail("True or False");
  };
  const dimension = () => {
    skipSpace();
    // Python 2 wrote an L behind long numbers.
    const digits = /(0|-?[1-9]\d*)L?/y;
    digits.lastIndex = at;
    const match = digits.exec(text);
    if (!match) throw fail("a whole number");
    at = digits.lastIndex;
    return Number(match[1]);
  };
  const tuple = () => {
    demand("(");
    const lengths: number[] = [];
    let separated = true;
    while (!take(")")) {
      if (!separated) throw fail('"," or ")"');
      lengths.push(dimension());
      separated = take(",");
    }
    if (lengths.length === 1 && !separated) throw fail("a tuple, written (n,)");
    return possible(lengths, where);
  };

  const header: Partial<Header> = {};
  const entry = (key: string) => {
    if (key === "descr") header.descr = descr();
    else if (key === "fortran_order") header.fortranOrder = flag();
    else header.shape = tuple();
  };
  const missing = new Set(["descr", "fortran_order", "shape"]);
  demand("{");
  let separated = true;
  while (!take("}")) {
    if (!separated) throw fail('"," or "}"');
    const before = at;
    const key = word();
    if (!missing.delete(key)) {
      at = before;
      throw fail("descr, fortran_order and shape, once each");
    }
    demand(":");
    entry(key);
    separated = take(",");
  }
  skipSpace();
  if (at < text.length) throw fail("nothing behind the dict");
  if (missing.size) {
    const found = `no ${[...missing].join(", ")}`;
    throw broken(where, "header", found, "descr, fortran_order and shape", "save the array with numpy.save.");
  }
  return header as Header;
}

/** The lengths of axes, if an array can have them: an empty one, too, is refused where its other axes overflow. */
function possible(lengths: number[], where: string): number[] {
  let product = 1;
  for (const length of lengths) product *= length || 1;
  if (lengths.some((length) => length < 0) || product > Number.MAX_SAFE_INTEGER) {
    throw new LosswrightError({
      code: "shape",
      where,
      field: "shape",
      found: shownShape(lengths),
      expected: "lengths that are not negative and whose product is below 2^53",
      fix: "save the array again, with numpy.save: the header is damaged.",
    });
  }
  return lengths;
}

/** A shape as a message quotes it: a hostile file may declare any number of axes. */
export function shownShape(shape: readonly number[]): string {
  const first = formatShape(shape.slice(0, 8));
  return shape.length > 8 ? `${first} and ${shape.length - 8} axes more` : first;
}

/** @throws `dtype` for a NumPy `descr` of anything but plain numbers */
export function elementOf(descr: string, where: string): Elements {
  const [order, element] = [descr.slice(0, 1), descr.slice(1)];
  const decode = decoders.get(element);
  const itemSize = Number(element.slice(1));
  if (!decode || !(order === "<" || order === ">" || (order === "|" && itemSize === 1))) {
    throw unreadable(where, `${kindOf(element)} (descr ${JSON.stringify(descr.slice(0, 40))})`);
  }
  return { decode, itemSize, foreign: itemSize > 1 && order !== nativeOrder };
}

const kinds: readonly (readonly [start: string, kind: string])[] = [
  ["O", "Python objects (a pickle, which is never executed)"],
  ["V", "raw or structured elements (bfloat16 arrays are saved as V2)"],
  ["c", "complex numbers"],
  ["S", "byte strings"],
  ["U", "strings"],
  ["M", "dates (datetime64)"],
  ["m", "time spans (timedelta64)"],
  ["f16", "long doubles (float128)"],
  ["f12", "long doubles (float96)"],
];

function kindOf(element: string): string {
  return kinds.find(([start]) => element.startsWith(start))?.[1] ?? "another dtype";
}

function unreadable(where: string, found: string): LosswrightError {
  return new LosswrightError({
    code: "dtype",
    where,
    field: "descr",
    found,
    expected: "float16, float32, float64, an integer or bool, with its byte order",
    fix: "save with .astype(np.float32), or the number type that suits.",
  });
}

/** The bytes before the data, as `numpy.save` lays them out. */
function encodeHeader(dtype: Dtype, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const dict = `{'descr': '${descrs[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // NumPy leaves room for the first axis to grow to 21 digits in place.
  const room = shape.length ? 21 - String(shape[0]).length : 0;
  const text = dict + " ".repeat(room);
  return framed(text, 1) ?? framed(text, 2)!;
}

/** Magic, version, length and text, padded to 64 bytes; `undefined` where version 1.0 has no room for the length. */
function framed(text: string, major: 1 | 2): Uint8Array | undefined {
  const start = major === 1 ? 10 : 12;
  // As in NumPy, a header that is aligned already gets 64 spaces.
  const padding = 64 - ((start + text.length + 1) % 64);
  const length = text.length + padding + 1;
  if (major === 1 && length > 0xffff) return undefined;
  const out = new Uint8Array(start + length).fill(0x20);
  out.set([...magic, major, 0]);
  const words = new DataView(out.buffer);
  if (major === 1) words.setUint16(8, length, true);
  else words.setUint32(8, length, true);
  for (let i = 0; i < text.length; i++) out[start + i] = text.charCodeAt(i);
  out[out.length - 1] = 0x0a;
  return out;
}
