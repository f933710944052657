import { existsSync } from "node:fs";
import { join } from "node:path";
import { inWords } from "../contract/index.js";
import { LosswrightError } from "../errors/index.js";
import { readJsonFile, writeTextFile } from "../io/files.js";
import { type ExactSumJson, Tally, type TallyJson } from "../tally/index.js";
import { type Agreed, agreedBy, alone, type Tallies, type WeightedSumContract } from "./agreed.js";
import type { Source } from "./sources.js";

/** A tally as a file holds it: `Tally.toJSON` or `WeightedTally.toJSON`, and beside it what was counted. */
export interface TallyFile {
  readonly tallies: Tallies;
  /** Whether it is the tally of a weighted sum. */
  readonly isSum: boolean;
  /** Of a weighted sum, where the file says its weights. */
  readonly sum: WeightedSumContract | undefined;
  /** Undefined in a file that `losswright tally` did not write. */
  readonly sources: readonly Source[] | undefined;
}

/** A tally file that was read. */
export interface ReadTallyFile extends TallyFile {
  /** The objective in it that couples its batch, if one does. */
  readonly coupled: string | undefined;
  /** How many NaN and infinities went into its numerators. */
  readonly nonFinite: number;
}

/** Bytes of a JSON file that is read. */
const longest = 64 * 1024 * 1024;

/** Tallies as the library writes them: `Tally.toJSON`, or `WeightedTally.toJSON`. */
export function tallyToJson({ tallies, isSum }: Pick<TallyFile, "tallies" | "isSum">): object {
  if (!isSum) return tallies.get(alone)!.toJSON();
  const parts = [...tallies].sort(([a], [b]) => (a < b ? -1 : 1));
  return { parts: Object.fromEntries(parts.map(([name, tally]) => [name, tally.toJSON()])) };
}

/** A tally file as text, on one line. */
export function tallyFileText(file: TallyFile): string {
  const { sum, sources } = file;
  return JSON.stringify({ ...(sum && { contract: sum }), ...tallyToJson(file), ...(sources && { sources }) });
}

/** @throws `unsupported` for a tally that no merge could read, `file` where the disk refuses */
export async function writeTallyFile(path: string, file: TallyFile): Promise<void> {
  const text = `${tallyFileText(file)}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes > longest) {
    const groups = [...file.tallies.values()].reduce((sum, tally) => sum + tally.openKeys.length, 0);
    throw new LosswrightError({
      code: "unsupported",
      where: path,
      found: `a tally of ${bytes} bytes, with ${groups} groups of groupKeys`,
      expected: `at most ${longest} bytes, which a merge reads`,
      fix: "merge the parts in one call and without -o, or keep each group in one part, which needs no groupKeys.",
    });
  }
  await writeTextFile(path, text);
}

/**
 * Reads a tally that `losswright tally` or `merge` wrote, or `JSON.stringify` of a library's.
 *
 * @throws `file` for what cannot be read or is no tally, `argument` for one that is damaged or of another wire version
 */
export async function readTallyFile(path: string): Promise<ReadTallyFile> {
  const json = await readJson(path);
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw noTally(path, inWords(json));
  const found = json as Record<string, unknown>;
  const sources = sourcesOf(path, found.sources);
  if (found.format === "losswright tally") {
    const tallies = new Map([[alone, tallyOf(path, undefined, found)]]);
    return { tallies, isSum: false, sum: undefined, sources, ...told([found as unknown as TallyJson]) };
  }
  const parts = Object.entries(isObject(found.parts) ? found.parts : {});
  if (parts.length === 0 || !parts.every(([, part]) => isObject(part) && part.format === "losswright tally")) {
    throw noTally(path, whatItIs(found));
  }
  const tallies = new Map(parts.map(([name, part]) => [name, tallyOf(path, name, part)]));
  const jsons = parts.map(([, part]) => part as TallyJson);
  return { tallies, isSum: true, sum: sumOf(path, found.contract, tallies), sources, ...told(jsons) };
}

/** What the JSON of tallies says and the tallies do not. */
function told(jsons: readonly TallyJson[]): Pick<ReadTallyFile, "coupled" | "nonFinite"> {
  const counted = ({ nan = 0, inf = 0, "-inf": negative = 0 }: ExactSumJson) => nan + inf + negative;
  const sums = jsons.flatMap(({ numerator, openNumerators = {} }) => [numerator, ...Object.values(openNumerators)]);
  return {
    coupled: jsons.find(({ couples }) => couples)?.contract.objective,
    nonFinite: sums.reduce((count, sum) => count + counted(sum), 0),
  };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return await readJsonFile(path);
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
    const { found, expected } = error;
    const changed = (fix: string) =>
      new LosswrightError({ code: "file", where: path, found, expected, fix }, { cause: error });
    if (found.startsWith("no such file") && /[*?[{]/.test(path)) {
      throw changed("check the pattern: a shell hands it on as it stands where no file matches.");
    }
    if (found.startsWith("a directory")) {
      if (existsSync(join(path, "step.json"))) throw changed(`count the step first: ${countCommand(path)}.`);
      throw changed(`give the files in it: losswright merge ${path.replace(/[/\\]+$/, "")}/*.json.`);
    }
    if (expected === "JSON") throw changed("copy the file again, or count the part again: losswright tally writes it.");
    throw error;
  }
}

function tallyOf(path: string, part: string | undefined, json: unknown): Tally {
  try {
    return Tally.fromJSON(json as TallyJson);
  } catch (error) {
    const { code, field, found, expected } =
      error instanceof LosswrightError
        ? error
        : { code: "argument" as const, field: undefined, found: "entries of another kind", expected: "a whole tally" };
    const place = [...(part === undefined ? [] : [part]), ...(field === undefined ? [] : [field])].join(".");
    const isVersion = field === "version";
    throw new LosswrightError(
      {
        code,
        where: path,
        ...(place && { field: place }),
        found: isVersion ? `wire version ${found}` : found,
        expected,
        fix: isVersion
          ? "merge with the losswright that wrote it, or count the part again with this one."
          : "count the part again: losswright tally writes it.",
      },
      { cause: error },
    );
  }
}

/** The contract of a weighted sum that a file holds. @throws `merge` where its parts are not those of the tallies */
function sumOf(path: string, contract: unknown, tallies: Tallies): WeightedSumContract | undefined {
  if (contract === undefined) return undefined;
  const agreed = agreedIn(path, contract);
  const [said, counted] = [[...agreed.objectives.keys()], [...tallies.keys()]].map((names) => names.sort().join(", "));
  if (!agreed.weights || said !== counted) {
    throw new LosswrightError({
      code: "merge",
      where: path,
      field: "contract",
      found: agreed.weights ? `the parts ${said}` : `the contract of ${agreed.contract.objective}`,
      expected: `a weighted sum of the parts that were counted: ${counted}`,
      fix: "write the contract of the weighted sum that counted: weightedSum(…).contract.",
    });
  }
  return agreed.contract as WeightedSumContract;
}

/** What a contract in a file agrees on. @throws what `objectiveFrom` throws, with the file's name */
export function agreedIn(path: string, contract: unknown): Agreed {
  try {
    return agreedBy(contract);
  } catch (error) {
    if (!(error instanceof LosswrightError)) throw error;
    const { code, where, field, found, expected, fix } = error;
    const place = [where, field].filter((each) => each !== undefined).join(".");
    throw new LosswrightError(
      { code, where: path, field: place, found, expected, ...(fix && { fix }) },
      { cause: error },
    );
  }
}

function sourcesOf(path: string, given: unknown): readonly Source[] | undefined {
  if (given === undefined) return undefined;
  const isSource = (each: unknown): each is Source =>
    isObject(each) && typeof each.name === "string" && /^[0-9a-f]{64}$/.test(String(each.sha256));
  if (Array.isArray(given) && given.every(isSource)) return given.map(({ name, sha256 }) => ({ name, sha256 }));
  throw new LosswrightError({
    code: "argument",
    where: path,
    field: "sources",
    found: inWords(given),
    expected: 'a list of { "name": …, "sha256": 64 hexadecimal digits }',
    fix: "leave the entry out where nothing is known of them.",
  });
}

function noTally(path: string, found: string): LosswrightError {
  return new LosswrightError({
    code: "file",
    where: path,
    found,
    expected: 'a tally: "format": "losswright tally", or "parts" that each are one',
    fix: found.startsWith("a step record")
      ? `count it first: ${countCommand(path)}.`
      : "give files that losswright tally or merge -o wrote, or JSON.stringify(objective.tally(batch)).",
  });
}

/** What the files that may be mistaken for a tally are. */
function whatItIs(json: Record<string, unknown>): string {
  if ("intended" in json && "reported" in json) return "a step record";
  if ("objective" in json) return "a contract";
  if ("tallies" in json) return "what --json prints";
  return "an object that is no tally";
}

function countCommand(step: string): string {
  return `losswright tally ${step} -o part.json`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
