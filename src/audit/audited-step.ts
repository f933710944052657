import type { Contract, ContractInput } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import type { Reported, StepContext, StepRecord } from "../io/index.js";
import { type AnyBatch, type Objective, objectiveFrom } from "../losses/index.js";
import { type Denominator, type Tally, total } from "../tally/index.js";
import type { Tensor } from "../tensor/index.js";
import { type Explanation, explain } from "./explain/explain.js";
import { Gradients } from "./explain/gradients.js";
import { joinAlongTime, masksOfPieces, splitAlongTime } from "./join.js";

/** A micro-batch, rank or shard of the step, or the step itself when it was recorded whole. */
export interface AuditedPart {
  readonly batch: AnyBatch;
  readonly reported: Reported;
  readonly context: StepContext;
  /** The rank that computed it, 0 when nobody said. */
  readonly rank: number;
}

/** What the contract gives on the recorded fields. */
export interface Declared {
  readonly contract: Contract;
  readonly value: number;
  readonly numerator: number;
  readonly denominator: number;
  /** The counted weight or number of groups, whatever divides. */
  readonly count: number;
  /** Each part's share of the gradient of the value. */
  readonly gradients: readonly Gradients[];
  /** What each part counts. */
  readonly tallies: readonly Tally[];
}

/** A record with what its contract gives, and what was reported set against it. */
export interface AuditedStep {
  readonly record: StepRecord;
  readonly objective: Objective;
  readonly parts: readonly AuditedPart[];
  /** Reported gradients of each part, of the fields that have one; undefined where a part recorded none. */
  readonly reported: readonly Gradients[] | undefined;
  /** Undefined where the fields contradict the contract, with the reason. */
  readonly declared: Declared | undefined;
  readonly contradiction: LosswrightError | undefined;
  /** |declared − reported| / |reported|; in what float32 resolves where the loss is smaller than that. */
  readonly lossError: number;
  /** ‖declared − reported‖ / ‖reported‖ over all gradients, likewise; undefined where none were recorded. */
  readonly gradientError: number | undefined;
  /** Contracts and aggregations that reproduce what was reported, simplest first. */
  readonly explanations: readonly Explanation[];
}

/** How far apart two float32 computations of one loss, and of one gradient, may lie. */
export const lossTolerance = 2e-5;
export const gradientTolerance = 2e-3;

/**
 * What float32 code resolves in the loss of a unit and in an entry of its gradient: both are differences of numbers of
 * size one and more. For logits [40, 0, −3] it reports 0 where the truth is 4e−18, and nothing is wrong.
 */
const resolution = 1.2e-7;

/** Whether the reported numbers are those of the contract. */
export function agrees({ lossError, gradientError }: Pick<AuditedStep, "lossError" | "gradientError">): boolean {
  return lossError <= lossTolerance && (gradientError === undefined || gradientError <= gradientTolerance);
}

/**
 * Evaluates a record's contract on its fields and looks for what reproduces the reported numbers.
 *
 * @param options - `search: false` leaves explanations empty
 * @throws `unsupported`, `unknown`, `contract`, `option`, `reduction` for a contract this version cannot compute; what
 * the fields contradict is not thrown but held as `contradiction`
 */
export function openStep(record: StepRecord, { search = true } = {}): AuditedStep {
  const objective = objectiveFrom(record.intended as unknown as ContractInput);
  const parts = partsOf(record);
  const base = { record, objective, parts };
  const unknown = { reported: undefined, lossError: Number.NaN, gradientError: undefined, explanations: [] };
  let declared: Declared;
  try {
    declared = declare(record, objective, parts);
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
    return { ...base, ...unknown, declared: undefined, contradiction: error };
  }
  const reported = comparable(parts, declared);
  const loss = record.reported.loss;
  const lossError = loss === null ? 0 : relative(declared.value, loss, resolution / lossTolerance);
  const { count, denominator } = declared;
  const resolved = denominator === 0 ? 0 : (resolution * Math.sqrt(count)) / denominator;
  const gradientError = reported && Gradients.distance(reported, declared.gradients, resolved / gradientTolerance);
  const step = { ...base, reported, declared, contradiction: undefined, lossError, gradientError, explanations: [] };
  return search ? { ...step, explanations: explain(step) } : step;
}

/** |found − wanted| / |wanted|, or over `least` where that is more; 0 where both are the same, NaN included. */
export function relative(found: number, wanted: number, least = Number.MIN_VALUE): number {
  if (Object.is(found, wanted) || found === wanted) return 0;
  return Math.abs(found - wanted) / Math.max(Math.abs(wanted), least);
}

/** The reported gradients that stand beside a declared one. */
function comparable(parts: readonly AuditedPart[], { gradients }: Declared): readonly Gradients[] | undefined {
  const reported = parts.map((part, i) => new Gradients(part.reported.gradients).like(gradients[i]!));
  return reported.some((own) => own.isEmpty) ? undefined : reported;
}

function partsOf(record: StepRecord): readonly AuditedPart[] {
  if (!record.parts.length) {
    return [{ batch: record.fields!, reported: record.reported, context: record.context, rank: 0 }];
  }
  // As many ranks as parts, and no part that says its own: each is a rank.
  const { ranks } = record.context;
  const unsaid = record.parts.every(({ context }) => context.rank === undefined && context.microBatch === undefined);
  const each = unsaid && ranks === record.parts.length;
  return record.parts.map(({ fields, reported, context }, i) => ({
    batch: fields,
    reported,
    context,
    rank: context.rank ?? (each ? i : 0),
  }));
}

function declare(record: StepRecord, objective: Objective, parts: readonly AuditedPart[]): Declared {
  if (record.context.splitAxis === "sequence" && parts.length > 1) return declareJoined(objective, parts);
  const tallies = parts.map(({ batch }) => objective.tally(batch));
  const couples = objective.couples && parts.length > 1;
  if (couples && !sameKeys(parts)) throw coupledParts(objective);
  const whole = total(tallies, couples ? { acrossBatches: "independent" } : {});
  return {
    contract: objective.contract,
    value: objective.value(whole),
    numerator: whole.numerator,
    denominator: whole.denominator.value,
    count: whole.denominator.count,
    gradients: parts.map(({ batch }) => gradientsOf(objective, batch, whole.denominator)),
    tallies,
  };
}

/** Pieces of the same rows: a label's score may lie in the piece before, so the rows are put together first. */
function declareJoined(objective: Objective, parts: readonly AuditedPart[]): Declared {
  const batches = parts.map(({ batch }) => batch);
  const joined = joinAlongTime(batches);
  const whole = objective.valueAndGradients(joined);
  const pieces = splitAlongTime(whole.gradients, batches);
  return {
    contract: objective.contract,
    value: whole.value,
    numerator: whole.numerator,
    denominator: whole.denominator,
    count: whole.tally.denominator.count,
    gradients: pieces.map((piece) => new Gradients(piece)),
    tallies: masksOfPieces(joined, batches).map((mask) => objective.tally({ ...joined, mask })),
  };
}

/** The gradients of a part's share of the value, over the denominator of the whole step. */
export function gradientsOf(objective: Objective, batch: AnyBatch, denominator: Denominator | number): Gradients {
  return new Gradients(objective.valueAndGradients(batch, { denominator }).gradients);
}

/** Whether every part of a coupled objective holds the same gathered rows to be found among. */
function sameKeys(parts: readonly AuditedPart[]): boolean {
  const first = parts[0]!.batch.keys as Tensor | undefined;
  return parts.every(({ batch }) => {
    const keys = batch.keys as Tensor | undefined;
    return keys && first && keys.data.length === first.data.length && keys.data.every((x, i) => x === first.data[i]);
  });
}

function coupledParts(objective: Objective): LosswrightError {
  return new LosswrightError({
    code: "unsupported",
    where: objective.name,
    field: "parts",
    found: "parts that hold different keys",
    expected: "one batch, or parts that each hold all gathered keys",
    fix: "record the gathered embeddings: the loss of a row depends on its whole batch.",
  });
}
