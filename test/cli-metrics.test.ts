/**
 * `losswright metrics` as a process. The sources are compiled for this file into a folder of their own, so that no
 * earlier build can answer in their place.
 */

import { readFileSync, writeFileSync } from "node:fs";

import { join } from "node:path";

import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeNpy, encodeNpz, encodeSafetensors } from "../src/io/index.js";
import { metricFrom, metricNames } from "../src/metrics/index.js";
import { tensor } from "../src/tensor/index.js";
import { compiledCommand, root, runCommand } from "./instruments/command.js";
import { Random } from "./instruments/random.js";

const { folder, main } = compiledCommand("metrics");

/** Runs the command in the folder of the files. */
const metrics = (...args: readonly string[]) => metricsIn(folder, args);

const metricsIn = (cwd: string, args: readonly string[]) => runCommand(main, ["metrics", ...args], { cwd });

const write = (name: string, bytes: string | Uint8Array) => writeFileSync(join(folder, name), bytes);

const random = new Random(5);
const count = 300;
const labels = Int32Array.from({ length: count }, () => random.integer(0, 1));
const scores = Float64Array.from(labels, (label) => Number(((label + random.between(0, 2)) / 3).toFixed(4)));
const predictions = Int32Array.from(scores, (score) => (score > 0.5 ? 1 : 0));
const right = predictions.reduce((sum, each, i) => sum + (each === labels[i] ? 1 : 0), 0);
const fields = { predictions: tensor(predictions), labels: tensor(labels) };

beforeAll(() => {
  const rows = Array.from(labels, (label, i) => [predictions[i]!, scores[i]!, label, (1 - scores[i]!).toFixed(4)]);
  const csv = ["predictions,scores,labels,rest", ...rows.map((row) => row.join(","))].join("\n");
  write("table.csv", csv);
  write("table.tsv", csv.replaceAll(",", "\t"));
  write("table.csv.gz", gzipSync(csv));
  write("bare.csv", rows.map((row) => row.join(",")).join("\n"));
  write(
    "table.jsonl",
    rows.map(([p, s, label]) => JSON.stringify({ predictions: p, scores: s, labels: label })).join("\n"),
  );
  write(
    "table.parquet",
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "predictions", data: predictions, type: "INT32" },
          { name: "scores", data: scores, type: "DOUBLE" },
          { name: "labels", data: labels, type: "INT32" },
          { name: "rest", data: Float64Array.from(scores, (score) => 1 - score), type: "DOUBLE" },
        ],
      }),
    ),
  );
  write("labels.npy", encodeNpy(fields.labels));
  write("predictions.npy", encodeNpy(fields.predictions));
  const archive = new Map([
    ["p", fields.predictions],
    ["y", fields.labels],
  ]);
  write("batch.npz", encodeNpz(archive));
  write("batch.safetensors", encodeSafetensors(archive));
});

const figure = String(Number((right / count).toPrecision(5)));

describe("losswright metrics", () => {
  const sources: readonly (readonly string[])[] = [
    ["--predictions", "predictions.npy", "--labels", "labels.npy"],
    ["--predictions", "batch.npz#p", "--labels", "batch.npz#y"],
    ["--predictions", "batch.safetensors#p", "--labels", "batch.safetensors#y"],
    ["--predictions", "table.csv#predictions", "--labels", "labels.npy"],
    ["--predictions", "bare.csv#0", "--labels", "bare.csv#2"],
    ["--table", "table.csv.gz", "--labels", "table.tsv#labels"],
    ["--table", "table.tsv", "--predictions", "table.jsonl#predictions"],
    ["--table", "table.jsonl"],
    ["--table", "table.parquet"],
  ];
  it.each(sources.map((each) => [each.join(" "), each] as const))("reads %s", (_, source) => {
    const { out, err, code } = metrics("accuracy", ...source);
    expect(err).toBe("");
    expect(out.split("\n")[1]).toBe(`accuracy  ${figure.padStart(5)}  ${count} samples: predictions, labels`);
    expect(code).toBe(0);
  });

  it("writes JSON with options in full, and the value to the last digit", () => {
    const { out, code } = metrics("accuracy", "--table", "table.csv", "--json");
    const averaged = JSON.parse(metrics("fBeta", "--table", "table.csv", "--json").out).metrics[0];
    expect(averaged.options).toMatchObject({ average: "macro", beta: 1 });
    const value = metricFrom({ metric: "accuracy" }).update(fields).compute();
    expect(JSON.parse(out).metrics).toEqual([
      {
        metric: "accuracy",
        goal: "maximize",
        options: expect.objectContaining({ ignoreIndex: -100, undefined: "nan" }),
        fields: ["predictions", "labels"],
        samples: count,
        value,
      },
    ]);
    expect(code).toBe(0);
  });

  it("computes several at once, each of the fields it takes", () => {
    const { out, err, code } = metrics("accuracy", "balancedAccuracy", "--table", "table.csv");
    expect(err).toBe("");
    expect(out).toContain("accuracy");
    expect(out).toMatch(/^balancedAccuracy {2}/m);
    expect(code).toBe(0);
  });

  it("puts columns side by side, and takes options for all metrics or one", () => {
    const wide = ["--scores", "table.parquet#rest,scores", "--labels", "labels.npy"];
    const one = metrics("accuracy", ...wide, "--json");
    expect(one.err).toBe("");
    expect(JSON.parse(one.out).metrics[0]).toMatchObject({ fields: ["scores", "labels"], value: right / count });
    for (const option of ["topK=2", "accuracy:topK=2"]) {
      const { out } = metrics("accuracy", ...wide, "--option", option, "--json");
      expect(JSON.parse(out).metrics[0]).toMatchObject({ options: { topK: 2 }, value: 1 });
    }
  });

  it("takes the field with a flag before one that the table happens to have", () => {
    const { out, err } = metrics("accuracy", "--table", "table.csv", "--scores", "table.csv#rest,scores", "--json");
    expect(err).toBe("");
    expect(JSON.parse(out).metrics[0].fields).toEqual(["scores", "labels"]);
  });

  it("gives text to metrics of text, whatever it looks like", () => {
    write("answers.csv", "predictions,references\n42,42\n007,7\n");
    const { out, err } = metrics("wordErrorRate", "--table", "answers.csv", "--json");
    expect(err).toBe("");
    expect(JSON.parse(out).metrics[0].value).toBe(0.5);
  });

  it("reads cells between the delimiter that is said", () => {
    write("semicolons.csv", readFileSync(join(folder, "table.csv"), "utf8").replaceAll(",", ";"));
    const { out, err } = metrics("accuracy", "--table", "semicolons.csv", "--delimiter", ";", "--json");
    expect(err).toBe("");
    expect(JSON.parse(out).metrics[0].value).toBe(right / count);
  });

  it("names what made one number of classes", () => {
    expect(metrics("fBeta", "--table", "table.csv").out).toMatch(/^fBeta \(macro\) +0\.\d/m);
    const binary = metrics("fBeta", "auroc", "--table", "table.csv", "--option", "fBeta:average=binary");
    expect(binary.out).toMatch(/^fBeta \(binary\) +0\.\d/m);
    expect(binary.out).toMatch(/^auroc +0\.\d/m);
  });

  it("gives intervals of a bootstrap, the same for one seed", () => {
    const asked = ["accuracy", "--table", "table.csv", "--bootstrap", "200"];
    const [one, again, other] = [metrics(...asked), metrics(...asked), metrics(...asked, "--seed", "3")];
    expect(one.err).toBe("");
    expect(one.out).toMatch(/^metric +value +95 % interval +of\naccuracy +0\.\d+ +0\.\d+ to 0\.\d+ /);
    expect(again.out).toBe(one.out);
    expect(other.out).not.toBe(one.out);
    const { metrics: found } = JSON.parse(metrics(...asked, "--json").out);
    expect(found[0].interval[0]).toBeLessThan(found[0].value);
    expect(found[0].interval[1]).toBeGreaterThan(found[0].value);
    expect(found[0]).toMatchObject({ confidence: 0.95, replicates: 200 });
  });

  it("draws clusters as a whole where they are named", () => {
    const clusters = Int32Array.from(labels, (_, i) => Math.floor(i / 100));
    write("clusters.npy", encodeNpy(tensor(clusters)));
    const asked = ["accuracy", "--table", "table.csv", "--bootstrap", "100", "--json"];
    const width = (out: string) => {
      const [low, high] = JSON.parse(out).metrics[0].interval;
      return high - low;
    };
    const clustered = metrics(...asked, "--cluster-ids", "clusters.npy");
    expect(clustered.err).toBe("");
    expect(width(clustered.out)).not.toBe(width(metrics(...asked).out));
  });
});

describe("losswright metrics --html", () => {
  it("writes a page with the numbers and every picture that the fields give, and nothing from elsewhere", () => {
    const { out, err, code } = metrics("accuracy", "--table", "table.csv", "--html", "page.html", "--bootstrap", "50");
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toMatch(/^accuracy/m);
    const page = readFileSync(join(folder, "page.html"), "utf8");
    for (const part of [
      "<title>accuracy",
      "ROC curve",
      "Precision and recall",
      "Confusion matrix, accuracy",
      figure,
      "95 % interval",
      `${count} samples`,
    ]) {
      expect(page).toContain(part);
    }
    expect(page).not.toMatch(/<script|<link|https?:\/\/(?!www\.w3\.org)/);
  });

  it("leaves out a picture that was not asked for and cannot be, and says why one that was cannot", () => {
    write("three.csv", "predictions,labels\n0,0\n1,2\n2,2\n");
    expect(metrics("accuracy", "--table", "three.csv", "--html", "three.html").code).toBe(0);
    expect(readFileSync(join(folder, "three.html"), "utf8")).toContain("Confusion matrix");
    const refused = metrics("accuracy", "--table", "three.csv", "--html", join("nowhere", "page.html"));
    expect(refused).toMatchObject({ out: "", code: 2 });
    expect(refused.err).toContain("no such file");
  });
});

describe("losswright metrics --list", () => {
  it("has a line for each metric", () => {
    const { out, code } = metrics("--list");
    const named = out.split("\n").flatMap((line) => /^(\S+)/.exec(line)?.[1] ?? []);
    expect(named).toEqual(metricNames());
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(code).toBe(0);
  });

  it("shows the fields and options of one", () => {
    const { out } = metrics("--list", "accuracy");
    for (const part of [
      "Formula",
      "Fields",
      "predictions, labels; or scores, labels",
      "topK (null)",
      "more is better",
    ]) {
      expect(out).toContain(part);
    }
    const [page] = JSON.parse(metrics("--list", "accuracy", "--json").out);
    expect(page).toMatchObject({ name: "accuracy", goal: "maximize", options: { topK: {} } });
  });
});

describe("losswright metrics refuses", () => {
  const wrong: readonly [what: string, args: readonly string[], said: string][] = [
    ["a misspelt name", ["acuracy", "--table", "table.csv"], 'write "accuracy"'],
    ["no name", ["--table", "table.csv"], "--list"],
    ["no field", ["accuracy"], "none of its fields"],
    ["half of its fields", ["accuracy", "--labels", "labels.npy"], "only labels"],
    ["a field of another metric", ["accuracy", "--table", "table.csv", "--references", "labels.npy"], "--references"],
    [
      "a field beside one in its place",
      ["accuracy", "--table", "table.csv", "--scores", "table.csv#rest,scores", "--predictions", "predictions.npy"],
      "{ predictions, labels } or { scores, labels }. Fix: leave out --scores, or --predictions.",
    ],
    ["a file that is not there", ["accuracy", "--table", "nothing.csv"], "no such file"],
    [
      "a column that is not there",
      ["accuracy", "--table", "table.csv", "--labels", "table.csv#label"],
      'write "labels"',
    ],
    ["a file of several columns", ["accuracy", "--table", "table.csv", "--labels", "batch.npz"], "of 2"],
    ["an option of no metric", ["accuracy", "--table", "table.csv", "--option", "topk=1"], 'write "topK"'],
    ["an option of a metric that is not asked", ["accuracy", "--table", "table.csv", "--option", "ndcg:k=1"], "ndcg"],
    ["an option without a value", ["accuracy", "--table", "table.csv", "--option", "topK"], "key=value"],
    ["an option out of range", ["accuracy", "--table", "table.csv", "--option", "topK=0"], "topK"],
    ["draws that are no number", ["accuracy", "--table", "table.csv", "--bootstrap", "many"], "--bootstrap"],
    ["a seed without draws", ["accuracy", "--table", "table.csv", "--seed", "1"], "--bootstrap"],
    ["a first line that may be both", ["accuracy", "--predictions", "01.csv#0", "--labels", "01.csv#1"], "--no-header"],
    ["words for numbers", ["accuracy", "--predictions", "words.csv#p", "--labels", "words.csv#y"], '"cat" at line 2'],
    ["a name of another library", ["f1", "--table", "table.csv"], 'write "fBeta"'],
    [
      "columns by other names",
      ["accuracy", "--table", "other.csv"],
      'the columns of other.csv are "Scores", "Label", "my id"; expected { predictions, labels } or { scores, labels }. ' +
        "Fix: write --scores other.csv#Scores --labels other.csv#Label.",
    ],
    [
      "a column of a name with a space",
      ["ndcg", "--scores", "other.csv#Scores", "--table", "spaced.csv"],
      'Fix: write --relevance "spaced.csv#rele vance".',
    ],
    [
      "a table without names",
      ["auroc", "--table", "bare.csv"],
      "first line is taken for a row (with --header, for names)",
    ],
    ["a row that is taken for names", ["auroc", "--table", "row.csv", "--header"], "with --no-header where"],
    ["semicolons", ["accuracy", "--table", "semicolon.csv"], '--delimiter ";"'],
    [
      "a delimiter of no file",
      ["accuracy", "--table", "table.parquet", "--delimiter", ";"],
      "--delimiter: found a word",
    ],
    ["a first line of no file", ["accuracy", "--table", "table.parquet", "--header"], "--header: found a word"],
  ];
  beforeAll(() => {
    write("01.csv", "0,1\n1,1\n");
    write("words.csv", "p,y\ncat,1\n");
    write("other.csv", "Scores,Label,my id\n0.2,0,1\n0.7,1,2\n");
    write("row.csv", "0.2,0\n0.7,1\n");
    write("spaced.csv", "rele vance,x\n1,2\n");
    write("semicolon.csv", "predictions;labels\n0;1\n");
  });
  it.each(wrong)("%s, with exit code 2 and nothing printed", (_, args, said) => {
    const { out, err, code } = metrics(...args);
    expect(out).toBe("");
    expect(err).toContain(said);
    expect(err).toMatch(/^losswright: /);
    expect(err).not.toContain("    at ");
    expect(code).toBe(2);
  });

  it("nothing where the first line is told", () => {
    const { out, code } = metrics("accuracy", "--predictions", "01.csv#0", "--labels", "01.csv#1", "--no-header");
    expect(out).toMatch(/^accuracy +0\.5 /m);
    expect(code).toBe(0);
  });
});

describe("the documents of losswright metrics", () => {
  it("show what it prints", () => {
    const text = readFileSync(join(root, "docs", "metrics-command.md"), "utf8");
    const shown = [...text.matchAll(/^```sh\nlosswright metrics (.*)\n```\n+```text\n([\s\S]*?)^```$/gm)];
    expect(shown.length).toBeGreaterThan(4);
    for (const [, args, output] of shown) {
      const { out, err } = metricsIn(root, args!.split(" "));
      expect(err, args).toBe("");
      expect(out, args).toBe(output);
    }
  });

  it("help within 80 columns, with a flag for each field", () => {
    const { out, code } = metrics("--help");
    expect(out.split("\n")[0]).toBe("Usage: losswright metrics [options] [names...]");
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    for (const flag of [
      "--predictions",
      "--labels",
      "--scores",
      "--weights",
      "--mask",
      "--references",
      "--cluster-ids",
    ]) {
      expect(out).toContain(`${flag} <file>`);
    }
    expect(code).toBe(0);
  });
});
