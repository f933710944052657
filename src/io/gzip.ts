import checksum from "crc-32";
import { Gunzip } from "fflate";
import { LosswrightError } from "../errors/index.js";
import { allocating, broken } from "./failure.js";

/** Bytes handed to the inflater at once: it holds what comes out of them, 16 MiB at most. */
const portion = 16384;

/**
 * What a gzip file holds, of one member or several. A bomb is stopped at `longest`; the length and CRC-32 that each member
 * ends with are checked.
 *
 * @throws `file` for what is damaged, cut off, or longer than `longest` unpacked
 */
export function gunzipped(bytes: Uint8Array, where: string, longest: number): Uint8Array {
  const again = "copy or pack the file again: it is cut off or damaged.";
  const parts: Uint8Array[] = [];
  let length = 0;
  // Where each member ends, packed and unpacked.
  const ends: { packed: number; unpacked: number }[] = [];
  const stream = new Gunzip((part) => {
    length += part.length;
    if (length > longest) {
      const expected = `at most ${longest} bytes unpacked`;
      throw broken(where, "data", "more", expected, "split the table into several files, or save it as Parquet.");
    }
    parts.push(part);
  });
  stream.onmember = (packed) => ends.push({ packed, unpacked: length });
  try {
    for (let at = 0; at < bytes.length; at += portion) {
      stream.push(bytes.subarray(at, at + portion), at + portion >= bytes.length);
    }
  } catch (error) {
    if (error instanceof LosswrightError) throw error;
    throw broken(where, "data", "packed data that are damaged or cut off", "a whole gzip file", again, error);
  }
  ends.push({ packed: bytes.length, unpacked: length });
  const out = allocating(where, () => new Uint8Array(length));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = 0;
  for (const { packed, unpacked } of ends) {
    const content = out.subarray(start, unpacked);
    const isWhole = packed >= 8 && words.getUint32(packed - 4, true) === content.length;
    if (!isWhole || words.getInt32(packed - 8, true) !== checksum.buf(content)) {
      throw broken(where, "crc", "another length or CRC-32 than the file declares", "a whole gzip file", again);
    }
    start = unpacked;
  }
  return out;
}
