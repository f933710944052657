/**
 * `losswright inspect` as a process, on the recorded steps. The sources are compiled for this file into a folder of
 * their own, so that no earlier build can answer in their place.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";

import { join } from "node:path";

import { describe, expect, it } from "vitest";
import { compiledCommand, root, runCommand } from "./instruments/command.js";

const { folder, main } = compiledCommand("inspect");
const steps = readdirSync(join(root, "test", "steps"));
const vocabulary = "examples/sft-vocabulary.json";

const inspect = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runCommand(main, ["inspect", ...args], { env });

const told = `\
prompts-in-the-loss
  counted: cross entropy of each next token, labels -100 left out; mean over all
           positions of the whole step (weights enter the denominator); nothing
           counted gives 0

  ^ in the loss, p prompt, _ padding, ! look here

batch  [4, 9]: 21 trained, 4 prompt, 11 padding; 64.21 / 21 = 3.058
  ! prompt in the loss: 5 positions

  row 1  6 trained, 1 prompt, 2 padding; mean loss 2.476
     0 9 5  8  11 4 9 1 0 0
 label 9 5  8  11 4 9 1 - -
       p !p !p ^^ ^ ^ ^ _ _

  3 more rows (--row N, --rows N)
`;

describe("losswright inspect", () => {
  it("shows tokens, labels and the mask of a row", () => {
    expect(inspect(["test/steps/prompts-in-the-loss", "--row", "1"])).toEqual({ out: told, err: "", code: 0 });
  });

  it("shows each part of a step, with token texts where there is a vocabulary", () => {
    const { out, code } = inspect(["examples/steps/sft-mean-of-means", "--rows", "1", "--tokens", vocabulary]);
    expect(out.match(/^micro-batch \d/gm)).toHaveLength(4);
    expect(out).toContain("     0 <bos> 7 1 + 1 4 ? <assistant> 8 5 <eos> [53 padding]\n");
    expect(out).toContain("       p     p p p p p p p           ^ ^ ^^^^^ _\n");
    expect(code).toBe(0);
  });

  it("points at padding that is trained", () => {
    expect(inspect(["test/steps/pad-zero-not-ignored"]).out).toContain("! padding in the loss: 6 positions");
  });

  it("shows the best alignment of CTC, collapsed, and how many frames one would need that has none", () => {
    const { out } = inspect(["test/steps/labels-longer-than-frames"]);
    expect(out).toContain("  sequence 0  5 frames, 5 labels, which need 6; loss Infinity");
    expect(out).toContain("  best    no alignment");
    expect(out).toMatch(/labels {2}1 2 3 4\n {2}frames {2}1 2 3 4 \.\n {2}best {4}1 2 3 4 \(35\.\d+ % of/);
  });

  it.each(steps)("shows %s within 80 columns, or says which field contradicts its contract", (name) => {
    const { out, err, code } = inspect([`test/steps/${name}`]);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(err).not.toContain("    at ");
    expect(code === 0 ? err : err.slice(0, 12)).toBe(code === 0 ? "" : "losswright: ");
    expect(code === 2).toBe(["mse-column-against-vector", "sts-integer-scores"].includes(name));
  });

  it("prints every row as JSON, with what is known of each position", () => {
    const { out, code } = inspect(["examples/steps/sft-global-mean", "--json", "--tokens", vocabulary]);
    const document = JSON.parse(out);
    expect(Object.keys(document)).toEqual(["path", "name", "task", "rule", "contract", "batches"]);
    expect(document.batches.map(({ counts }: { counts: { trained: number } }) => counts.trained)).toEqual([
      15, 44, 73, 87,
    ]);
    expect(document.batches[0].rows.map(({ positions }: { positions: unknown[] }) => positions.length)).toEqual([
      64, 64, 64, 64,
    ]);
    expect(document.batches[0].rows[0].positions[8]).toMatchObject({
      at: 8,
      id: 12,
      text: "8",
      label: 12,
      role: "assistant",
      fate: "trained",
      scoredBy: 7,
      weight: 1,
    });
    expect(code).toBe(0);
    const alignments = JSON.parse(inspect(["test/steps/labels-longer-than-frames", "--json"]).out);
    expect(alignments.batches[0].sequences[0]).toMatchObject({ framesNeeded: 6, loss: "inf", path: null });
  });

  it("writes a page that stands alone, leaves nothing beside it, and says where it is", () => {
    const page = join(folder, "page.html");
    expect(inspect(["test/steps/blank-is-the-last-class", "--html", page])).toEqual({
      out: `wrote ${page}\n`,
      err: "",
      code: 0,
    });
    const html = readFileSync(page, "utf8");
    expect(html.startsWith("<!doctype html>")).toBe(true);
    expect(html.match(/<svg width/g)).toHaveLength(3);
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(inspect(["test/steps/blank-is-the-last-class", "--html", join(folder, "no", "page.html")])).toMatchObject({
      out: "",
      code: 2,
    });
  });

  it("takes an array of labels, or of input ids with a pad id", () => {
    const labels = inspect(["test/steps/end-of-sequence-lost/labels.npy"]).out;
    expect(labels).toContain("counted: labels [2, 12], labels -100 left out");
    expect(labels).toContain("batch  [2, 12]: 11 trained, 13 ignored");
    const ids = inspect(["test/steps/end-of-sequence-lost/sequence-input-ids.npy", "--pad-id", "0"]).out;
    expect(ids).toContain("batch  [2, 12]: 17 trained, 7 padding");
    const both = ["test/steps/pad-zero-not-ignored/labels.npy", "--pad-id", "0", "--ignore-index", "-100"];
    expect(inspect(both).out).toContain("! padding in the loss: 6 positions");
    const shifted = inspect(["test/steps/pad-zero-not-ignored/labels.npy", "--label-shift", "1"]).out;
    expect(shifted).toContain("21 trained, 3 ignored");
  });

  it("marks by color what it marks by signs, only where color is wanted", () => {
    const args = ["test/steps/prompts-in-the-loss", "--row", "1"];
    const { out } = inspect(args, { FORCE_COLOR: "1" });
    expect(out).toContain("\u001b[32m^^\u001b[39m");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what is looked for
    expect(out.replace(/\u001b\[\d+m/g, "")).toBe(told);
    expect(inspect(args, { FORCE_COLOR: "1", NO_COLOR: "1" }).out).toBe(told);
  });

  it.each([
    [["test/steps/prompts-in-the-loss", "--row", "4"], "--row: found 4; expected a row that a batch has: 0..3"],
    [["test/steps/prompts-in-the-loss", "--rows", "0"], '--rows: found "0"; expected a whole number, at least 1'],
    [["test/steps/prompts-in-the-loss", "--row", "x"], '--row: found "x"; expected a whole number, at least 0'],
    [["test/steps/prompts-in-the-loss", "--pad-id", "0"], "--pad-id: found the option beside"],
    [["test/steps/prompts-in-the-loss", "--tokens", "no.json"], 'no such file: "no.json"'],
    [["test/steps/prompts-in-the-loss", "--tokens", "README.md"], "a JSON list of token texts"],
    [["test/steps/prompts-in-the-loss/logits.npy"], "found float32 [4, 9, 13]; expected integers"],
    [["no/such/step"], "no such file"],
    [["test/steps/prompts-in-the-loss", "--htlm", "x"], "(Did you mean --html?)"],
  ])("%j is refused on standard error with what was expected, exit 2", (args, said) => {
    const { out, err, code } = inspect(args);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain(said);
    expect(err).not.toContain("    at ");
  });

  it("helps within 80 columns", () => {
    const { out, err, code } = inspect(["--help"]);
    expect(out.split("\n")[0]).toBe("Usage: losswright inspect [options] <step|file>");
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect([err, code]).toEqual(["", 0]);
  });

  it("prints what docs/inspect.md shows", () => {
    const text = readFileSync(join(root, "docs", "inspect.md"), "utf8");
    const shown = [...text.matchAll(/^```sh\nlosswright inspect (.*)\n```\n+```text\n([\s\S]*?)^```$/gm)];
    expect(shown.length).toBeGreaterThan(2);
    for (const [, args, output] of shown) expect(inspect(args!.split(" ")).out, args).toBe(output);
  });

  it("shows nothing of a record that acts on the terminal", () => {
    const file = join(folder, "vocabulary.json");
    writeFileSync(file, JSON.stringify(Array.from({ length: 13 }, () => "\u001b[2J\n")));
    const { out } = inspect(["test/steps/prompts-in-the-loss", "--tokens", file]);
    expect(out).not.toContain("\u001b");
    expect(out).toContain("\\u{1b}[2J\\n");
  });
});
