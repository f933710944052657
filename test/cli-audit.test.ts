/**
 * `losswright audit` over runs, and archives of tensors on the command line, as processes. The sources are compiled for
 * this file into a folder of their own, as for `cli.test.ts`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";

import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";
import type { RunAuditJson, StepAuditJson } from "../src/audit/index.js";
import { crossEntropy } from "../src/index.js";
import { writeStep } from "../src/io/files.js";
import { encodeNpy, encodeNpz, encodeSafetensors, type StepRecord } from "../src/io/index.js";
import { type Tensor, tensor } from "../src/tensor/index.js";
import { compiledCommand, plainEnvironment, runCommand } from "./instruments/command.js";
import { Random } from "./instruments/random.js";
import { mean, meanOf, stepOf, sumOf, tokenParts, total, weightOf } from "./instruments/steps.js";

const { folder, main } = compiledCommand("cli-audit");

// ---- steps ----

const parts = tokenParts(new Random(7), { kept: [3, 11], length: 12 });
const weight = total(parts.map(weightOf));
const right = stepOf({ parts, loss: total(parts.map(sumOf)) / weight, factors: parts.map(() => 1 / weight) });
const averaged = stepOf({
  parts,
  loss: mean(parts.map(meanOf)),
  factors: parts.map((part) => 1 / weightOf(part) / parts.length),
});
const numbered = (record: StepRecord, step: number): StepRecord => ({
  ...record,
  context: { ...record.context, run: "my-run", step },
});

beforeAll(async () => {
  // Names in another order than numbers: the numbers count.
  await writeStep(join(folder, "run", "d"), numbered(right, 500));
  await writeStep(join(folder, "run", "c"), numbered(right, 1000));
  await writeStep(join(folder, "run", "b"), numbered(averaged, 1500));
  await writeStep(join(folder, "run", "a"), numbered(averaged, 20_000));
  await writeStep(join(folder, "run", ".step-20500.tmp"), numbered(averaged, 20_500));
  writeFileSync(join(folder, "run", "log.txt"), "what else lies there");
}, 60_000);

const environment = plainEnvironment();
const losswright = (...args: readonly string[]) => runCommand(main, args, { cwd: folder });

interface Document {
  readonly steps: readonly (StepAuditJson & { sample?: { units: number; of: number; bytes: number } })[];
  readonly runs?: readonly RunAuditJson[];
  readonly ignored?: readonly object[];
}

const documentOf = (...args: readonly string[]): Document => JSON.parse(losswright("audit", "--json", ...args).out);
const last = (text: string, lines: number) => text.trimEnd().split("\n").slice(-lines).join("\n");

describe("losswright audit of a run", () => {
  it("tells the first faulty step in full and what was found, since when, how often, and exits with 1", () => {
    const { out, err, code } = losswright("audit", "run");
    expect(out.match(/^ {2}(WRONG|CLEAN) +accumulation: .* was reported\.$/gm)).toHaveLength(1);
    expect(out.split(/\s/)[0]).toBe("b");
    expect(last(out, 4)).toBe(
      [
        "",
        "run                 4 steps",
        "  WRONG  accumulation: 2 of 4 steps, since step 1500, last at 20000.",
        "  CLEAN  2 of 4 steps; clean until step 1000.",
      ].join("\n"),
    );
    expect([err, code]).toEqual(["", 1]);
  });

  it("tells every step with --all, and what they share once", () => {
    const { out } = losswright("audit", "run", "--all");
    expect(out.match(/^[abcd] {2,}.*$/gm)!.map((line) => line[0])).toEqual(["d", "c", "b", "a"]);
    expect(out.match(/^ {2}declared: /gm)).toHaveLength(1);
  });

  it("has every step and the run in its JSON, in order", () => {
    const { steps, runs } = documentOf("run");
    expect(steps.map(({ path }) => path)).toEqual(["d", "c", "b", "a"].map((name) => join("run", name)));
    const faulty = [join("run", "b"), join("run", "a")];
    expect(runs).toEqual([
      {
        path: "run",
        steps: 4,
        unreadable: [],
        left: 0,
        findings: [
          { check: "accumulation", severity: "error", count: 2, first: faulty[0], last: faulty[1], steps: faulty },
        ],
      },
    ]);
  });

  it("takes each directory of steps inside a directory for a run, and records beside runs", () => {
    mkdirSync(join(folder, "runs"));
    for (const name of ["second", "first"]) symlinkSync(join(folder, "run"), join(folder, "runs", name), "junction");
    const { steps, runs } = documentOf("runs", join("run", "d"));
    expect(runs!.map(({ path }) => path)).toEqual([join("runs", "first"), join("runs", "second")]);
    expect(steps).toHaveLength(9);
    expect(steps.at(-1)!.path).toBe(join("run", "d"));
  });

  it("orders steps without numbers by the numbers in their names", async () => {
    for (const name of ["step-10", "step-9", "step-100"]) await writeStep(join(folder, "unnumbered", name), right);
    const { steps } = documentOf("unnumbered");
    expect(steps.map(({ path }) => path)).toEqual(
      ["step-9", "step-10", "step-100"].map((name) => join("unnumbered", name)),
    );
  });

  it("goes on after steps that cannot be read, counts them, and exits with 2", async () => {
    await writeStep(join(folder, "broken", "a"), numbered(right, 1));
    mkdirSync(join(folder, "broken", "b"));
    writeFileSync(join(folder, "broken", "b", "step.json"), '{"format": 1');
    await writeStep(join(folder, "broken", "c"), numbered(averaged, 2));
    const { out, err, code } = losswright("audit", "broken");
    expect(out).toMatch(/^broken +2 steps, 1 unreadable$/m);
    expect(err).toMatch(/^losswright: broken.b: .*expected JSON/);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
    expect(code).toBe(2);
    expect(documentOf("broken").runs![0]!.unreadable).toEqual([join("broken", "b")]);
  });

  it("says that a directory holds no steps, with 2", () => {
    mkdirSync(join(folder, "empty", "inner"), { recursive: true });
    const { out, err, code } = losswright("audit", "empty");
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain('empty: found no such file: "step.json", neither here nor in a directory of this one');
  });

  it("writes no progress where standard error is no terminal", () => {
    expect(losswright("audit", "run").err).toBe("");
  });

  it.skipIf(process.platform === "win32")(
    "sums up what was read when Ctrl-C stops it, and exits with 130",
    async () => {
      const long = join(folder, "long");
      mkdirSync(long);
      for (let i = 0; i < 2000; i++) symlinkSync(join(folder, "run", "d"), join(long, `step-${i}`));
      const page = join(folder, "stopped.html");
      const child = spawn(process.execPath, [main, "audit", "long", "--all", "--html", page], {
        cwd: folder,
        env: environment,
      });
      let out = "";
      child.stdout.on("data", (chunk) => {
        if (out === "") child.kill("SIGINT");
        out += chunk;
      });
      const code = await new Promise((resolve) => child.on("close", resolve));
      expect(code).toBe(130);
      const [, audited, left] = /^long +(\d+) steps?, stopped with (\d+) left$/m.exec(out)!.map(Number);
      expect(audited! + left!).toBe(2000);
      expect(left).toBeGreaterThan(0);
      expect(out).toContain(`\nstopped after ${audited} of 2000 steps\n`);
      expect(readFileSync(page, "utf8")).toMatch(/^<!doctype html>/);
    },
  );

  it("shows no control characters that names bring", async () => {
    if (process.platform === "win32") return;
    await writeStep(join(folder, "hostile", "\u001b[31mstep\n"), averaged);
    const { out, err } = losswright("audit", "hostile", "hostile\u001b[2J");
    expect(out).toContain("[31mstep");
    expect(err).toContain("hostile [2J");
    expect(out + err).not.toContain("\u001b");
  });
});

describe("--fail-on and --ignore", () => {
  it.each([
    ["error", 1],
    ["warning", 1],
    ["note", 1],
    ["never", 0],
  ])("--fail-on %s exits with %i for an error", (level, code) => {
    expect(losswright("audit", join("run", "b"), "--fail-on", level).code).toBe(code);
  });

  it("tells severities apart: numbers without a cause are a warning, what was not compared is a note", async () => {
    await writeStep(join(folder, "puzzling"), { ...right, reported: { ...right.reported, loss: 7 } });
    const silent = right.parts.map((part) => ({ ...part, reported: { loss: null, gradients: {} } }));
    await writeStep(join(folder, "silent"), { ...right, reported: { loss: null, gradients: {} }, parts: silent });
    const codes = (path: string) =>
      ["error", "warning", "note"].map((level) => losswright("audit", path, "--fail-on", level).code);
    expect(codes("puzzling")).toEqual([0, 1, 1]);
    expect(codes("silent")).toEqual([0, 0, 1]);
    expect(losswright("audit", "no-such-step", "--fail-on", "never").code).toBe(2);
  });

  it("refuses a severity that there is none of, with the near miss", () => {
    const { err, code } = losswright("audit", "run", "--fail-on", "eror");
    expect(err).toBe(
      'losswright: audit: --fail-on: found "eror"; expected error, warning, note, never. Fix: write "error".\n',
    );
    expect(code).toBe(2);
  });

  it("leaves findings of ignored checks out, says so at the step and at the end, and does not fail for them", () => {
    const { out, err, code } = losswright("audit", "run", "--ignore", "loss-mask,accumulation", "--all");
    expect(out).not.toContain("accumulation:");
    expect(out.match(/^ {2}IGNORED accumulation\.$/gm)).toHaveLength(2);
    expect(last(out, 1)).toBe("ignored: loss-mask (never found), accumulation (2 findings in 2 steps).");
    expect(out).toContain("  CLEAN  2 of 4 steps.");
    expect([err, code]).toEqual(["", 0]);
  });

  it("counts them in the JSON", () => {
    const { steps, ignored } = documentOf("run", "--ignore", "accumulation", "--ignore", "shape");
    expect(steps.flatMap(({ findings }) => findings)).toEqual([]);
    expect(ignored).toEqual([
      { check: "accumulation", findings: 2, steps: 2 },
      { check: "shape", findings: 0, steps: 0 },
    ]);
  });

  it("still fails for what is not ignored", () => {
    expect(losswright("audit", "run", "--ignore", "shape").code).toBe(1);
  });

  it("refuses a check that there is none of, with the near miss", () => {
    const { out, err, code } = losswright("audit", "run", "--ignore", "acumulation");
    expect(err).toContain('found an unknown check "acumulation"');
    expect(err).toContain('Fix: write "accumulation".');
    expect([out, code]).toEqual(["", 2]);
  });
});

describe("losswright audit --html", () => {
  it("writes a page beside the text, and nothing else", () => {
    const page = join(folder, "pages", "page.html");
    mkdirSync(join(folder, "pages"));
    const { out, code } = losswright("audit", "run", "--html", page);
    expect(last(out, 2)).toBe(`\nwrote ${page}`);
    expect(out).toContain("  CLEAN  2 of 4 steps; clean until step 1000.");
    const html = readFileSync(page, "utf8");
    expect(html).toContain("accumulation");
    expect(html).toContain("Run my-run");
    expect(readdirSync(join(folder, "pages"))).toEqual(["page.html"]);
    expect(code).toBe(1);
  });

  it("leaves standard output to the JSON", () => {
    const page = join(folder, "beside.html");
    expect(Object.keys(documentOf("run", "--html", page))).toEqual(["steps", "runs"]);
    expect(readFileSync(page, "utf8")).toMatch(/^<!doctype html>/);
  });

  it("keeps ignored findings on the page, as notes", () => {
    const page = join(folder, "ignored.html");
    losswright("audit", join("run", "b"), "--html", page, "--ignore", "accumulation");
    expect(readFileSync(page, "utf8")).toContain("Ignored on request: ");
  });

  it.each([
    ["a directory that is not there", join("nowhere", "page.html")],
    ["a directory in the way", "run"],
  ])("refuses %s before anything is read", (_, page) => {
    const { out, err, code } = losswright("audit", "run", "--html", page);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain(`losswright: ${page}: --html: found a place that no file can be written to`);
  });
});

describe("records larger than memory allows", () => {
  it("are read by rows above --sample-above, and come to the same verdict", async () => {
    const [part] = tokenParts(new Random(3), { kept: [9000], rows: 400, length: 64, classes: 100 });
    const loss = sumOf(part!) / weightOf(part!);
    await writeStep(join(folder, "large"), stepOf({ parts: [part!], loss, factors: [1 / weightOf(part!)] }));
    const whole = documentOf("large");
    const sampled = documentOf("large", "--sample-above", "1");
    expect(whole.steps[0]!.findings).toEqual([]);
    expect(sampled.steps[0]!.findings).toEqual([]);
    expect(sampled.steps[0]!.declared!.denominator).toBe(9000);
    const { units, of, bytes } = sampled.steps[0]!.sample!;
    expect([of, units < of]).toEqual([400 * 64, true]);
    const { out, code } = losswright("audit", "large", "--sample-above", "1");
    const size = `${Math.round(bytes / 1024 / 1024)} MiB of tensors, read by rows`;
    expect(out.replace(/\s+/g, " ")).toContain(`SAMPLE ${size}: ${units} of ${of} units looked into, all counted.`);
    expect(code).toBe(0);
    expect(whole.steps[0]!.sample).toBe(undefined);
    expect(losswright("audit", "large").out).not.toContain("SAMPLE");
  });

  it("refuse a size that is none", () => {
    expect(losswright("audit", "run", "--sample-above", "1GB")).toMatchObject({ out: "", code: 2 });
  });
});

describe("archives of tensors", () => {
  const logits = tensor(new Float32Array([2, 0, -1, 0, 3, 1]), [2, 3]);
  const labels = tensor(new BigInt64Array([0n, 2n]), [2]);
  const tensors = new Map<string, Tensor>([
    ["logits", logits],
    ["labels", labels],
  ]);
  const { value } = crossEntropy().withEngine("reference").evaluate({ logits, labels });

  beforeAll(() => {
    mkdirSync(join(folder, "archives"));
    const write = (name: string, bytes: Uint8Array | string) => writeFileSync(join(folder, "archives", name), bytes);
    write("contract.json", JSON.stringify({ objective: "crossEntropy" }));
    write("batch.npz", encodeNpz(tensors));
    write("batch.safetensors", encodeSafetensors(tensors));
    write("odd.npz", encodeNpz(new Map([...tensors, ["label", labels]])));
    write(
      "named.npz",
      encodeNpz(
        new Map([
          ["y", labels],
          ["z", logits],
        ]),
      ),
    );
    write("labels.npy", encodeNpy(labels));
    write("logits.npy", encodeNpy(logits));
    const fields = { logits: "batch.safetensors#logits", labels: "batch.npz#labels" };
    write(
      "step.json",
      JSON.stringify({
        format: 1,
        intended: { objective: "crossEntropy" },
        fields,
        reported: { loss: value },
      }),
    );
  });

  const evaluated = (...tensorFiles: readonly string[]) => {
    const paths = tensorFiles.map((file) => file.replace(/(?<=^|=)(?=[\w-]+\.)/, "archives/"));
    return losswright("evaluate", "--contract", "archives/contract.json", ...paths);
  };

  it("hold the fields of a record, in audit and in evaluate", () => {
    expect(losswright("audit", "archives")).toMatchObject({ err: "", code: 0 });
    expect(losswright("audit", "archives").out).toContain("  CLEAN  ");
    expect(JSON.parse(losswright("evaluate", "archives", "--json").out).value).toBe(value);
  });

  it.each([
    [["batch.npz"]],
    [["batch.safetensors"]],
    [["logits=logits.npy", "labels=labels.npy"]],
    [["logits=named.npz#z", "labels=named.npz#y"]],
    [["logits=batch.npz#logits", "labels=labels.npy"]],
  ])("are evaluated under a contract: %j", (files) => {
    const { out, err, code } = evaluated(...files);
    const [contract, division] = out.split("\n");
    expect(contract).toMatch(/^cross entropy of each label/);
    expect(Number(division!.split(" = ")[1])).toBe(value);
    expect([err, code]).toEqual(["", 0]);
  });

  it("give value, contract, notes and the tally as JSON", () => {
    const { out } = evaluated("batch.npz", "--json");
    const document = JSON.parse(out);
    expect(Object.keys(document)).toEqual(["value", "numerator", "denominator", "contract", "notes", "tallies"]);
    expect(document).toMatchObject({ value, denominator: 2, contract: { objective: "crossEntropy" } });
    expect(document.tallies).toHaveLength(1);
  });

  it.each([
    [["odd.npz"], 'unknown field "label"', 'write "labels".'],
    [["labls=labels.npy"], 'unknown field "labls"', 'write "labels".'],
    [["logits=named.npz#x", "labels=labels.npy"], '"x"', undefined],
    [["logits=named.npz"], "none named, of 2 tensors", undefined],
    [["labels.npy"], "a .npy file, whose tensor has no name", "write which field it is: logits=archives/labels.npy."],
    [["batch.npz", "labels=labels.npy"], 'the field "labels" twice', "leave one of them out."],
    [["batch.npz", "no.npz"], "no such file", undefined],
    [["contract.json"], "another beginning", undefined],
    [["labels=labels.npy"], "logits", undefined],
  ])("are refused where they are no batch: %j", (files, found, fix) => {
    const { out, err, code } = evaluated(...files);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain(found);
    if (fix) expect(err).toContain(`Fix: ${fix}`);
    expect(err).not.toContain("    at ");
  });

  it("need a contract of one objective", () => {
    const under = (text: string) => {
      writeFileSync(join(folder, "archives", "other.json"), text);
      return losswright("evaluate", "--contract", "archives/other.json", "archives/batch.npz");
    };
    const part = { contract: { objective: "crossEntropy" }, weight: 1 };
    expect(under(JSON.stringify({ objective: "weightedSum", parts: { a: part } })).err).toContain("a weighted sum");
    expect(under('{"objective":"crossEntropi"}').err).toContain('Fix: write "crossEntropy".');
    for (const text of ["[]", "7", "null", "{"]) {
      const { err, code } = under(text);
      expect([code, err.includes("    at ")], text).toEqual([2, false]);
    }
    const { err, code } = losswright("evaluate", "archives/batch.npz", "archives/batch.npz");
    expect(err).toContain("or --contract with files of tensors");
    expect(code).toBe(2);
  });
});
