/**
 * mpi() under the launchers of Open MPI and MPICH: rank programs of `test/mpi` run as processes, and what they print is
 * held against what must happen. Every run has a limit of its own, and a run that reaches it fails: nothing may hang.
 */
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { mpi } from "../src/group/mpi.js";
import { compiledCommand, root, runCommand } from "./instruments/command.js";
import { type Family, families, hasLauncher, launchers, mpirun, names, type Run } from "./instruments/mpirun.js";

const { folder, dist } = compiledCommand("mpi");

interface Launch {
  /** A program of test/mpi, with what it is given after the sources. */
  readonly program: readonly string[];
  readonly ranks?: number;
  readonly flags?: readonly string[];
}

/** Runs a program of test/mpi under a launcher. */
function launch(family: Family, { program, ranks = 3, flags: more = [] }: Launch, seconds?: number): Promise<Run> {
  const [name, ...rest] = program;
  return mpirun(family, ranks, [join(root, "test", "mpi", name!), dist, ...rest], {
    more,
    ...(seconds !== undefined && { seconds }),
  });
}

/** Each rank of so many, once. */
const everyRank = (ranks: number, words: (rank: number) => string) => Array.from({ length: ranks }, (_, r) => words(r));

describe.each(families)("a group over %s", (family) => {
  if (!hasLauncher(family)) return;

  it("gives on 1 to 4 ranks what one process computes, keeps the event loop turning, and leaves nothing behind", async () => {
    for (const ranks of [1, 2, 3, 4]) {
      const { text, code, lines } = await launch(family, { program: ["collectives.mjs", String(26 + ranks)], ranks });
      expect(code, text).toBe(0);
      expect(lines(/rank \d of/).sort()).toEqual(everyRank(ranks, (r) => `rank ${r} of ${ranks} is done`));
    }
  });

  it("takes messages that are longer than a round of MPI", async () => {
    for (const ranks of [2, 3]) {
      const { text, code, lines } = await launch(family, { program: ["rounds.mjs", String(31 + ranks)], ranks });
      expect(code, text).toBe(0);
      expect(lines(/rank \d of/).sort()).toEqual(everyRank(ranks, (r) => `rank ${r} of ${ranks} is done`));
    }
  });

  it.each([
    ["call", "found allReduceMax of float64 [3] on rank 2 where rank 0 calls allReduceSum of float64 [3]"],
    ["type", "found allReduceSum of int64 limbs [3] on rank 2 where rank 0 calls allReduceSum of float64 [3]"],
    ["length", "found allReduceSum of float64 [2] on rank 2 where rank 0 calls allReduceSum of float64 [3]"],
  ])("ends on every rank with the difference where one rank has another %s", async (fault, words) => {
    const { text, code, lines } = await launch(family, { program: ["faults.mjs", fault] });
    expect(code, text).not.toBe(0);
    const caught = lines(/rank \d caught/).sort();
    expect(caught, text).toHaveLength(3);
    caught.forEach((line, r) => void expect(line).toContain(`rank ${r} caught group: group: ${words}`));
    // And Node prints the error of each. Open MPI's launcher ends all when the first has ended, and may lose the last words.
    const printed = lines("LosswrightError: group:");
    if (family === "mpich") expect(printed, text).toHaveLength(3);
    else expect(printed.length, text).toBeGreaterThan(0);
  });

  it.each([
    ["throw", "TypeError: no data on this rank"],
    ["reject", "TypeError: no data on this rank"],
    ["exit", "it ended with exit code 3"],
    ["argument", "LosswrightError: allReduceSum: values: found"],
  ])("ends on every rank with the words of the one that failed: %s", async (fault, words) => {
    const { text, code, lines } = await launch(family, { program: ["faults.mjs", fault] });
    expect(code, text).not.toBe(0);
    for (const rank of [0, 1]) {
      expect(lines(`rank ${rank} caught`), text).toEqual([
        expect.stringContaining(`caught group: group: found rank 2 failed: ${words}`),
      ]);
    }
    // Open MPI's launcher may lose what ranks print after the first of them has ended.
    if (family === "openmpi") return;
    expect(lines("LosswrightError: group:"), text).toHaveLength(2);
    // Its own error is printed by Node, beside what the others say of it.
    if (fault !== "exit") expect(lines(new RegExp(`(?<!failed: )${words}`)), text).toHaveLength(1);
  });

  it.each([
    ["ends", "rank 2 ended without close()"],
    ["closes", "rank 2 closed the group"],
  ])("ends where a rank leaves for which others wait: %s", async (fault, words) => {
    const { text, code, lines } = await launch(family, { program: ["faults.mjs", fault] });
    expect(code, text).not.toBe(0);
    const waited = /^rank [01] caught group: group: found rank 2 (.*) while rank [01] waited for it in allReduceSum;/;
    for (const rank of [0, 1]) {
      const [line, ...others] = lines(`rank ${rank} caught`);
      expect([`rank 2 ${waited.exec(line ?? "")?.[1]}`, ...others], text).toEqual([words]);
    }
    // The rank that left learns what it did.
    const learned = fault === "ends" ? lines("losswright: rank 2") : lines("rank 2 caught group");
    expect(learned, text).toEqual([expect.stringContaining(words)]);
  });

  // These mostly sleep, so they run at once.
  it.concurrent("ends by the time limit where a rank comes late, and the late one learns of it", async () => {
    const { text, code, lines } = await launch(family, { program: ["faults.mjs", "late", "4"] });
    expect(code, text).not.toBe(0);
    const caught = lines(/rank \d caught/).sort();
    expect(caught, text).toHaveLength(3);
    caught.forEach((line, r) => {
      expect(line).toMatch(
        new RegExp(`^rank ${r} caught group: group: found rank [01] waited 4 s in allReduceSum for the other ranks;`),
      );
    });
  });

  it.concurrent("ends a rank that does not come at all", async () => {
    const { text, code, lines } = await launch(family, { program: ["faults.mjs", "busy", "4"] });
    expect(code, text).not.toBe(0);
    expect(lines("rank 0 caught group"), text).toHaveLength(1);
    expect(lines("rank 1 caught group"), text).toHaveLength(1);
    expect(text).toMatch(/losswright: rank [01] ends the run: rank 2 did not come to an end within 3 s/);
    expect(lines("losswright: LosswrightError: group: found rank").length, text).toBeGreaterThan(0);
  });

  it.concurrent("ends by the time limit where a rank never calls mpi()", async () => {
    const { text, code } = await launch(family, { program: ["faults.mjs", "never", "4"] });
    expect(code, text).not.toBe(0);
    expect(text).toContain("losswright: this rank waited 4 s in mpi() for the other ranks");
  });

  it.concurrent("ends where a rank is killed", async () => {
    const { text, code, lines } = await launch(family, { program: ["faults.mjs", "kill"] });
    expect(code, text).not.toBe(0);
    // MPICH's launcher kills the others; Open MPI's lets them speak, but does not always wait for what they say.
    const said = lines(/losswright: rank [01] was ended by SIGTERM while it waited in allReduceSum for the others;/);
    if (family === "openmpi") expect(said.length, text).toBeGreaterThan(0);
    expect(text).not.toContain("went on");
  });

  it.concurrent("ends where a rank is killed and the launcher is told to leave the others alone", async () => {
    const told = {
      openmpi: [["--enable-recovery"], ["--mca", "orte_abort_on_non_zero_status", "0"]],
      mpich: [["-disable-auto-cleanup"]],
    };
    const program = ["faults.mjs", "kill", "4"];
    const runs = await Promise.all(told[family].map((more) => launch(family, { program, flags: more })));
    for (const { text, lines } of runs) {
      expect(text).not.toContain("went on");
      // MPICH's launcher ends the others nevertheless.
      if (family === "mpich") continue;
      for (const rank of [0, 1]) {
        expect(lines(`rank ${rank} caught`), text).toEqual([
          expect.stringMatching(/caught group: group: found rank [01] waited 4 s in allReduceSum for the other ranks;/),
        ]);
      }
      expect(text).toMatch(/losswright: rank [01] ends the run: rank 2 did not come to an end within 3 s/);
    }
  });

  it("is refused where the launcher is another library's", async () => {
    const other: Family = family === "openmpi" ? "mpich" : "openmpi";
    // Without the other library the same call says that it is missing.
    const { text, code, lines } = await launch(family, {
      program: ["start.mjs", JSON.stringify({ library: other })],
      ranks: 2,
    });
    expect(code, text).not.toBe(0);
    const words = launchers[other]
      ? `group: mpi: found the launcher of ${names[family]} started 2 ranks, but ${names[other]}`
      : "unsupported: mpi: library: found no MPI library";
    expect(lines(words), text).toHaveLength(2);
  });
});

describe("mpi()", () => {
  afterEach(() => vi.unstubAllGlobals());

  it.each([
    [{ timeoutSeconds: 0 }, { code: "option", field: "timeoutSeconds", found: "0" }],
    [{ timeoutSeconds: Number.POSITIVE_INFINITY }, { code: "option", field: "timeoutSeconds", found: "Infinity" }],
    [{ timeoutSeconds: "5" }, { code: "option", field: "timeoutSeconds", found: "string" }],
    [{ timeoutSecond: 5 }, { code: "unknown", fix: 'write "timeoutSeconds".' }],
    [{ library: "openmp" }, { code: "option", field: "library", fix: 'write "openmpi".' }],
    [{ library: 5 }, { code: "option", field: "library", found: "number" }],
    [null, { code: "argument" }],
  ])("refuses the options %j", async (options, error) => {
    await expect(mpi(options as never)).rejects.toMatchObject(error);
  });

  it("is refused outside of Node, in words", async () => {
    vi.stubGlobal("process", undefined);
    await expect(mpi()).rejects.toMatchObject({ code: "unsupported", found: "a runtime without Node's modules" });
  });

  it("says what to install where there is no koffi", () => {
    // Beside the folder, which has all packages, and not below it.
    const bare = `${folder}-bare`;
    onTestFinished(() => rmSync(bare, { recursive: true, force: true }));
    mkdirSync(join(bare, "node_modules"), { recursive: true });
    cpSync(dist, join(bare, "dist"), { recursive: true });
    cpSync(join(folder, "package.json"), join(bare, "package.json"));
    symlinkSync(
      join(root, "node_modules", "fastest-levenshtein"),
      join(bare, "node_modules", "fastest-levenshtein"),
      "junction",
    );
    const { out, code } = runCommand(join(root, "test", "mpi", "start.mjs"), [join(bare, "dist"), "{}"]);
    expect(code).toBe(1);
    expect(out).toContain(
      "unsupported: mpi: found no package koffi, which calls the MPI library; expected koffi 3. Fix: npm install koffi",
    );
  });

  it("says what to install where there is no MPI, and what a file is that is none", () => {
    const start = (library: string) =>
      runCommand(join(root, "test", "mpi", "start.mjs"), [dist, JSON.stringify({ library })]).out;
    expect(start("/no/such/libmpi.so")).toMatch(
      /^unsupported: mpi: library: found \/no\/such\/libmpi\.so, which does not load \(.*\); expected Open MPI or MPICH\. Fix: install one \(Debian and Ubuntu: apt install openmpi-bin, or apt install mpich;/,
    );
    expect(start(process.platform === "darwin" ? "libSystem.B.dylib" : "libm.so.6")).toMatch(
      /^unsupported: mpi: library: found lib[\w.]+, which is no MPI library; expected Open MPI, or MPICH/,
    );
  });
});
