import { checkObject } from "../errors/index.js";
import { dataOf, formatShape, isTensor, sizeOf, type Tensor, view } from "../tensor/index.js";
import { wrong } from "./arguments.js";
import type { PackedSequences } from "./pack-sequences.js";

const where = "unpackSequences";

/**
 * Takes packed rows apart: the documents again, in the order in which they were given, pieces of a split one joined.
 *
 * @param packed - what `packSequences` gave: `pieces`, `accounting` and `inputIds`
 * @param values - what lies in the rows, `[R, L]` or `[R, L, …]`: token ids (the default), losses of tokens
 * (`objective.perUnit`), logits, hidden states
 * @returns one tensor `[T, …]` a document, of the dtype and role of the values; what packing cut off is not in it, and
 * a document of which nothing was packed has T = 0
 * @throws `argument` for what is no packing or no tensor, `shape` for values of other rows
 */
export function unpackSequences(packed: PackedSequences, values: Tensor = packed?.inputIds): Tensor[] {
  checkObject(where, "packed", packed);
  const { pieces, accounting } = packed;
  if (!isTensor(packed.inputIds) || !Array.isArray(pieces) || accounting === undefined) {
    throw wrong(where, "argument", "packed", Object.keys(packed).join(", ") || "{}", "what packSequences returned");
  }
  if (!isTensor(values)) throw wrong(where, "argument", "values", typeof values, "a tensor [R, L, …]");
  const { shape, dtype, role, data, weak } = values;
  const [rows, steps] = packed.inputIds.shape as [number, number];
  if (shape.length < 2 || shape[0] !== rows || shape[1] !== steps) {
    throw wrong(where, "shape", "values", formatShape(shape), `[${rows}, ${steps}, …], as the rows are`);
  }
  const inner = sizeOf(shape.slice(2));
  // Of a document of which the start was cut off, the first piece does not start at 0.
  const [lengths, origins] = [new Int32Array(accounting.documents), new Float64Array(accounting.documents)];
  origins.fill(Number.POSITIVE_INFINITY);
  for (const { document, start, length } of pieces) {
    lengths[document]! += length;
    origins[document] = Math.min(origins[document]!, start);
  }
  const documents = Array.from(lengths, (length) => dataOf(dtype, length * inner));
  for (const { document, start, length, row, offset } of pieces) {
    const from = (row * steps + offset) * inner;
    const part = data.subarray(from, from + length * inner);
    documents[document]!.set(part as never, (start - origins[document]!) * inner);
  }
  return documents.map((document, d) => view(document, [lengths[d]!, ...shape.slice(2)], role, dtype, weak));
}
