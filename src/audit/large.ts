import type { ContractInput } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { isRowSource, type RowSource, type SampledContext, type StepRecord } from "../io/index.js";
import { type AnyBatch, axesOf, type Objective } from "../losses/index.js";
import { type Tally, total } from "../tally/index.js";
import { dataOf, isTensor, sizeOf, type Tensor, view } from "../tensor/index.js";
import { referenceObjective } from "./reference.js";

/** A field in memory, or rows of it that are read when asked for. */
type Leaf = Tensor | RowSource;

/** Numbers of a block of rows that is in memory at once. */
const block = 1 << 23;
/** Numbers that the kept units of one field hold together. */
const kept = 1 << 19;

/**
 * A record whose large fields were left in their files, as one that fits into memory: every row is read once and
 * counted, so that the tallies are those of the whole, and units spread evenly over it are kept with their gradients.
 *
 * @param record - as `readStepByRows` gives it
 * @throws `unsupported` where a row's loss depends on other rows, or its share of the value on units that are not kept
 */
export async function sampledByRows(record: StepRecord<Leaf>): Promise<StepRecord> {
  const objective = referenceObjective(record.intended as unknown as ContractInput);
  const holders = record.parts.length ? record.parts : [record as StepRecord<Leaf> & { fields: Record<string, Leaf> }];
  const made: Part[] = [];
  // One part after the other: a step of many large parts is in memory one block at a time.
  for (const holder of holders) made.push(await sampled(objective, holder as Part<Leaf>, record.context));
  const { parts, fields, reported, context, ...rest } = record;
  if (parts.length) {
    return {
      ...rest,
      context: context as StepRecord["context"],
      reported: { loss: reported.loss, gradients: {} },
      parts: made,
    };
  }
  return { ...rest, ...made[0]!, parts: [] };
}

interface Part<T = Tensor> {
  readonly fields: Record<string, T>;
  readonly reported: StepRecord<T>["reported"];
  readonly context: StepRecord<T>["context"];
}

async function sampled(
  objective: Objective,
  { fields, reported, context }: Part<Leaf>,
  whole: StepRecord<Leaf>["context"],
): Promise<Part> {
  const large = Object.entries(fields).filter(([, leaf]) => isRowSource(leaf));
  const gradients = Object.values(reported.gradients);
  // Raw outputs are as large as the fields, and are not looked at in a sample.
  const { outputs, ...others } = context;
  if (large.length === 0 && !gradients.some(isRowSource)) {
    return { fields, reported, context } as unknown as Part;
  }
  const { unitShape, rows } = unitsOfFields(objective, fields);
  checkSplits(objective, fields, unitShape, { ...whole, ...context }.splitAxis === "sequence");
  const inRows = (name: string, shape: readonly number[]) => isByRow(objective, name, shape, rows);
  const perRow = sizeOf(unitShape.slice(1));
  const widest = Math.max(
    ...Object.entries(fields).map(([name, { shape }]) => (inRows(name, shape) ? sizeOf(shape) / rows : 0)),
  );
  const step = Math.max(1, Math.floor(block / Math.max(1, widest)));
  const byUnit = Object.keys(fields).filter((name) => isByUnit(objective, name, fields[name]!.shape, unitShape));
  const every = Math.max(1, Math.ceil((rows * widest) / kept));
  const keepers = new Map<string, Kept>();
  const units: number[] = [];
  const tallies: Tally[] = [];
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    const batch = await rowsOf(fields, from, to, inRows);
    tallies.push(objective.tally(batch));
    const here: number[] = [];
    for (let unit = from * perRow; unit < to * perRow; unit++) if (unit % every === 0) here.push(unit);
    units.push(...here);
    const gradientRows = await rowsOf(reported.gradients, from, to, inRows);
    for (const [kind, tensors] of [
      ["field", batch],
      ["gradient", gradientRows],
    ] as const) {
      for (const name of byUnit) {
        const tensor = tensors[name];
        if (isTensor(tensor)) keep(keepers, `${kind} ${name}`, tensor, here, from * perRow, unitShape.length);
      }
    }
  }
  const tally = total(tallies);
  const tensorOf = (key: string) => keepers.get(key)?.tensor(units.length);
  const sample: SampledContext = {
    units: view(BigInt64Array.from(units, BigInt), [units.length], "unlabeled", "int64"),
    shape: [...unitShape],
    fields: byUnit,
    tally: { numerator: tally.numerator, denominator: tally.denominator.value },
  };
  const small = Object.entries(fields).filter(([name, leaf]) => !byUnit.includes(name) && isTensor(leaf));
  const ofGradients = Object.keys(reported.gradients).filter(
    (name) => byUnit.includes(name) || isTensor(reported.gradients[name]),
  );
  return {
    fields: Object.fromEntries([...small, ...byUnit.map((name) => [name, tensorOf(`field ${name}`)!])]) as Record<
      string,
      Tensor
    >,
    reported: {
      loss: reported.loss,
      gradients: Object.fromEntries(
        ofGradients.map((name) => [name, tensorOf(`gradient ${name}`) ?? (reported.gradients[name] as Tensor)]),
      ),
    },
    context: { ...(others as StepRecord["context"]), sampled: sample },
  };
}

/** The shape of the units, and the rows of axis 0, from the first field that has it. */
function unitsOfFields({ definition, options }: Objective, fields: Record<string, Leaf>) {
  for (const [name, spec] of Object.entries(definition.fields)) {
    const leaf = fields[name];
    if (!leaf) continue;
    const axes = axesOf(spec, options, leaf.shape.length);
    if (axes[0] !== definition.unitShape[0]) continue;
    const trailing = axes.length - definition.unitShape.length;
    const unitShape = leaf.shape.slice(0, leaf.shape.length - trailing);
    return { unitShape, rows: unitShape[0] ?? 1 };
  }
  return { unitShape: [], rows: 1 };
}

/** Whether a field has an entry, or a row, for each row of axis 0. */
function isByRow({ definition, options }: Objective, name: string, shape: readonly number[], rows: number): boolean {
  if (shape.length === 0 || shape[0] !== rows) return false;
  const spec = definition.fields[name];
  return !spec || axesOf(spec, options, shape.length)[0] === definition.unitShape[0];
}

/** Whether a field has a row for each unit that is large beside it: those are kept as a sample. */
function isByUnit(
  { definition }: Objective,
  name: string,
  shape: readonly number[],
  unitShape: readonly number[],
): boolean {
  const spec = definition.fields[name];
  if (!spec || !unitShape.every((length, axis) => shape[axis] === length)) return false;
  return spec.gradient === "row" || shape.length > unitShape.length || definition.unit === "element";
}

function checkSplits(
  objective: Objective,
  fields: Record<string, Leaf>,
  unitShape: readonly number[],
  cut: boolean,
): void {
  const { per } = objective.reduction;
  const { classAxis = -1, labelShift = 0 } = objective.contract.options as Record<string, number>;
  const reason =
    objective.couples || objective.definition.family === "latent"
      ? "an objective whose rows depend on each other, or lie along time first"
      : cut
        ? "parts that are pieces of the same rows"
        : per === "sequence" || (per === "sample" && unitShape.length > 1)
          ? `a mean inside groups (per: "${per}")`
          : classAxis !== -1
            ? "classes that are not on the last axis"
            : fields.groupKeys ||
                (fields.segmentIds && (unitShape.length === 1 || labelShift !== 0) && unitShape.length === 1)
              ? "sequences that may run over rows"
              : undefined;
  if (reason === undefined) return;
  throw new LosswrightError({
    code: "unsupported",
    where: objective.name,
    field: "fields",
    found: `a record larger than memory allows, under ${reason}`,
    expected: "rows that can be read one block after the other",
    fix: "record the first rows of the step as a step of their own, or raise the limit.",
  });
}

async function rowsOf(
  leaves: Record<string, Leaf>,
  from: number,
  to: number,
  inRows: (name: string, shape: readonly number[]) => boolean,
): Promise<AnyBatch & Record<string, Tensor>> {
  const out: Record<string, Tensor> = {};
  for (const [name, leaf] of Object.entries(leaves)) {
    if (isRowSource(leaf)) out[name] = await leaf.rows(from, to);
    else out[name] = inRows(name, leaf.shape) ? slice(leaf, from, to) : leaf;
  }
  return out;
}

function slice({ data, shape, role, dtype, weak }: Tensor, from: number, to: number): Tensor {
  const inner = sizeOf(shape.slice(1));
  const part = data.slice(from * inner, to * inner);
  return view(part as Float64Array, [to - from, ...shape.slice(1)], role, dtype as "float64", weak);
}

/** The rows of kept units of one field, block after block. */
interface Kept {
  readonly add: (tensor: Tensor, units: readonly number[], first: number) => void;
  readonly tensor: (units: number) => Tensor;
}

function keep(
  keepers: Map<string, Kept>,
  key: string,
  tensor: Tensor,
  units: readonly number[],
  first: number,
  unitAxes: number,
) {
  const known = keepers.get(key) ?? keeper(tensor, unitAxes);
  keepers.set(key, known);
  known.add(tensor, units, first);
}

function keeper({ dtype, shape, role }: Tensor, unitAxes: number): Kept {
  const rest = shape.slice(unitAxes);
  const inner = sizeOf(rest);
  const blocks: Tensor["data"][] = [];
  return {
    add({ data: rows }, units, first) {
      const out = dataOf(dtype, units.length * inner);
      for (const [i, unit] of units.entries()) {
        const at = (unit - first) * inner;
        out.set(rows.subarray(at, at + inner) as never, i * inner);
      }
      blocks.push(out);
    },
    tensor(units) {
      const out = dataOf(dtype, units * inner);
      let at = 0;
      for (const each of blocks) {
        out.set(each as never, at);
        at += each.length;
      }
      return view(out, [units, ...rest], role, dtype);
    },
  };
}
