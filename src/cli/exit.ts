import { LosswrightError } from "../errors/index.js";

/** 0: clean. 1: findings that fail. 2: unreadable input or wrong usage. 130: stopped by Ctrl-C, as shells count it. */
export const exitCodes = { clean: 0, findings: 1, unusable: 2, stopped: 130 } as const;

/** Writes to standard output, and ends quietly when the reader has gone (`losswright audit … | head`). */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says on standard error what went wrong; an error that is not ours keeps its stack. */
export function printError(error: unknown, subject?: string): void {
  const text = error instanceof LosswrightError ? error.message : error instanceof Error ? error.stack : String(error);
  const told = subject === undefined || text?.startsWith(`${subject}: `);
  const line = `losswright: ${told ? "" : `${subject}: `}${text}`;
  // Names out of a record may hold what moves a terminal's cursor or changes its colors.
  process.stderr.write(`${line.replace(/[^\P{Cc}\n]/gu, " ")}\n`);
}
