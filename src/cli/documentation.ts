import { hanging, type Paint } from "../audit/index.js";
import { inWords, type Json, optionsToJson, perOfUnit } from "../contract/index.js";
import { commonFields, type LossDefinition } from "../losses/index.js";
import { formatShape } from "../tensor/index.js";

/** A definition as a page for a terminal. */
export function documentation(definition: LossDefinition<object>, paint: Paint): string {
  const { name, documentation: text, fields, unit } = definition;
  const options = Object.entries(definition.options as Record<string, { meaning: string; fallback: unknown }>);
  const section = (title: string, lines: readonly string[]) => [
    paint.bold(title),
    ...lines.flatMap((line) => hanging("  ", line, 4)),
    "",
  ];
  const common = Object.entries(commonFields)
    .filter(([field]) => !Object.hasOwn(fields, field))
    .map(([field, { meaning }]) => `${field}?: ${meaning}`);
  const [title, ...rest] = hanging(`${name}: `, text.summary, 2);
  return [
    title!.replace(name, paint.bold(name)),
    ...rest,
    "",
    ...section("Loss of a unit", text.formula.split(/; {2}/)),
    ...section("Gradient", text.gradient.split(/; {2}/)),
    ...section("Fields", [
      ...Object.entries(fields).map(
        ([field, { shape, meaning, optional, gradient }]) =>
          `${field}${optional ? "?" : ""} ${formatShape(shape)}: ${meaning}${gradient === "none" ? "" : " (differentiable)"}`,
      ),
      ...common,
    ]),
    ...section(
      "Options",
      options.length
        ? options.map(([option, spec]) => `${option} (${inWords(spec.fallback)}): ${spec.meaning}`)
        : ["none"],
    ),
    ...section("Unit and denominator", [
      `a unit is one ${unit}; per: ${perOfUnit[unit].map((per, i) => `"${per}"${i === 0 ? " (default)" : ""}`).join(", ")}; divideBy: "weight" (default), "count" or { constant }; onEmpty: "zero" (default), "nan" or "throw"`,
      ...(couplesInWords(definition)
        ? [
            `the loss of a ${unit} depends on its whole batch${couplesInWords(definition) === true ? "" : " under some options"}: batches merge only as independent ones`,
          ]
        : []),
    ]),
    ...section("Likelihood", [`${text.likelihood.target}: ${text.likelihood.distribution}`]),
    ...section("Pitfalls", text.pitfalls),
    ...section("Usual metric", [text.metric]),
    ...section("Source", [text.source]),
  ]
    .join("\n")
    .trimEnd();
}

/** Whether a unit's loss depends on its batch: always, never, or by an option. */
function couplesInWords({ couples = false }: LossDefinition<object>): boolean | "by option" {
  return typeof couples === "function" ? "by option" : couples;
}

/** A definition as JSON. */
export function documentationToJson(definition: LossDefinition<object>): object {
  const { name, family, unit, documentation: text, fields } = definition;
  const options = definition.options as Record<string, { meaning: string; accepts: string; fallback: unknown }>;
  const defaults = optionsToJson(
    Object.fromEntries(Object.entries(options).map(([option, { fallback }]) => [option, fallback])),
  ) as Record<string, Json>;
  return {
    name,
    family,
    unit,
    couples: couplesInWords(definition),
    ...text,
    fields: Object.fromEntries(
      Object.entries(fields).map(([field, { meaning, holds, shape, optional = false, gradient }]) => [
        field,
        { meaning, holds, shape, optional, differentiable: gradient !== "none" },
      ]),
    ),
    options: Object.fromEntries(
      Object.entries(options).map(([option, { meaning, accepts }]) => [
        option,
        { meaning, accepts, default: defaults[option] },
      ]),
    ),
  };
}
