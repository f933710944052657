import { defineMetric, type MetricFactory, onlySums } from "../metric.js";
import { editDistance } from "./edit-distance.js";
import { type TextPairs, textFields } from "./text-fields.js";

/** Edits over the length of the references, in parts that a metric cuts texts into. */
export function defineErrorRate(given: {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly source: string;
  parts(text: string): readonly string[];
}): MetricFactory<TextPairs, object, number> {
  const { name, summary, formula, source, parts } = given;
  return defineMetric<TextPairs, object, ReturnType<typeof onlySums>, number>({
    name,
    documentation: { summary, formula, source, goal: "minimize" },
    options: {},
    fields: () => textFields,
    forms: () => [["predictions", "references"]],
    state: onlySums,
    open: (fields, { sums }) => {
      const [predictions, references] = [fields.texts("predictions"), fields.texts("references")];
      const [edits, lengths] = [sums.of("edits"), sums.of("length")];
      return (sample, weight) => {
        const reference = parts(references[sample]!);
        edits.add(weight * editDistance(name, parts(predictions[sample]!), reference));
        lengths.add(weight * reference.length);
      };
    },
    compute: ({ sums }) => sums.value("edits") / sums.value("length"),
  });
}
