import type { Json } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { type AnyBatch, unitsOf } from "../../losses/index.js";
import { log } from "../../numerics/index.js";
import {
  dataOf,
  formatShape,
  isTensor,
  roundToBfloat16,
  roundToFloat16,
  sameShape,
  sigmoid,
  sizeOf,
  softmax,
  type Tensor,
  view,
} from "../../tensor/index.js";
import type { Transform } from "./hypothesis.js";
import { selection } from "./selection.js";
import { type Fields, lacking, type Setting } from "./setting.js";

/** A part after its transforms, and the way back of a gradient. */
export interface Transformed {
  readonly batch: AnyBatch;
  /** Gradients of the transformed fields as gradients of the recorded ones. */
  pull(gradients: Fields): Fields;
  readonly lossFactor: number;
  readonly gradientFactor: number;
  /** The name of a loss that stands in the objective's place. */
  readonly rowLoss: string | undefined;
}

/** One change: the batch after it, and what it does to a gradient on its way back. */
interface Step {
  readonly batch: AnyBatch;
  readonly pull?: (gradients: Fields) => Fields;
}

/**
 * A part with its transforms carried out, in order.
 *
 * @throws `unknown` for a transform or field there is none of, `unsupported` where the part lacks what it needs
 */
export function transformed(setting: Setting, transforms: readonly Transform[]): Transformed {
  let { batch } = setting;
  const pulls: ((gradients: Fields) => Fields)[] = [];
  let [lossFactor, gradientFactor] = [1, 1];
  let rowLoss: string | undefined;
  for (const transform of transforms) {
    const { apply, value } = transform;
    if (apply === "scaleLoss") {
      lossFactor *= numberOf(transform);
      gradientFactor *= numberOf(transform);
    } else if (apply === "scaleGradient") gradientFactor *= numberOf(transform);
    else if (apply === "loss") rowLoss = String(value);
    else {
      const step = stepOf({ ...setting, batch }, transform);
      batch = step.batch;
      if (step.pull) pulls.unshift(step.pull);
    }
  }
  const pull = (gradients: Fields) => pulls.reduce((pulled, each) => each(pulled), gradients);
  return { batch, pull, lossFactor, gradientFactor, rowLoss };
}

type Apply = (setting: Setting, transform: Transform) => Step;

const steps: Readonly<Record<string, Apply>> = {
  // Every rank's rows among themselves, as if nothing had been gathered.
  local: (setting) => {
    const { rowsOfParts } = setting;
    if (!rowsOfParts) throw lacking(setting, "parts that were joined");
    const ownerOf = rowsOfParts.flatMap((rows, part) => Array.from({ length: rows }, () => part));
    const count = ownerOf.length;
    const flags = Uint8Array.from({ length: count * count }, (_, i) =>
      ownerOf[Math.floor(i / count)] === ownerOf[i % count] ? 0 : 1,
    );
    return { batch: { ...setting.batch, excludeMask: view(flags, [count, count], "mask", "bool") } };
  },
  softmax: (setting, transform) => {
    const z = fieldOf(setting, transform);
    const axis = Number((setting.objective.contract.options as { classAxis?: number }).classAxis ?? -1);
    const p = softmax(asFloat64(z), axis);
    const back = (g: Tensor) =>
      overClasses(p, g, axis, (row, slope) => {
        let along = 0;
        for (let k = 0; k < row.length; k++) along += row[k]! * slope[k]!;
        for (let k = 0; k < row.length; k++) slope[k] = row[k]! * (slope[k]! - along);
      });
    return changed(setting, transform, plain(p), back);
  },
  sigmoid: (setting, transform) => {
    const p = sigmoid(asFloat64(fieldOf(setting, transform)));
    return changed(setting, transform, plain(p), (g) =>
      map(g, (slope, i) => slope * Number(p.data[i]) * (1 - Number(p.data[i]))),
    );
  },
  truncate: (setting, transform) => {
    const field = fieldOf(setting, transform);
    return changed(setting, transform, map(field, Math.trunc), (g) => map(g, () => 0));
  },
  // A rounding lets the gradient through as it is.
  cast: (setting, transform) => {
    const field = fieldOf(setting, transform);
    const { data, shape } = asFloat64(field);
    const round = transform.value === "bfloat16" ? roundToBfloat16 : roundToFloat16;
    const rounded = Float64Array.from(round(data));
    if (field.dtype !== "float32" && field.dtype !== "float64") {
      return changed(
        setting,
        transform,
        map(field, (_, i) => rounded[i]!),
      );
    }
    return changed(setting, transform, view(rounded, shape, "unlabeled", "float64"));
  },
  add: (setting, transform) => {
    const [field, by] = [fieldOf(setting, transform), numberOf(transform)];
    return changed(
      setting,
      transform,
      map(field, (x) => x + by),
    );
  },
  multiply: (setting, transform) => {
    const [field, by] = [fieldOf(setting, transform), numberOf(transform)];
    const scaled = (t: Tensor) => map(t, (x) => x * by);
    return changed(setting, transform, scaled(asFloat64(field)), scaled);
  },
  // A scale that code takes as it is where its logarithm was meant.
  log: (setting, transform) => {
    const field = asFloat64(fieldOf(setting, transform));
    const out = map(field, (x) => (x > 0 ? log(x) : Number.NaN));
    return changed(setting, transform, out, (g) => map(g, (slope, i) => slope / field.data[i]!));
  },
  // Labels moved along time: 1 sets the label of t − 1 at t. Positions moved in from outside carry the ignored label.
  shift: (setting, transform) => {
    const [labels, by] = [fieldOf(setting, transform), numberOf(transform)];
    const ignored = Number((setting.objective.contract.options as { ignoreIndex?: number }).ignoreIndex ?? -100);
    return changed(setting, transform, alongTime(labels, by, ignored));
  },
  // The same, but what leaves at one end comes in at the other, as torch.roll does.
  roll: (setting, transform) =>
    changed(setting, transform, alongTime(fieldOf(setting, transform), numberOf(transform), undefined)),
  drop: ({ batch }, { field }) => ({ batch: { ...batch, [field!]: undefined } }),
  swap: ({ batch }, { field, value }) => {
    const [a, b] = [field!, String(value)];
    const swapped = <T>(fields: Readonly<Record<string, T>>) => ({ ...fields, [a]: fields[b], [b]: fields[a] });
    return { batch: swapped(batch) as AnyBatch, pull: (g) => withoutMissing(swapped(g)) };
  },
  replace: (setting, transform) => {
    const by = tensorAt(setting, String(transform.value));
    const before = setting.batch[transform.field!];
    if (isTensor(before) && !sameShape(before.shape, by.shape)) throw misfit(setting, transform, before, by);
    return {
      batch: { ...setting.batch, [transform.field!]: view(by.data, by.shape, "unlabeled", by.dtype) },
    };
  },
  // A sample's rows of scores, each beside the label this many positions later.
  relabel: (setting, transform) => {
    if (!setting.relabel) throw lacking(setting, "a sample of its units");
    return { batch: setting.relabel(numberOf(transform)) };
  },
  // Only the units that are named stay in the loss.
  mask: (setting, transform) => {
    const keep = selection(setting, String(transform.value));
    const { shape, count } = unitsOf(setting.objective, setting.batch);
    const before = setting.batch.mask as Tensor | undefined;
    const flags = new Uint8Array(count);
    const inner = before && before.data.length !== count ? count / before.data.length : 1;
    for (let unit = 0; unit < count; unit++) {
      const kept = before ? Number(before.data[Math.floor(unit / inner)]) : 1;
      flags[unit] = kept && keep(unit) ? 1 : 0;
    }
    return { batch: { ...setting.batch, mask: view(flags, shape, "mask", "bool") } };
  },
  // Predictions [N, 1] against targets [N]: every pair, a table of N × N.
  broadcast: (setting, transform) => {
    const { targets } = setting.batch as Record<string, Tensor>;
    return broadcastTable(setting, transform.field!, fieldOf(setting, transform), targets!);
  },
  // The numbers in the order of other axes, read as if nothing had moved.
  reorder: (setting, transform) => {
    const [field, axes] = [fieldOf(setting, transform), transform.value as readonly number[]];
    const places = placesOf(field.shape, axes);
    const data = dataOf(field.dtype, field.data.length);
    for (let i = 0; i < places.length; i++) data[i] = field.data[places[i]!]!;
    return changed(setting, transform, view(data, field.shape, "unlabeled", field.dtype), (g) => {
      const out = dataOf("float64", g.data.length);
      for (let i = 0; i < places.length; i++) out[places[i]!] = Number(g.data[i]);
      return view(out, g.shape, "unlabeled", "float64");
    });
  },
  // The log-softmax is right; its numbers are then read in the order of other axes, as rows of classes.
  reorderLogProbabilities: (setting, transform) => {
    const { labels, logits, mask, ...rest } = setting.batch as Record<string, Tensor>;
    const places = placesOf(logits!.shape, transform.value as readonly number[]);
    const classes = logits!.shape.at(-1)!;
    const units = unitsOf(setting.objective, setting.batch);
    const data = new Float64Array(logits!.data.length);
    for (let unit = 0; unit < units.count; unit++) {
      if (!units.counts(unit)) continue;
      const place = places[units.source(unit) * classes + Number(labels!.data[unit])]!;
      data[place] = data[place]! + 1;
    }
    return { batch: { ...rest, logits: logits!, targets: view(data, logits!.shape, "unlabeled", "float64") } };
  },
  // The same numbers in memory under another shape.
  reshape: (setting, transform) => {
    const field = fieldOf(setting, transform);
    const shape = transform.value as readonly number[];
    const out = view(field.data as Float64Array, shape, "unlabeled", field.dtype as "float64", field.weak);
    const back = (g: Tensor) => view(g.data as Float64Array, field.shape, "unlabeled", g.dtype as "float64");
    return changed(setting, transform, out, back);
  },
  // No gradient for a field, or for the rows of it that other ranks own.
  detach: (setting, transform) => {
    const field = fieldOf(setting, transform);
    const [from, to] = transform.value === "others" ? ownRowsOf(setting, field) : [0, 0];
    const inner = sizeOf(field.shape.slice(1));
    const cut = (g: Tensor) => map(g, (slope, i) => (i >= from * inner && i < to * inner ? slope : 0));
    return { batch: setting.batch, pull: (g) => onField(g, transform.field!, cut) };
  },
  scaleField: (setting, transform) => {
    const by = numberOf(transform);
    fieldOf(setting, transform);
    return {
      batch: setting.batch,
      pull: (g) => onField(g, transform.field!, (own) => map(own, (slope) => slope * by)),
    };
  },
  // Lengths that reach to the end of the padded rows.
  fullLengths: (setting, transform) => {
    const lengths = fieldOf(setting, transform);
    const scores = (setting.batch.logits ?? setting.batch.logProbs) as Tensor | undefined;
    const labels = setting.batch.labels as Tensor | undefined;
    const { layout } = setting.objective.contract.options as { layout?: string };
    const full = transform.field === "inputLengths" ? scores?.shape[layout === "BTC" ? 1 : 0] : labels?.shape[1];
    if (full === undefined) throw lacking(setting, "padded rows");
    return changed(
      setting,
      transform,
      map(lengths, () => full),
    );
  },
  // Sequence scores made anew of the tokens' log-probabilities.
  score: (setting, transform) => {
    const field = transform.field!;
    const context = setting.context.scores?.[field];
    if (!context) throw lacking(setting, `context.scores.${field}`);
    const score = sequenceScore(context.logProbs, context.mask, String(transform.value));
    const before = fieldOf(setting, transform);
    // The recorded gradient is that of the score as the loss had it.
    return { batch: { ...setting.batch, [field]: view(score, before.shape, "unlabeled", "float64") } };
  },
  // Recorded scores times, or over, the number of their tokens inside the loss.
  scaleScore: (setting, transform) => {
    const context = setting.context.scores?.[transform.field!];
    if (!context) throw lacking(setting, `context.scores.${transform.field}`);
    const length = context.mask.shape[1] ?? 1;
    const factor = (row: number) => {
      let count = 0;
      for (let t = row * length; t < (row + 1) * length; t++) count += Number(context.mask.data[t]) ? 1 : 0;
      if (transform.value === "over the padded length") return 1 / length;
      return transform.value === "times the length" ? count : 1 / Math.max(count, 1);
    };
    const scaled = (t: Tensor) => map(t, (x, row) => x * factor(row));
    return changed(setting, transform, scaled(asFloat64(fieldOf(setting, transform))), scaled);
  },
  // Ignored positions carry the smoothing's share of the target, as if only the hard part had been masked.
  smoothPadding: (setting, transform) => {
    const { labels, logits, mask, ...rest } = setting.batch as Record<string, Tensor>;
    const classes = logits!.shape.at(-1)!;
    const [hard, share] = transform.value as readonly [number, number];
    const units = unitsOf(setting.objective, setting.batch);
    const data = new Float64Array(units.count * classes).fill(share / classes);
    for (let unit = 0; unit < units.count; unit++) {
      if (!units.counts(unit)) continue;
      const at = unit * classes + Number(labels!.data[unit]);
      data[at] = data[at]! + hard;
    }
    return { batch: { ...rest, logits: logits!, targets: view(data, logits!.shape, "unlabeled", "float64") } };
  },
};

/** The names of all transforms that change fields or gradients. */
export const transformNames: readonly string[] = [...Object.keys(steps), "scaleLoss", "scaleGradient", "loss"];

function stepOf(setting: Setting, transform: Transform): Step {
  const step = Object.hasOwn(steps, transform.apply) ? steps[transform.apply] : undefined;
  if (step) return step(setting, transform);
  throw new LosswrightError({
    code: "unknown",
    where: "transform",
    field: "apply",
    found: JSON.stringify(transform.apply),
    expected: `one of ${transformNames.join(", ")}`,
  });
}

// ---- pieces ----

function changed(setting: Setting, { field }: Transform, by: Tensor, back?: (gradient: Tensor) => Tensor): Step {
  const batch = { ...setting.batch, [field!]: by };
  return back ? { batch, pull: (gradients) => onField(gradients, field!, back) } : { batch };
}

function onField(gradients: Fields, field: string, back: (gradient: Tensor) => Tensor): Fields {
  const own = gradients[field];
  return own ? { ...gradients, [field]: back(own) } : gradients;
}

function withoutMissing(fields: Readonly<Record<string, Tensor | undefined>>): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, Tensor] => entry[1] !== undefined),
  );
}

function fieldOf(setting: Setting, { apply, field }: Transform): Tensor {
  const tensor = field === undefined ? undefined : setting.batch[field];
  if (isTensor(tensor)) return tensor;
  throw lacking(setting, `the field ${field ?? ""} that "${apply}" changes`);
}

function numberOf({ apply, value }: Transform): number {
  if (typeof value === "number") return value;
  throw new LosswrightError({
    code: "argument",
    where: "transform",
    field: `${apply}.value`,
    found: JSON.stringify(value as Json) ?? "nothing",
    expected: "a number",
  });
}

function misfit({ objective }: Setting, { field, value }: Transform, before: Tensor, by: Tensor): LosswrightError {
  return new LosswrightError({
    code: "shape",
    where: objective.name,
    field: field!,
    found: `${formatShape(by.shape)} at ${String(value)}`,
    expected: formatShape(before.shape),
  });
}

/** A tensor of the context: `"sequence.attentionMask"`, `"outputs.logits"`, `"alignment.featureLengths"`. */
function tensorAt(setting: Setting, path: string): Tensor {
  let value: unknown = setting.context;
  for (const key of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[key];
  if (isTensor(value)) return value;
  throw lacking(setting, `context.${path}`);
}

function asFloat64({ data, shape }: Tensor): Tensor<"unlabeled", "float64"> {
  return view(
    data instanceof Float64Array ? data : Float64Array.from(data as Float32Array, Number),
    shape,
    "unlabeled",
    "float64",
  );
}

function plain({ data, shape, dtype }: Tensor): Tensor {
  return view(data, shape, "unlabeled", dtype);
}

function map(tensor: Tensor, change: (x: number, i: number) => number): Tensor {
  const { data, shape } = tensor;
  const whole = tensor.dtype !== "float32" && tensor.dtype !== "float64";
  const out = dataOf(whole ? "int32" : "float64", data.length);
  for (let i = 0; i < out.length; i++) out[i] = change(Number(data[i]), i);
  return view(out as Float64Array, shape, "unlabeled", (whole ? "int32" : "float64") as "float64");
}

/** Calls `change` with each row of classes and the slope of it, in place of a copy of the slopes. */
function overClasses(
  values: Tensor,
  slopes: Tensor,
  axis: number,
  change: (row: Float64Array, slope: Float64Array) => void,
): Tensor {
  const { shape } = values;
  const at = axis < 0 ? axis + shape.length : axis;
  const [classes, stride] = [shape[at]!, sizeOf(shape.slice(at + 1))];
  const out = Float64Array.from(slopes.data as Float64Array, Number);
  const [row, slope] = [new Float64Array(classes), new Float64Array(classes)];
  for (let start = 0; start < out.length; start += classes * stride) {
    for (let inner = start; inner < start + stride; inner++) {
      for (let k = 0; k < classes; k++) {
        row[k] = Number(values.data[inner + k * stride]);
        slope[k] = out[inner + k * stride]!;
      }
      change(row, slope);
      for (let k = 0; k < classes; k++) out[inner + k * stride] = slope[k]!;
    }
  }
  return view(out, shape, "unlabeled", "float64");
}

/** A tensor of `[B, T]` moved along time; what comes in from outside is `fill`, or the other end without one. */
function alongTime(tensor: Tensor, by: number, fill: number | undefined): Tensor {
  const length = tensor.shape[1] ?? 0;
  const out = map(tensor, (x) => x);
  for (let unit = 0; unit < out.data.length; unit++) {
    const place = (unit % length) - by;
    const row = unit - (unit % length);
    const inside = place >= 0 && place < length;
    out.data[unit] = inside || fill === undefined ? Number(tensor.data[row + ((place + length) % length)]) : fill;
  }
  return out;
}

/** For each place in row-major order of the axes given, the place it has in a row-major tensor of the shape. */
function placesOf(shape: readonly number[], axes: readonly number[]): Int32Array {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const places = new Int32Array(sizeOf(shape));
  const count = axes.map(() => 0);
  for (let i = 0, place = 0; i < places.length; i++) {
    places[i] = place;
    for (let at = axes.length - 1; at >= 0; at--) {
      const axis = axes[at]!;
      place += strides[axis]!;
      if (++count[at]! < shape[axis]!) break;
      place -= strides[axis]! * shape[axis]!;
      count[at] = 0;
    }
  }
  return places;
}

/** The rows of a gathered field that the part's own rank owns. */
function ownRowsOf(setting: Setting, field: Tensor): readonly [number, number] {
  const { rank = 0, ranks = 1 } = setting.context;
  const each = (field.shape[0] ?? 0) / ranks;
  return [rank * each, (rank + 1) * each];
}

function broadcastTable(setting: Setting, field: string, predictions: Tensor, targets: Tensor): Step {
  const count = targets.data.length;
  if (predictions.data.length !== count) throw lacking(setting, "as many predictions as targets");
  const table = (pick: (row: number, column: number) => number) => {
    const data = new Float64Array(count * count);
    for (let i = 0; i < data.length; i++) data[i] = pick(Math.floor(i / count), i % count);
    return view(data, [count, count], "unlabeled", "float64");
  };
  return {
    batch: {
      ...setting.batch,
      [field]: table((row) => Number(predictions.data[row])),
      targets: table((_, column) => Number(targets.data[column])),
    },
    pull: (gradients) =>
      onField(gradients, field, (g) => {
        const out = new Float64Array(count);
        for (let i = 0; i < g.data.length; i++) out[Math.floor(i / count)]! += Number(g.data[i]);
        return view(out, predictions.shape, "unlabeled", "float64");
      }),
  };
}

/** Σ log p over the masked tokens of each row of `[B, T]`, or divided by their number, or by T. */
export function sequenceScore(logProbs: Tensor, mask: Tensor, kind: string): Float64Array {
  const [rows, length] = logProbs.shape as [number, number];
  const out = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let [sum, count] = [0, 0];
    for (let t = row * length; t < (row + 1) * length; t++) {
      if (kind !== "sum, unmasked" && kind !== "mean, unmasked" && !Number(mask.data[t])) continue;
      sum += Number(logProbs.data[t]);
      count++;
    }
    const divisor = kind.startsWith("sum") ? 1 : kind === "mean over the padded length" ? length : Math.max(count, 1);
    out[row] = sum / divisor;
  }
  return out;
}
