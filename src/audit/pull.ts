import { acos } from "../numerics/index.js";
import type { AuditedStep } from "./audited-step.js";

/** How the recorded gradient stands to the declared one. */
export interface Comparison {
  /** ⟨reported, declared⟩ / ⟨declared, declared⟩ of each part: how much too hard it pulls. */
  readonly factors: readonly number[] | undefined;
  /** ‖reported‖ / ‖declared‖ over the whole step. */
  readonly lengthRatio: number | undefined;
  /** The angle between both, in degrees. */
  readonly degrees: number | undefined;
}

/** Compares recorded gradients with declared ones, part by part and as a whole; all undefined where none exist. */
export function comparison({ reported, declared }: AuditedStep): Comparison {
  if (!reported || !declared) return { factors: undefined, lengthRatio: undefined, degrees: undefined };
  const mine = declared.gradients.map((gradients, i) => gradients.like(reported[i]!));
  const along = reported.map((gradients, i) => gradients.dot(mine[i]!));
  const declaredSquares = mine.map((gradients) => gradients.dot(gradients));
  const reportedSquare = reported.reduce((sum, gradients) => sum + gradients.dot(gradients), 0);
  const total = (numbers: readonly number[]) => numbers.reduce((sum, x) => sum + x, 0);
  const declaredSquare = total(declaredSquares);
  const cosine = total(along) / Math.sqrt(reportedSquare * declaredSquare);
  return {
    factors: along.map((product, i) => (declaredSquares[i] === 0 ? Number.NaN : product / declaredSquares[i]!)),
    lengthRatio: Math.sqrt(reportedSquare / declaredSquare),
    degrees: (acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI,
  };
}
