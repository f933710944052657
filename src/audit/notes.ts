import type { Note } from "../tally/index.js";
import type { AuditedStep } from "./audited-step.js";
import { underReduction } from "./explain/reductions.js";
import { joinAlongTime } from "./join.js";
import { referenceObjective } from "./reference.js";

/**
 * What evaluating the contract on the recorded fields has to say, part by part; pieces of the same rows are one part.
 *
 * A part that counts nothing is no error here, whatever the contract says of a step that counts nothing.
 */
export function notesOf({ objective, parts, record }: AuditedStep): readonly Note[] {
  const reduction = { ...objective.reduction, onEmpty: "zero" as const };
  const lenient = referenceObjective(underReduction(objective.contract, reduction));
  const batches = parts.map(({ batch }) => batch);
  const joined = record.context.splitAxis === "sequence" && batches.length > 1;
  const wholes = joined ? [joinAlongTime(batches)] : batches;
  return wholes.flatMap((batch, part) =>
    lenient.evaluate(batch).notes.map((note) => {
      return wholes.length > 1 ? { ...note, message: `part ${part + 1}: ${note.message}` } : note;
    }),
  );
}
