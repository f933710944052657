import type { SequenceContext } from "../io/index.js";
import { formatShape, type Tensor } from "../tensor/index.js";
import { roleCode } from "./token-batch.js";

/** The tokens behind a batch, laid over its positions, as far as they fit. */
export interface Tokens {
  readonly ids: Tensor | null;
  readonly roles: Uint8Array;
  readonly segments: Tensor | null;
  readonly notes: readonly string[];
}

/**
 * Ids, roles and segments of a batch's positions from what was recorded of its tokens.
 *
 * Padding is what the roles say; without them, where the attention mask is 0; without both, runs of the pad id at the
 * ends of rows, which a note then says. Prompt and assistant come from roles alone: nobody guesses them from labels.
 *
 * @param shape - rows and positions of the batch; tensors of other sizes are left out, with a note
 */
export function readTokens(sequence: SequenceContext, shape: readonly [number, number]): Tokens {
  const [rows, length] = shape;
  const notes: string[] = [];
  const fitting = (name: "inputIds" | "roles" | "attentionMask" | "segmentIds") => {
    const tensor = sequence[name];
    if (!tensor) return null;
    if (tensor.data.length === rows * length) return tensor;
    notes.push(
      `${name} ${formatShape(tensor.shape)} cannot be laid over positions ${formatShape(shape)}: it is not shown`,
    );
    return null;
  };
  const ids = fitting("inputIds");
  const recorded = fitting("roles");
  const attention = fitting("attentionMask");
  const segments = fitting("segmentIds");
  const roles = new Uint8Array(rows * length);
  if (recorded) {
    for (let unit = 0; unit < roles.length; unit++) roles[unit] = roleOf(Number(recorded.data[unit]));
  } else if (attention) {
    for (let unit = 0; unit < roles.length; unit++) if (Number(attention.data[unit]) === 0) roles[unit] = 1;
  } else if (ids && sequence.padId !== undefined) {
    const isEnd = sequence.padId === sequence.eosId;
    markPadding(roles, ids, sequence.padId, rows, isEnd);
    notes.push(
      `padding is the run of pad id ${sequence.padId} at the ends of a row${isEnd ? ", but for the first after the text, which is the end of the sequence" : ""}: neither roles nor an attention mask were recorded`,
    );
  }
  return { ids, roles, segments, notes };
}

/** Codes of a record: 0 padding, 1 prompt, 2 assistant. */
const recordedRoles = [roleCode.padding, roleCode.prompt, roleCode.assistant];

function roleOf(recorded: number): number {
  return recordedRoles[recorded] ?? roleCode.other;
}

/** Marks the runs of the pad id at both ends of every row; a whole row of it is padding. */
function markPadding(roles: Uint8Array, ids: Tensor, padId: number, rows: number, isEnd: boolean): void {
  const length = rows === 0 ? 0 : roles.length / rows;
  for (let row = 0; row < rows; row++) {
    let first = row * length;
    let last = first + length - 1;
    const end = last;
    while (first <= last && Number(ids.data[first]) === padId) roles[first++] = roleCode.padding;
    while (last >= first && Number(ids.data[last]) === padId) roles[last--] = roleCode.padding;
    if (isEnd && last >= first && last < end) roles[last + 1] = roleCode.unknown;
  }
}
