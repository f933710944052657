import { LosswrightError } from "../errors/index.js";
import {
  dataOf,
  formatShape,
  isTensor,
  sameShape,
  sizeOf,
  type Tensor,
  type TensorData,
  view,
} from "../tensor/index.js";
import { type AnyBatch, asTensor, bindBatch, flagsOf, specOf } from "./batch.js";
import { axesOf, type FieldSpec, type LossDefinition } from "./definition.js";
import type { Objective } from "./objective.js";

/** How many rows a part has along each axis that is joined. */
export type Lengths = Readonly<Record<string, number>>;

/**
 * One batch of a loss that couples its batch, from the rows of several parts: ranks, or micro-batches. Rows stand in the
 * order of the parts; of several views of each example (ntXent) each view is put together on its own. Labels that count
 * a part's own keys, and rows that are paired by their number, come to mean the same keys among all.
 *
 * With an own part the batch is that of one rank: the units of the others are masked, so they are context and no units,
 * and fields that only an own unit reads hold nothing of the others.
 */
export class Joining {
  private readonly unitAxis: string;
  private readonly views: number;
  /** Where the rows of each part begin along an axis, and one past the last. */
  private readonly starts: Readonly<Record<string, readonly number[]>>;

  /**
   * @param axes - along which rows of all parts lie one after the other
   * @param lengths - of the parts, in order
   * @param part - what a part is, in words
   * @param own - the part whose units the joined batch has; all without it
   */
  constructor(
    private readonly definition: LossDefinition<object>,
    private readonly options: object,
    private readonly axes: readonly string[],
    private readonly lengths: readonly Lengths[],
    private readonly part: "rank" | "micro-batch",
    private readonly own?: number,
  ) {
    this.unitAxis = definition.unitShape[0]!;
    this.views = Math.max(1, ...Object.values(definition.fields).map(({ views = 1 }) => views));
    this.starts = Object.fromEntries(
      [...new Set([this.unitAxis, ...axes])].map((axis) => {
        const starts = [0];
        for (const each of lengths) starts.push(starts.at(-1)! + each[axis]!);
        return [axis, starts];
      }),
    );
    this.checkPairs();
  }

  /** Whether the rows of other parts are needed of a field. */
  needs(name: string, tensor: Tensor): boolean {
    const spec = this.definition.fields[name];
    if (this.own === undefined || !spec) return this.own === undefined;
    return this.isJoined(this.axesIn(name, tensor)[0]) && !spec.ownRows;
  }

  /** The joined batch; of parts that are not the own one, only fields that are needed are looked at. */
  batch(parts: readonly AnyBatch[]): AnyBatch {
    const { own } = this;
    const names = new Set(own === undefined ? parts.flatMap((part) => Object.keys(part)) : Object.keys(parts[own]!));
    const joined: Record<string, Tensor | number | undefined> = {};
    for (const name of names) joined[name] = this.field(name, parts);
    if (own !== undefined && this.isJoined(this.unitAxis)) joined.mask ??= this.ownUnits(own);
    const labels = this.pairing(joined);
    return labels ? { ...joined, ...labels } : joined;
  }

  /** How many entries of a field's gradient are each part's, in order; of fields that {@link needs} names. */
  counts(name: string, whole: Tensor): readonly number[] {
    const axis = this.axesIn(name, whole)[0]!;
    const width = sizeOf(whole.shape.slice(1));
    return this.lengths.map((part) => part[axis]! * width);
  }

  /** The shape of a part's field of so many entries, beside this part's own. */
  shapeOf(name: string, own: Tensor, part: number, length: number): readonly number[] {
    const axes = this.axesIn(name, own);
    const lengths = this.lengths[part]!;
    const rows = lengths[axes[0]!]!;
    return own.shape.map((extent, i) => {
      if (i === 0) return rows;
      if (!this.isJoined(axes[i])) return extent;
      return rows === 0 ? lengths[axes[i]!]! : length / rows;
    });
  }

  /** A part's mask or weights, which it may leave out: every unit counts then, with weight 1. */
  common(name: "mask" | "weights", batch: AnyBatch, part: number): Tensor {
    const given = batch[name];
    const count = this.lengths[part]![this.unitAxis]!;
    if (name === "weights") {
      const data = isTensor(given) ? Float64Array.from(given.data as Float64Array) : new Float64Array(count).fill(1);
      return view(data, [count], "weights", "float64");
    }
    const flag = isTensor(given) ? flagsOf(given) : () => true;
    return view(
      Uint8Array.from({ length: count }, (_, unit) => (flag(unit) ? 1 : 0)),
      [count],
      "mask",
      "bool",
    );
  }

  /** Whether a field holds rows of several parts. */
  isJoinedField(name: string, tensor: Tensor): boolean {
    return this.isJoined(this.axesIn(name, tensor)[0]);
  }

  /** A part's rows of a field's gradient, cut out of the whole's. */
  rowsOf(name: string, whole: Tensor, part: number): TensorData {
    const axis = this.axesIn(name, whole)[0]!;
    if (!this.isJoined(axis)) return whole.data;
    const { views } = this;
    const [all, count] = [this.total(axis), this.lengths[part]![axis]!];
    const width = all === 0 ? 0 : whole.data.length / all;
    const [run, offset] = [(count / views) * width, (this.offset(axis, part) / views) * width];
    if (views === 1) return whole.data.subarray(offset, offset + run);
    const data = dataOf(whole.dtype, count * width);
    for (let each = 0; each < views; each++) {
      const from = each * (all / views) * width + offset;
      data.set(whole.data.subarray(from, from + run) as never, each * run);
    }
    return data;
  }

  /** A part's rows of a field's gradient, as a tensor of its own. */
  partOf(name: string, whole: Tensor, part: number): Tensor {
    const data = this.rowsOf(name, whole, part).slice();
    const rows = this.lengths[part]![this.axesIn(name, whole)[0]!]!;
    return view(data as Float64Array, [rows, ...whole.shape.slice(1)], "unlabeled", whole.dtype as "float64");
  }

  private field(name: string, parts: readonly AnyBatch[]): Tensor | number | undefined {
    const { own } = this;
    const isUnitField = name === "mask" || name === "weights";
    const first = parts.find((part) => part[name] !== undefined)!;
    const given = own !== undefined ? parts[own]![name] : isUnitField ? this.common(name, first, 0) : first[name];
    if (!isTensor(given) || given.shape.length === 0) return own === undefined ? this.scalar(name, parts) : given;
    const axes = this.axesIn(name, given);
    const { indexes } = specOf(this.definition.fields, name);
    if (!axes.some((axis) => this.isJoined(axis)) && !this.isJoined(indexes)) return given;
    if (!this.isJoined(axes[0])) return this.placed(name, parts[own!]!, own!);
    const isNeeded = this.needs(name, given);
    const placed = parts.map((part, i) => (isNeeded || i === own ? this.placed(name, part, i) : i));
    return this.concatenated(name, axes[0]!, placed);
  }

  /** A part's field as it stands among all: with columns for all keys, labels that count all keys. */
  private placed(name: string, batch: AnyBatch, part: number): Tensor {
    const { definition, lengths } = this;
    if (name === "mask" || name === "weights") return this.common(name, batch, part);
    const tensor = batch[name] as Tensor | undefined;
    if (!tensor)
      throw this.wrong("missing-field", name, `no ${name} on ${this.named(part)}`, [
        `${name} in every ${this.part}, or in none`,
      ]);
    const spec = specOf(definition.fields, name);
    const axes = this.axesIn(name, tensor);
    if (spec.indexes !== undefined && this.isJoined(spec.indexes))
      return this.offsetLabels(name, spec, tensor, batch, part);
    const columns = axes[1];
    if (axes.length !== 2 || !this.isJoined(columns)) return this.plain(name, tensor);
    this.checkColumns(name, tensor, part);
    const [rows, own, all] = [tensor.shape[0]!, lengths[part]![columns!]!, this.total(columns!)];
    if (tensor.shape[1] === all) return this.plain(name, tensor);
    const flag = flagsOf(tensor);
    const data = dataOf("bool", rows * all);
    const offset = this.offset(columns!, part);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < own; column++) {
        if (flag(row * own + column)) data[row * all + offset + column] = 1;
      }
    }
    return view(data, [rows, all], tensor.role, "bool");
  }

  /** Flags as bool, whatever dtype a part gives them; other fields as they are. */
  plain(name: string, tensor: Tensor): Tensor {
    const { fields } = this.definition;
    if (fields[name]?.holds !== "flags" || tensor.dtype === "bool") return tensor;
    const flag = flagsOf(tensor);
    const data = Uint8Array.from({ length: tensor.data.length }, (_, at) => (flag(at) ? 1 : 0));
    return view(data, tensor.shape, tensor.role, "bool");
  }

  /** @throws `shape` for a field of pairs in a part that fits neither the part's own keys nor all keys */
  checkColumns(name: string, tensor: Tensor, part: number): void {
    const { definition, lengths } = this;
    const { shape } = tensor;
    const axes = axesOf(specOf(definition.fields, name), this.options, shape.length);
    const columns = axes[1];
    if (axes.length !== 2 || !this.isJoined(columns) || definition.fields[name]?.holds !== "flags") return;
    asTensor(definition.name, name, specOf(definition.fields, name), tensor);
    const [rows, own, all] = [lengths[part]![axes[0]!]!, lengths[part]![columns!]!, this.total(columns!)];
    if (shape[0] === rows && (shape[1] === own || shape[1] === all)) return;
    throw this.wrong("shape", name, `${formatShape(shape)} on ${this.named(part)}`, [
      `${formatShape([rows, own])} for its own keys, or ${formatShape([rows, all])} for all keys`,
    ]);
  }

  private offsetLabels(name: string, spec: FieldSpec, tensor: Tensor, batch: AnyBatch, part: number): Tensor {
    const axis = spec.indexes!;
    const [length, offset] = [this.lengths[part]![axis]!, this.offset(axis, part)];
    const counts = isTensor(batch.mask) ? flagsOf(batch.mask) : () => true;
    const data = dataOf("float64", tensor.data.length);
    for (let unit = 0; unit < data.length; unit++) {
      const label = Number(tensor.data[unit]);
      // What is no index of the part is none of the whole: refused where the unit counts, as in a batch alone.
      data[unit] = label >= 0 && label < length ? label + offset : -1;
      if (data[unit] !== -1 || !counts(unit)) continue;
      throw this.wrong("value", name, `${label} at [${unit}] of ${this.named(part)}`, [
        `an index of its own ${length} rows of keys, 0..${length - 1}`,
        `labels count the keys of their own ${this.part}: the offset among all keys is added to them.`,
      ]);
    }
    return view(data, tensor.shape, tensor.role, "float64", true);
  }

  /** Labels of rows that are paired by their number, where that number means another key among all. */
  private pairing(joined: AnyBatch): AnyBatch | undefined {
    const { definition, own, lengths, unitAxis } = this;
    for (const [name, { indexes, pairsRowsUnless }] of Object.entries(definition.fields)) {
      if (!pairsRowsUnless || joined[name] !== undefined || !this.isJoined(indexes)) continue;
      if (pairsRowsUnless.some((other) => joined[other] !== undefined)) continue;
      const parts = this.isJoined(unitAxis) ? lengths.map((_, part) => part) : [own!];
      for (const part of parts) this.checkPaired(indexes!, part);
      if (this.isJoined(unitAxis) && parts.every((part) => this.offset(indexes!, part) === this.offset(unitAxis, part)))
        continue;
      const data = parts.flatMap((part) => {
        const first = this.offset(indexes!, part);
        return Array.from({ length: lengths[part]![unitAxis]! }, (_, row) => first + row);
      });
      return { [name]: view(Float64Array.from(data), [data.length], "unlabeled", "float64", true) };
    }
    return undefined;
  }

  /** @throws `shape` where rows are paired by their number and a part has fewer keys than rows */
  private checkPaired(axis: string, part: number): void {
    const { [this.unitAxis]: rows, [axis]: keys } = this.lengths[part]!;
    if (keys! >= rows!) return;
    throw this.wrong("shape", "keys", `${keys} keys for ${rows} rows on ${this.named(part)}`, [
      `at least one key a row in every ${this.part}`,
      `say which key of its own ${this.part} belongs to a row: labels.`,
    ]);
  }

  /** @throws `shape` where both sides are searched and a part has other numbers of them, or a view without the other */
  private checkPairs(): void {
    const { definition, options, lengths, unitAxis, views } = this;
    const odd = lengths.findIndex((each) => each[unitAxis]! % views !== 0);
    if (odd !== -1) {
      throw this.wrong("shape", unitAxis, `${lengths[odd]![unitAxis]} rows on ${this.named(odd)}`, [
        `${views} views of every example in every ${this.part}`,
      ]);
    }
    for (const { indexes, pairsRowsUnless } of Object.values(definition.fields)) {
      if (!pairsRowsUnless || !this.isJoined(indexes) || !definition.gathers?.(options).includes(unitAxis)) continue;
      const part = lengths.findIndex((each) => each[indexes!] !== each[unitAxis]);
      if (part === -1) continue;
      throw this.wrong(
        "shape",
        "keys",
        `${lengths[part]![indexes!]} keys for ${lengths[part]![unitAxis]} queries on ${this.named(part)}`,
        [`as many in every ${this.part}`, `pair row i with key i in each ${this.part}.`],
      );
    }
  }

  private scalar(name: string, parts: readonly AnyBatch[]): Tensor | number | undefined {
    const [first, ...others] = parts.map((part) => part[name]);
    const numberOf = (value: Tensor | number | undefined) => (isTensor(value) ? Number(value.data[0]) : value);
    const other = others.find((value) => !Object.is(numberOf(value), numberOf(first)));
    if (other === undefined) return first;
    throw this.wrong("value", name, `${numberOf(first)} and ${numberOf(other)}`, [`the same in every ${this.part}`]);
  }

  /** 1 for the own part's units, 0 for all others. */
  private ownUnits(own: number): Tensor {
    const data = dataOf("bool", this.total(this.unitAxis));
    const offset = this.offset(this.unitAxis, own);
    data.fill(1, offset, offset + this.lengths[own]![this.unitAxis]!);
    return view(data, [data.length], "mask", "bool");
  }

  /** Fields of the parts one after the other; a number stands for rows of zeros of that part. */
  private concatenated(name: string, axis: string, parts: readonly (Tensor | number)[]): Tensor {
    const { views } = this;
    const first = parts.find(isTensor)!;
    const rest = first.shape.slice(1);
    const other = parts.find(
      (part) => isTensor(part) && !(part.dtype === first.dtype && sameShape(part.shape.slice(1), rest)),
    );
    if (isTensor(other)) {
      throw this.wrong(
        "shape",
        name,
        `${first.dtype} ${formatShape(first.shape)} and ${other.dtype} ${formatShape(other.shape)}`,
        [`rows of one width and dtype in every ${this.part}`],
      );
    }
    const rows = this.total(axis);
    const width = sizeOf(rest);
    const data = dataOf(first.dtype, rows * width);
    let at = 0;
    for (let each = 0; each < views; each++) {
      for (const part of parts) {
        const run = isTensor(part) ? part.data.length / views : (this.lengths[part]![axis]! * width) / views;
        if (isTensor(part)) data.set(part.data.subarray(each * run, (each + 1) * run) as never, at);
        at += run;
      }
    }
    return view(data, [rows, ...rest], first.role, first.dtype, first.weak);
  }

  private named(part: number): string {
    return `${this.part} ${part}`;
  }

  private axesIn(name: string, tensor: Tensor): readonly string[] {
    const { fields, unitShape } = this.definition;
    const spec = fields[name];
    return spec ? axesOf(spec, this.options, tensor.shape.length) : unitShape;
  }

  private isJoined(axis: string | undefined): boolean {
    return axis !== undefined && this.axes.includes(axis);
  }

  private total(axis: string): number {
    return this.starts[axis]!.at(-1)!;
  }

  private offset(axis: string, part: number): number {
    return this.starts[axis]![part]!;
  }

  private wrong(code: "shape" | "value" | "missing-field", field: string, found: string, [expected, fix]: string[]) {
    return new LosswrightError({
      code,
      where: this.definition.name,
      field,
      found,
      expected: expected!,
      ...(fix && { fix }),
    });
  }
}

/** Every axis along which rows of a coupled loss lie: the first of a field that units do not own. */
export function joinableAxes({ unitShape, fields }: LossDefinition<object>): readonly string[] {
  const first = Object.values(fields).map(({ shape }) => shape[0]);
  return [...new Set([unitShape[0]!, ...first.filter((axis) => axis !== undefined)])];
}

/** @throws `unsupported` for fields that divide a coupled batch into groups, which may lie in several parts */
export function checkJoinable(where: string, given: AnyBatch): void {
  const field = (["groupKeys", "segmentIds"] as const).find((name) => given?.[name] !== undefined);
  if (field === undefined) return;
  throw new LosswrightError({
    code: "unsupported",
    where,
    field,
    found: `${field} in a batch whose rows are joined with those of others`,
    expected: "a batch without them",
    fix: 'leave them out, and average over units: per: "sample".',
  });
}

/** The fields of a batch that speak of pairs of rows. */
export function pairFields(definition: LossDefinition<object>, options: object, given: AnyBatch): readonly string[] {
  return Object.entries(given).flatMap(([name, value]) => {
    const spec = definition.fields[name];
    const isPairs =
      spec?.holds === "flags" && isTensor(value) && axesOf(spec, options, value.shape.length).length === 2;
    return isPairs ? [name] : [];
  });
}

/** A batch without its fields of pairs, which may speak of the keys of all parts. */
export function withoutPairs(definition: LossDefinition<object>, options: object, given: AnyBatch): AnyBatch {
  if (typeof given !== "object" || given === null) return given;
  const pairs = pairFields(definition, options, given);
  return Object.fromEntries(Object.entries(given).filter(([name]) => !pairs.includes(name)));
}

/** Micro-batches of a coupled objective as one batch, and the way back. */
export interface JoinedParts {
  readonly batch: AnyBatch;
  /** Gradients by the joined batch as gradients by the parts; those of learned scalars are of the whole. */
  split(whole: Readonly<Record<string, Tensor>>): {
    readonly parts: readonly Readonly<Record<string, Tensor>>[];
    readonly shared: Readonly<Record<string, Tensor>>;
  };
}

/**
 * Puts the micro-batches of a coupled objective together. A label counts the keys of its own micro-batch, and so does
 * the number of a row that is paired by it.
 *
 * @throws what binding a batch throws; `shape`, `value`, `missing-field` where the parts do not fit each other
 */
export function joinBatches({ name, definition, options }: Objective, given: readonly AnyBatch[]): JoinedParts {
  for (const batch of given) checkJoinable(name, batch);
  const axes = joinableAxes(definition);
  const lengths = given.map((batch) => bindBatch(definition, options, withoutPairs(definition, options, batch)).sizes);
  const joining = new Joining(definition, options, axes, lengths, "micro-batch");
  return {
    batch: joining.batch(given),
    split(whole) {
      const entries = Object.entries(whole);
      const isShared = ([name, tensor]: [string, Tensor]) => !joining.isJoinedField(name, tensor);
      const parts = given.map((_, part) =>
        Object.fromEntries(
          entries
            .filter((entry) => !isShared(entry))
            .map(([name, tensor]) => [name, joining.partOf(name, tensor, part)]),
        ),
      );
      return { parts, shared: Object.fromEntries(entries.filter(isShared)) };
    },
  };
}
