import type { Command } from "commander";
import { type Counted, notesOf, openStep } from "../../audit/index.js";
import { jsonNumber } from "../../contract/index.js";
import { readStep } from "../../io/files.js";
import { exitCodes, print } from "../exit.js";

/** `losswright evaluate STEP`: computes a record's contract on its fields; what was reported is not looked at. */
export function addEvaluate(program: Command): void {
  program
    .command("evaluate")
    .description("compute the contract of a recorded step on its fields: value, numerator, denominator")
    .argument("<step>", "directory of a step record, or its step.json")
    .option("--json", "print JSON instead of text")
    .action(async (path: string, options: { json?: boolean }) => {
      const step = openStep(await readStep(path), { search: false });
      const { objective, declared, contradiction } = step;
      if (!declared) throw contradiction;
      const { value, numerator, denominator, contract } = declared;
      const notes = notesOf(step);
      if (options.json) {
        const numbers = [value, numerator, denominator].map(jsonNumber);
        const tallies = declared.tallies.map(tallyJson);
        print(
          JSON.stringify(
            { value: numbers[0], numerator: numbers[1], denominator: numbers[2], contract, notes, tallies },
            null,
            2,
          ),
        );
      } else {
        print(objective.describe());
        print(`${numerator} / ${denominator} = ${value}`);
        for (const note of notes) print(`note: ${note.message}`);
      }
      process.exitCode = exitCodes.clean;
    });
}

/** A part's tally; one that its recorder counted is written as the two numbers it kept. */
function tallyJson(tally: Counted) {
  if ("toJSON" in tally) return tally.toJSON();
  return { numerator: jsonNumber(tally.numerator), denominator: jsonNumber(tally.denominator.value) };
}
