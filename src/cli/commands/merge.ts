import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { canonicalText, firstDifference, type Json } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { type MergeOptions, type Note, Tally } from "../../tally/index.js";
import { type Agreed, alone, type Tallies, type WeightedSumContract } from "../agreed.js";
import { exitCodes, print } from "../exit.js";
import { type Division, type Outcome, outcomeToJson, printOutcome } from "../outcome.js";
import { Progress } from "../progress.js";
import { MergedSources } from "../sources.js";
import {
  agreedIn,
  type ReadTallyFile,
  readTallyFile,
  type TallyFile,
  tallyToJson,
  writeTallyFile,
} from "../tally-file.js";

interface CommandOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly acrossBatches?: "independent";
  readonly allowRepeated?: boolean;
}

/** `losswright merge PART…`: the tallies of a step's parts, merged in any order to the same bits, and divided once. */
export function addMerge(program: Command): void {
  program
    .command("merge")
    .description("merge the tallies of parts, in any order to the same bits, and divide once")
    .usage("[options] <part...>")
    .argument("[part...]", "files that losswright tally wrote, or merge -o")
    .option("-o, --output <file>", "write the merged tally, which can be merged again")
    .option("--json", "print JSON instead of text")
    .addOption(
      new Option(
        "--across-batches <how>",
        "of an objective whose rows depend on their batch: take batches of their own",
      ).choices(["independent"]),
    )
    .option("--allow-repeated", "accept that a source counts twice")
    .addHelpText("after", help)
    .action(async (paths: string[], options: CommandOptions) => {
      const merging = new Merging(options);
      await merging.readAll(paths);
      const merged = merging.file;
      if (options.output !== undefined) await writeTallyFile(options.output, merged);
      const outcome = merging.outcome(merged.tallies, { isPart: options.output !== undefined });
      const { parts, empty } = merging;
      if (options.json) print(JSON.stringify(outcomeToJson(outcome, { merged: { parts, empty } }), null, 2));
      else {
        printOutcome(outcome, [`merged ${parts} ${parts === 1 ? "part" : "parts"}${counting(parts, empty)}`]);
        if (options.output !== undefined) print(`wrote ${options.output}`);
      }
      process.exitCode = exitCodes.clean;
    });
}

const help = `
  losswright tally --contract contract.json shard-7.npz -o part-7.json
  losswright merge part-*.json

Parts are read one at a time. With -o a tree of merges gives the bits of one
merge; a merged tally in which nothing counts is written, and no error, even
where the contract says that nothing counted is one.`;

function counting(parts: number, empty: number): string {
  if (empty === 0) return "";
  return empty === parts
    ? ", in which nothing counts"
    : `, of which ${empty} ${empty === 1 ? "counts" : "count"} nothing`;
}

/** The file that others are held against. */
interface First {
  readonly path: string;
  /** Of its contract, with nothing in them. */
  readonly tallies: Tallies;
  readonly isSum: boolean;
}

/** One call of the command: what was read so far. */
class Merging {
  /** Files read. */
  parts = 0;
  /** Those of them in which nothing counts. */
  empty = 0;
  readonly #options: CommandOptions;
  readonly #mergeOptions: MergeOptions;
  readonly #sources: MergedSources;
  #hasSources = false;
  #first: First | undefined;
  /** The contract of a weighted sum, and the first file that says it. */
  #sum: { readonly contract: WeightedSumContract; readonly path: string } | undefined;
  #nonFinite: { count: number; readonly path: string } | undefined;
  /**
   * Sums of 2^k parts, of falling k. Tallies with groupKeys grow with every part that is merged into them; in this way
   * each is copied as often as the tree is high, and not once for every part behind it.
   */
  readonly #sums: { readonly tallies: Tallies; readonly parts: number }[] = [];

  constructor(options: CommandOptions) {
    this.#options = options;
    this.#mergeOptions = options.acrossBatches ? { acrossBatches: options.acrossBatches } : {};
    this.#sources = new MergedSources(options.allowRepeated ?? false);
  }

  async readAll(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) throw noPart();
    const seen = new Set<string>();
    const progress = new Progress(paths.length);
    try {
      for (const [i, path] of paths.entries()) {
        progress.show(i, path);
        const place = resolve(path);
        if (seen.has(place) && !this.#options.allowRepeated) throw namedTwice(path);
        seen.add(place);
        this.#add(path, await readTallyFile(path));
      }
    } finally {
      progress.clear();
    }
  }

  #add(path: string, file: ReadTallyFile): void {
    this.#check(path, file);
    if (file.sources) {
      this.#sources.add(path, file.sources);
      this.#hasSources = true;
    }
    if (file.nonFinite > 0) {
      this.#nonFinite ??= { count: 0, path };
      this.#nonFinite.count += file.nonFinite;
    }
    this.parts++;
    if ([...file.tallies.values()].every(({ denominator }) => denominator.isEmpty)) this.empty++;
    let sum = { tallies: file.tallies, parts: 1 };
    while (this.#sums.at(-1)?.parts === sum.parts) sum = this.#joined(this.#sums.pop()!, sum);
    this.#sums.push(sum);
  }

  #joined(left: { tallies: Tallies; parts: number }, right: { tallies: Tallies; parts: number }) {
    const merged = [...left.tallies].map(([name, tally]) => {
      return [name, tally.merge(right.tallies.get(name)!, this.#mergeOptions)] as const;
    });
    return { tallies: new Map(merged), parts: left.parts + right.parts };
  }

  /** @throws `merge` where a file does not belong to those before, naming it and what differs */
  #check(path: string, { tallies, isSum, sum, coupled }: ReadTallyFile): void {
    const first = this.#first;
    if (!first) {
      this.#first = { path, tallies: new Map([...tallies].map(([name, tally]) => [name, emptied(tally)])), isSum };
    } else {
      const [mine, theirs] = [first, { isSum, tallies }].map(namesOf);
      if (mine !== theirs) throw otherParts(path, theirs!, mine!, first.path);
      // Whether they can be merged is the library's to say; what comes of it is not kept.
      for (const [name, tally] of tallies) {
        try {
          first.tallies.get(name)!.merge(tally, { acrossBatches: "independent" });
        } catch (error) {
          throw error instanceof LosswrightError ? ofFile(error, path, name, first.path) : error;
        }
      }
      if (coupled !== undefined && !this.#options.acrossBatches) throw coupledParts(path, coupled, first.path);
    }
    if (!sum) return;
    this.#sum ??= { contract: sum, path };
    const [known, own] = [this.#sum.contract, sum] as unknown as [Json, Json];
    if (canonicalText(known) === canonicalText(own)) return;
    throw otherContract(path, firstDifference(known, own), this.#sum.path);
  }

  /** The merged tally. */
  get file(): TallyFile {
    const { tallies } = this.#sums.reduceRight((right, left) => this.#joined(left, right));
    return {
      tallies,
      isSum: this.#first!.isSum,
      sum: this.#sum?.contract,
      sources: this.#hasSources ? this.#sources.all : undefined,
    };
  }

  /**
   * What the merged tallies come to.
   *
   * @param isPart - whether they may be a part of more, so that it is no error where nothing counts
   * @throws `empty` where nothing counts and the contract calls that an error
   */
  outcome(tallies: Tallies, { isPart }: { isPart: boolean }): Outcome {
    const { path, isSum } = this.#first!;
    const notes: Note[] = [];
    const divisions = new Map<string, Division>();
    const descriptions = new Map<string, string>();
    for (const [name, tally] of tallies) {
      const own = agreedIn(path, tally.contract);
      const value = divided(own, new Map([[alone, tally]]), isPart);
      divisions.set(name, { numerator: tally.numerator, denominator: tally.denominator.value, value });
      descriptions.set(name, own.describe());
      notes.push(...notesOf(tally, isSum ? `${name}: ` : "", value === null));
    }
    if (this.#nonFinite) notes.push(nonFiniteNote(this.#nonFinite));
    const json = [tallyToJson({ tallies, isSum })];
    if (!isSum) {
      const division = divisions.get(alone)!;
      const { contract } = tallies.get(alone)!;
      return { description: descriptions.get(alone)!, contract, value: division.value, division, notes, tallies: json };
    }
    if (!this.#sum) {
      const parts = [...descriptions].map(([name, description]) => `${name} (${description})`);
      const description = `a weighted sum of ${parts.join(" and ")}; each part is divided by its own denominator`;
      return {
        description,
        contract: null,
        value: null,
        parts: divisions,
        notes: [...notes, unweighed],
        tallies: json,
      };
    }
    const agreed = agreedIn(this.#sum.path, this.#sum.contract);
    const weights = agreed.weights!;
    return {
      description: agreed.describe(),
      contract: agreed.contract,
      value: divided(agreed, tallies, isPart),
      parts: new Map([...divisions].map(([name, each]) => [name, { ...each, weight: weights.get(name)! }])),
      notes,
      tallies: json,
    };
  }
}

/** The one division; null where nothing counts, the contract calls that an error, and more parts may come. */
function divided(agreed: Agreed, tallies: Tallies, isPart: boolean): number | null {
  try {
    return agreed.value(tallies);
  } catch (error) {
    if (isPart && error instanceof LosswrightError && error.code === "empty") return null;
    throw error;
  }
}

function notesOf(tally: Tally, prefix: string, hasNoValue: boolean): Note[] {
  const said = hasNoValue ? [...tally.notes, nothingCounts] : tally.notes;
  return said.map((note) => ({ ...note, message: prefix + note.message }));
}

const nothingCounts: Note = {
  code: "empty",
  message: "nothing counts, which the contract calls an error where it is the whole step",
};

const unweighed: Note = {
  code: "no-weights",
  message:
    "no file holds the weights of the sum, so its value is not known: write contract: objective.contract beside the parts",
};

function nonFiniteNote({ count, path }: { count: number; path: string }): Note {
  const terms = count === 1 ? "one term" : `${count} terms`;
  return {
    code: "non-finite-loss",
    message: `${terms} of the numerator ${count === 1 ? "is" : "are"} NaN or infinite, first in ${path}`,
    count,
  };
}

/** A tally that counts nothing, otherwise like the one given: a comparison with it costs no copy of its groups. */
function emptied(tally: Tally): Tally {
  const nothing = { mantissa: "0x0", exponent: 0 };
  const json = tally.toJSON();
  const denominator = { ...json.denominator, counted: nothing, open: {} };
  return Tally.fromJSON({ ...json, numerator: nothing, denominator, openNumerators: {} });
}

function namesOf({ isSum, tallies }: Pick<First, "isSum" | "tallies">): string {
  return isSum ? `a weighted sum of ${[...tallies.keys()].sort().join(", ")}` : "one objective";
}

function noPart(): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "merge",
    field: "part",
    found: "none",
    expected: "files of tallies, one at least",
    fix: "losswright merge part-*.json; losswright tally STEP -o part-0.json writes one.",
  });
}

function namedTwice(path: string): LosswrightError {
  return new LosswrightError({
    code: "merge",
    where: path,
    found: "the file twice among the parts",
    expected: "every part once",
    fix: "name it once; where it is meant to count twice, say --allow-repeated.",
  });
}

function otherParts(path: string, found: string, expected: string, first: string): LosswrightError {
  return new LosswrightError({
    code: "merge",
    where: path,
    found: `the tally of ${found}`,
    expected: `${expected}, as in ${first}`,
    fix: "count every part under one contract.",
  });
}

function coupledParts(path: string, objective: string, first: string): LosswrightError {
  return new LosswrightError({
    code: "merge",
    where: path,
    found: `a batch of its own of ${objective}, whose losses depend on their whole batch, beside ${first}`,
    expected: "one tally of the whole batch",
    fix: "gather the rows of all parts and count them as one; or accept smaller sets of negatives: --across-batches independent.",
  });
}

function otherContract(path: string, difference: string, first: string): LosswrightError {
  return new LosswrightError({
    code: "merge",
    where: path,
    field: "contract",
    found: `${difference}, in ${first} and here`,
    expected: "parts of one contract",
    fix: "count every part under one contract: losswright tally --contract FILE.",
  });
}

/** What the library says of two tallies, said of two files. */
function ofFile(error: LosswrightError, path: string, part: string, first: string): LosswrightError {
  const { code, field, found, expected, fix } = error;
  if (field === "contract") {
    const difference = part === alone ? found : `${part}: ${found}`;
    return otherContract(path, difference, first);
  }
  const place = [part, field].filter(Boolean).join(".");
  return new LosswrightError(
    { code, where: path, ...(place && { field: place }), found: `${found} in ${first}`, expected, ...(fix && { fix }) },
    { cause: error },
  );
}
