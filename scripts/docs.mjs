// Writes docs/losses.md from the definitions themselves; with --check, fails when the page is not what they say.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, install, root } from "./prepare.mjs";

install();
build();
const { definitionOf, likelihoods, objectiveNames } = await import("../dist/losses/index.js");
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

const file = join(root, "docs", "losses.md");
if (!process.argv.includes("--check")) writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/losses.md is not what the definitions say. Fix: npm run docs.");
  process.exit(1);
}
