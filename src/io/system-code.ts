import { LosswrightError } from "../errors/index.js";

/** What the system's codes mean to a reader; others speak for themselves. */
export const problems = new Map([
  ["ENOENT", "no such file"],
  ["ENOTDIR", "a path through something that is no directory"],
  ["EISDIR", "a directory in the way"],
  ["EACCES", "no right to it"],
  ["EPERM", "no right to it"],
  ["ELOOP", "symbolic links in a circle"],
  ["ENAMETOOLONG", "a name longer than the system takes (ENAMETOOLONG)"],
  ["ENXIO", "a socket or device in the way"],
  ["ENOSPC", "no space left on the disk"],
]);

/** The code of an error of the system; undefined for errors of another kind. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof LosswrightError || !(error instanceof Error) || !("code" in error)) return undefined;
  return String(error.code);
}
