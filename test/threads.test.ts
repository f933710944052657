/**
 * Threads as groups, in processes of their own: the bits of one process for any count, and an end, with a reason, to
 * whatever goes wrong on one rank.
 */
import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";
import { describe, expect, it } from "vitest";
import { threads } from "../src/group/threads.js";
import { LosswrightError } from "../src/index.js";
import { compiledCommand, type Outcome, plainEnvironment, root } from "./instruments/command.js";
import { groupsOf } from "./instruments/ranks.js";
import { everyCall } from "./threads/every-call.mjs";

const { dist, folder } = compiledCommand("threads");
const programs = join(root, "test", "threads");
/** No run takes so long unless it hangs. */
const LIMIT = 40_000;

/** Runs Node to its end. */
function run(args: readonly string[]): Promise<Outcome> {
  const env = plainEnvironment({ LOSSWRIGHT_THREADS: pathToFileURL(join(dist, "group", "threads.js")).href });
  const child = spawn(process.execPath, args, { cwd: programs, env, timeout: LIMIT, killSignal: "SIGKILL" });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    err += text;
  });
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code) => done({ out, err, code }));
  });
}

const outcome = (name: string, count = 3) => run([join(programs, "outcomes.mjs"), name, String(count)]);

/** What each rank printed: its lines in order, by rank. */
function told({ out }: Outcome): Record<string, string[]> {
  const lines: Record<string, string[]> = {};
  for (const line of out.split("\n").filter(Boolean)) {
    const [rank] = line.split(" ", 1);
    lines[rank!] = [...(lines[rank!] ?? []), line.slice(rank!.length + 1)];
  }
  return lines;
}

/** Every one of these ranks was told this, and no other rank anything. */
const all = (ranks: readonly (number | string)[], ...lines: string[]) =>
  Object.fromEntries(ranks.map((rank) => [rank, lines]));

/** What the same program gives on so many ranks of one process, as each rank prints it. */
async function here(size: number): Promise<string> {
  const hashes = await Promise.all(groupsOf(size).map((group) => everyCall(group)));
  return hashes.map((hash) => hash.toString(16)).join();
}

const ranks = (size: number) => Array.from({ length: size }, (_, rank) => rank);

describe.concurrent("every call of a group", () => {
  it.each([1, 2, 3, 4, 7])("gives on %i threads the bits of one process", async (size) => {
    const found = await run([join(programs, "agree.mjs"), String(size)]);
    expect(found).toMatchObject({ err: "", code: 0 });
    expect(told(found)).toEqual(all(ranks(size), await here(size)));
  });

  it("gives them where the runtime cannot wake one who waits", async () => {
    const found = await run([join(programs, "agree.mjs"), "without waking", "3"]);
    expect(found).toMatchObject({ err: "", code: 0 });
    expect(told(found)).toEqual(all(ranks(3), await here(3)));
  });

  it("leaves event loops alive while ranks wait", async () => {
    expect(told(await outcome("the event loop lives"))).toEqual(all([0, 2], "went on"));
  });
});

describe.concurrent("a rank that fails is heard by all that wait, and in later calls:", () => {
  it.each([
    ["a rank throws", "rank 2 failed: TypeError: two words", [0, 1]],
    ["a rank's promise is rejected", "rank 1 failed: RangeError: nobody caught this", [0, 2]],
    ["a rank exits", "rank 1 failed: its script ended with exit code 3", [0, 2]],
    ["a rank exits with nothing to say", "rank 1 ended and did not come to barrier", [0, 2]],
    ["a rank ends", "rank 2 ended and did not come to barrier", [0, 1]],
    ["a rank closes", "rank 2 closed the group and did not come to barrier", [0, 1]],
    ["rank 0 ends", "rank 0 ended and did not come to barrier", [1, 2]],
    [
      "a rank waits for nothing",
      "rank 1 failed: its script ended with exit code 13, since it awaits what nothing can settle any more",
      [0, 2],
    ],
  ])("%s", async (name, says, heard) => {
    const found = await outcome(name);
    expect(told(found)).toEqual(all(heard, `group: ${says}`, `group: ${says}`));
    // Every rank caught it.
    expect(found.code).toBe(0);
  });

  it("rank 0 waits for nothing", async () => {
    const found = await outcome("rank 0 waits for nothing");
    const says = "group: rank 0 ended and did not come to barrier";
    expect(told(found)).toEqual(all([1, 2], says, says));
    // As Node ends a script that never came to its end.
    expect(found.code).toBe(13);
  });

  it("ranks come late", async () => {
    const found = await outcome("ranks come late", 4);
    const late = "group: ranks 1 and 3 did not come to barrier within 2 s";
    expect(told(found)).toEqual({ ...all([0, 2], late, late), ...all([1, 3], late) });
    expect(found.code).toBe(0);
  });
});

describe.concurrent("nothing of a rank that fails is swallowed", () => {
  const line = /TypeError.*: two words\n\s+at .*outcomes\.mjs:\d+/;

  it("where nobody catches it: the process fails with what rank 0 was told, and the rank's own stack", async () => {
    const { err, code } = await outcome("nobody catches");
    expect(code).toBe(1);
    expect(err).toMatch(/LosswrightError: group: found rank 1 failed: TypeError: two words; expected/);
    expect(err).toMatch(line);
    // The line that waited, or came after the failure was known.
    expect(err).toMatch(/at (async )?Collectives\.barrier .*\n\s+at (async )?nobody catches .*outcomes\.mjs:\d+/);
  });

  it.each(["a rank throws and rank 0 does not wait", "a rank throws after the last call"])("%s", async (name) => {
    const found = await outcome(name);
    expect(found).toMatchObject({ out: "", code: 1 });
    expect(found.err).toMatch(/^losswright: rank 1 failed: TypeError/);
    expect(found.err).toMatch(line);
  });

  it("where rank 0 throws: the process ends with it", async () => {
    const { err, code } = await outcome("rank 0 throws");
    expect(code).toBe(1);
    expect(err).toContain("TypeError: of rank 0");
  });
});

describe.concurrent("ranks that do not do the same", () => {
  it.each([
    ["other calls", "allReduceMax of float64 [1] on rank 1 where rank 0 calls allReduceSum of float64 [1]"],
    ["other lengths", "allReduceSum of float64 [3] on rank 1 where rank 0 calls allReduceSum of float64 [2]"],
    ["other element types", "allGather of int32 [2] on rank 1 where rank 0 calls allGather of float32 [2]"],
  ])("hear of the first difference: %s", async (name, says) => {
    expect(told(await outcome(name))).toEqual(all(ranks(3), `group: ${says}`));
  });

  it("hear of another count", async () => {
    const lines = told(await outcome("another count"));
    const says = /^group: threads\(4\) on rank [12] where rank 0 calls threads\(3\)$/;
    expect(lines["0"]).toEqual([expect.stringMatching(says)]);
    expect(lines.another).toEqual([...lines["0"]!, ...lines["0"]!]);
  });

  it("may take their time", async () => {
    expect(told(await outcome("a rank is told to wait longer"))).toEqual(all(ranks(3), "came back"));
  });
});

describe.concurrent("misuse", () => {
  it("two calls at once: the first goes on", async () => {
    const lines = told(await outcome("two calls at once"));
    for (const rank of ranks(3)) {
      expect(lines[rank]!.toSorted()).toEqual([
        "argument: allGather while barrier is under way",
        "argument: close while barrier is under way",
        "came back",
        "came back",
      ]);
    }
  });

  it("a call after close", async () => {
    const found = await outcome("a call after the end");
    expect(told(found)).toEqual(all(ranks(3), "group: a call after close()"));
    expect(found.code).toBe(0);
  });

  it("a second call in one script, by any of its names: the group goes on", async () => {
    const refused = Array<string>(3).fill("argument: a second call in one script");
    expect(told(await outcome("a second call in one script"))).toEqual(all(ranks(3), ...refused, "came back"));
  });

  it("a module that never calls", async () => {
    const says = /^group: rank [12] ended and did not come to threads\(3\)$/;
    expect(told(await outcome("a module that never calls"))).toEqual(all([0], expect.stringMatching(says)));
  });

  it("a module that is not there", async () => {
    const found = await outcome("a module that is not there");
    expect(found).toMatchObject({ err: "", code: 0 });
    expect(told(found)).toEqual({
      0: [
        expect.stringMatching(/^group: rank [12] failed: Error: Cannot find module .*nowhere\.mjs/),
        expect.stringMatching(/^option: https:\/\/localhost\/x\.mjs, which no worker can run: /),
      ],
    });
  });

  it("arguments that are none", async () => {
    const refusals: readonly [unknown, unknown, string, RegExp][] = [
      [0, {}, "argument", /count: found 0; expected a whole number from 1 to 64/],
      [65, {}, "argument", /found 65/],
      [2.5, {}, "argument", /found 2\.5/],
      ["4", {}, "argument", /found 4; expected a whole number/],
      [2, { modul: "x.js" }, "unknown", /write "module"/],
      [2, { timeout: 5 }, "unknown", /one of module, timeoutSeconds/],
      [2, null, "argument", /found null; expected an object/],
      [2, { timeoutSeconds: 0 }, "option", /timeoutSeconds: found 0/],
      [2, { timeoutSeconds: Number.NaN }, "option", /found NaN/],
      [2, { timeoutSeconds: "5" }, "option", /found 5; expected seconds/],
      [2, { timeoutSeconds: Number.POSITIVE_INFINITY }, "option", /found Infinity/],
      [2, { module: "" }, "option", /module: found an empty string/],
      [2, { module: 7 }, "option", /module: found number/],
    ];
    for (const [count, options, code, says] of refusals) {
      const error = await threads(count as number, options as object).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(LosswrightError);
      expect(error).toMatchObject({ code, message: expect.stringMatching(says) });
    }
  });
});

describe.concurrent("a group is made", () => {
  const simple = `
    const { threads } = await import(process.env.LOSSWRIGHT_THREADS);
    const group = await threads(3, { timeoutSeconds: 30 });
    const [sum] = await group.allReduceSum(Float64Array.of(group.rank + 1));
    console.log(group.rank + " " + sum + " " + globalThis.loaded + " " + process.argv.slice(2));`;
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it("with another module, as often as wanted", async () => {
    const found = await outcome("another module");
    expect(found).toMatchObject({ err: "", code: 0 });
    expect(told(found)).toEqual(all(ranks(3), ...Array<string>(2).fill(await here(3))));
  });

  it("by a script behind a link, with the flags and arguments of the process", async () => {
    const loader = file("loaded.mjs", 'globalThis.loaded = "loaded";');
    const link = join(folder, "link.mjs");
    symlinkSync(file("simple.mjs", simple), link);
    const found = await run(["--import", pathToFileURL(loader).href, link, "a", "b"]);
    expect(told(found)).toEqual(all(ranks(3), "6 loaded a,b"));
  });

  it("by a CommonJS script that is called without its ending", async () => {
    mkdirSync(join(folder, "common"));
    file("common/package.json", "{}");
    file("common/plain.js", `(async () => {${simple}})();`);
    const found = await run([join(folder, "common", "plain")]);
    expect(told(found)).toEqual(all(ranks(3), "6 undefined "));
  });

  it("by text of the command line, which has to name a module", async () => {
    const module = JSON.stringify(file("job.mjs", simple));
    const text = simple.replace("timeoutSeconds: 30", `timeoutSeconds: 30, module: ${module}`);
    const found = await run(["--input-type=module", "-e", text, "x"]);
    expect(found).toMatchObject({ err: "", code: 0 });
    expect(Object.keys(told(found))).toEqual(expect.arrayContaining(["0", "1", "2"]));
    const refused = await run(["--input-type=module", "-e", simple, join(folder, "job.mjs")]);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/threads: module: found none.*write `threads\(count, \{ module: new URL/s);
  });

  it("by a worker, whose end the others hear of too", async () => {
    const found = await run([join(programs, "nested.mjs"), "agree.mjs", "3"]);
    expect(found).toMatchObject({ err: "", code: 0 });
    expect(told(found)).toEqual({ ...all(ranks(3), await here(3)), worker: ["ended with 0"] });
    const ended = await run([join(programs, "nested.mjs"), "outcomes.mjs", "rank 0 ends", "2"]);
    const says = "group: rank 0 ended and did not come to barrier";
    expect(told(ended)).toEqual({ 1: [says, says], worker: ["ended with 0"] });
  });

  it("by a bundle that holds all of it in one file", async () => {
    const library = JSON.stringify(join(dist, "group", "threads.js"));
    const text = simple.replace("await import(process.env.LOSSWRIGHT_THREADS)", "library");
    const entry = file("entry.mjs", `import * as library from ${library};${text}`);
    const build = await rolldown({ input: entry, platform: "node", logLevel: "silent" });
    const { output } = await build.generate({ format: "es" });
    expect(output.length).toBe(1);
    const found = await run([file("bundle.mjs", output[0].code)]);
    expect(told(found)).toEqual(all(ranks(3), "6 undefined "));
  });
});
