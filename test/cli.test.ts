/**
 * The command as a process: what it prints, to which stream, and how it exits. The sources are compiled for this file
 * into a folder of their own, so that no earlier build can answer in their place.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { join } from "node:path";

import { describe, expect, it } from "vitest";
import type { StepAuditJson } from "../src/audit/index.js";
import { objectiveNames } from "../src/index.js";
import { encodeNpy } from "../src/io/index.js";
import { definitionOf } from "../src/losses/index.js";
import { tensor } from "../src/tensor/index.js";
import { compiledCommand, plainEnvironment, root, runCommand } from "./instruments/command.js";
import { Random } from "./instruments/random.js";
import { stepOf, tokenParts } from "./instruments/steps.js";

const { folder, main } = compiledCommand("cli");
const steps = "examples/steps";

const losswright = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runCommand(main, args, { env });

const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
const csi = "\u001b[";

/** A record written by hand: its files, and a step.json with some entries changed. */
function written(name: string, change: Readonly<Record<string, unknown>> = {}): string {
  const record = stepOf({ parts: tokenParts(new Random(2), { kept: [9] }), loss: 1, factors: [1 / 9] });
  const directory = join(folder, name);
  mkdirSync(directory);
  const { logits, labels } = record.fields!;
  writeFileSync(join(directory, "logits.npy"), encodeNpy(logits!, "logits"));
  writeFileSync(join(directory, "labels.npy"), encodeNpy(labels!, "labels"));
  const { format, intended } = record;
  const fields = { logits: "logits.npy", labels: "labels.npy" };
  writeFileSync(
    join(directory, "step.json"),
    JSON.stringify({ format, intended, fields, reported: { loss: 1 }, ...change }),
  );
  return directory;
}

const told = `\
sft-global-mean     supervised fine-tuning of a character transformer, answers
                    only; one step in 4 micro-batches
  declared: cross entropy of each next token, labels -100 left out; mean over
            all positions of the whole step (weights enter the denominator);
            nothing counted gives 0
  CLEAN  84.4968 / 219 = 0.3858 = reported (5e-8); gradient factor 1.000 x 4
`;

const found = `
  micro-batch   tokens   sum of losses     mean   reported   gradient is
            1       15         17.3835   1.1589     1.1589   3.650x, too large
            2       44         20.1942   0.4590     0.4590   1.244x, too large
            3       73         18.6926   0.2561     0.2561   0.750x, too small
            4       87         28.2265   0.3244     0.3244   0.629x, too small
   whole step      219         84.4968   0.3858     0.5496

  WRONG  accumulation: 84.4968 / 219 = 0.3858, but 0.5496 was reported.
  Why    0.5496 = (1.1589 + 0.4590 + 0.2561 + 0.3244) / 4: a mean of means. It
         reproduces loss and gradient to 1e-7. 0.5496 is 42 % too high.
  Harm   A token of micro-batch 1 pulls 5.8x as hard as one of micro-batch 4;
         the gradient is 1.69x as long and 39 degrees off.
  Fix    Count first, divide each sum by the whole count, not again by 4:
           n = sum((y[:, 1:] != -100).sum() for y in micro_batch_labels)
           (loss_sum / n).backward()
`;

describe("losswright audit", () => {
  it("tells a clean step in one verdict and exits with 0", () => {
    expect(losswright(["audit", `${steps}/sft-global-mean`])).toEqual({ out: told, err: "", code: 0 });
  });

  it("tells a wrong step with its parts, cause, harm and fix, and exits with 1", () => {
    const head = `\
sft-mean-of-means   supervised fine-tuning of a character transformer, answers
                    only; one step in 4 micro-batches
  declared: cross entropy of each next token, labels -100 left out; mean over
            all positions of the whole step (weights enter the denominator);
            nothing counted gives 0
`;
    expect(losswright(["audit", `${steps}/sft-mean-of-means`])).toEqual({ out: head + found, err: "", code: 1 });
  });

  it("tells what two steps share once", () => {
    const { out, code } = losswright(["audit", `${steps}/sft-global-mean`, `${steps}/sft-mean-of-means`]);
    expect(out).toBe(`${told}\nsft-mean-of-means   the same step and contract\n${found}`);
    expect(code).toBe(1);
  });

  it("takes a step.json in place of its directory", () => {
    expect(losswright(["audit", `${steps}/sft-global-mean/step.json`])).toEqual({ out: told, err: "", code: 0 });
  });

  it("keeps 80 columns for every record of the tests", () => {
    const names = [
      "class-weights-unnormalised",
      "items-counted-per-rank",
      "mse-column-against-vector",
      "next-next-token",
    ];
    const more = ["accumulated-sum-of-means", "log-of-softmax-underflows", "rare-labels-threshold-half"];
    const { out } = losswright(["audit", ...[...names, ...more].map((name) => `test/steps/${name}`)]);
    expect(widest(out)).toBeLessThanOrEqual(80);
    expect(out.match(/^ {2}(WRONG|DOUBT|CLEAN) /gm)).toHaveLength(7);
  });

  it("exits with 1 where the numbers contradict the contract and nothing explains them", () => {
    const { out, code } = losswright(["audit", written("puzzling")]);
    expect(out).toContain("\n  DOUBT  unexplained: The contract gives ");
    expect(code).toBe(1);
  });

  it("prints one JSON document with --json, and exits as without", () => {
    const { out, err, code } = losswright([
      "audit",
      "--json",
      `${steps}/sft-global-mean`,
      `${steps}/sft-mean-of-means`,
    ]);
    const document = JSON.parse(out) as { steps: StepAuditJson[] };
    expect([err, code]).toEqual(["", 1]);
    expect(Object.keys(document)).toEqual(["steps"]);
    expect(document.steps.map(({ path }) => path)).toEqual([`${steps}/sft-global-mean`, `${steps}/sft-mean-of-means`]);
    expect(document.steps.map(({ findings }) => findings.map(({ check }) => check))).toEqual([[], ["accumulation"]]);
    expect(document.steps[1]!.explanations[0]).toMatchObject({ aggregation: "mean of means" });
    expect(document.steps.map(({ declared }) => declared!.denominator)).toEqual([219, 219]);
  });

  it("goes on after a step that it cannot read, names it on standard error and exits with 2", () => {
    const { out, err, code } = losswright(["audit", "no/such/step", `${steps}/sft-global-mean`]);
    expect(out).toBe(told);
    expect(err).toBe(
      'losswright: no/such/step: found no such file: "no/such/step"; expected a file that can be read. Fix: check the path and the rights to read it.\n',
    );
    expect(code).toBe(2);
  });

  it("exits with 2 however many findings follow a step that it cannot read", () => {
    expect(losswright(["audit", "no/such/step", `${steps}/sft-mean-of-means`]).code).toBe(2);
    expect(losswright(["audit", `${steps}/sft-mean-of-means`, "no/such/step"]).code).toBe(2);
  });

  it("leaves an unreadable step out of the JSON", () => {
    const { out, err, code } = losswright(["audit", "no/such/step", `${steps}/sft-global-mean`, "--json"]);
    expect(JSON.parse(out).steps.map(({ path }: StepAuditJson) => path)).toEqual([`${steps}/sft-global-mean`]);
    expect([err.split("\n").length, code]).toEqual([2, 2]);
    expect(JSON.parse(losswright(["audit", "no/such/step", "--json"]).out)).toEqual({ steps: [] });
  });

  it("says what is wrong with a record that is none, without a stack trace", () => {
    const { out, err, code } = losswright(["audit", "package.json"]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toMatch(/^losswright: package\.json: .*format/);
    expect(err).not.toContain("    at ");
  });

  it("names an objective that it does not compute", () => {
    const intended = { objective: "crossEntropi", version: 1 };
    const { err, code } = losswright(["audit", written("misspelt", { intended })]);
    expect(err).toContain('found "crossEntropi"');
    expect(err).toContain('Fix: write "crossEntropy".');
    expect(code).toBe(2);
  });

  it("shows no control characters that a record brings", () => {
    const record = written("hostile", { context: { task: `${csi}31mred\r\n${csi}2J` } });
    const { out, err } = losswright(["audit", record]);
    expect(out).toContain("[31mred [2J");
    const unknown = written("unknown", { [`${csi}31m`]: 1 });
    expect(losswright(["audit", unknown]).err).toContain("[31m");
    expect(out + err + losswright(["audit", unknown]).err).not.toContain(csi);
  });

  it("needs a step", () => {
    const { out, err, code } = losswright(["audit"]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toBe("error: missing required argument 'path'\nTry losswright --help.\n");
  });
});

describe("losswright evaluate", () => {
  it("prints the contract in words and the division", () => {
    const { out, err, code } = losswright(["evaluate", `${steps}/sft-mean-of-means`]);
    const [contract, division] = out.split("\n");
    expect(contract).toMatch(/^cross entropy of each next token/);
    expect(division).toMatch(/^84\.4967\d+ \/ 219 = 0\.38582\d+$/);
    const [numerator, denominator, value] = division!.split(/ [/=] /).map(Number);
    expect(numerator! / denominator!).toBe(value);
    expect([err, code]).toEqual(["", 0]);
  });

  it("prints value, contract, notes and one tally a part as JSON", () => {
    const { out, code } = losswright(["evaluate", `${steps}/sft-mean-of-means`, "--json"]);
    const document = JSON.parse(out);
    expect(Object.keys(document)).toEqual(["value", "numerator", "denominator", "contract", "notes", "tallies"]);
    expect(document.numerator / document.denominator).toBe(document.value);
    expect(document.contract.objective).toBe("crossEntropy");
    expect(document.tallies).toHaveLength(4);
    expect(code).toBe(0);
  });

  it("prints what must be said of the fields", () => {
    const logits = tensor(new Float32Array([Number.NaN, 0, 1, 2]), [2, 2]);
    const record = written("nan");
    writeFileSync(join(record, "logits.npy"), encodeNpy(logits, "logits"));
    writeFileSync(join(record, "labels.npy"), encodeNpy(tensor(new Int32Array([0, 1])), "labels"));
    const { out, code } = losswright(["evaluate", record]);
    expect(out).toMatch(/^NaN \/ 2 = NaN$/m);
    expect(out).toMatch(/^note: /m);
    expect(code).toBe(0);
    expect(JSON.parse(losswright(["evaluate", record, "--json"]).out)).toMatchObject({ value: "nan", denominator: 2 });
  });

  it("refuses fields that contradict the contract, with 2", () => {
    const { out, err, code } = losswright(["evaluate", "test/steps/mse-column-against-vector"]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toMatch(/^losswright: squaredError: targets: found \[10\]/);
    expect(err).not.toContain("    at ");
  });

  it("refuses a directory that does not exist, with 2", () => {
    const { out, err, code } = losswright(["evaluate", "no/such/step"]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain("no such file");
  });
});

/** Text without its line breaks and indents. */
const words = (text: string) => text.replace(/\s+/g, " ").trim();

describe("losswright losses", () => {
  it("lists every objective with what it is", () => {
    const { out, err, code } = losswright(["losses"]);
    const lines = out.trimEnd().split("\n");
    const entries = lines.filter((line) => /^\w/.test(line));
    expect(entries.map((line) => line.split(/ {2,}/)[0])).toEqual(objectiveNames());
    for (const name of objectiveNames()) expect(words(out)).toContain(words(definitionOf(name).documentation.summary));
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect([err, code]).toEqual(["", 0]);
  });

  it("shows one: formula, gradient, fields, options, pitfalls", () => {
    const { out, code } = losswright(["losses", "huber"]);
    const { documentation } = definitionOf("huber");
    expect(out.split("\n")[0]).toBe(`huber: ${documentation.summary}`);
    for (const said of [documentation.formula, documentation.gradient, ...documentation.pitfalls]) {
      expect(words(out)).toContain(words(said.replaceAll(";  ", " ")));
    }
    expect(out).toMatch(/^Options\n {2}delta \(1\): /m);
    expect(words(out)).toMatch(/ Fields predictions \[\.\.\.\]: [^:]* \(differentiable\) targets \[\.\.\.\]: /);
    expect(code).toBe(0);
  });

  it("refuses a name that does not exist, with the near miss and 2", () => {
    const { out, err, code } = losswright(["losses", "hubr"]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toMatch(/^losswright: .*found "hubr".* Fix: write "huber"\.\n$/);
  });

  it("gives one object for one name as JSON", () => {
    const { out, code } = losswright(["losses", "huber", "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      name: "huber",
      options: { delta: { accepts: "a finite number above 0", default: 1 } },
      fields: { predictions: { shape: ["..."], differentiable: true }, targets: { differentiable: false } },
    });
    expect(code).toBe(0);
  });

  it("gives every field and every option with its default as JSON", () => {
    const documents = JSON.parse(losswright(["losses", "--json"]).out) as Record<string, never>[];
    expect(documents.map(({ name }) => name)).toEqual(objectiveNames());
    for (const document of documents as unknown as Described[]) {
      const { fields, options } = definitionOf(document.name);
      expect(Object.keys(document.fields), document.name).toEqual(Object.keys(fields));
      expect(Object.keys(document.options), document.name).toEqual(Object.keys(options));
      for (const [name, field] of Object.entries(document.fields)) {
        expect(Object.keys(field), `${document.name} ${name}`).toEqual(
          expect.arrayContaining(["meaning", "holds", "shape", "optional", "differentiable"]),
        );
      }
      for (const [name, option] of Object.entries(document.options)) {
        expect(Object.keys(option), `${document.name} ${name}`).toEqual(["meaning", "accepts", "default"]);
        const { fallback } = (options as Record<string, { fallback: unknown }>)[name]!;
        // Infinity is a word in JSON, as in a contract; null there is the absence of a value.
        expect(option.default === null, `${document.name} ${name}`).toBe(fallback === null);
      }
      const { summary, formula, gradient, pitfalls, source } = document;
      expect([summary, formula, gradient, pitfalls.join(), source].every(Boolean), document.name).toBe(true);
    }
  });
});

interface Described {
  readonly name: string;
  readonly summary: string;
  readonly formula: string;
  readonly gradient: string;
  readonly pitfalls: readonly string[];
  readonly source: string;
  readonly fields: Readonly<Record<string, object>>;
  readonly options: Readonly<Record<string, { readonly default: unknown }>>;
}

describe("losswright", () => {
  it("prints its version", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    for (const flag of ["--version", "-V"]) {
      expect(losswright([flag])).toEqual({ out: `${version}\n`, err: "", code: 0 });
    }
  });

  it.each([
    [["--help"], "Usage: losswright [options] [command]"],
    [["help"], "Usage: losswright [options] [command]"],
    [["audit", "--help"], "Usage: losswright audit [options] <path...>"],
    [["help", "audit"], "Usage: losswright audit [options] <path...>"],
    [["evaluate", "--help"], "Usage: losswright evaluate [options] <step|tensors...>"],
    [["losses", "--help"], "Usage: losswright losses [options] [name]"],
  ])("%j helps within 80 columns and exits with 0", (args, usage) => {
    const { out, err, code } = losswright(args);
    expect(out.split("\n")[0]).toBe(usage);
    expect(widest(out)).toBeLessThanOrEqual(80);
    expect([err, code]).toEqual(["", 0]);
  });

  it("helps on standard error, with 2, where no command was given", () => {
    const { out, err, code } = losswright([]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain("Commands:");
  });

  it.each([
    [["audti", "x"], "error: unknown command 'audti'\n(Did you mean audit?)\n"],
    [["audit", "--jsno", "x"], "error: unknown option '--jsno'\n(Did you mean --json?)\n"],
    [["losses", "huber", "delta"], "error: too many arguments for 'losses'. Expected 1 argument but got 2.\n"],
    [["--verion"], "error: unknown option '--verion'\n(Did you mean --version?)\n"],
  ])("%j is wrong usage: said on standard error with what was meant, exit 2", (args, said) => {
    expect(losswright(args)).toEqual({ out: "", err: `${said}Try losswright --help.\n`, code: 2 });
  });

  it.each([
    ["a pipe", {}],
    ["a pipe in continuous integration", { CI: "true" }],
    ["NO_COLOR", { NO_COLOR: "1" }],
    ["NO_COLOR beside FORCE_COLOR", { NO_COLOR: "1", FORCE_COLOR: "1" }],
    ["FORCE_COLOR=0", { FORCE_COLOR: "0" }],
  ])("prints no escape codes under %s", (_, env) => {
    expect(losswright(["audit", `${steps}/sft-mean-of-means`], env).out).not.toContain("\u001b");
    expect(losswright(["losses", "huber"], env).out).not.toContain("\u001b");
  });

  it("prints colors where FORCE_COLOR asks for them, and the same words", () => {
    const { out } = losswright(["audit", `${steps}/sft-global-mean`], { FORCE_COLOR: "1" });
    expect(out).toContain(`${csi}32mCLEAN${csi}39m`);
    expect(out.replaceAll(new RegExp(`${csi.replace("[", "\\[")}\\d+m`, "g"), "")).toBe(told);
    expect(losswright(["losses", "huber"], { FORCE_COLOR: "1" }).out).toContain(`${csi}1mhuber${csi}22m`);
  });

  it.skipIf(process.platform === "win32")("ends quietly when a pipe closes early", () => {
    const audited = Array.from({ length: 12 }, () => `"${steps}/sft-mean-of-means"`).join(" ");
    for (const command of [`audit ${audited}`, `audit --json ${audited}`, "losses --json"]) {
      const line = `"${process.execPath}" "${main}" ${command} | head -1`;
      const { stdout, stderr, status } = spawnSync("sh", ["-c", line], {
        cwd: root,
        env: plainEnvironment(),
        encoding: "utf8",
      });
      expect(stdout.split("\n")).toHaveLength(2);
      expect([stderr, status]).toEqual(["", 0]);
    }
  });

  it("ends quietly when nobody reads at all", async () => {
    const child = spawn(process.execPath, [main, "audit", `${steps}/sft-global-mean`], {
      cwd: root,
      env: plainEnvironment(),
    });
    child.stdout.destroy();
    let err = "";
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect([err, code]).toEqual(["", 0]);
  });
});
