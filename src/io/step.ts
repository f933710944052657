import { jsonNumber } from "../contract/index.js";
import { closest, LosswrightError } from "../errors/index.js";
import { formatShape, isTensor, sameShape, type Tensor } from "../tensor/index.js";
import { broken } from "./failure.js";
import { shown } from "./json.js";
import { encodeNpy } from "./npy.js";
import { isRowSource, type RowSource } from "./row-source.js";
import { checkContexts, checkExtent } from "./step-consistency.js";
import {
  type MetricContext,
  mapLeaves,
  type Place,
  type Reported,
  type StepContext,
  type StepPart,
  type StepRecord,
} from "./step-record.js";
import { readReferences } from "./step-references.js";

/**
 * Reads a step record.
 *
 * @param json - the text of a `step.json`, or the value it holds
 * @param load - gives the tensor of a file of the record, or, for `batch.npz#logits`, of that member of an archive;
 * what it throws passes through
 * @param name - what errors call the record
 * @throws `file` for what is no such record: malformed or too deeply nested JSON, wrong kinds, missing entries, neither
 * or both of fields and parts, a file name that leads outside, terms without exactly one that is intended; `unknown`
 * for a key of the record, a part or what they report that the format does not have, and for a gradient or an entry of
 * the context that belongs to no field; `shape` for a gradient, an output, or the origin of rows of another shape than
 * its field; `dtype` for a gradient of whole numbers; `value` for places of units that are not ascending or outside
 */
export function parseStep(json: unknown, load: (file: string) => Tensor, name: string): StepRecord {
  return resolveStep(readReferences(json, name), load);
}

/**
 * A step record as the text of its `step.json` and its NumPy files by name. {@link parseStep} gives the record back,
 * but for roles of tensors, the sign of a zero loss and the name, which is the caller's.
 *
 * @throws whatever {@link parseStep} would throw for the record, and `argument`, `shape`, `value` for a malformed tensor
 */
export function encodeStep(record: StepRecord): { json: string; files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  const references = mapLeaves(record, (leaf, { path, stem }) => {
    const file = freeName(stem, files);
    files.set(file, encodeNpy(leaf, `${record.name}: ${path}`));
    checkExtent(leaf, path, record.name);
    return file;
  });
  checkGradients(record);
  checkContexts(record);
  const json = jsonOf(references);
  readReferences(json, record.name);
  return { json: `${JSON.stringify(json, null, 1)}\n`, files };
}

/**
 * The record with the tensors of its files.
 *
 * @throws `file` where `load` gives no tensor, and what {@link parseStep} throws for tensors that do not fit each other
 */
export function resolveStep<L extends Tensor | RowSource>(
  references: StepRecord<string>,
  load: (file: string, place: Place) => L,
): StepRecord<L> {
  const record = mapLeaves(references, (file, place) => {
    const tensor = load(file, place);
    const { path } = place;
    if (isTensor(tensor) || isRowSource(tensor)) {
      checkExtent(tensor, path, references.name);
      return tensor;
    }
    const found = `${shown(tensor)} for the file ${shown(file)}`;
    throw broken(references.name, path, found, "a tensor", `give the tensor of ${shown(file)}.`);
  });
  checkGradients(record);
  checkContexts(record);
  return record;
}

function checkGradients(record: StepRecord<Tensor | RowSource>): void {
  checkGradientsOf(record.reported, record.fields ?? {}, "", record.name);
  for (const [index, part] of record.parts.entries()) {
    checkGradientsOf(part.reported, part.fields, `parts.${index}.`, record.name);
  }
}

function checkGradientsOf(
  { gradients }: Reported<Tensor | RowSource>,
  fields: Record<string, Tensor | RowSource>,
  prefix: string,
  where: string,
): void {
  for (const [name, { dtype, shape }] of Object.entries(gradients)) {
    const field = `${prefix}reported.gradients.${name}`;
    const of = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!of && shape.length > 0) {
      const meant = closest(name, Object.keys(fields));
      throw new LosswrightError({
        code: "unknown",
        where,
        field,
        found: `a gradient of shape ${formatShape(shape)} of ${shown(name)}, which is no field here`,
        expected: `a gradient of ${Object.keys(fields).join(", ") || "a field"}, or a scalar`,
        fix: meant ? `write "${meant}".` : "report a gradient beside the field it belongs to.",
      });
    }
    if (of && !sameShape(shape, of.shape)) {
      throw new LosswrightError({
        code: "shape",
        where,
        field,
        found: formatShape(shape),
        expected: `${formatShape(of.shape)}, the shape of ${name}`,
        fix: "record the gradient with respect to the field as it is recorded.",
      });
    }
    if (dtype !== "float32" && dtype !== "float64") {
      throw new LosswrightError({
        code: "dtype",
        where,
        field,
        found: dtype,
        expected: "float32 or float64",
        fix: "record the gradient as floating-point numbers.",
      });
    }
  }
}

/** A record of file names as `step.json` has it. */
function jsonOf(record: StepRecord<string>): Record<string, unknown> {
  const { format, intended, fields, parts } = record;
  const holder = ({ reported, context }: Pick<StepPart<string>, "reported" | "context">) => ({
    reported: {
      ...(reported.loss !== null && { loss: jsonNumber(reported.loss) }),
      gradients: reported.gradients,
    },
    context: contextJson(context),
  });
  return {
    format,
    intended,
    ...(fields && { fields }),
    ...holder(record),
    parts: parts.map((part) => ({ fields: part.fields, ...holder(part) })),
  };
}

/** Numbers of a context that JSON lacks stand there as words. */
function contextJson(context: StepContext<string>) {
  const { metric, terms, sampled } = context;
  const numerator = sampled?.tally.numerator;
  return {
    ...context,
    ...(metric && { metric: metricJson(metric) }),
    ...(terms && {
      terms: terms.map((term) => (term.value === undefined ? term : { ...term, value: jsonNumber(term.value) })),
    }),
    ...(numerator !== undefined && {
      sampled: { ...sampled, tally: { ...sampled!.tally, numerator: jsonNumber(numerator) } },
    }),
  };
}

function metricJson(metric: MetricContext) {
  const { value, updates } = metric;
  const change = value === undefined ? {} : { value: jsonNumber(value) };
  if (!updates) return { ...metric, ...change };
  return { ...metric, ...change, updates: updates.map((update) => ({ ...update, value: jsonNumber(update.value) })) };
}

/** A file name after the stem that no other file has; lower case, since some systems do not tell the cases apart. */
function freeName(stem: string, taken: ReadonlyMap<string, unknown>): string {
  const words = stem.replace(/([a-z0-9])([A-Z])/g, "$1-$2").toLowerCase();
  const plain =
    words
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 100) || "tensor";
  let file = `${plain}.npy`;
  for (let count = 2; taken.has(file); count++) file = `${plain}-${count}.npy`;
  return file;
}
