import { isTensor, type Tensor } from "../../tensor/index.js";
import type { AuditedStep, SearchedPart } from "../audited-step.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import type { Check, Finding } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/**
 * Positives looked for at the wrong keys: labels 0…B−1 against keys gathered over ranks, where rank r owns the rows from
 * r · B on.
 *
 * On rank 0 nothing is wrong. Every other rank pulls its queries to another rank's keys and pushes its own away.
 */
export const contrastiveOffset: Check = {
  id: "contrastive-offset",
  hypotheses(step): readonly Hypothesis[] {
    const about = "contrastive-offset";
    const { queries, keys, labels } = step.searched[0]!.batch as Record<string, Tensor | undefined>;
    if (!isTensor(queries) || !isTensor(keys) || step.objective.definition.family !== "contrastive") return [];
    const [rows, columns] = [queries.shape[0]!, keys.shape[0]!];
    if (columns <= rows && !labels) return [];
    const { rank = step.searched[0]!.rank, ranks } = step.searched[0]!.context;
    const each = ranks ? columns / ranks : rows;
    const offsets = new Set([-rank * each, rank * each, -each, each, -rank * rows, rank * rows]);
    for (let offset = -columns + 1; offset < columns && columns <= 512; offset++) {
      if (offset % rows === 0) offsets.add(offset);
    }
    offsets.delete(0);
    const moved = (offset: number): Hypothesis => {
      const words =
        offset === -rank * each && rank > 0
          ? "positives on the first diagonal, without the rank's offset"
          : `positives ${Math.abs(offset)} rows ${offset < 0 ? "before" : "after"} the right ones`;
      return { about, words, transform: [{ apply: "add", field: "labels", value: offset }] };
    };
    const diagonal: Hypothesis = {
      about,
      words: "positives on the first diagonal, whatever the labels say",
      transform: [{ apply: "drop", field: "labels" }],
      cost: 1.1,
    };
    return labels ? [...[...offsets].map(moved), diagonal] : [];
  },
  inspect(step) {
    const explained = findingOfExplanation("contrastive-offset", step, () => ({
      cause: "Keys gathered over ranks begin with those of rank 0: the positives of rank r begin r · B rows later.",
      harm: "Queries are pulled to keys of other examples and pushed away from their own, on every rank but the first.",
      fix: fixCode,
    }));
    return explained.length ? explained : fromFields(step);
  },
};

const fixCode =
  "add the rank's offset to the labels:\nlabels = rank * q.size(0) + torch.arange(q.size(0), device=q.device)\nloss = F.cross_entropy(q @ k_all.T / temperature, labels)";

/** Labels that name rows which another rank owns. */
function fromFields(step: AuditedStep): readonly Finding[] {
  if (step.objective.definition.family !== "contrastive" || step.contradiction) return [];
  for (const [part, searched] of step.searched.entries()) {
    const wrong = foreignLabels(searched);
    if (!wrong) continue;
    const { count, of, rank, from, to, first } = wrong;
    return [
      {
        check: "contrastive-offset",
        severity: "error",
        message: `${count} of ${of} positives are not rows of their own rank: rank ${rank} owns rows ${from} to ${to - 1}, and the labels begin with ${first}.`,
        why: "Keys gathered over ranks begin with those of rank 0: the positives of rank r begin r · B rows later.",
        harm: "Queries are pulled to keys of other examples and pushed away from their own, on every rank but the first.",
        evidence: { part: part + 1, rank, from, to, firstLabel: first, wrong: count },
        fix: fixCode,
      },
    ];
  }
  return [];
}

function foreignLabels({ batch, context, rank: own }: SearchedPart) {
  const { queries, keys, labels, positiveMask } = batch as Record<string, Tensor | undefined>;
  if (!isTensor(queries) || !isTensor(keys) || positiveMask) return undefined;
  const [rows, columns] = [queries.shape[0]!, keys.shape[0]!];
  const ids = { query: context.gathered?.queries?.ids, key: context.gathered?.keys?.ids };
  const label = (row: number) => (labels ? Number(labels.data[row]) : row);
  const rank = context.rank ?? own;
  const first = label(0);
  if (isTensor(ids.query) && isTensor(ids.key)) {
    let count = 0;
    for (let row = 0; row < rows; row++) {
      if (String(ids.key.data[label(row)]) !== String(ids.query.data[row])) count++;
    }
    const from = Array.from(ids.key.data, String).indexOf(String(ids.query.data[0]));
    return count > 0 ? { count, of: rows, rank, from, to: from + rows, first } : undefined;
  }
  const { ranks } = context;
  const owners = context.gathered?.keys?.ranks;
  if (!isTensor(owners) && (!ranks || ranks < 2 || context.rank === undefined || columns !== ranks * rows))
    return undefined;
  const ownerOf = (key: number) => (isTensor(owners) ? Number(owners.data[key]) : Math.floor(key / rows));
  let [count, from] = [0, columns];
  for (let row = 0; row < rows; row++) if (ownerOf(label(row)) !== rank) count++;
  for (let key = columns - 1; key >= 0; key--) if (ownerOf(key) === rank) from = key;
  return count > 0 ? { count, of: rows, rank, from, to: from + rows, first } : undefined;
}
