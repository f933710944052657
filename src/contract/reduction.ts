import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { inWords } from "./options.js";

/** What is averaged: every unit alike (`token`, `element`), sequences, or samples. */
export type Per = "token" | "element" | "sequence" | "sample";

/** What divides: the weight sum, the count of unmasked units, or a number of the caller's. */
export type DivideBy = "weight" | "count" | { readonly constant: number };

/** What a value over nothing is: 0 with zero gradients, NaN with NaN gradients, or an error. */
export type OnEmpty = "zero" | "nan" | "throw";

export interface Reduction {
  readonly per: Per;
  readonly divideBy: DivideBy;
  readonly onEmpty: OnEmpty;
}

/** The natural unit of an objective decides which averages make sense for it; the first is the default. */
export const perOfUnit = {
  position: ["token", "sequence", "sample"],
  element: ["element", "sequence", "sample"],
  row: ["sample", "sequence"],
  pair: ["sample", "sequence"],
  // A unit that is a whole sequence has a length: `sequence` divides its loss by it, `token` divides by all lengths.
  sequence: ["sample", "sequence", "token"],
} as const satisfies Record<string, readonly Per[]>;

export type UnitKind = keyof typeof perOfUnit;

/**
 * The reduction in full.
 *
 * @throws `unknown` for a key it does not have, `reduction` for a value that does not suit the objective
 */
export function resolveReduction(where: string, unit: UnitKind, given: object): Reduction {
  rejectUnknown(where, "reduction key", given, ["per", "divideBy", "onEmpty"]);
  const allowed: readonly Per[] = perOfUnit[unit];
  const { per = allowed[0]!, divideBy = "weight", onEmpty = "zero" } = given as Partial<Reduction>;
  if (!allowed.includes(per)) {
    throw new LosswrightError({
      code: "reduction",
      where,
      field: "per",
      found: inWords(per),
      expected: `one of ${allowed.join(", ")}, since a unit of this objective is a ${unit}`,
      fix: `write per: "${allowed[0]}" to weigh every ${unit} alike.`,
    });
  }
  if (onEmpty !== "zero" && onEmpty !== "nan" && onEmpty !== "throw") {
    throw new LosswrightError({
      code: "reduction",
      where,
      field: "onEmpty",
      found: inWords(onEmpty),
      expected: "zero, nan or throw",
    });
  }
  return { per, divideBy: readDivideBy(where, divideBy), onEmpty };
}

/** The constant that divides, or null when something counted does. */
export function constantOf(reduction: Reduction): number | null {
  return typeof reduction.divideBy === "object" ? reduction.divideBy.constant : null;
}

function readDivideBy(where: string, divideBy: unknown): DivideBy {
  if (divideBy === "weight" || divideBy === "count") return divideBy;
  if (typeof divideBy === "object" && divideBy !== null) {
    rejectUnknown(where, "divideBy key", divideBy, ["constant"]);
    const { constant } = divideBy as { constant?: unknown };
    if (typeof constant === "number" && Number.isFinite(constant) && constant > 0) return { constant };
  }
  throw new LosswrightError({
    code: "reduction",
    where,
    field: "divideBy",
    found: inWords(divideBy),
    expected: '"weight", "count" or { constant: a finite number above 0 }',
    fix: "a plain sum is divideBy: { constant: 1 }.",
  });
}
