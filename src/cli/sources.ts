import { createHash } from "node:crypto";
import { LosswrightError } from "../errors/index.js";
import type { Tensor } from "../tensor/index.js";

/** What a tally counted: a batch, known by its numbers whatever file they lie in. */
export interface Source {
  /** As whoever counted it called it. */
  readonly name: string;
  /** Over fields, dtypes, shapes and numbers, in hexadecimal. */
  readonly sha256: string;
}

/** Bytes of one update: a hash takes less than 2 GiB at once. */
const piece = 1 << 30;

/**
 * A batch as a source: by what its fields hold, whether they came in a record, an archive or files of their own.
 *
 * @param batches - by the names of a weighted sum's parts; one batch under ""
 */
export function sourceOf(name: string, batches: ReadonlyMap<string, Readonly<Record<string, Tensor>>>): Source {
  const hash = createHash("sha256");
  for (const [part, fields] of batches) {
    for (const field of Object.keys(fields).sort()) {
      const { dtype, shape, data } = fields[field]!;
      // A line of JSON holds no line break, so no two batches spell the same bytes.
      hash.update(`${JSON.stringify([part, field, dtype, shape])}\n`);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      for (let at = 0; at < bytes.length; at += piece) hash.update(bytes.subarray(at, at + piece));
    }
  }
  return { name, sha256: hash.digest("hex") };
}

/** The sources of merged files: each one once, and in which file it was. */
export class MergedSources {
  readonly #known = new Map<string, { readonly name: string; readonly file: string }>();
  readonly #allowsRepeated: boolean;

  constructor(allowsRepeated: boolean) {
    this.#allowsRepeated = allowsRepeated;
  }

  /** @throws `merge` where a source was counted before, naming both files */
  add(file: string, sources: readonly Source[]): void {
    for (const { name, sha256 } of sources) {
      const before = this.#known.get(sha256);
      // What one file holds twice was counted as one part.
      if (before && before.file !== file && !this.#allowsRepeated) throw countedTwice(file, name, before);
      // Of a source under several names the first in the alphabet stays: so the order of files leaves no trace.
      if (!before || name < before.name) this.#known.set(sha256, { name, file });
    }
  }

  /** By name. */
  get all(): readonly Source[] {
    const sources = [...this.#known].map(([sha256, { name }]) => ({ name, sha256 }));
    return sources.sort((a, b) => (a.name === b.name ? (a.sha256 < b.sha256 ? -1 : 1) : a.name < b.name ? -1 : 1));
  }
}

function countedTwice(file: string, name: string, before: { name: string; file: string }): LosswrightError {
  const alias = before.name === name ? "" : `, there called ${JSON.stringify(before.name)}`;
  return new LosswrightError({
    code: "merge",
    where: file,
    field: "sources",
    found: `${JSON.stringify(name)} counted twice: here and in ${before.file}${alias}`,
    expected: "every source once",
    fix: `leave one of the two files out; where the same numbers are meant to count twice, say --allow-repeated.`,
  });
}
