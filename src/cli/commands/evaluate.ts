import type { Command } from "commander";
import { type Counted, notesOf, openStep } from "../../audit/index.js";
import { jsonNumber } from "../../contract/index.js";
import { readStep } from "../../io/files.js";
import type { Evaluation } from "../../losses/index.js";
import type { Engine } from "../../tally/index.js";
import { alone } from "../agreed.js";
import {
  type CountedOptions,
  checkOneObjective,
  onlyRecord,
  readTensorsOf,
  takingCounted,
  tensorsHelp,
} from "../counted-input.js";
import { exitCodes, print } from "../exit.js";
import { type Outcome, outcomeToJson, printOutcome } from "../outcome.js";
import { tallyToJson } from "../tally-file.js";

interface EvaluateOptions extends CountedOptions {
  readonly json?: boolean;
}

/**
 * `losswright evaluate STEP`: computes a record's contract on its fields; what was reported is not looked at. With
 * `--contract`, the contract of a file on the tensors of others.
 */
export function addEvaluate(program: Command): void {
  takingCounted(
    program.command("evaluate").description("compute a contract on its fields: value, numerator, denominator"),
  )
    .option("--json", "print JSON instead of text")
    .addHelpText("after", tensorsHelp("evaluate"))
    .action(async (paths: string[], { contract, json, engine }: EvaluateOptions) => {
      const found = contract === undefined ? await ofRecord(paths, engine) : await ofTensors(contract, paths, engine);
      if (json) print(JSON.stringify(outcomeToJson(found), null, 2));
      else printOutcome(found);
      process.exitCode = exitCodes.clean;
    });
}

async function ofRecord(paths: readonly string[], engine: Engine): Promise<Outcome> {
  const path = onlyRecord("evaluate", paths, engine);
  const record = await readStep(path);
  checkOneObjective(path, record);
  const step = openStep(record, { search: false });
  if (!step.declared) throw step.contradiction;
  const { value, numerator, denominator, contract, tallies } = step.declared;
  return {
    description: step.objective.describe(),
    contract,
    value,
    division: { numerator, denominator, value },
    notes: notesOf(step),
    tallies: tallies.map(tallyJson),
  };
}

async function ofTensors(contractPath: string, given: readonly string[], engine: Engine): Promise<Outcome> {
  const { agreed, batches } = await readTensorsOf("evaluate", contractPath, given);
  const { contract, weights } = agreed;
  const evaluations = new Map<string, Evaluation>();
  for (const [name, objective] of agreed.objectives) {
    evaluations.set(name, objective.withEngine(engine).evaluate(batches.get(name)!));
  }
  const tallies = new Map([...evaluations].map(([name, { tally }]) => [name, tally]));
  const said = { description: agreed.describe(), contract, value: agreed.value(tallies) };
  if (!weights) {
    const { notes, tally, ...division } = evaluations.get(alone)!;
    return { ...said, division, notes, tallies: [tally.toJSON()] };
  }
  return {
    ...said,
    parts: new Map([...evaluations].map(([name, division]) => [name, { ...division, weight: weights.get(name)! }])),
    notes: [...evaluations].flatMap(([name, { notes }]) =>
      notes.map((note) => ({ ...note, message: `${name}: ${note.message}` })),
    ),
    tallies: [tallyToJson({ tallies, isSum: true })],
  };
}

/** A part's tally; one that its recorder counted is written as the two numbers it kept. */
function tallyJson(tally: Counted) {
  if ("toJSON" in tally) return tally.toJSON();
  return { numerator: jsonNumber(tally.numerator), denominator: jsonNumber(tally.denominator.value) };
}
