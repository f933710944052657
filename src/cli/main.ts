#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { addAudit } from "./commands/audit.js";
import { addEvaluate } from "./commands/evaluate.js";
import { addInspect } from "./commands/inspect.js";
import { addLikelihoods } from "./commands/likelihoods.js";
import { addLog } from "./commands/log.js";
import { addLosses } from "./commands/losses.js";
import { addMerge } from "./commands/merge.js";
import { addMetrics } from "./commands/metrics.js";
import { addTally } from "./commands/tally.js";
import { exitCodes, printError } from "./exit.js";

async function main(): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const program = new Command("losswright")
    .description("The objective of a training run: what it is, and whether a recorded step follows it.")
    .version(version)
    .showHelpAfterError("Try losswright --help.")
    .exitOverride()
    .configureHelp({ helpWidth: 80 });
  const commands = [
    addAudit,
    addEvaluate,
    addTally,
    addMerge,
    addInspect,
    addLosses,
    addLikelihoods,
    addLog,
    addMetrics,
  ];
  for (const add of commands) add(program);
  for (const command of program.commands) command.exitOverride().configureHelp({ helpWidth: 80 });
  // A reader that closes the pipe early has seen what it wanted.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.clean : exitCodes.unusable;
      return;
    }
    printError(error);
    process.exitCode = exitCodes.unusable;
  }
}

void main();
