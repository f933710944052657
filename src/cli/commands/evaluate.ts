import { type Command, Option } from "commander";
import { type Counted, notesOf, openStep } from "../../audit/index.js";
import { type Contract, type ContractInput, jsonNumber } from "../../contract/index.js";
import { LosswrightError, rejectUnknown } from "../../errors/index.js";
import { openTensorFile, readJsonFile, readStep } from "../../io/files.js";
import { commonFields, objectiveFrom } from "../../losses/index.js";
import type { Engine, Note } from "../../tally/index.js";
import type { Tensor } from "../../tensor/index.js";
import { exitCodes, print } from "../exit.js";

interface EvaluateOptions {
  readonly contract?: string;
  readonly json?: boolean;
  readonly engine: Engine;
}

/** What a contract gives on a batch. */
interface Evaluated {
  readonly description: string;
  readonly value: number;
  readonly numerator: number;
  readonly denominator: number;
  readonly contract: Contract;
  readonly notes: readonly Note[];
  readonly tallies: readonly Counted[];
}

/**
 * `losswright evaluate STEP`: computes a record's contract on its fields; what was reported is not looked at. With
 * `--contract`, the contract of a file on the tensors of others.
 */
export function addEvaluate(program: Command): void {
  program
    .command("evaluate")
    .description("compute a contract on its fields: value, numerator, denominator")
    .argument("<step|tensors...>", "one step record; with --contract, files of tensors")
    .addOption(new Option("--contract <file>", "a contract as JSON, to compute on the tensors given"))
    .addOption(
      new Option("--engine <name>", "what computes tensors: float64 mathematics, or float32 kernels")
        .choices(["reference", "wasm"])
        .default("reference"),
    )
    .option("--json", "print JSON instead of text")
    .addHelpText("after", help)
    .action(async (paths: string[], { contract, json, engine }: EvaluateOptions) => {
      const found = contract === undefined ? await ofRecord(paths, engine) : await ofTensors(contract, paths, engine);
      const { description, value, numerator, denominator, notes, tallies } = found;
      if (json) {
        const [own, above, below] = [value, numerator, denominator].map(jsonNumber);
        const document = { value: own, numerator: above, denominator: below, contract: found.contract, notes };
        print(JSON.stringify({ ...document, tallies: tallies.map(tallyJson) }, null, 2));
      } else {
        print(description);
        print(`${numerator} / ${denominator} = ${value}`);
        for (const note of notes) print(`note: ${note.message}`);
      }
      process.exitCode = exitCodes.clean;
    });
}

const help = `
With --contract, each tensor is a field of the batch:
  batch.npz, batch.safetensors    every tensor, under its own name
  labels=batch.npz#y              one tensor of an archive, under another name
  labels=labels.npy               the tensor of a .npy file

  losswright evaluate --contract contract.json batch.safetensors
  losswright evaluate --contract contract.json logits=z.npy labels=y.npy

losswright losses NAME lists the fields of an objective.`;

async function ofRecord(paths: readonly string[], engine: Engine): Promise<Evaluated> {
  if (engine !== "reference") {
    throw new LosswrightError({
      code: "unsupported",
      where: "evaluate",
      field: "--engine",
      found: `${engine} for a step record`,
      expected: "reference: a record is compared with numbers as close to the truth as can be",
      fix: "give its tensors under --contract to run kernels on them.",
    });
  }
  const [path, more] = paths;
  if (more !== undefined) {
    throw new LosswrightError({
      code: "argument",
      where: "evaluate",
      field: "step",
      found: `${paths.length} arguments`,
      expected: "one step record, or --contract with files of tensors",
      fix: "evaluate one record at a time, or say --contract FILE.",
    });
  }
  const step = openStep(await readStep(path!), { search: false });
  if (!step.declared) throw step.contradiction;
  return { ...step.declared, description: step.objective.describe(), notes: notesOf(step) };
}

async function ofTensors(contractPath: string, given: readonly string[], engine: Engine): Promise<Evaluated> {
  const contract = (await readJsonFile(contractPath)) as ContractInput;
  const objective = objectiveFrom(contract);
  if (!("definition" in objective)) throw severalParts(contractPath);
  const fields = [...Object.keys(objective.definition.fields), ...Object.keys(commonFields)];
  const batch: Record<string, Tensor> = {};
  const take = (name: string, tensor: Tensor) => {
    if (Object.hasOwn(batch, name)) throw givenTwice(name);
    batch[name] = tensor;
  };
  for (const argument of given) {
    const { name, path, member } = fieldOf(argument);
    if (name !== undefined) rejectUnknown(objective.name, "field", { [name]: true }, fields);
    const file = await openTensorFile(path);
    try {
      if (name !== undefined) {
        take(name, await file.read(member));
        continue;
      }
      // Nothing is read, and no room made, for what is no field.
      rejectUnknown(path, "field", Object.fromEntries(file.names.map((each) => [each, true])), fields);
      if (file.names.length === 0) throw nameless(path, file.format, fields);
      for (const each of file.names) take(each, await file.read(each));
    } finally {
      await file.close();
    }
  }
  const { tally, ...evaluation } = objective.withEngine(engine).evaluate(batch);
  return { ...evaluation, description: objective.describe(), contract: objective.contract, tallies: [tally] };
}

/** "labels=batch.npz#y"; a path alone stands for all tensors of its file. */
function fieldOf(argument: string): { name?: string; path: string; member?: string } {
  const [, name, path] = /^([A-Za-z]\w*)=(.*)$/s.exec(argument) ?? [];
  if (name === undefined || path === undefined) return { path: argument };
  const [, archive, member] = /^(.*?\.(?:npz|safetensors))#(.+)$/is.exec(path) ?? [];
  return archive === undefined || member === undefined ? { name, path } : { name, path: archive, member };
}

function nameless(path: string, format: string, fields: readonly string[]): LosswrightError {
  const isNpy = format === "npy";
  return new LosswrightError({
    code: "argument",
    where: path,
    field: "name",
    found: isNpy ? "a .npy file, whose tensor has no name" : "an archive without tensors",
    expected: "a tensor under the name of a field",
    fix: isNpy ? `write which field it is: ${fields[0]}=${path}.` : "save the fields of the batch into it.",
  });
}

/** The parts of a weighted sum have fields of their own, of the same names. */
function severalParts(path: string): LosswrightError {
  return new LosswrightError({
    code: "unsupported",
    where: path,
    found: "a weighted sum, whose parts each have their own fields",
    expected: "the contract of one objective",
    fix: "evaluate the contract of each part on its own tensors.",
  });
}

function givenTwice(name: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "evaluate",
    field: name,
    found: `the field "${name}" twice`,
    expected: "each field once",
    fix: "leave one of them out.",
  });
}

/** A part's tally; one that its recorder counted is written as the two numbers it kept. */
function tallyJson(tally: Counted) {
  if ("toJSON" in tally) return tally.toJSON();
  return { numerator: jsonNumber(tally.numerator), denominator: jsonNumber(tally.denominator.value) };
}
