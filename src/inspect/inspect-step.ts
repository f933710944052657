import type { ContractInput } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import type { SequenceContext, StepPart, StepRecord } from "../io/index.js";
import { type Objective, objectiveFrom } from "../losses/index.js";
import { inspectAlignments } from "./inspect-alignments.js";
import { inspectTokens } from "./inspect-tokens.js";
import type { InspectedBatch, Inspection } from "./inspection.js";

/**
 * A recorded step as data to look at: its batch, or one batch a part, position by position under the contract it was
 * meant to follow. What was reported is not looked at.
 *
 * @throws `unsupported`, `unknown`, `contract`, `option`, `reduction` for a contract this version cannot compute;
 * `shape`, `missing-field` and their kin where the fields contradict it
 */
export function inspectStep(record: StepRecord): Inspection {
  const { name, context, fields } = record;
  if (record.intended.objective === "weightedSum") {
    throw new LosswrightError({
      code: "unsupported",
      where: name,
      field: "intended",
      found: "a weighted sum, whose parts count their positions apart",
      expected: "the contract of one objective",
      fix: "write the contract of the part to look at, with its fields, as a record of its own.",
    });
  }
  const objective = objectiveFrom(record.intended as unknown as ContractInput).withEngine("reference");
  const parts = fields ? [{ fields, context }] : record.parts;
  return {
    name,
    task: context.task ?? context.phase ?? null,
    rule: objective.describe(),
    contract: objective.contract,
    batches: parts.map((part, index) => inspectPart(objective, part, fields ? null : titleOf(part, index), context)),
  };
}

function inspectPart(
  objective: Objective,
  { fields, context }: Pick<StepPart, "fields" | "context">,
  title: string | null,
  whole: StepRecord["context"],
): InspectedBatch {
  const sequence: SequenceContext = { ...settingsOf(whole.sequence), ...context.sequence };
  const batch =
    objective.name === "ctc"
      ? inspectAlignments(objective, fields, title)
      : inspectTokens(objective, fields, sequence, title);
  if (whole.splitAxis !== "sequence" || title === null) return batch;
  const note =
    "the parts are pieces of the same rows: a label at the start of a piece may be scored by the piece before, and is shown here as scored by nothing";
  return { ...batch, notes: [...batch.notes, note] };
}

/** What holds for all parts of a step: numbers and intentions, not tensors. */
function settingsOf(sequence: SequenceContext | undefined): SequenceContext {
  const { padId, eosId, intended } = sequence ?? {};
  return {
    ...(padId !== undefined && { padId }),
    ...(eosId !== undefined && { eosId }),
    ...(intended !== undefined && { intended }),
  };
}

/** Parts are counted from 1, as the audit does; ranks and micro-batches have the record's own numbers. */
function titleOf({ context: { rank, microBatch } }: Pick<StepPart, "context">, index: number): string {
  const own = [rank !== undefined && `rank ${rank}`, microBatch !== undefined && `micro-batch ${microBatch}`];
  const words = own.filter((word) => word !== false);
  return words.length ? [`part ${index + 1}`, ...words].join(", ") : `micro-batch ${index + 1}`;
}
