import { closest, LosswrightError } from "../errors/index.js";
import { formatShape, sameShape, type Tensor } from "../tensor/index.js";
import { broken } from "./failure.js";
import { shown } from "./json.js";
import type { RowSource } from "./row-source.js";
import type { AlignmentContext, LossTerm, SampledContext, StepContext, StepRecord } from "./step-record.js";

// What entries of a record have to do with each other. Every rule speaks of the record or part that the context
// belongs to; the context of a record of parts speaks of every part that has the field.

/** A tensor, or one whose rows are still in its file: what is checked of it is its shape. */
type Leaf = Tensor | RowSource;

/**
 * Makes sure that the terms of a loss are a sum of which the contract describes one term.
 *
 * @throws `file` where no term or more than one is intended, or two have one name; `unknown` for a field that differs
 * by a slip from one of the record (another may be one that was not recorded)
 */
export function checkTerms<T>(record: StepRecord<T>): void {
  for (const { path, context, holders } of scopesOf(record)) {
    if (context.terms) checkTermsOf(context.terms, `${path}context.terms`, holders, record.name);
  }
}

/**
 * Makes sure that the tensors of a context have the shapes that their fields give them, and that a sample is one.
 *
 * @throws `unknown` for an entry of a field that is not there; `shape` for a tensor of another shape than its field
 * says, and for a shape of units that no array has; `value` for places of units that are not whole, not ascending or
 * outside; `dtype` for places that are true or false
 */
export function checkContexts(record: StepRecord<Leaf>): void {
  for (const scope of scopesOf(record)) {
    const { gathered = {}, outputs = {}, sampled, alignment } = scope.context;
    const checker = new ScopeChecker(scope, record.name);
    for (const [field, { ranks, ids }] of Object.entries(gathered)) {
      checker.rowsOf(field, { ranks, ids });
    }
    for (const [field, output] of Object.entries(outputs)) checker.shapeOf(field, output);
    if (sampled) checker.sample(sampled);
    if (alignment) checker.examples(alignment, sampled);
  }
}

/** Rows, and entries of one axis, that a tensor without a number may declare. */
const [mostEmptyRows, longestEmptyAxis] = [65_536, 16_777_216];

/**
 * Makes sure that a tensor without a number declares no size that only its emptiness allows: a file of 128 bytes can
 * have 2^40 rows of nothing, and whoever goes through the rows would never end.
 *
 * @throws `shape` where it does
 */
export function checkExtent({ shape }: Leaf, field: string, where: string): void {
  const axis = shape.indexOf(0);
  if (axis < 0) return;
  const rows = shape.slice(0, axis).reduce((product, length) => product * length, 1);
  if (rows <= mostEmptyRows && shape.every((length) => length <= longestEmptyAxis)) return;
  throw new LosswrightError({
    code: "shape",
    where,
    field,
    found: `${formatShape(shape.slice(0, 8))}, which holds no number`,
    expected: `at most ${mostEmptyRows} rows of nothing, and no axis above ${longestEmptyAxis}, in an empty tensor`,
    fix: "record the tensor again: nothing of this size is empty in a step.",
  });
}

/** Fields of a record or part, and where they stand. */
interface Holder<T> {
  readonly path: string;
  readonly fields: Readonly<Record<string, T>>;
}

/** A context, where it stands, and the fields it speaks of. */
interface Scope<T> {
  readonly path: string;
  readonly context: StepContext<T>;
  readonly holders: readonly Holder<T>[];
}

function scopesOf<T>({ fields, context, parts }: StepRecord<T>): Scope<T>[] {
  const inside = parts.map((part, i): Holder<T> => ({ path: `parts.${i}.`, fields: part.fields }));
  return [
    { path: "", context, holders: fields ? [{ path: "", fields }] : inside },
    ...parts.map((part, i) => ({ path: `parts.${i}.`, context: part.context, holders: [inside[i]!] })),
  ];
}

function fieldNames<T>(holders: readonly Holder<T>[]): Set<string> {
  return new Set(holders.flatMap(({ fields }) => Object.keys(fields)));
}

// ---- terms ----

function checkTermsOf<T>(terms: readonly LossTerm[], path: string, holders: readonly Holder<T>[], where: string): void {
  const intended = terms.filter((term) => term.intended);
  if (intended.length !== 1) {
    const names = intended.map(({ name }) => shown(name)).slice(0, 4);
    const found = intended.length ? `${intended.length} intended terms (${names.join(", ")})` : "no intended term";
    const fix = 'write "intended": true in the term that the contract describes, and in no other.';
    throw broken(where, path, `${found} among ${terms.length}`, "exactly one intended term", fix);
  }
  const known = fieldNames(holders);
  const names = new Set<string>();
  for (const [i, { name, fields = [] }] of terms.entries()) {
    if (names.has(name)) {
      const fix = "give every term a name of its own, or add up what is one term.";
      throw broken(where, `${path}.${i}.name`, `a second term ${shown(name)}`, "each name once", fix);
    }
    names.add(name);
    for (const field of fields) {
      const meant = known.has(field) || field.length > 100 ? undefined : closest(field, known);
      if (meant !== undefined) throw unknownField(where, `${path}.${i}.fields`, field, known, meant);
    }
  }
}

// ---- tensors ----

class ScopeChecker {
  readonly #holders: readonly Holder<Leaf>[];
  readonly #path: string;
  readonly #where: string;

  constructor({ path, holders }: Scope<Leaf>, where: string) {
    this.#holders = holders;
    this.#path = `${path}context.`;
    this.#where = where;
  }

  /** One entry for each row of a gathered field. */
  rowsOf(name: string, entries: Readonly<Record<string, Leaf | undefined>>): void {
    const holders = this.#having(name, `gathered.${name}`);
    for (const [key, tensor] of Object.entries(entries)) {
      for (const holder of tensor ? holders : []) {
        const field = holder.fields[name]!;
        const fits = field.shape.length > 0 && tensor!.shape.length === 1 && tensor!.shape[0] === field.shape[0];
        if (fits) continue;
        const expected = `[M], one entry for each row of ${said(holder, name)}`;
        this.#misfit(`gathered.${name}.${key}`, tensor!, expected, "record one entry for each row as it was gathered.");
      }
    }
  }

  /** The output that a field was made of has the field's shape. */
  shapeOf(name: string, output: Leaf): void {
    for (const holder of this.#having(name, `outputs.${name}`)) {
      const { shape } = holder.fields[name]!;
      if (sameShape(output.shape, shape)) continue;
      const fix = "record the output entry for entry as the field was made of it.";
      this.#misfit(`outputs.${name}`, output, `the shape of ${said(holder, name)}`, fix);
    }
  }

  sample({ units, shape, fields }: SampledContext<Leaf>): void {
    // An empty shape, too, is refused where its other axes overflow, as in a file.
    if (shape.reduce((product, length) => product * (length || 1), 1) > Number.MAX_SAFE_INTEGER) {
      const found = shape.length > 8 ? `${shape.length} lengths` : formatShape(shape);
      const fix = "record the shape of the units of the whole step, as [B, T].";
      throw this.#error("shape", "sampled.shape", found, "lengths whose product is below 2^53", fix);
    }
    this.#ascending(units, shape);
    for (const [i, name] of fields.entries()) {
      for (const holder of this.#having(name, `sampled.fields.${i}`)) {
        const rows = holder.fields[name]!.shape[0];
        if (rows === units.shape[0]) continue;
        const found = `${units.shape[0]} units beside ${said(holder, name)}`;
        const expected = `as many rows in ${name} as there are units`;
        const fix = "keep the rows of the same units in every sampled field, and name no field that is whole.";
        throw this.#error("shape", "sampled.units", found, expected, fix);
      }
    }
  }

  /** One length for each example: as many as the lengths or labels of the whole batch that stand in the fields. */
  examples({ featureLengths }: AlignmentContext<Leaf>, sampled: SampledContext<Leaf> | undefined): void {
    if (!featureLengths) return;
    const fix = "record the number of frames of each example before the encoder.";
    if (featureLengths.shape.length !== 1) {
      this.#misfit("alignment.featureLengths", featureLengths, "[B], one entry for each example", fix);
    }
    for (const holder of this.#holders) {
      const named = exampleFields.find(({ name, rank }) => {
        return holder.fields[name]?.shape.length === rank && !sampled?.fields.includes(name);
      });
      if (!named || holder.fields[named.name]!.shape[0] === featureLengths.shape[0]) continue;
      const expected = `one entry for each example of ${said(holder, named.name)}`;
      this.#misfit("alignment.featureLengths", featureLengths, expected, fix);
    }
  }

  /** The places of units are whole, ascending and inside the shape of all units. */
  #ascending(units: Leaf, shape: readonly number[]): void {
    const all = shape.reduce((product, length) => product * length, 1);
    const fix = "record the row-major places of the kept units, each once, in ascending order.";
    if (units.shape.length !== 1) this.#misfit("sampled.units", units, "[n], one place for each kept unit", fix);
    if (units.dtype === "bool") {
      throw this.#error("dtype", "sampled.units", "bool", "whole numbers", `${fix.slice(0, -1)}, not a mask.`);
    }
    // Whoever reads by rows loads the places of units whole.
    if (!("data" in units)) throw new Error("the places of units are not loaded");
    let before = -1;
    for (let i = 0; i < units.data.length; i++) {
      // Past 2^53 a conversion rounds, but no place that is inside lies there.
      const place = Number(units.data[i]);
      const wrong = !Number.isInteger(place)
        ? "whole numbers"
        : place < 0 || place >= all
          ? `places below ${all}, in the shape ${formatShape(shape.slice(0, 8))}`
          : place <= before
            ? `places in ascending order, above ${before} here`
            : undefined;
      if (wrong) throw this.#error("value", "sampled.units", `${units.data[i]} at [${i}]`, wrong, fix, [i]);
      before = place;
    }
  }

  /** Who has the field. */
  #having(name: string, entry: string): readonly Holder<Leaf>[] {
    const having = this.#holders.filter(({ fields }) => Object.hasOwn(fields, name));
    if (having.length) return having;
    const known = fieldNames(this.#holders);
    const meant = name.length > 100 ? undefined : closest(name, known);
    throw unknownField(this.#where, this.#path + entry, name, known, meant);
  }

  #misfit(entry: string, { shape }: Leaf, expected: string, fix: string): never {
    throw this.#error("shape", entry, shape.length > 8 ? `${shape.length} axes` : formatShape(shape), expected, fix);
  }

  #error(
    code: "shape" | "value" | "dtype",
    entry: string,
    found: string,
    expected: string,
    fix: string,
    index?: readonly number[],
  ): LosswrightError {
    const field = this.#path + entry;
    return new LosswrightError({ code, where: this.#where, field, found, expected, fix, ...(index && { index }) });
  }
}

/** Fields with one row an example, by the number of axes with which they have it; the first that is there counts. */
const exampleFields = [
  { name: "inputLengths", rank: 1 },
  { name: "labelLengths", rank: 1 },
  { name: "labels", rank: 2 },
] as const;

/** A field with its shape, as a message names it. */
function said<N extends string>({ path, fields }: Holder<Leaf>, name: N): string {
  return `${path}fields.${name}, ${formatShape(fields[name]!.shape.slice(0, 8))}`;
}

function unknownField(
  where: string,
  field: string,
  name: string,
  known: ReadonlySet<string>,
  meant: string | undefined,
): LosswrightError {
  return new LosswrightError({
    code: "unknown",
    where,
    field,
    found: `${shown(name)}, which is no field here`,
    expected: `one of ${[...known].slice(0, 20).join(", ")}`,
    fix: meant === undefined ? "name a field of the record, or leave the entry out." : `write "${meant}".`,
  });
}
