import { type Command, Option } from "commander";
import type { ContractInput } from "../contract/index.js";
import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { openTensorFile, readJsonFile } from "../io/files.js";
import type { StepRecord } from "../io/index.js";
import { commonFields } from "../losses/index.js";
import type { Engine } from "../tally/index.js";
import type { Tensor } from "../tensor/index.js";
import { type Agreed, agreedBy } from "./agreed.js";

/** What the commands that compute a contract take: a step record, or files of tensors under a contract. */
export interface CountedOptions {
  readonly contract?: string;
  readonly engine: Engine;
}

/** Adds the arguments and options that say what is computed. */
export function takingCounted(command: Command): Command {
  return command
    .argument("<step|tensors...>", "one step record; with --contract, files of tensors")
    .addOption(new Option("--contract <file>", "a contract as JSON, to compute on the tensors given"))
    .addOption(
      new Option("--engine <name>", "what computes tensors: float64 mathematics, or float32 kernels")
        .choices(["reference", "wasm"])
        .default("reference"),
    );
}

/** How files of tensors are spelt under a command's name. */
export function tensorsHelp(command: string): string {
  return `
With --contract, each tensor is a field of the batch:
  batch.npz, batch.safetensors    every tensor, under its own name
  labels=batch.npz#y              one tensor of an archive, under another name
  labels=labels.npy               the tensor of a .npy file
Fields of a weighted sum have their part before them: policy.labels.

  losswright ${command} --contract contract.json batch.safetensors
  losswright ${command} --contract contract.json logits=z.npy labels=y.npy

losswright losses NAME lists the fields of an objective.`;
}

/** The one step record that is asked for. @throws `unsupported` for kernels, `argument` for several */
export function onlyRecord(where: string, paths: readonly string[], engine: Engine): string {
  if (engine !== "reference") {
    throw new LosswrightError({
      code: "unsupported",
      where,
      field: "--engine",
      found: `${engine} for a step record`,
      expected: "reference: a record is compared with numbers as close to the truth as can be",
      fix: "give its tensors under --contract to run kernels on them.",
    });
  }
  const [path, more] = paths;
  if (more === undefined) return path!;
  throw new LosswrightError({
    code: "argument",
    where,
    field: "step",
    found: `${paths.length} arguments`,
    expected: "one step record, or --contract with files of tensors",
    fix: `${where} one record at a time, or say --contract FILE.`,
  });
}

/** @throws `unsupported` for the record of a weighted sum, for whose parts it has no fields */
export function checkOneObjective(path: string, { intended }: Pick<StepRecord, "intended">): void {
  if ((intended as unknown as ContractInput).objective !== "weightedSum") return;
  throw new LosswrightError({
    code: "unsupported",
    where: path,
    field: "intended",
    found: "a weighted sum, whose parts each have their own fields",
    expected: "the contract of one objective",
    fix: "give the tensors of the parts under --contract, or record each part as a step of its own.",
  });
}

export type Fields = Readonly<Record<string, Tensor>>;

/** A contract with the fields that files of tensors give, for each of its objectives. */
export interface ContractOnTensors {
  readonly agreed: Agreed;
  /** By the names of {@link Agreed.objectives}. */
  readonly batches: ReadonlyMap<string, Fields>;
}

/** Reads a contract, and the tensors it is to be computed on. */
export async function readTensorsOf(
  where: string,
  contractPath: string,
  given: readonly string[],
): Promise<ContractOnTensors> {
  const agreed = agreedBy(await readJsonFile(contractPath));
  const names = new Names(agreed);
  const batches = new Map<string, Record<string, Tensor>>([...agreed.objectives.keys()].map((part) => [part, {}]));
  const take = (name: string, tensor: Tensor) => {
    const { part, field } = names.known.get(name)!;
    const batch = batches.get(part)!;
    if (Object.hasOwn(batch, field)) throw givenTwice(where, name);
    batch[field] = tensor;
  };
  for (const argument of given) {
    const { name, path, member } = names.split(argument);
    if (name !== undefined) names.check(agreed.contract.objective, [name]);
    const file = await openTensorFile(path);
    try {
      if (name !== undefined) {
        take(name, await file.read(member));
        continue;
      }
      // Nothing is read, and no room made, for what is no field.
      names.check(path, file.names);
      if (file.names.length === 0) throw nameless(path, file.format, [...names.known.keys()]);
      for (const each of file.names) take(each, await file.read(each));
    } finally {
      await file.close();
    }
  }
  return { agreed, batches };
}

/** The names that fields of a contract have in files and arguments: "labels", or "policy.labels" in a weighted sum. */
class Names {
  /** The objective and the field that a name stands for. */
  readonly known = new Map<string, { readonly part: string; readonly field: string }>();
  readonly #ofSum: boolean;

  constructor({ objectives, weights }: Agreed) {
    this.#ofSum = weights !== undefined;
    for (const [part, { definition }] of objectives) {
      for (const field of [...Object.keys(definition.fields), ...Object.keys(commonFields)]) {
        this.known.set(this.#ofSum ? `${part}.${field}` : field, { part, field });
      }
    }
  }

  /** "labels=batch.npz#y"; a path alone stands for all tensors of its file. */
  split(argument: string): { name?: string; path: string; member?: string } {
    const { name, path } = this.#named(argument);
    if (name === undefined) return { path };
    const [, archive, member] = /^(.*?\.(?:npz|safetensors))#(.+)$/is.exec(path) ?? [];
    return archive === undefined || member === undefined ? { name, path } : { name, path: archive, member };
  }

  /** @throws `unknown` for the first name that is no field's, with what may be meant */
  check(where: string, names: readonly string[]): void {
    const kind = this.#ofSum ? "field of a weighted sum" : "field";
    rejectUnknown(where, kind, Object.fromEntries(names.map((name) => [name, true])), [...this.known.keys()], (name) =>
      this.#ofSum ? [...this.known].find(([, { field }]) => field === name)?.[0] : undefined,
    );
  }

  #named(argument: string): { name?: string; path: string } {
    const [, plain, rest] = /^([A-Za-z]\w*)=(.*)$/s.exec(argument) ?? [];
    if (plain !== undefined && rest !== undefined) return { name: plain, path: rest };
    if (!this.#ofSum) return { path: argument };
    // The name of a part is any text.
    const name = [...this.known.keys()].find((each) => argument.startsWith(`${each}=`));
    if (name !== undefined) return { name, path: argument.slice(name.length + 1) };
    const [, dotted, path] = /^([A-Za-z][\w-]*(?:\.[\w-]+)+)=(.*)$/s.exec(argument) ?? [];
    return dotted === undefined || path === undefined ? { path: argument } : { name: dotted, path };
  }
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

function givenTwice(where: string, name: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where,
    field: name,
    found: `the field "${name}" twice`,
    expected: "each field once",
    fix: "leave one of them out.",
  });
}
