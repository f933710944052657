// Writes docs/losses.md and docs/metric-catalogue.md from the definitions themselves; with --check, fails when a page is
// not what they say.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, install, root } from "./prepare.mjs";

install();
build();
const { definitionOf, likelihoods, objectiveNames } = await import("../dist/losses/index.js");
const { tensor } = await import("../dist/index.js");
const { metricDefinition, metricFrom, metricNames } = await import("../dist/metrics/index.js");
const { documentationToJson } = await import("../dist/cli/documentation.js");

const families = [
  "elementwise",
  "binary",
  "categorical",
  "distribution",
  "contrastive",
  "preference",
  "latent",
  "language",
];
const documents = objectiveNames().map((name) => documentationToJson(definitionOf(name)));
const cell = (text) => String(text).replaceAll("|", "\\|");
const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n");

function page({
  name,
  summary,
  formula,
  gradient,
  fields,
  options,
  unit,
  couples,
  likelihood,
  pitfalls,
  metric,
  source,
}) {
  const optionRows = Object.entries(options).map(([option, { meaning, accepts, default: fallback }]) => [
    `\`${option}\``,
    `\`${JSON.stringify(fallback)}\``,
    accepts,
    meaning,
  ]);
  const fieldRows = Object.entries(fields).map(([field, { shape, meaning, optional, differentiable }]) => [
    `\`${field}${optional ? "?" : ""}\``,
    `\`[${shape.join(", ")}]\``,
    differentiable ? "yes" : "",
    meaning,
  ]);
  const coupling =
    couples === true
      ? " Depends on the whole batch."
      : couples
        ? " Depends on the whole batch under some options."
        : "";
  return [
    `### ${name}`,
    `${summary} A unit is one ${unit}.${coupling}`,
    `- loss: ${formula}\n- gradient: ${gradient}\n- likelihood: ${likelihood.target}: ${likelihood.distribution}\n- usual metric: ${metric}\n- source: ${source}`,
    table(["field", "shape", "gradient", "meaning"], fieldRows),
    ...(optionRows.length ? [table(["option", "default", "accepts", "meaning"], optionRows)] : []),
    pitfalls.map((pitfall) => `- ${pitfall}`).join("\n"),
  ].join("\n\n");
}

const text = `${[
  "# Losses",
  "Made from the definitions by `npm run docs`; `losswright losses NAME` prints the same. Every objective also takes the fields `weights`, `mask`, `segmentIds` and `groupKeys`, and the reduction `per`, `divideBy`, `onEmpty`.",
  "## From target to loss",
  table(
    ["target", "distribution", "objective", "the model gives"],
    Object.entries(likelihoods).map(([target, { distribution, objective, model }]) => [
      target,
      distribution,
      `\`${objective}\``,
      model,
    ]),
  ),
  ...families.flatMap((family) => {
    const pages = documents.filter((document) => document.family === family).map(page);
    return pages.length ? [`## ${family[0].toUpperCase()}${family.slice(1)}`, ...pages] : [];
  }),
].join("\n\n")}\n`;

const goals = { maximize: "more is better", minimize: "less is better" };

function metricPage(name) {
  const { documentation, options, fields, forms } = metricDefinition(name);
  const resolved = metricFrom({ metric: name }).options;
  // A field of two forms holds what its form says; with an axis more, scores are of several classes.
  const byForm = forms(resolved).map((form) => [
    form,
    fields(resolved, Object.fromEntries(form.map((field) => [field, []]))),
  ]);
  const seen = new Map(byForm.flatMap(([form, specs]) => form.map((field) => [field, specs[field]])));
  const alone = Object.entries(fields(resolved)).filter(([field]) => !seen.has(field));
  const kinds = { reals: "numbers", indices: "integers", flags: "0 or 1", texts: "strings" };
  const perClass = fields(resolved, {
    ...Object.fromEntries(["scores", "probabilities", "logits"].map((field) => [field, tensor([[0]])])),
    labels: tensor([0]),
  });
  const shapes = (field, { axes }) => {
    const shown = [axes, perClass[field]?.axes ?? axes].map((each) => `\`[${each.join(", ")}]\``);
    return [...new Set(shown)].join(" or ");
  };
  const holdings = (field, { holds }) =>
    [...new Set([kinds[holds], kinds[perClass[field]?.holds ?? holds]])].join(" or ");
  const row = ([field, spec], mark = "") => [
    `\`${field}${mark}\``,
    shapes(field, spec),
    holdings(field, spec),
    spec.meaning,
  ];
  const optionRows = Object.entries(options).map(([option, { meaning, accepts, fallback }]) => [
    `\`${option}\``,
    `\`${JSON.stringify(fallback)}\``,
    accepts,
    meaning,
  ]);
  return [
    `## ${name}`,
    documentation.summary,
    `- formula: ${documentation.formula}\n- fields: ${byForm.map(([form]) => form.map((field) => `\`${field}\``).join(", ")).join("; or ")}\n${documentation.goal ? `- goal: ${goals[documentation.goal]}\n` : ""}- source: ${documentation.source}`,
    table(
      ["field", "shape", "holds", "meaning"],
      [...[...seen].map((entry) => row(entry)), ...alone.map((entry) => row(entry, "?"))],
    ),
    table(["option", "default", "accepts", "meaning"], optionRows),
  ].join("\n\n");
}

const metricText = `${[
  "# Catalogue of metrics",
  "Made from the definitions by `npm run docs`. `[...]` are the axes of the samples, any number of them. Every metric also takes `weights` (one a sample, at least 0) and `mask` (0 takes a sample out; it is not read). What they have in common, and how they stream, merge and get confidence intervals: [metrics.md](metrics.md).",
  ...metricNames().map(metricPage),
].join("\n\n")}\n`;

let isStale = false;
for (const [name, wanted] of [
  ["losses.md", text],
  ["metric-catalogue.md", metricText],
]) {
  const file = join(root, "docs", name);
  if (!process.argv.includes("--check")) writeFileSync(file, wanted);
  else if (!existsSync(file) || readFileSync(file, "utf8") !== wanted) {
    console.error(`docs/${name} is not what the definitions say. Fix: npm run docs.`);
    isStale = true;
  }
}
if (isStale) process.exitCode = 1;
