import { checkObject, LosswrightError, rejectUnknown } from "../../errors/index.js";
import { formatShape, isTensor, type Tensor, type Unlabeled, view } from "../../tensor/index.js";
import { Embeddings } from "./embeddings.js";

const where = "hardNegatives";

/** Options of {@link hardNegatives}. */
export interface HardNegativesOptions {
  /** How many negatives a query gets, at least 1. */
  readonly k: number;
  /** What is no negative: `[B]`, the row of the corpus that is each query's positive, or `[B, M]`, 1 at every pair to leave out. */
  readonly exclude?: Tensor<"classIndices" | "mask" | Unlabeled>;
  /** Whether rows are divided by their Euclidean norm, so that similarities are cosines. Default true, as in `infoNce`. */
  readonly normalize?: boolean;
}

/** What {@link hardNegatives} finds. */
export interface HardNegatives {
  /** `[B, k]`: rows of the corpus, the most similar first. */
  readonly indices: Tensor<"classIndices", "int32">;
  /** `[B, k]`: their similarities, descending. */
  readonly similarities: Tensor<"scores", "float64">;
}

/**
 * The k rows of a corpus most similar to each query, positives left out: the negatives that teach a contrastive loss
 * most. A tool, not an objective: nothing is differentiated; gather the rows found and give them to `infoNce` or
 * `triplet`.
 *   sim(q, c) = q·c / (‖q‖ ‖c‖),   q·c for normalize: false;   norms below 1e-12 count as 1e-12
 * Of rows equally similar the earlier comes first. Pairs left out are not read. The most similar rows of a real corpus
 * are often unlabeled positives: look at similarities near 1 before training on them.
 *
 * @param queries - `[B, D]`, float32 or float64
 * @param corpus - `[M, D]`
 * @returns indices and similarities, `[B, k]` each
 * @throws `argument`, `role`, `dtype` and `shape` for what is no pair of embedding matrices or does not fit them;
 * `unknown` for another option, `option` for k or normalize, `value` for an excluded row out of range, a similarity
 * that is NaN, or a query with fewer than k rows left
 *
 * @example
 * const { indices } = hardNegatives(queries, corpus, { k: 4, exclude: tensor([7, 0, 3]) });
 */
export function hardNegatives(
  queries: Tensor<"embeddings" | Unlabeled>,
  corpus: Tensor<"embeddings" | Unlabeled>,
  options: HardNegativesOptions,
): HardNegatives {
  checkObject(where, "options", options);
  rejectUnknown(where, "option", options, ["k", "exclude", "normalize"]);
  const { k, exclude, normalize = true } = options;
  const rows = sizeOfMatrix("queries", queries);
  const columns = sizeOfMatrix("corpus", corpus);
  const width = queries.shape[1]!;
  if (corpus.shape[1] !== width) {
    throw wrong("shape", "corpus", formatShape(corpus.shape), `rows of ${width} numbers, as the queries have`);
  }
  if (typeof normalize !== "boolean") throw wrong("option", "normalize", String(normalize), "true or false");
  if (!Number.isSafeInteger(k) || k < 1) throw wrong("option", "k", String(k), "a whole number, at least 1");
  const isExcluded = exclude === undefined ? () => false : exclusionOf(exclude, rows, columns);
  const from = new Embeddings(queries.data as Float64Array | Float32Array, rows, width, normalize);
  const among = new Embeddings(corpus.data as Float64Array | Float32Array, columns, width, normalize);
  const indices = new Int32Array(rows * k);
  const similarities = new Float64Array(rows * k);
  const found = new Float64Array(columns);
  const candidates = new Int32Array(columns);
  for (let row = 0; row < rows; row++) {
    let count = 0;
    for (let column = 0; column < columns; column++) {
      if (isExcluded(row, column)) continue;
      const similarity = from.dot(row, among, column);
      if (Number.isNaN(similarity)) throw notComparable(row, column);
      found[column] = similarity;
      candidates[count++] = column;
    }
    if (count < k) {
      const left = `${count} of ${columns} rows of the corpus left for query ${row}`;
      throw wrong("value", "k", left, `at least k = ${k}`, "lower k, exclude less, or enlarge the corpus.", [row]);
    }
    // Infinite similarities of one sign are equal: their difference would be NaN.
    const order = (a: number, b: number) => (found[a] === found[b] ? a - b : found[a]! < found[b]! ? 1 : -1);
    const best = candidates.subarray(0, count).sort(order);
    for (let place = 0; place < k; place++) {
      indices[row * k + place] = best[place]!;
      similarities[row * k + place] = found[best[place]!]!;
    }
  }
  return {
    indices: view(indices, [rows, k], "classIndices", "int32"),
    similarities: view(similarities, [rows, k], "scores", "float64"),
  };
}

/** The number of rows of a matrix of embeddings. */
function sizeOfMatrix(field: string, given: unknown): number {
  if (!isTensor(given)) throw wrong("argument", field, typeof given, "a tensor", `wrap it: tensor(data, shape).`);
  if (given.role !== "embeddings" && given.role !== "unlabeled") throw wrong("role", field, given.role, "embeddings");
  if (given.dtype !== "float32" && given.dtype !== "float64") {
    throw wrong("dtype", field, `${given.dtype} ${formatShape(given.shape)}`, "float32 or float64");
  }
  if (given.shape.length !== 2) throw wrong("shape", field, formatShape(given.shape), "one embedding a row: two axes");
  return given.shape[0]!;
}

/** Which pairs are left out. */
function exclusionOf(exclude: Tensor, rows: number, columns: number): (row: number, column: number) => boolean {
  const forms = `[${rows}], the positive of each query, or [${rows}, ${columns}], 1 at every pair to leave out`;
  if (!isTensor(exclude))
    throw wrong("argument", "exclude", typeof exclude, "a tensor", "wrap it: tensor(data, shape).");
  const { shape, data } = exclude;
  if (shape[0] !== rows || shape.length > 2 || (shape.length === 2 && shape[1] !== columns)) {
    throw wrong("shape", "exclude", formatShape(shape), forms);
  }
  const isMask = shape.length === 2;
  for (let at = 0; at < data.length; at++) {
    const entry = Number(data[at]);
    const fits = isMask ? entry === 0 || entry === 1 : Number.isInteger(entry) && entry >= 0 && entry < columns;
    if (fits) continue;
    const index = isMask ? [Math.floor(at / columns), at % columns] : [at];
    const expected = isMask ? "0 or 1" : `a row of the corpus, 0..${columns - 1}`;
    const fix = isMask ? undefined : `a query without a positive needs the other form: ${forms}.`;
    throw wrong("value", "exclude", `${entry} at ${formatShape(index)}`, expected, fix, index);
  }
  if (isMask) return (row, column) => Number(data[row * columns + column]) === 1;
  return (row, column) => Number(data[row]) === column;
}

function notComparable(row: number, column: number): LosswrightError {
  const found = `NaN between query ${row} and row ${column} of the corpus`;
  return wrong("value", "similarities", found, "a number", "look for NaN or infinite embeddings there.", [row, column]);
}

function wrong(
  code: LosswrightError["code"],
  field: string,
  found: string,
  expected: string,
  fix?: string,
  index?: readonly number[],
): LosswrightError {
  return new LosswrightError({ code, where, field, found, expected, ...(fix && { fix }), ...(index && { index }) });
}
