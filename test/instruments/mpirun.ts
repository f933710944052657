/**
 * Launchers of the MPI libraries that are here, and runs of rank programs under them. Every run has a limit of its own, and one
 * that reaches it fails: nothing may hang.
 */
import { spawn, spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { plainEnvironment } from "./command.js";

export type Family = "openmpi" | "mpich";
export const families: readonly Family[] = ["openmpi", "mpich"];
export const names = { openmpi: "Open MPI", mpich: "MPICH" };
const isRoot = process.getuid?.() === 0;
/** The launchers refuse root, and more ranks than cores, unless they are told. */
export const flags = { openmpi: [...(isRoot ? ["--allow-run-as-root"] : []), "--oversubscribe"], mpich: [] };

/** The command of a family's launcher, or undefined. */
function launcherOf(family: Family): string | undefined {
  const isIts = family === "openmpi" ? /Open ?(MPI|RTE)/ : /HYDRA/;
  return [`mpirun.${family}`, "mpirun", "mpiexec"].find((command) => {
    const { stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    return isIts.test(stdout ?? "");
  });
}
export const launchers = { openmpi: launcherOf("openmpi"), mpich: launcherOf("mpich") };

/**
 * Whether a family has its launcher. Where it has none, there is a test instead that is skipped with the reason, or that fails
 * where MPI could have been installed.
 */
export function hasLauncher(family: Family): boolean {
  if (launchers[family]) return true;
  const reason = `no launcher of ${names[family]} (mpirun.${family}, mpirun)`;
  // Set where both can be installed: what skips there would hide a mistake.
  if (process.env.LOSSWRIGHT_REQUIRE_MPI === "1")
    it("has a launcher where it can be installed", () => expect.fail(`${reason}; run scripts/install-mpi.sh`));
  else it.skip(`is not tested: ${reason}; scripts/install-mpi.sh installs it`);
  return false;
}

/** What a run of several ranks came to. */
export interface Run {
  /** What all ranks and the launcher printed. */
  readonly text: string;
  readonly code: number | null;
  /** What begins so, each to the end of its line: ranks print at once, so it may begin in the middle of another's. */
  lines(start: string | RegExp): string[];
}

/** Runs a command to its end; rejects where it does not come to one in time. */
export function runToEnd(command: string, args: readonly string[], seconds = 45): Promise<Run> {
  const child = spawn(command, args, { env: plainEnvironment({ NO_COLOR: "1" }), stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part) => {
      text += part;
    });
  }
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      // The launcher ends its ranks before it ends itself.
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), 5000).unref();
      reject(new Error(`${command} ${args.join(" ")} did not end within ${seconds} s:\n${text}`));
    }, 1000 * seconds);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(limit);
      const lines = (start: string | RegExp) => {
        const pattern = typeof start === "string" ? start.replace(/[.()[\]]/g, "\\$&") : start.source;
        return text.match(new RegExp(`${pattern}[^\n]*`, "g")) ?? [];
      };
      resolve({ text, code, lines });
    });
  });
}

/** Runs a program on so many ranks under a launcher. */
export function mpirun(
  family: Family,
  ranks: number,
  program: readonly string[],
  { more = [], seconds }: { readonly more?: readonly string[]; readonly seconds?: number } = {},
): Promise<Run> {
  const args = [...flags[family], ...more, "-n", String(ranks), process.execPath, ...program];
  return runToEnd(launchers[family]!, args, seconds);
}
