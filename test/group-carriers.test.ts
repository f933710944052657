/**
 * Objectives over threads and over MPI, as programs of their own: the bits of one process on uneven parts, and an error on
 * every rank where one does not fit. The carriers alone are tested in `threads.test.ts` and `mpi.test.ts`.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compiledCommand, root } from "./instruments/command.js";
import { families, hasLauncher, mpirun, names, type Run, runToEnd } from "./instruments/mpirun.js";

const { dist, folder } = compiledCommand("group-carriers");
const program = (name: string) => join(root, "test", "groups", name);

const everyRank = (ranks: number, words: (rank: number) => string) => Array.from({ length: ranks }, (_, r) => words(r));

function expectDone({ text, code, lines }: Run, ranks: number): void {
  expect(code, text).toBe(0);
  expect(lines(/rank \d of/).sort(), text).toEqual(everyRank(ranks, (r) => `rank ${r} of ${ranks} is done, 0 wrong`));
}

/** What all ranks catch when the last one of three is odd: an error of the group, but for its own. */
const faults = [
  ["contract", /group: crossEntropy: rank 2: found contract\.options\.labelSmoothing: 0 and 0\.1/, undefined],
  ["dtype", /group: crossEntropy: rank 2: found fields\.logits: "float64" and "float32"/, undefined],
  [
    "label",
    /group: crossEntropy: rank 2: found a rank that failed: crossEntropy: labels: found 3 at \[1\]/,
    /value: crossEntropy: labels: found 3 at \[1\]/,
  ],
] as const;

function expectCaught({ text, code, lines }: Run, words: RegExp, own: RegExp | undefined): void {
  expect(code, text).toBe(0);
  const caught = lines(/rank \d caught/).sort();
  expect(caught, text).toHaveLength(3);
  for (const [rank, line] of caught.entries()) expect(line).toMatch(rank === 2 ? (own ?? words) : words);
}

describe("objectives over threads", () => {
  const run = (name: string, ranks: number, ...more: string[]) =>
    runToEnd(process.execPath, [program(name), dist, "threads", String(ranks), ...more]);

  it.each([1, 2, 3, 4, 7])(
    "have on %i ranks the value of one process, to the bit, and its gradients",
    async (ranks) => {
      expectDone(await run("step.mjs", ranks), ranks);
    },
  );

  it.each(faults)("end on every rank where one has another %s", async (fault, words, own) => {
    expectCaught(await run("odd.mjs", 3, fault), words, own);
  });
});

describe.each(families)("objectives over %s", (family) => {
  if (!hasLauncher(family)) return;
  const run = (name: string, ranks: number, ...more: string[]) =>
    mpirun(family, ranks, [program(name), dist, "mpi", String(ranks), ...more]);

  it.each([1, 2, 3, 4])(
    `have on %i ranks of ${names[family]} the value of one process, to the bit, and its gradients`,
    async (ranks) => {
      expectDone(await run("step.mjs", ranks), ranks);
    },
  );

  it.each(faults)("end on every rank where one has another %s", async (fault, words, own) => {
    expectCaught(await run("odd.mjs", 3, fault), words, own);
  });
});

describe("the example of uneven ranks", () => {
  /** The loss over all digits, and how far weights are from those of one process, of each way to divide. */
  async function trained(run: (program: string) => Promise<Run>): Promise<Record<string, readonly string[]>> {
    cpSync(join(root, "examples"), join(folder, "examples"), { recursive: true });
    const { text, code } = await run(join(folder, "examples", "distributed", "train.mjs"));
    expect(code, text).toBe(0);
    const rows = text.split("\n").flatMap((line) => {
      const [, name, loss, apart] = /^(one denominator|each its own|one process)\D*(\S+) +(.+)$/.exec(line) ?? [];
      return name ? [[name, [loss!, apart!]] as const] : [];
    });
    return Object.fromEntries(rows);
  }

  it("comes over two threads to the weights of one process with one denominator, and to others with a mean of means", async () => {
    const found = await trained((program) => runToEnd(process.execPath, [program]));
    expect(found["one denominator"]).toEqual([found["one process"]![0], "< 1e-9"]);
    expect(Number(found["each its own"]![0]) / Number(found["one process"]![0])).toBeGreaterThan(1.2);
    expect(Number(found["each its own"]![1])).toBeGreaterThan(0.1);
  });

  describe.each(families)("under %s", (family) => {
    if (!hasLauncher(family)) return;
    it("does so as processes", async () => {
      const found = await trained((program) => mpirun(family, 3, [program]));
      expect(found["one denominator"]).toEqual([found["one process"]![0], "< 1e-9"]);
      expect(Number(found["each its own"]![0]) / Number(found["one process"]![0])).toBeGreaterThan(1.05);
    });
  });
});
