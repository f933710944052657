import { basename } from "node:path";
import { type Command, Option } from "commander";
import { hanging } from "../../audit/index.js";
import { LosswrightError } from "../../errors/index.js";
import {
  type ArrayOptions,
  type Inspection,
  inspectArray,
  inspectionPage,
  inspectionToJson,
  inspectStep,
  type RowRange,
  readVocabulary,
  terminalText,
} from "../../inspect/index.js";
import { readNpy, readStep, readTextFile, writeTextFile } from "../../io/files.js";
import { exitCodes, print } from "../exit.js";
import { paintFor } from "../paint.js";

interface InspectOptions {
  readonly row?: number;
  readonly rows?: number;
  readonly tokens?: string;
  readonly ignoreIndex?: number;
  readonly padId?: number;
  readonly labelShift?: number;
  readonly html?: string;
  readonly json?: boolean;
}

/** Rows of each batch where nobody says: what fits a look, a page, or everything. */
const defaultRows = { text: 4, html: 32, json: Number.POSITIVE_INFINITY } as const;

/** `losswright inspect STEP|FILE`: the positions of a batch as its objective counts them. */
export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description("show the tokens of a batch with their labels and the mask: what is in the loss, and what is not")
    .argument("<step|file>", "directory of a step record, its step.json, or a .npy of labels or input ids")
    .addOption(numbered("--row <n>", "the first row to show, from 0; alone, the only one", 0))
    .addOption(numbered("--rows <n>", "how many rows of each batch (4; 32 with --html; all with --json)", 1))
    .option("--tokens <file>", "a JSON list of token texts, or a tokenizer.json: shows text in place of ids")
    .addOption(numbered("--ignore-index <n>", "of a .npy: the label left out (-100)"))
    .addOption(numbered("--pad-id <n>", "of a .npy: the id of padding; alone, the file holds input ids"))
    .addOption(numbered("--label-shift <n>", "of a .npy: how far before a label its logits lie (0)", 0))
    .option("--html <file>", "write one self-contained page instead of text")
    .option("--json", "print JSON instead of text")
    .action(async (path: string, options: InspectOptions) => {
      const inspection = await inspect(path, options);
      const textOf = options.tokens === undefined ? undefined : await vocabularyIn(options.tokens);
      const shown = (rows: number) => ({
        rows: rowsFrom(inspection, options, rows),
        ...(textOf && { textOf }),
      });
      if (options.html !== undefined) {
        await writeTextFile(options.html, inspectionPage(inspection, shown(defaultRows.html)));
      }
      if (options.json) {
        print(JSON.stringify({ path, ...inspectionToJson(inspection, shown(defaultRows.json)) }, null, 2));
      } else if (options.html !== undefined) {
        print(`wrote ${options.html}`);
      } else {
        print(terminalText(inspection, shown(defaultRows.text), { paint: paintFor(), wrap: hanging }));
      }
      process.exitCode = exitCodes.clean;
    });
}

/** An option that is a whole number. */
function numbered(flags: string, description: string, atLeast = Number.MIN_SAFE_INTEGER): Option {
  return new Option(flags, description).argParser((text) => {
    const number = Number(text);
    if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(number) && number >= atLeast) return number;
    throw new LosswrightError({
      code: "option",
      where: "inspect",
      field: flags.split(" ")[0]!,
      found: JSON.stringify(text),
      expected: `a whole number${atLeast > Number.MIN_SAFE_INTEGER ? `, at least ${atLeast}` : ""}`,
    });
  });
}

async function inspect(path: string, { ignoreIndex, padId, labelShift }: InspectOptions): Promise<Inspection> {
  const ofArrays: ArrayOptions = {
    ...(ignoreIndex !== undefined && { ignoreIndex }),
    ...(padId !== undefined && { padId }),
    ...(labelShift !== undefined && { labelShift }),
  };
  if (path.endsWith(".npy")) return inspectArray(await readNpy(path), basename(path), ofArrays);
  const [given] = Object.keys(ofArrays);
  if (given === undefined) return inspectStep(await readStep(path));
  throw new LosswrightError({
    code: "argument",
    where: "inspect",
    field: `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    found: `the option beside ${JSON.stringify(path)}, which is no .npy`,
    expected: "a step record alone: its contract and context say what is left out",
    fix: "leave the option out, or inspect the record's labels.npy.",
  });
}

async function vocabularyIn(path: string) {
  return readVocabulary(await readTextFile(path), path);
}

/** @throws `argument` for a first row that no batch has */
function rowsFrom({ batches }: Inspection, { row, rows }: InspectOptions, fallback: number): RowRange {
  const most = Math.max(0, ...batches.map((batch) => batch.rows));
  if (row === undefined || row < most) return { first: row ?? 0, count: rows ?? (row === undefined ? fallback : 1) };
  throw new LosswrightError({
    code: "argument",
    where: "inspect",
    field: "--row",
    found: String(row),
    expected: `a row that a batch has: ${most === 0 ? "there is none" : `0..${most - 1}`}`,
  });
}
