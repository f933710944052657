import type { ContractInput } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import type { LossTerm, StepContext, StepRecord } from "../io/index.js";
import type { Objective } from "../losses/index.js";
import { total } from "../tally/index.js";
import { type Tensor, view } from "../tensor/index.js";
import {
  type AuditedPart,
  type AuditedStep,
  type Declared,
  relative,
  resolution,
  type SearchedPart,
  toleranceOf,
} from "./audited-step.js";
import { checks } from "./checks/index.js";
import { explain } from "./explain/explain.js";
import { Gradients } from "./explain/gradients.js";
import { joinAlongTime, joinRows, lengthOf, masksOfPieces, rowCountOf, splitAlongTime, splitRows } from "./join.js";
import { referenceObjective } from "./reference.js";
import { openSample } from "./sample.js";

/**
 * Evaluates a record's contract on its fields and looks for what reproduces the reported numbers.
 *
 * @param options - `search: false` leaves explanations empty
 * @throws `unsupported`, `unknown`, `contract`, `option`, `reduction` for a contract this version cannot compute; what
 * the fields contradict is not thrown but held as `contradiction`
 */
export function openStep(record: StepRecord, { search = true } = {}): AuditedStep {
  const objective = referenceObjective(record.intended as unknown as ContractInput);
  const parts = partsOf(record);
  const tolerance = toleranceOf(record.context);
  const leastLoss = resolution / tolerance.loss;
  const base = { record, objective, searchedObjective: objective, parts, tolerance, loss: ownLoss(record), leastLoss };
  const nothing = { searched: [], reported: undefined, reportedSquare: 0, gradientError: undefined, explanations: [] };
  let opened: OpenedStep;
  try {
    opened = declare(record, objective, parts);
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
    return { ...base, ...nothing, declared: undefined, contradiction: error, lossError: Number.NaN };
  }
  const { declared } = opened;
  // Without the numerators of the whole a sample has no loss to compare.
  const loss = opened.hasNumerator === false ? null : ownLoss(record);
  const searched = opened.searched.map((part) => withComparable(part, objective));
  const reported = comparable(searched);
  const lossError = loss === null ? 0 : relative(declared.value, loss, leastLoss);
  const { count, denominator } = declared;
  const resolved = denominator === 0 ? 0 : (resolution * Math.sqrt(count)) / denominator;
  const step = {
    ...base,
    loss,
    searchedObjective: opened.objective ?? objective,
    searched: searched.map((part) => ({ ...part, reportedGradients: reported && part.reportedGradients })),
    reported: reported && reportedOfParts(parts, declared, reported),
    reportedSquare: squareOf(searched),
    declared,
    contradiction: undefined,
    lossError,
    gradientError: undefined as number | undefined,
    explanations: [],
  };
  if (step.reported) {
    step.gradientError = Gradients.distance(step.reported, declared.gradients, resolved / tolerance.gradient);
  }
  return search ? { ...step, explanations: explain(step, () => hypothesesOf(step)) } : step;
}

/** What each check would have computed instead, in the order of the checks. */
function* hypothesesOf(step: Omit<AuditedStep, "explanations">) {
  for (const check of checks) yield* check.hypotheses?.(step) ?? [];
}

/** The reported loss of the term that the contract speaks of. */
function ownLoss({ reported, context }: StepRecord): number | null {
  const { loss } = reported;
  const own = context.terms?.find(({ intended }) => intended);
  if (!own || !context.terms) return loss;
  if (own.value !== undefined) return own.value;
  if (loss === null || own.coefficient === 0) return null;
  const others = context.terms.filter((term) => term !== own);
  if (others.some(({ value }) => value === undefined)) return null;
  return others.reduce((rest, { coefficient, value }) => rest - coefficient * value!, loss) / own.coefficient;
}

/** Gradients as the contract's own term has them: without a loss scale, without the term's coefficient. */
function ownGradients(gradients: Readonly<Record<string, Tensor>>, context: StepContext): Record<string, Tensor> {
  const terms: readonly LossTerm[] = context.terms ?? [];
  const own = terms.find(({ intended }) => intended);
  const factor = (context.computation?.lossScale ?? 1) * (own?.coefficient ?? 1);
  const mixed = new Set(terms.filter((term) => term !== own).flatMap(({ fields }) => fields ?? []));
  const kept = Object.entries(gradients).filter(([name]) => !mixed.has(name));
  if (factor === 1 || factor === 0) return Object.fromEntries(kept);
  return Object.fromEntries(
    kept.map(([name, { data, shape }]) => {
      const scaled = Float64Array.from(data as Float64Array, (x) => Number(x) / factor);
      return [name, view(scaled, shape, "unlabeled", "float64")];
    }),
  );
}

function partsOf(record: StepRecord): readonly AuditedPart[] {
  const ownOf = (part: Pick<StepRecord, "reported" | "context">) => ({
    loss: part.reported.loss,
    gradients: ownGradients(part.reported.gradients, { ...record.context, ...part.context }),
  });
  if (!record.parts.length) {
    return [{ batch: record.fields!, reported: ownOf(record), context: record.context, rank: 0 }];
  }
  // As many ranks as parts, and no part that says its own: each is a rank.
  const { ranks } = record.context;
  const unsaid = record.parts.every(({ context }) => context.rank === undefined && context.microBatch === undefined);
  const each = unsaid && ranks === record.parts.length;
  return record.parts.map((part, i) => ({
    batch: part.fields,
    reported: ownOf(part as StepRecord),
    context: part.context,
    rank: part.context.rank ?? (each ? i : 0),
  }));
}

/** A part's context with what the record says for all parts: counts, settings, intentions; no tensors of others. */
export function contextOf(record: StepRecord, part: AuditedPart): StepContext {
  if (!record.parts.length) return record.context;
  const { sequence: whole, ...shared } = record.context;
  const { inputIds, roles, attentionMask, segmentIds, decoderInputIds, ...settings } = whole ?? {};
  const sequence = { ...settings, ...part.context.sequence };
  return { ...shared, ...part.context, ...(Object.keys(sequence).length > 0 && { sequence }) };
}

interface OpenedStep {
  readonly declared: Declared;
  readonly searched: readonly SearchedPart[];
  readonly objective?: Objective;
  readonly hasNumerator?: boolean;
}

function declare(record: StepRecord, objective: Objective, parts: readonly AuditedPart[]): OpenedStep {
  if (record.context.splitAxis === "sequence" && parts.length > 1) return declareAlongTime(record, objective, parts);
  if (parts.some((part) => contextOf(record, part).sampled)) {
    return openSample(objective, parts, (part) => contextOf(record, part));
  }
  const couples = objective.couples && parts.length > 1;
  if (couples && !sameKeys(parts)) {
    // Ranks gather their rows; micro-batches have only their own.
    const ranks = new Set(parts.map(({ rank }) => rank)).size;
    if (ranks < parts.length) throw coupledParts(objective);
    return declareRows(record, objective, parts);
  }
  // What divides follows from labels and masks alone, so that one pass gives tallies and gradients.
  const [first, ...rest] = parts.map(({ batch }) => objective.denominator(batch));
  const divisor = rest.reduce((sum, next) => sum.merge(next), first!);
  const evaluated = parts.map(({ batch }) => objective.valueAndGradients(batch, { denominator: divisor }));
  const tallies = evaluated.map(({ tally }) => tally);
  const whole = total(tallies, couples ? { acrossBatches: "independent" } : {});
  const declared = {
    contract: objective.contract,
    value: objective.value(whole),
    numerator: whole.numerator,
    denominator: whole.denominator.value,
    count: whole.denominator.count,
    gradients: evaluated.map(({ gradients }) => new Gradients(gradients)),
    tallies,
  };
  return { declared, searched: parts.map((part) => searchedOf(record, part)) };
}

function searchedOf(record: StepRecord, part: AuditedPart): SearchedPart {
  return {
    batch: part.batch,
    context: contextOf(record, part),
    rank: part.rank,
    reported: part.reported.gradients,
    reportedGradients: undefined,
  };
}

/** Pieces of the same rows: a label's score may lie in the piece before, so the rows are put together first. */
function declareAlongTime(record: StepRecord, objective: Objective, parts: readonly AuditedPart[]): OpenedStep {
  const batches = parts.map(({ batch }) => batch);
  const joined = joinAlongTime(batches);
  const whole = objective.valueAndGradients(joined);
  const pieces = splitAlongTime(whole.gradients, batches);
  const masks = masksOfPieces(joined, batches);
  const complete = parts.every(({ reported }) => Object.keys(reported.gradients).length > 0);
  const reported = complete
    ? (joinAlongTime(parts.map((part) => part.reported.gradients)) as Record<string, Tensor>)
    : {};
  return {
    declared: {
      contract: objective.contract,
      value: whole.value,
      numerator: whole.numerator,
      denominator: whole.denominator,
      count: whole.tally.denominator.count,
      gradients: pieces.map((piece) => new Gradients(piece)),
      tallies: masks.map((mask) => objective.tally({ ...joined, mask })),
    },
    searched: parts.map((part, i) => ({
      ...searchedOf(record, part),
      batch: { ...joined, mask: masks[i]! },
      reported,
      pieces: batches.map(lengthOf),
    })),
  };
}

/** Ranks of a coupled objective, each with its own rows: the loss is that of all rows together, in the order of parts. */
function declareRows(record: StepRecord, objective: Objective, parts: readonly AuditedPart[]): OpenedStep {
  const batches = parts.map(({ batch }) => batch);
  const joined = joinRows(objective, batches);
  const whole = objective.valueAndGradients(joined);
  const complete = parts.every(({ reported }) => Object.keys(reported.gradients).length > 0);
  const reported = complete
    ? (joinRows(
        objective,
        parts.map((part) => part.reported.gradients),
        { addScalars: true },
      ) as Record<string, Tensor>)
    : {};
  const own = { ...searchedOf(record, parts[0]!), batch: joined, reported };
  return {
    declared: {
      contract: objective.contract,
      value: whole.value,
      numerator: whole.numerator,
      denominator: whole.denominator,
      count: whole.tally.denominator.count,
      gradients: splitRows(objective, whole.gradients, batches).map((piece) => new Gradients(piece)),
      tallies: splitRows(objective, { loss: objective.perUnit(joined) }, batches).map(({ loss }) => countedRows(loss)),
    },
    searched: [{ ...own, rowsOfParts: batches.map(rowCountOf) }],
  };
}

/** What the rows of one part count in a coupled step. */
function countedRows(losses: Tensor | undefined) {
  const data = losses?.data ?? [];
  let numerator = 0;
  for (const loss of data) numerator += Number(loss);
  return { numerator, denominator: { value: data.length, count: data.length, isEmpty: data.length === 0 } };
}

/** Whether every part of a coupled objective holds the same gathered rows to be found among. */
function sameKeys(parts: readonly AuditedPart[]): boolean {
  const first = parts[0]!.batch.keys as Tensor | undefined;
  return parts.every(({ batch }) => {
    const keys = batch.keys as Tensor | undefined;
    return keys && first && keys.data.length === first.data.length && keys.data.every((x, i) => x === first.data[i]);
  });
}

/** A searched part with those reported gradients that the contract has one for. */
function withComparable(part: SearchedPart, objective: Objective): SearchedPart {
  const { fields } = objective.definition;
  const has = ([name]: [string, Tensor]) => fields[name] !== undefined && fields[name].gradient !== "none";
  const reported = Object.fromEntries(Object.entries(part.reported).filter(has));
  return { ...part, reported, reportedGradients: new Gradients(reported) };
}

function comparable(searched: readonly SearchedPart[]): readonly Gradients[] | undefined {
  const reported = searched.map(({ reportedGradients }) => reportedGradients!);
  return reported.some((own) => own.isEmpty) ? undefined : reported;
}

/** Reported gradients beside the declared ones of each part of the record. */
function reportedOfParts(
  parts: readonly AuditedPart[],
  { gradients }: Declared,
  searched: readonly Gradients[],
): readonly Gradients[] {
  if (parts.length === 1) return searched;
  return parts.map((part, i) => new Gradients(part.reported.gradients).like(gradients[i]!));
}

/** ‖reported‖² over the step; pieces of the same rows share one gradient. */
function squareOf(searched: readonly SearchedPart[]): number {
  const each = new Set(searched.map(({ reported }) => Object.values(reported)[0]?.data));
  const pieces = each.size < searched.length ? searched.slice(0, 1) : searched;
  return pieces.reduce((sum, { reportedGradients }) => {
    return sum + (reportedGradients ? reportedGradients.dot(reportedGradients) : 0);
  }, 0);
}

function coupledParts(objective: Objective): LosswrightError {
  return new LosswrightError({
    code: "unsupported",
    where: objective.name,
    field: "parts",
    found: "parts that hold different keys",
    expected: "one batch, ranks that each hold their own rows, or parts that each hold all gathered keys",
    fix: "record the gathered embeddings: the loss of a row depends on its whole batch.",
  });
}
