import type { Command } from "commander";
import { audit, auditToJson, hasFindings, report, type StepAudit, type StepAuditJson } from "../../audit/index.js";
import { readStep } from "../../io/files.js";
import { exitCodes, print, printError } from "../exit.js";
import { paintFor } from "../paint.js";

/** `losswright audit STEP…`: holds recorded steps against their contracts. */
export function addAudit(program: Command): void {
  program
    .command("audit")
    .description("hold recorded steps against their contracts and say which objective the numbers belong to")
    .argument("<step...>", "directories of step records, or their step.json")
    .option("--json", "print one JSON document instead of text")
    .addHelpText(
      "after",
      "\nExit codes: 0 clean; 1 findings of severity error or warning, or numbers that\ncontradict the contract without a known cause; 2 unreadable input or wrong\nusage.",
    )
    .action(async (paths: string[], options: { json?: boolean }) => {
      process.exitCode = await auditAll(paths, options.json === true);
    });
}

async function auditAll(paths: readonly string[], json: boolean): Promise<number> {
  const paint = paintFor();
  const documents: StepAuditJson[] = [];
  let previous: StepAudit | undefined;
  let code: number = exitCodes.clean;
  for (const path of paths) {
    try {
      const result = audit(await readStep(path));
      if (json) documents.push(auditToJson(path, result));
      else print(`${previous ? "\n" : ""}${report(result, paint, previous)}`);
      previous = result;
      if (hasFindings(result)) code = Math.max(code, exitCodes.findings);
    } catch (error) {
      printError(error, path);
      code = exitCodes.unusable;
    }
  }
  if (json) print(JSON.stringify({ steps: documents }, null, 2));
  return code;
}
