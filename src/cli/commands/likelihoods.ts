import type { Command } from "commander";
import { hanging } from "../../audit/index.js";
import { likelihoodOf, likelihoods } from "../../losses/index.js";
import { print } from "../exit.js";

/** `losswright likelihoods [TARGET]`: from what a target is to the distribution assumed and the objective. */
export function addLikelihoods(program: Command): void {
  program
    .command("likelihoods")
    .description("from the type of a target to the distribution assumed and the objective that follows")
    .argument("[target]", 'a target type, such as "single class"')
    .option("--json", "print JSON instead of text")
    .action((target: string | undefined, options: { json?: boolean }) => {
      const chosen = Object.keys(likelihoods).filter((each) => target === undefined || each === target);
      const rows = (chosen.length ? chosen : [target!]).map((each) => ({ target: each, ...likelihoodOf(each) }));
      if (options.json) {
        print(JSON.stringify(target === undefined ? rows : rows[0], null, 2));
        return;
      }
      for (const { target: each, distribution, objective, model } of rows) {
        print(each);
        for (const line of hanging("  ", `${distribution}: ${objective}; the model gives ${model}`, 4)) print(line);
      }
    });
}
