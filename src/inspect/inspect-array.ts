import { LosswrightError } from "../errors/index.js";
import { labelShift } from "../sequence/index.js";
import { formatShape, type Tensor } from "../tensor/index.js";
import type { Inspection } from "./inspection.js";
import { countKinds, fateCode, gridOf, oddityCode, roleCode } from "./token-batch.js";

/** How an array without a contract is read. */
export interface ArrayOptions {
  /** The label left out. Default −100, unless a pad id alone is given: then the array holds input ids. */
  readonly ignoreIndex?: number;
  /** The id of padding. */
  readonly padId?: number;
  /** How many positions before a label its logits lie. Default 0. */
  readonly labelShift?: number;
}

/**
 * An array of labels or input ids as data to look at.
 *
 * Labels: every position but those of the ignored label is trained; with a pad id too, padding that is trained stands
 * out. Input ids (a pad id alone): every position but padding is trained, which is what labels made of them should say.
 *
 * @param tensor - `[B, T]` or `[T]` integers
 * @throws `dtype` for what holds no integers, `shape` for other numbers of axes or a shift that leaves no label
 */
export function inspectArray(tensor: Tensor, name: string, options: ArrayOptions = {}): Inspection {
  const { padId, labelShift: shift = 0 } = options;
  const isIds = padId !== undefined && options.ignoreIndex === undefined;
  const ignored = isIds ? padId : (options.ignoreIndex ?? -100);
  checkIntegers(tensor, name);
  const { rows, length } = gridOf(tensor.shape);
  const { source } = labelShift(name, shift, [rows, length], undefined);
  const count = rows * length;
  const roles = new Uint8Array(count);
  const fates = new Uint8Array(count);
  const oddities = new Uint8Array(count);
  const sources = new Int32Array(count);
  const weights = new Float64Array(count);
  for (let unit = 0; unit < count; unit++) {
    const value = Number(tensor.data[unit]);
    const from = source(unit);
    sources[unit] = from < 0 ? -1 : from - (unit - (unit % length));
    if (value === padId) roles[unit] = roleCode.padding;
    if (value === ignored) fates[unit] = fateCode.ignored;
    else if (from < 0) fates[unit] = fateCode.unscored;
    else {
      weights[unit] = 1;
      if (roles[unit] === roleCode.padding) oddities[unit] = oddityCode.padding;
    }
  }
  const left = isIds ? `pad id ${padId} left out` : `labels ${ignored} left out`;
  const batch = {
    shows: "tokens",
    title: null,
    rows,
    length,
    ids: isIds ? tensor : null,
    labels: tensor,
    segments: null,
    roles,
    fates,
    oddities,
    sources,
    losses: null,
    weights,
    counts: countKinds({ roles, fates, oddities }),
    sum: null,
    notes: [],
  } as const;
  return {
    name,
    task: null,
    rule: `${isIds ? "input ids" : "labels"} ${formatShape(tensor.shape)}, ${left}${shift ? `, scored ${shift} before` : ""}`,
    contract: null,
    batches: [batch],
  };
}

function checkIntegers({ dtype, shape, weak }: Tensor, where: string): void {
  const fix = "give the labels or the input ids; inspect a step record to see losses too.";
  if (!["int32", "int64", "uint8"].includes(dtype) && !weak) {
    const found = `${dtype} ${formatShape(shape)}`;
    throw new LosswrightError({ code: "dtype", where, found, expected: "integers: int32, int64 or uint8", fix });
  }
  if (shape.length === 1 || shape.length === 2) return;
  throw new LosswrightError({ code: "shape", where, found: formatShape(shape), expected: "[B, T] or [T]", fix });
}
