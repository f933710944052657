/**
 * Objective logs on a disk, and `losswright log` as a process. The sources are compiled for this file into a folder of
 * their own, so that no earlier build can answer in their place.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { openObjectiveLog, readObjectiveLog } from "../src/log/files.js";
import { crossEntropy } from "../src/losses/categorical/cross-entropy.js";
import { compiledCommand, runCommand } from "./instruments/command.js";

const { folder, dist, main } = compiledCommand("log");
const objective = crossEntropy();
const metrics = { macroF1: { goal: "maximize" } } as const;

const log = (...args: readonly string[]) => runCommand(main, ["log", ...args], { cwd: folder });

/** A run of which the objective falls; its metric does as told. */
function writeRun(name: string, metric: (i: number) => number, rank?: number): string {
  const run = join(folder, name);
  const opened = openObjectiveLog(run, { objective, metrics, ...(rank !== undefined && { rank }) });
  for (let i = 0; i < 12; i++) {
    for (let step = 10 * i; step < 10 * i + 10; step++)
      opened.log.step(step, { numerator: 40 - step / 4, denominator: 20 });
    opened.log.evaluation(10 * i + 9, {
      objective: { numerator: 42 - 2 * i, denominator: 20 },
      metrics: { macroF1: metric(i) },
    });
  }
  opened.close();
  return run;
}

/** Logs as fast as it can, from the step after its last, and says how far it is. */
const writer = () => `
import { openObjectiveLog } from ${JSON.stringify(pathToFileURL(join(dist, "log", "files.js")).href)};
import { crossEntropy } from ${JSON.stringify(pathToFileURL(join(dist, "index.js")).href)};
const { log } = openObjectiveLog(process.argv[2], { objective: crossEntropy(), metrics: { macroF1: { goal: "maximize" } }, tensorBoard: true });
for (let step = log.lastStep + 1; ; step++) {
  log.step(step, { numerator: step / 3, denominator: 7 });
  if (step % 10 === 9) log.evaluation(step, { objective: 1, metrics: { macroF1: 0.5 } });
  if (step % 50 === 0) process.stdout.write(step + "\\n");
}`;

describe("openObjectiveLog", () => {
  it("goes on after kills at any moment, without a torn, missing or doubled line", async () => {
    const script = join(folder, "writer.mjs");
    writeFileSync(script, writer());
    const run = join(folder, "killed");
    for (let round = 0; round < 4; round++) {
      const child = spawn(process.execPath, [script, run], { stdio: ["ignore", "pipe", "inherit"] });
      await once(child.stdout, "data");
      await new Promise((resolve) => setTimeout(resolve, 3 * round));
      child.kill("SIGKILL");
      await once(child, "exit");
      // What a kill in the middle of a write leaves; a system may write the whole line or a part of it.
      if (round % 2 === 1) appendFileSync(join(run, "objective.jsonl"), '{"kind":"train","step":99');
    }
    const opened = openObjectiveLog(run, { objective, metrics });
    expect(opened.torn).toBe('{"kind":"train","step":99'.length);
    const { log } = opened;
    const steps = log.entries.filter(({ kind }) => kind === "train").map(({ step }) => step);
    expect(steps.length).toBeGreaterThan(150);
    expect(steps).toEqual(steps.map((_, i) => i));
    expect(
      log.entries.every(({ kind, step, objective }) => kind === "evaluation" || objective.value === step / 3 / 7),
    ).toBe(true);
    opened.close();
    const text = readFileSync(opened.path, "utf8");
    expect(text).toBe(log.toText());
    // One event file an opening, so that TensorBoard reads them in order.
    expect(readdirSync(run).filter((name) => name.startsWith("events.out.tfevents.")).length).toBeGreaterThan(1);
    expect(existsSync(`${opened.path}.lock`)).toBe(false);
  });

  it("cuts a torn last line whatever its length, and no whole one", () => {
    const run = writeRun("torn", () => 0.5);
    const path = join(run, "objective.jsonl");
    const whole = readFileSync(path, "utf8");
    for (const tail of ["{", '{"kind":"train","step":120,"time":0,"objective":{"value":1}}']) {
      writeFileSync(path, whole + tail);
      expect(readObjectiveLog(path).toText()).toBe(whole);
      const opened = openObjectiveLog(run, { objective, metrics });
      expect(opened.torn).toBe(tail.length);
      opened.close();
      expect(readFileSync(path, "utf8")).toBe(whole);
    }
    writeFileSync(path, whole.slice(0, 20));
    const again = openObjectiveLog(run, { objective, metrics });
    expect(again.log.entries).toEqual([]);
    again.close();
    expect(readFileSync(path, "utf8").split("\n")).toHaveLength(2);
  });

  it("goes back to a checkpoint, on the disk too", () => {
    const run = writeRun("checkpoint", () => 0.5);
    const opened = openObjectiveLog(run, { objective, metrics, resume: { fromStep: 95 } });
    expect(opened.dropped).toBe(24 + 3);
    expect(opened.log.lastStep).toBe(95);
    opened.log.step(96, { value: 0.125 });
    expect(() => opened.log.step(96, { value: 1 })).toThrow(/resume/);
    opened.close();
    const read = readObjectiveLog(opened.path);
    expect(read.entries.at(-1)).toMatchObject({ step: 96, objective: { value: 0.125 } });
    expect(read.entries).toHaveLength(96 + 9 + 1);
  });

  it("refuses another contract and other metrics, and leaves the file as it was", () => {
    const run = writeRun("contract", () => 0.5);
    const path = join(run, "objective.jsonl");
    appendFileSync(path, "{torn");
    const before = readFileSync(path, "utf8");
    const other = crossEntropy({ labelSmoothing: 0.1 });
    expect(() => openObjectiveLog(run, { objective: other, metrics })).toThrow(
      /contract.options.labelSmoothing: 0 and 0.1/,
    );
    expect(() => openObjectiveLog(run, { objective, metrics: ["accuracy"] })).toThrow(/metrics/);
    expect(() => openObjectiveLog(run, { objective })).toThrow(/no metric/);
    expect(readFileSync(path, "utf8")).toBe(before);
    openObjectiveLog(run, { objective, metrics }).close();
  });

  it("lets one writer in at a time, and takes over from one that is gone", () => {
    const run = join(folder, "locked");
    const first = openObjectiveLog(run, { objective, metrics });
    expect(() => openObjectiveLog(run, { objective, metrics })).toThrow(/one writer at a time.*remove the lock/s);
    openObjectiveLog(run, { objective, metrics, rank: 1 }).close();
    first.close();
    const lock = join(run, "objective.jsonl.lock");
    writeFileSync(lock, '{"process":1,"machine":"another"}');
    expect(() => openObjectiveLog(run, { objective, metrics })).toThrow(/one writer/);
    rmSync(lock);
    openObjectiveLog(run, { objective, metrics }).close();
  });
});

describe("losswright log", () => {
  it("shows evaluations, curves and the diagnosis; exit code 1 for what parts", () => {
    const { out, err, code } = log(
      "show",
      writeRun("apart", (i) => 0.6 - i / 50),
    );
    expect({ err, code }).toEqual({ err: "", code: 1 });
    expect(out).toMatch(/^apart {2}crossEntropy; 120 training steps, 12 evaluations\n/);
    expect(out).toMatch(/ step +objective +macroF1\n/);
    expect(out).toMatch(/\n +119 +1 +0.38\n/);
    expect(out).toContain("macroF1 (more is better)");
    expect(out).toMatch(/ALARM {2}macroF1: apart, the metric gets worse/);
    expect(out.replace(/\s+/g, " ")).toContain("CE vs F1. The majority class dominates");
    expect(out).toMatch(/Try +1. class weights/);
    expect(Math.max(...out.split("\n").map((line) => [...line].length))).toBeLessThanOrEqual(80);
    expect(
      log(
        "show",
        writeRun("well", (i) => 0.3 + i / 50),
      ).code,
    ).toBe(0);
  });

  it("prints JSON for programs", () => {
    const { out, code } = log(
      "show",
      writeRun("json", () => 0.5),
      "--json",
      "--window",
      "8",
    );
    expect(code).toBe(1);
    const [run] = JSON.parse(out);
    expect(run).toMatchObject({ run: "json", steps: 120, contract: { objective: "crossEntropy" } });
    expect(run.evaluations).toHaveLength(12);
    expect(run.diagnosis.metrics[0]).toMatchObject({
      verdict: "stalled",
      evaluations: 8,
      mismatch: { id: "cross-entropy-f1" },
    });
  });

  it("merges the ranks of a folder, and runs that are told to be ranks", () => {
    const run = writeRun("ranks", () => 0.5, 0);
    writeRun("ranks", () => 0.5, 1);
    const { out } = log("show", run);
    expect(out).toContain("merged of 2 ranks");
    const [merged] = JSON.parse(
      log("show", "--json", "--merge", join(run, "objective.rank0.jsonl"), join(run, "objective.rank1.jsonl")).out,
    );
    expect(merged.evaluations[3].objective).toBe((42 - 6) / 20);
    expect(merged.run).toBe("objective.rank0 + objective.rank1");
  });

  it("draws a page of several runs", () => {
    const page = join(folder, "page.html");
    const { out, code } = log(
      "plot",
      writeRun("left", (i) => 0.3 + i / 50),
      writeRun("right", () => 0.5),
      "--html",
      page,
    );
    expect(code).toBe(1);
    expect(out).toContain(page);
    const html = readFileSync(page, "utf8");
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/<script|https?:/);
    expect(html).toContain("left, evaluation: 12 points, from 0.3 at 9 to 0.52 at 119");
    expect(html).toMatch(/right: The objective falls, macroF1 does not follow/);
    expect(html.match(/class="point"/g)!.length).toBeGreaterThanOrEqual(4 * 12);
  });

  it("says what it cannot read", () => {
    expect(log("show", join(folder, "nothing"))).toMatchObject({
      code: 2,
      err: expect.stringContaining("no such file"),
    });
    expect(log("show", dist)).toMatchObject({
      code: 2,
      err: expect.stringContaining("a folder without an objective log"),
    });
    const named = join(folder, "named");
    mkdirSync(named);
    writeFileSync(join(named, "plain-loss.jsonl"), "");
    expect(log("show", named)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/plain-loss\.jsonl.*give the file: .*plain-loss\.jsonl/s),
    });
    expect(log("plot", dist)).toMatchObject({ code: 2 });
    expect(log("show", dist, "--rows", "x")).toMatchObject({ code: 2 });
  });
});
