import { rejectUnknown } from "../errors/index.js";
import { isTensor, type Tensor, type Unlabeled } from "../tensor/index.js";
import { checkIntegers, checkWhole, numbersOf, wrong } from "./arguments.js";

/**
 * The labels of a CTC frame path: repeats merge, then blanks drop.
 *
 * `ctcCollapse([1, 1, 0, 1, 2, 2], { blank: 0 })` is `[1, 1, 2]`: the blank keeps the two ones apart.
 *
 * @param path - the class of each frame, `[T]`: a tensor, a typed array or a list
 * @param options - `blank` (0): the class that emits nothing
 * @throws `shape` for more axes, `dtype` and `value` for what is no whole number, `option` for a blank that is none,
 * `unknown` for another option
 */
export function ctcCollapse(
  path: Tensor<"classIndices" | Unlabeled> | ArrayLike<number> | ArrayLike<bigint>,
  options: { readonly blank?: number } = {},
): Int32Array {
  const where = "ctcCollapse";
  rejectUnknown(where, "option", options, ["blank"]);
  const blank = checkWhole(where, "blank", options.blank ?? 0, 0);
  const { length, read } = readerOf(where, path);
  const labels: number[] = [];
  for (let t = 0, before = -1; t < length; t++) {
    const found = read(t);
    if (!Number.isInteger(found) || found < 0) {
      throw wrong(where, "value", "path", `${found} at frame ${t}`, "a class, a whole number from 0 on", undefined, [
        t,
      ]);
    }
    if (found !== before && found !== blank) labels.push(found);
    before = found;
  }
  return Int32Array.from(labels);
}

function readerOf(where: string, path: Parameters<typeof ctcCollapse>[0]) {
  if (isTensor(path)) {
    const { shape } = checkIntegers(where, "path", path, ["T"]);
    return { length: shape[0]!, read: numbersOf(path) };
  }
  if (typeof (path as ArrayLike<number> | null)?.length !== "number" || typeof path === "string") {
    throw wrong(where, "argument", "path", typeof path, "a tensor [T], a typed array or a list of classes");
  }
  const list = path as ArrayLike<number | bigint>;
  return { length: list.length, read: (t: number) => Number(list[t]) };
}
