import type { Command } from "commander";
import { hanging } from "../../audit/index.js";
import { definitionOf, objectiveNames } from "../../losses/index.js";
import { documentation, documentationToJson } from "../documentation.js";
import { print } from "../exit.js";
import { paintFor } from "../paint.js";

/** `losswright losses [NAME]`: what there is, and what one of them is exactly. */
export function addLosses(program: Command): void {
  program
    .command("losses")
    .description("list all objectives, or show one: formula, gradient, fields, options, unit, pitfalls")
    .argument("[name]", "the name of an objective")
    .option("--json", "print JSON instead of text")
    .action((name: string | undefined, options: { json?: boolean }) => {
      const definitions = (name === undefined ? objectiveNames() : [name]).map(definitionOf);
      if (options.json) {
        const documents = definitions.map(documentationToJson);
        print(JSON.stringify(name === undefined ? documents : documents[0], null, 2));
      } else if (name !== undefined) {
        print(documentation(definitions[0]!, paintFor()));
      } else {
        const width = Math.max(...definitions.map((definition) => definition.name.length));
        for (const { name: each, documentation: text } of definitions) {
          for (const line of hanging(each.padEnd(width + 2), text.summary, width + 2)) print(line);
        }
      }
    });
}
