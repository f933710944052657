/**
 * Recorded steps of `test/steps`, most of them rebuilt from bugs of public projects: what an audit must find in each,
 * what it may find beside it, and that it finds nothing else.
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { checks } from "../src/audit/checks/index.js";
import { reevaluate } from "../src/audit/explain/reevaluate.js";
import { audit } from "../src/audit/index.js";
import type { ContractInput } from "../src/contract/index.js";
import { objectiveFrom, objectiveNames } from "../src/index.js";
import { readStep } from "../src/io/files.js";

interface Expectation {
  /** Checks that must find something; those that this version lacks are waited for. */
  readonly findings: readonly string[];
  /** Checks that may find something beside them. */
  readonly tolerated?: readonly string[];
  /** Where the bug shows: in loss and gradients, or only in what the fields hold. */
  readonly shows?: "numbers" | "fields";
  /** The reduction and the aggregation that reproduce what was reported. */
  readonly explanation?: { readonly reduction: object; readonly aggregation: string };
  /** Why a check that exists cannot find it yet. */
  readonly waits?: string;
}

const perToken = { per: "token", divideBy: "weight" };

const expectations: Readonly<Record<string, Expectation>> = {
  "accumulated-sum-of-means": {
    findings: ["accumulation"],
    tolerated: ["denominator"],
    explanation: { reduction: perToken, aggregation: "sum of means" },
  },
  "accuracy-never-logged": { findings: ["metric-missing"], shows: "fields" },
  "batch-first-taken-as-time-first": { findings: ["ctc-layout"] },
  "blank-is-the-last-class": { findings: ["ctc-blank"] },
  "class-weights-unnormalised": {
    findings: ["denominator"],
    tolerated: ["weighting-calibration"],
    explanation: { reduction: { per: "token", divideBy: "count" }, aggregation: "whole" },
  },
  "classifier-uneven-ranks": {
    findings: ["distributed-denominator"],
    tolerated: ["denominator"],
    explanation: { reduction: perToken, aggregation: "rank mean" },
  },
  "clean-distillation": { findings: [] },
  "clean-rank-offset": { findings: [] },
  "clean-whole-number-targets": { findings: [] },
  "dpo-mean-over-padded-length": { findings: ["score-normalization"], shows: "fields" },
  "end-of-sequence-lost": { findings: ["loss-mask"], tolerated: ["denominator", "label-shift"] },
  "focal-probability-weighted": { findings: ["weighting-calibration"], tolerated: ["detached-modulation"] },
  "focal-weights-detached": { findings: ["detached-modulation"] },
  "frame-scores-reshaped": { findings: ["shape"] },
  "gather-multiplies-the-gradient": { findings: ["gather-gradient"], tolerated: ["distributed-denominator"] },
  "items-counted-per-rank": {
    findings: ["distributed-denominator"],
    tolerated: ["denominator", "accumulation"],
    explanation: { reduction: perToken, aggregation: "rank mean" },
  },
  "keras-from-logits-softmax": { findings: ["probabilities-as-logits"], shows: "fields" },
  "labels-longer-than-frames": { findings: ["ctc-lengths"], tolerated: ["non-finite"], shows: "fields" },
  "localization-distillation-class-mean": { findings: ["denominator"], tolerated: ["temperature"] },
  "log-of-softmax-underflows": { findings: ["non-finite"], tolerated: ["probabilities-as-logits"] },
  "logistic-double-softmax": { findings: ["probabilities-as-logits"] },
  "masked-kl-leaks-nan": { findings: ["non-finite"], tolerated: ["loss-mask"] },
  "mse-column-against-vector": { findings: ["shape"] },
  "next-next-token": { findings: ["label-shift"], tolerated: ["denominator"] },
  "pad-zero-not-ignored": { findings: ["loss-mask"], shows: "fields" },
  "prompts-in-the-loss": { findings: ["loss-mask"], shows: "fields" },
  "rare-labels-threshold-half": { findings: ["weighting-calibration"], shows: "fields" },
  "second-rank-first-diagonal": { findings: ["contrastive-offset"], tolerated: ["gather-gradient"] },
  "sequences-averaged-by-token": {
    findings: ["denominator"],
    explanation: { reduction: perToken, aggregation: "whole" },
  },
  "sft-global-mean": { findings: [], explanation: { reduction: perToken, aggregation: "whole" } },
  "sft-mean-of-means": {
    findings: ["accumulation"],
    explanation: { reduction: perToken, aggregation: "mean of means" },
  },
  "smoothing-over-the-others": { findings: ["smoothing"] },
  "sts-integer-scores": { findings: ["label-dtype"], shows: "fields" },
  "tutorial-distillation-unscaled": { findings: ["temperature"], tolerated: ["denominator"] },
  "weighted-accumulation": {
    findings: ["accumulation"],
    tolerated: ["denominator", "weighting-calibration"],
    explanation: { reduction: perToken, aggregation: "mean of means" },
  },
};

const existing = new Set(checks.map(({ id }) => id));
const folder = fileURLToPath(new URL("steps/", import.meta.url));
const records = await Promise.all(Object.keys(expectations).map((name) => readStep(`${folder}${name}`)));
const exists = (record: (typeof records)[number]) => objectiveNames().includes(String(record.intended.objective));
const supported = records.filter(exists);
const unsupported = records.filter((record) => !exists(record));

const waiting: string[] = [];
afterAll(() => {
  console.log(`waiting: ${waiting.length} expectations\n${waiting.map((line) => `  ${line}`).join("\n")}`);
});

it("the table speaks of every record", () => {
  expect(readdirSync(folder).sort()).toEqual(Object.keys(expectations).sort());
});

describe("a recorded step of an objective of this version", () => {
  it.each(supported.map((record) => [record.name, record] as const))(
    "%s gives the expected findings",
    (name, record) => {
      const { findings, tolerated = [], shows, waits } = expectations[name]!;
      const { step, findings: given } = audit(record);
      const found = given.filter(({ check }) => check !== "unexplained").map(({ check }) => check);
      const lacking = findings.filter((id) => !existing.has(id) || waits !== undefined);
      for (const id of lacking) waiting.push(`${name}: ${id}, ${waits ?? "whose check does not exist"}`);
      const due = findings.filter((id) => !lacking.includes(id));
      expect(found).toEqual(expect.arrayContaining(due));
      expect(found.filter((id) => !findings.includes(id) && !tolerated.includes(id))).toEqual([]);
      // One cause is one finding.
      expect(new Set(found).size).toBe(found.length);
      const mayPuzzle = lacking.length > 0 && shows !== "fields" && found.length === 0;
      if (!mayPuzzle) expect(given.filter(({ check }) => check === "unexplained")).toEqual([]);
      if (shows === "fields" && due.length === 0 && found.length === 0) expect(step.lossError).toBeLessThan(2e-5);
    },
  );

  const explained = supported.filter(({ name }) => expectations[name]!.explanation);
  it.each(explained.map((record) => [record.name, record] as const))("%s is explained as expected", (name, record) => {
    const { reduction, aggregation } = expectations[name]!.explanation!;
    const [first] = audit(record).step.explanations;
    expect(first).toMatchObject({ fits: true, aggregation, transform: [] });
    expect(first!.contract.reduction).toMatchObject(reduction);
    expect({ ...first!.contract, reduction: {} }).toEqual({
      ...objectiveFrom(record.intended as unknown as ContractInput).contract,
      reduction: {},
    });
  });

  it.each(supported.map((record) => [record.name, record] as const))(
    "%s has explanations that give the reported loss when their contracts are evaluated",
    (_, record) => {
      const { step } = audit(record);
      for (const explanation of step.explanations.filter(({ fits }) => fits)) {
        const value = reevaluate(step, explanation);
        expect(value / record.reported.loss!, JSON.stringify(explanation.transform)).toBeCloseTo(1, 4);
      }
    },
  );
});

describe.skipIf(unsupported.length === 0)("a recorded step of an objective that this version lacks", () => {
  it.each(unsupported.map((record) => [record.name, record] as const))("%s is refused by name", (name, record) => {
    const { objective } = record.intended;
    waiting.push(`${name}: the objective ${objective} does not exist`);
    expect(() => audit(record)).toThrow(
      expect.objectContaining({ code: "unsupported", found: expect.stringContaining(`"${objective}"`) }),
    );
  });
});
