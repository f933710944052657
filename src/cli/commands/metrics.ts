import { type Command, Option } from "commander";
import { hanging } from "../../audit/index.js";
import { inWords } from "../../contract/index.js";
import { LosswrightError, rejectUnknown } from "../../errors/index.js";
import { writeTextFile } from "../../io/files.js";
import type { Column } from "../../io/index.js";
import { type GivenFields, metricDefinition, metricNames } from "../../metrics/index.js";
import {
  type AskedMetric,
  chosenFields,
  fieldsOf,
  type MeasuredMetric,
  measure,
  measuredText,
  measuredToJson,
  metricsPage,
  pictureMetrics,
} from "../../report/index.js";
import { formatShape, isTensor, view } from "../../tensor/index.js";
import { ColumnFiles, flagOf, missingColumns, type NamedColumn, namedColumn, type TextLayout } from "../columns.js";
import { exitCodes, print } from "../exit.js";
import { paintFor } from "../paint.js";

interface MetricsOptions {
  readonly table?: string;
  readonly header?: boolean;
  readonly delimiter?: string;
  readonly option?: readonly string[];
  readonly bootstrap?: string;
  readonly seed?: string;
  readonly sampleIds?: string;
  readonly clusterIds?: string;
  readonly json?: boolean;
  readonly html?: string;
  readonly list?: boolean;
  /** The files of fields, under the names of the fields. */
  readonly [field: string]: unknown;
}

/** Who the samples are: what a bootstrap draws by. */
const identities = ["sampleIds", "clusterIds"] as const;

/** `losswright metrics NAME…`: metrics over files of predictions and labels, as text, JSON or a page. */
export function addMetrics(program: Command): void {
  const command = program
    .command("metrics")
    .description("compute metrics over files of predictions and labels; with --list, say what there is")
    .argument("[names...]", "the names of metrics")
    .option("--list", "list all metrics, or show those named: formula, fields, options")
    .option("--table <file>", "a table whose columns have the names of fields")
    .option(
      "--option <key=value>",
      "an option of all metrics named, or of one: NAME:key=value; several times",
      repeated,
    )
    .option("--bootstrap <n>", "intervals of n draws of the samples (1000 is usual)")
    .option("--seed <n>", "what the draws follow from (0)")
    .option("--header", "the first line of CSV files holds the names of the columns")
    .option("--no-header", "it does not: columns are called 0, 1, …")
    .option("--delimiter <character>", 'what separates the cells of CSV files, where it is no comma: ";"')
    .option("--json", "print JSON instead of text")
    .option("--html <file>", "also write a page with curves")
    .addHelpText("after", help);
  for (const field of allFields()) {
    command.addOption(new Option(`${flagOf(field)} <file>`).helpGroup("Fields:"));
  }
  command.action(async (names: string[], options: MetricsOptions) => {
    const paint = paintFor();
    if (options.list) {
      print(options.json ? JSON.stringify(pagesToJson(names), null, 2) : listed(names, paint.bold));
      return;
    }
    const asked = askedFor(names, options.option ?? []);
    const { measured, pictures } = await measureAll(asked, options);
    if (options.html !== undefined) await writeTextFile(options.html, metricsPage(measured, pictures));
    if (options.json) print(JSON.stringify(measuredToJson(measured), null, 2));
    else print(measuredText(measured, paint));
    process.exitCode = exitCodes.clean;
  });
}

const help = `
A field is a column of a file:
  table.csv#score, table.parquet#a,b,c   columns of a table, side by side: .csv,
                                         .tsv, .jsonl, .parquet; .gz too
  batch.npz#y, batch.safetensors#y       a tensor of an archive
  labels.npy                             the one column of its file

  losswright metrics accuracy --predictions p.npy --labels y.npy
  losswright metrics auroc averagePrecision --table predictions.csv
  losswright metrics fBeta --table t.parquet --option beta=2 --option topK=3

losswright metrics --list NAME lists the fields and options of a metric.`;

function repeated(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** The names of the fields of all metrics, whatever their options. */
function allFields(): string[] {
  const own = metricNames().flatMap((metric) => fieldsOf({ metric, options: {} }).wanted.map(({ name }) => name));
  return [...new Set([...own.sort(), ...identities])];
}

// ---- what is asked for ----

/**
 * Metrics with their options: "key=value" goes to every metric that has the option, "NAME:key=value" to one. A value is
 * JSON where it is any, and otherwise the word that it is.
 */
function askedFor(names: readonly string[], given: readonly string[]): AskedMetric[] {
  if (names.length === 0) {
    throw new LosswrightError({
      code: "argument",
      where: "metrics",
      field: "names",
      found: "none",
      expected: "one metric or several",
      fix: "losswright metrics --list says what there is.",
    });
  }
  const options = new Map([...new Set(names)].map((name) => [name, {} as Record<string, unknown>]));
  const known = (name: string) => Object.keys(metricDefinition(name).options);
  // A misspelt name is said before anything else.
  for (const name of options.keys()) metricDefinition(name);
  for (const each of given) {
    const [, one, key, text] = /^(?:([^:=]+):)?([^:=]+)=(.*)$/s.exec(each) ?? [];
    if (key === undefined || text === undefined) throw noOption(each);
    if (one !== undefined) rejectUnknown("--option", "metric", { [one]: true }, [...options.keys()]);
    const takers = one === undefined ? [...options.keys()].filter((name) => known(name).includes(key)) : [one];
    const all = one === undefined ? [...options.keys()].flatMap(known) : known(one);
    rejectUnknown("--option", "option", { [key]: true }, [...new Set(all)]);
    for (const name of takers) options.get(name)![key] = jsonOrWord(text);
  }
  return [...options].map(([metric, own]) => ({ metric, options: own }));
}

function jsonOrWord(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function noOption(found: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "metrics",
    field: "--option",
    found: JSON.stringify(found),
    expected: "key=value, or NAME:key=value",
    fix: "write it as in --option beta=2.",
  });
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value)) return value;
  throw new LosswrightError({
    code: "argument",
    where: "metrics",
    field: flag,
    found: JSON.stringify(text),
    expected: "a whole number",
  });
}

// ---- computing ----

async function measureAll(asked: readonly AskedMetric[], options: MetricsOptions) {
  const layout: TextLayout = {
    ...(options.header !== undefined && { header: options.header }),
    ...(options.delimiter !== undefined && { delimiter: options.delimiter }),
  };
  const files = new ColumnFiles(layout);
  try {
    const { sources, flagged } = await sourcesOf(asked, options, files);
    const unused = new Set(flagged);
    const fieldsFor = async (metric: AskedMetric): Promise<GivenFields> => {
      const fields: Record<string, Column> = {};
      for (const { name, holds } of await takenFields(metric, [...sources.keys()], flagged, options.table, files)) {
        unused.delete(name);
        fields[name] = await files.read(sources.get(name)!, holds === "texts" ? "text" : "numbers");
      }
      return fields;
    };
    const { bootstrap, seed } = options;
    if (bootstrap === undefined && (seed ?? options.sampleIds ?? options.clusterIds) !== undefined) throw noBootstrap();
    const resampling =
      bootstrap === undefined
        ? undefined
        : { replicates: wholeNumber("--bootstrap", bootstrap), seed: wholeNumber("--seed", seed ?? "0") };
    const measured: MeasuredMetric[] = [];
    for (const metric of asked) {
      const fields = await fieldsFor(metric);
      const ids = resampling && (await identitiesOf(fields, options, files));
      measured.push(measure(metric, fields, ids, resampling));
    }
    for (const name of unused) throw unusedField(name, asked, flagged);
    files.checkLayout();
    const pictures: MeasuredMetric[] = [];
    for (const metric of options.html === undefined ? [] : pictureMetrics) {
      try {
        const own = asked.find((each) => each.metric === metric) ?? { metric, options: {} };
        pictures.push(measure(own, await fieldsFor(own)));
      } catch (error) {
        // A picture that these fields do not give (a curve of two classes, of three) is none that was asked for.
        if (!(error instanceof LosswrightError) || asked.some((each) => each.metric === metric)) throw error;
      }
    }
    return { measured, pictures };
  } finally {
    await files.close();
  }
}

/** The fields that a metric takes. @throws `missing-field` where there are too few, with what the table has instead */
async function takenFields(
  metric: AskedMetric,
  available: readonly string[],
  flagged: readonly string[],
  table: string | undefined,
  files: ColumnFiles,
): Promise<ReturnType<typeof chosenFields>> {
  try {
    return chosenFields(metric, available, flagged);
  } catch (error) {
    const isMissing = error instanceof LosswrightError && error.code === "missing-field";
    if (!isMissing || table === undefined) throw error;
    const lacking = fieldsOf(metric).forms.map((form) => form.filter((name) => !available.includes(name)));
    throw missingColumns(error, lacking, table, await files.names(table));
  }
}

/** Where each field comes from: its own file, or the column of its name in the table; and which have a flag. */
async function sourcesOf(
  asked: readonly AskedMetric[],
  options: MetricsOptions,
  files: ColumnFiles,
): Promise<{ sources: ReadonlyMap<string, NamedColumn>; flagged: readonly string[] }> {
  const flagged: string[] = [];
  const taken = new Set(asked.flatMap((metric) => fieldsOf(metric).wanted.map(({ name }) => name)));
  const sources = new Map<string, NamedColumn>();
  if (options.table !== undefined) {
    for (const name of await files.names(options.table)) {
      // What is no field of these metrics may be a field of a picture.
      if (allFields().includes(name)) sources.set(name, { path: options.table, columns: name });
    }
  }
  for (const name of allFields()) {
    const given = options[name];
    if (typeof given !== "string" || identities.includes(name as never)) continue;
    if (!taken.has(name)) {
      const names = asked.map(({ metric }) => metric).join(", ");
      throw new LosswrightError({
        code: "unknown",
        where: "metrics",
        field: flagOf(name),
        found: `a field of none of ${names}`,
        expected: `their fields: ${[...taken].sort().join(", ")}`,
        fix: "leave it out, or name the metric that takes it.",
      });
    }
    sources.set(name, namedColumn(given));
    flagged.push(name);
  }
  return { sources, flagged };
}

/** A file that was named and that nothing reads, since each metric takes another of its forms. */
function unusedField(name: string, asked: readonly AskedMetric[], flagged: readonly string[]): LosswrightError {
  const forms = asked.flatMap((each) => fieldsOf(each).forms);
  const beside = forms.filter((form) => form.includes(name)).flat();
  const instead = flagged.filter((other) => forms.flat().includes(other) && !beside.includes(other)).map(flagOf);
  return new LosswrightError({
    code: "argument",
    where: "metrics",
    field: flagOf(name),
    found: "a field beside others that are given in its place",
    expected: `the fields of one form: ${asked.map((each) => `${each.metric} of ${formsOf(each)}`).join("; ")}`,
    fix:
      instead.length > 0
        ? `leave out ${flagOf(name)}, or ${instead.join(" and ")}.`
        : `leave out ${flagOf(name)}, or give all others of its form.`,
  });
}

function formsOf(metric: AskedMetric): string {
  return fieldsOf(metric)
    .forms.map((form) => `{ ${form.join(", ")} }`)
    .join(" or ");
}

/** The names of the samples: those that are given, or the numbers of their rows. */
async function identitiesOf(fields: GivenFields, options: MetricsOptions, files: ColumnFiles) {
  const ids: Record<string, Column> = {};
  for (const name of identities) {
    const given = options[name];
    if (given !== undefined) ids[name] = await files.read(namedColumn(given));
    else if (options.table !== undefined && (await files.names(options.table)).includes(name)) {
      ids[name] = await files.read({ path: options.table, columns: name });
    }
  }
  if (Object.keys(ids).length > 0) return ids;
  const [first] = Object.values(fields);
  const rows = first === undefined ? 0 : isTensor(first) ? (first.shape[0] ?? 1) : first.length;
  return {
    sampleIds: view(
      Int32Array.from({ length: rows }, (_, i) => i),
      [rows],
      "unlabeled",
      "int32",
    ),
  };
}

function noBootstrap(): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "metrics",
    field: "--bootstrap",
    found: "none, but what the draws go by",
    expected: "--bootstrap with --seed, --sample-ids or --cluster-ids",
    fix: "add --bootstrap 1000.",
  });
}

// ---- what there is ----

/** All metrics with a line each, or the pages of those named. */
function listed(names: readonly string[], bold: (text: string) => string): string {
  if (names.length > 0) return names.map((name) => page(name, bold)).join("\n\n");
  const width = Math.max(...metricNames().map((name) => name.length)) + 2;
  return metricNames()
    .flatMap((name) => hanging(name.padEnd(width), metricDefinition(name).documentation.summary, width))
    .join("\n");
}

interface OptionPage {
  readonly meaning: string;
  readonly accepts: string;
  readonly fallback: unknown;
}

/** A metric as a page for a terminal. */
function page(name: string, bold: (text: string) => string): string {
  const { documentation, options, ...definition } = metricDefinition(name);
  const resolved = Object.fromEntries(
    Object.entries(options as Record<string, OptionPage>).map(([key, { fallback }]) => [key, fallback]),
  );
  const section = (title: string, lines: readonly string[]) => [
    "",
    bold(title),
    ...lines.flatMap((line) => hanging("  ", line, 4)),
  ];
  const { goal } = documentation;
  const [title, ...rest] = hanging(`${name}: `, documentation.summary, 2);
  return [
    title!.replace(name, bold(name)),
    ...rest,
    ...section("Formula", documentation.formula.split(/; {2}/)),
    ...section("Fields", [
      `${definition
        .forms(resolved)
        .map((form) => form.join(", "))
        .join("; or ")}; beside them weights, mask`,
      ...Object.entries(definition.fields(resolved)).map(
        ([field, { axes, meaning }]) => `${field} ${formatShape(axes)}: ${meaning}`,
      ),
    ]),
    ...section(
      "Options",
      Object.entries(options as Record<string, OptionPage>).map(
        ([option, { meaning, fallback }]) => `${option} (${inWords(fallback)}): ${meaning}`,
      ),
    ),
    ...(goal ? section("Goal", [goal === "maximize" ? "more is better" : "less is better"]) : []),
    ...section("Source", [documentation.source]),
  ].join("\n");
}

function pagesToJson(names: readonly string[]): object {
  return (names.length > 0 ? names : metricNames()).map((name) => {
    const { documentation, options } = metricDefinition(name);
    const { wanted, forms } = fieldsOf({ metric: name, options: {} });
    return {
      name,
      ...documentation,
      fields: wanted,
      forms,
      options: Object.fromEntries(
        Object.entries(options as Record<string, OptionPage>).map(([option, { meaning, accepts }]) => [
          option,
          { meaning, accepts },
        ]),
      ),
    };
  });
}
