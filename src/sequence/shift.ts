import { LosswrightError } from "../errors/index.js";
import { formatShape } from "../tensor/index.js";

/** Where the score of a label lies: unit (b, t) is the label at t, scored by the logits at t − shift. */
export interface Shift {
  /** The unit whose logits score this unit's label, or −1 when the label has none in its row and segment. */
  source(unit: number): number;
}

/**
 * The label shift over units of shape `[B, T]`, or `[T]` with segment ids (one row).
 *
 * The first `shift` labels of every row and of every segment are scored by nothing.
 *
 * @param segmentOf - the segment a unit lies in; a shift never crosses from one to another
 * @throws `shape` when the units have no time axis or the shift leaves no label in a row
 */
export function labelShift(
  where: string,
  shift: number,
  unitShape: readonly number[],
  segmentOf: ((unit: number) => number | bigint) | undefined,
): Shift {
  if (shift === 0) return { source: (unit) => unit };
  const flatWithSegments = unitShape.length === 1 && segmentOf !== undefined;
  if (unitShape.length !== 2 && !flatWithSegments) {
    throw new LosswrightError({
      code: "shape",
      where,
      field: "labels",
      found: `units of shape ${formatShape(unitShape)} under labelShift: ${shift}`,
      expected: "[B, T], so that a row says where a sequence begins",
      fix: "keep logits as [B, T, K] and labels as [B, T]; for packed rows of shape [N] give segmentIds.",
    });
  }
  const length = unitShape.at(-1)!;
  if (shift >= length && length > 0) {
    throw new LosswrightError({
      code: "shape",
      where,
      field: "labels",
      found: `rows of ${length} labels under labelShift: ${shift}`,
      expected: `more than ${shift} labels a row`,
    });
  }
  return {
    source(unit) {
      if (unit % length < shift) return -1;
      const source = unit - shift;
      return segmentOf && segmentOf(source) !== segmentOf(unit) ? -1 : source;
    },
  };
}
