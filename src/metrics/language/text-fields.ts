import type { CommonFields, MetricField } from "../fields.js";

/** Texts beside what they should be. */
export const textFields = {
  predictions: { meaning: "the texts that were produced", axes: ["..."], holds: "texts", roles: [] },
  references: { meaning: "the texts that should have been produced", axes: ["..."], holds: "texts", roles: [] },
} as const satisfies Record<string, MetricField>;

/** Texts beside what they should be, as types: lists of one length. */
export interface TextPairs extends CommonFields {
  readonly predictions: readonly string[];
  readonly references: readonly string[];
}
