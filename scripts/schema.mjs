// Writes schema/step.schema.json from what the parser of step records checks; with --check, fails when the file is not
// what the parser says.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { toJsonSchema } from "@valibot/to-json-schema";
import { build, install, root, tool } from "./prepare.mjs";

install();
build();
const { reserved } = await import("../dist/io/json.js");
const { filePattern, longestFile, namedSchemas, namePattern, stepSchema } = await import("../dist/io/step-schema.js");

const to = (name) => ({ $ref: `#/$defs/${name}` });
const anything = ["object", "array", "string", "number", "boolean", "null"];

// What no schema of the parser holds as data: the patterns of names, and rules between entries.
const written = {
  file: {
    description:
      "The name of a tensor's file in the record's directory, relative to it, with / between directories: no absolute path, nothing that leads out, one spelling for each file; batch.npz#logits is the tensor logits of an archive (.npz, .safetensors).",
    type: "string",
    pattern: filePattern.source,
    maxLength: longestFile,
  },
  name: {
    ...to("key"),
    description: "The name of a field, or a key of a contract: short, and on one line.",
    type: "string",
    pattern: namePattern.source,
  },
  key: {
    description: "A key: none that JavaScript reserves.",
    type: "string",
    not: { enum: reserved },
  },
  contract: {
    description: "A contract, or what one holds.",
    type: anything,
    pattern: namePattern.source,
    propertyNames: to("name"),
    additionalProperties: to("contract"),
    items: to("contract"),
  },
  unknown: {
    description: "An entry that this version does not know: any value, kept as it is.",
    type: anything,
    propertyNames: to("key"),
    additionalProperties: to("unknown"),
    items: to("unknown"),
  },
};
/** A contract is checked by whoever evaluates it; what it holds is told all the same. */
const contractEntries = {
  objective: { description: "The name of the objective, as crossEntropy." },
  options: { description: "The options of the objective, by their names." },
  reduction: {
    description: "What is averaged (per), what divides (divideBy), what a batch of no unit gives (onEmpty).",
  },
  version: { description: "The version of the contract's format." },
};
/** The contract describes one term. */
const oneIntended = {
  contains: { type: "object", properties: { intended: { const: true } }, required: ["intended"] },
  minContains: 1,
  maxContains: 1,
};
/** Fields, or parts, and one of them at least. */
const fieldsOrParts = {
  oneOf: [
    {
      required: ["fields"],
      properties: { fields: { type: "object", minProperties: 1 }, parts: { type: "array", maxItems: 0 } },
    },
    { required: ["parts"], properties: { fields: false, parts: { type: "array", minItems: 1 } } },
  ],
};

/** The schema behind the pipe that checks and describes it. */
const bare = (schema) => schema.pipe?.findLast(({ kind }) => kind === "schema") ?? schema;
/** Schemas that are written once and referred to. */
const named = new Map(Object.entries(namedSchemas).map(([name, schema]) => [bare(schema), name]));

function overrideSchema({ valibotSchema, jsonSchema }) {
  const name = named.get(valibotSchema);
  if (name !== undefined) return to(name);
  const { required, ...schema } = jsonSchema;
  const converted = required?.length ? { ...schema, required } : schema;
  switch (valibotSchema.type) {
    case "custom":
      return { type: "object", ...to("contract"), properties: contractEntries };
    case "loose_object":
      return { ...converted, propertyNames: to("key"), additionalProperties: to("unknown") };
    case "record":
      return { ...converted, propertyNames: to("name") };
    default:
      return converted;
  }
}

/** Converts a schema; one that has a name is written out here, and referred to inside itself and elsewhere. */
function convert(schema) {
  const name = named.get(bare(schema));
  named.delete(bare(schema));
  const { $schema, ...converted } = toJsonSchema(schema, {
    target: "draft-2020-12",
    // Behind the check that something is an object stands its schema.
    typeMode: "output",
    overrideSchema,
    // The words for numbers that JSON lacks are read as numbers; the pattern of names stands in the schema "name".
    overrideAction: ({ valibotAction: { type }, jsonSchema }) =>
      type === "transform" || type === "regex" ? jsonSchema : undefined,
  });
  if (name !== undefined) named.set(bare(schema), name);
  return converted;
}

const { number, context, part, reported } = namedSchemas;
const $defs = {
  reported: { description: "What the training code said that it computed.", ...convert(reported) },
  part: { description: "One micro-batch, rank or shard of a step.", ...convert(part) },
  context: { description: "The circumstances of a step or part.", ...convert(context) },
  number: { description: 'A number, or "nan", "inf", "-inf" for what JSON lacks.', ...convert(number) },
  ...written,
};
$defs.part.properties.fields.minProperties = 1;
Object.assign($defs.context.properties.terms, oneIntended);

const schema = describedFirst({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "losswright/step-1.schema.json",
  title: "losswright step record, format 1",
  ...convert(stepSchema),
  ...fieldsOrParts,
  $defs,
});

/** The same with the words before the rules, as a person reads it. */
function describedFirst(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { $schema, $id, title, description, ...rest } = value;
  const head = Object.entries({ $schema, $id, title, description }).filter(([, words]) => typeof words === "string");
  // An entry may itself be called title or description.
  const others = Object.entries(head.length ? rest : value);
  return Object.fromEntries([...head, ...others.map(([key, entry]) => [key, describedFirst(entry)])]);
}

const file = join(root, "schema", "step.schema.json");
const { status, stdout, stderr } = spawnSync(tool("biome"), ["format", `--stdin-file-path=${file}`], {
  cwd: root,
  encoding: "utf8",
  input: JSON.stringify(schema),
});
if (status !== 0) throw new Error(`the schema cannot be formatted: ${stderr}`);
if (!process.argv.includes("--check")) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, stdout);
} else if (!existsSync(file) || readFileSync(file, "utf8") !== stdout) {
  console.error("schema/step.schema.json is not what the parser says. Fix: npm run schema.");
  process.exit(1);
}
