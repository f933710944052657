import type { Command } from "commander";
import { type Counted, openStep } from "../../audit/index.js";
import { LosswrightError } from "../../errors/index.js";
import { readStepByRows } from "../../io/files.js";
import { isRowSource, type RowSource, type StepRecord } from "../../io/index.js";
import type { AnyBatch, Objective } from "../../losses/index.js";
import { type Engine, type Tally, total } from "../../tally/index.js";
import type { Tensor } from "../../tensor/index.js";
import { agreedBy, alone, type WeightedSumContract } from "../agreed.js";
import {
  type CountedOptions,
  checkOneObjective,
  onlyRecord,
  readTensorsOf,
  takingCounted,
  tensorsHelp,
} from "../counted-input.js";
import { exitCodes, print } from "../exit.js";
import { type Source, sourceOf } from "../sources.js";
import { type TallyFile, tallyFileText, writeTallyFile } from "../tally-file.js";

interface TallyOptions extends CountedOptions {
  readonly output?: string;
}

/** `losswright tally STEP`: the undivided tally of one part of a step, for `losswright merge`. */
export function addTally(program: Command): void {
  takingCounted(
    program
      .command("tally")
      .description("count one part of a step: its exact numerator and denominator, undivided, for merge"),
  )
    .option("-o, --output <file>", "write the tally to a file, whole or not at all; standard output without it")
    .addHelpText("after", help)
    .action(async (paths: string[], { contract, engine, output }: TallyOptions) => {
      const file = contract === undefined ? await ofRecord(paths, engine) : await ofTensors(contract, paths, engine);
      if (output === undefined) print(tallyFileText(file));
      else {
        await writeTallyFile(output, file);
        print(`wrote ${output}`);
      }
      process.exitCode = exitCodes.clean;
    });
}

const help = `
A step record of several micro-batches or ranks gives one tally of all of them.
A part in which nothing counts has a tally too, whatever the contract says of
a step in which nothing does. losswright merge adds tallies up and divides.
${tensorsHelp("tally")}`;

async function ofRecord(paths: readonly string[], engine: Engine): Promise<TallyFile> {
  const path = onlyRecord("tally", paths, engine);
  const { record, close } = await readStepByRows(path);
  try {
    checkOneObjective(path, record);
    const objective = agreedBy(record.intended).objectives.get(alone)!.withEngine("reference");
    const { tally, sources } = await countedRecord(path, record, objective);
    return { tallies: new Map([[alone, tally]]), isSum: false, sum: undefined, sources };
  } finally {
    await close();
  }
}

async function ofTensors(contractPath: string, given: readonly string[], engine: Engine): Promise<TallyFile> {
  const { agreed, batches } = await readTensorsOf("tally", contractPath, given);
  const tallies = new Map<string, Tally>();
  for (const [name, objective] of agreed.objectives) {
    tallies.set(name, objective.withEngine(engine).tally(batches.get(name)!));
  }
  const isSum = agreed.weights !== undefined;
  return {
    tallies,
    isSum,
    sum: isSum ? (agreed.contract as WeightedSumContract) : undefined,
    sources: [...tallies.values()].every(isEmpty) ? [] : [sourceOf(given.join(" "), batches)],
  };
}

/** What counts nothing is no source: every empty part has the same numbers, and may come as often as it likes. */
function isEmpty({ denominator }: Counted): boolean {
  return denominator.isEmpty;
}

interface CountedRecord {
  readonly tally: Tally;
  readonly sources: readonly Source[];
}

type LazyRecord = StepRecord<Tensor | RowSource>;
type Fields = Record<string, Tensor>;

/** The tally of all parts of a record; what stands in it of gradients and outputs is not read. */
async function countedRecord(path: string, record: LazyRecord, objective: Objective): Promise<CountedRecord> {
  const { parts, context } = record;
  const isSampled = context.sampled !== undefined || parts.some((part) => part.context.sampled !== undefined);
  if (isSampled) throw sampledRecord(path, objective);
  const sources: Source[] = [];
  const list = (name: string, fields: Fields) => sources.push(sourceOf(name, new Map([[alone, fields]])));
  if (!parts.length) {
    const fields = await loaded(record.fields!);
    const tally = objective.tally(fields);
    if (!isEmpty(tally)) list(path, fields);
    return { tally, sources };
  }
  const nameOf = (part: number) => `${path}#parts.${part}`;
  if (parts.length > 1 && (context.splitAxis === "sequence" || objective.couples)) {
    const fields: Fields[] = [];
    for (const part of parts) fields.push(await loaded(part.fields));
    const { tally, counted } = joinedTally(record, fields, objective);
    for (const [i, each] of counted.entries()) if (!isEmpty(each)) list(nameOf(i), fields[i]!);
    return { tally, sources };
  }
  const tallies: Tally[] = [];
  for (const [i, part] of parts.entries()) {
    const fields = await loaded(part.fields);
    const tally = objective.tally(fields);
    if (!isEmpty(tally)) list(nameOf(i), fields);
    tallies.push(tally);
  }
  return { tally: total(tallies), sources };
}

/** Reads the rows of fields that were left in their files. */
async function loaded(fields: Readonly<Record<string, Tensor | RowSource>>): Promise<Fields> {
  const read: Fields = {};
  for (const [name, leaf] of Object.entries(fields)) {
    read[name] = isRowSource(leaf) ? await leaf.rows(0, leaf.shape[0]!) : leaf;
  }
  return read;
}

/**
 * Of parts that are pieces of the same rows, or ranks whose rows depend on each other: the tally of what the audit puts
 * together of them, and what each of them counts.
 */
function joinedTally(
  record: LazyRecord,
  fields: readonly Fields[],
  objective: Objective,
): { tally: Tally; counted: readonly Counted[] } {
  const { contract, reduction } = objective;
  const parts = record.parts.map(({ context }, i) => ({
    fields: fields[i]!,
    reported: { loss: null, gradients: {} },
    context: withoutOutputs(context),
  }));
  const { searched, declared, contradiction } = openStep(
    {
      ...record,
      // A step in which nothing counts has a tally too.
      intended: { ...contract, reduction: { ...reduction, onEmpty: "zero" } } as unknown as StepRecord["intended"],
      reported: { loss: null, gradients: {} },
      context: withoutOutputs(record.context),
      parts,
    } as StepRecord,
    { search: false },
  );
  if (!declared) throw contradiction;
  const counted = declared.tallies;
  const batches = searched.map(({ batch }) => batch);
  if (searched[0]!.pieces) return { tally: objective.tally(unmasked(batches)), counted };
  const tallies = batches.map((batch) => objective.tally(batch));
  // Several, where each holds the keys of all: none misses a negative.
  return { tally: total(tallies, { acrossBatches: "independent" }), counted };
}

/** The joined rows, of which every piece masks those of the others. */
function unmasked(pieces: readonly AnyBatch[]): AnyBatch {
  const masks = pieces.map(({ mask }) => mask as Tensor<"mask", "bool">);
  const [first, ...rest] = masks.map(({ data }) => data);
  const data = first!.slice();
  for (const other of rest) for (let i = 0; i < data.length; i++) data[i]! |= other[i]!;
  return { ...pieces[0]!, mask: { ...masks[0]!, data } };
}

function withoutOutputs(context: LazyRecord["context"]) {
  const { outputs, ...rest } = context;
  return rest;
}

function sampledRecord(path: string, objective: Objective): LosswrightError {
  return new LosswrightError({
    code: "unsupported",
    where: path,
    field: "context.sampled",
    found: `a sample of a step, of which rounded sums of ${objective.name} were kept`,
    expected: "a step recorded whole: a tally is exact",
    fix: "record the step whole, or merge tallies of its parts.",
  });
}
