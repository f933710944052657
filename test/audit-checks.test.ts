/**
 * Every check against variants of its mistake and against near misses, drawn by code that knows nothing of the library's
 * losses: the pattern is found whatever the objective, the split and the precision, and what only looks like it is not.
 */
import { describe, expect, it } from "vitest";
import { audit, hasFindings } from "../src/audit/index.js";
import { type DrawnStep, drawStep } from "./steps-generator/draw.js";
import { type CheckId, checkIds } from "./steps-generator/story.js";

/** Seeds and steps enough for every story to be drawn several times. */
const seeds = [11, 12, 13];
const each = 1000;

const drawn = seeds.flatMap((seed) => Array.from({ length: each }, (_, index) => drawStep(index, seed)));

/** What makes one step a variant of another: the story, the objective, how it was cut, what was recorded. */
function variantOf({ story, record }: DrawnStep): string {
  const { parts, fields, reported, intended } = record;
  const holders = parts.length ? parts : [{ fields: fields!, reported }];
  const shapes = Object.values(holders[0]!.fields).map(({ shape }) => shape.length);
  const gradients = holders.some((holder) => Object.keys(holder.reported.gradients).length > 0);
  const told = [
    `${intended.objective} ${JSON.stringify(intended.options)}`.slice(0, 60),
    `${parts.length} parts`,
    `axes ${shapes}`,
    gradients ? "" : "loss only",
  ];
  return `${story} (${told.filter(Boolean).join(", ")})`;
}

const perCheck = 12;

function variants(id: CheckId): Map<string, DrawnStep> {
  const found = new Map<string, DrawnStep>();
  const mine = drawn.filter(({ bug }) => bug === id);
  // One of each story first, then other objectives and cuts.
  for (const step of mine)
    if (![...found.values()].some(({ story }) => story === step.story)) found.set(variantOf(step), step);
  for (const step of mine) if (found.size < perCheck && !found.has(variantOf(step))) found.set(variantOf(step), step);
  return found;
}

const right = "A classifier.";
const model = "A language model.";
const sequences = [
  model,
  "Labels moved before the loss, which moves nothing.",
  "A decoder that reads its targets one place late.",
];
const ranks = [
  "Ranks over the count of the whole step.",
  "A rank without a token, the others over the count of the whole step.",
];
const embeddings = [
  "Gathered keys, labels with the rank's offset.",
  "Queries of all ranks, labels with the rank's offset.",
  "A rank's own keys stand first, and so do its positives.",
  "Images and texts of ranks, gathered with their gradient.",
  "Keys of a momentum encoder, recorded without a gradient.",
  "Images and texts of one process.",
];
const frames = [
  "The blank is the last class, as declared.",
  "Frames of an encoder with a stride, symbols named.",
  "As many frames as sequences, read in their order.",
  "zeroInfinity, and nothing to zero.",
  model,
];

/** Right steps that a careless check would take for its mistake. */
const nearMisses: Readonly<Record<CheckId, readonly string[]>> = {
  "probabilities-as-logits": [
    "Scores that happen to lie between 0 and 1.",
    "Log-probabilities handed over as logits: the logarithm of their softmax is themselves.",
    "Logits of −∞ forbid classes that are no labels.",
    "A divergence from another model.",
    right,
  ],
  "label-dtype": [
    "Counts as floats: whole numbers, but of a floating type.",
    "Missing targets are NaN, masked and not read.",
    "Soft targets, as mixing two examples gives them.",
    "Labels are the inputs, and the padding id is the one that is ignored.",
    "A regression.",
  ],
  shape: [right, "A regression.", "As many frames as sequences, read in their order.", "Independent labels.", model],
  "label-shift": [
    ...sequences,
    "A masked language model: labels stand at masked tokens, nothing is shifted.",
    "Ranks hold pieces of the same rows and divide by the count of all.",
  ],
  "loss-mask": [
    "Padding has the id of the end of sequence, and the roles tell them apart.",
    "The end of sequence is left out, as was intended.",
    "Packed documents are learned as one text, as was intended.",
    "Documents packed into rows, borders left out.",
    "Tokens and roles are recorded; nobody says what should be learned.",
    "A masked language model: labels stand at masked tokens, nothing is shifted.",
  ],
  denominator: [
    "Weights whose sum lies far below 1, which divides all the same.",
    "Class weights, and a calibration that takes them back out.",
    "Means of parts of equal size, averaged.",
    "A micro-batch without a token.",
    right,
  ],
  accumulation: [
    "Micro-batches of uneven size over the count of the whole step.",
    "Means of parts of equal size, averaged.",
    "A micro-batch without a token.",
    "Micro-batches of ranks over the count of the whole step.",
    right,
  ],
  "distributed-denominator": [
    ...ranks,
    "Micro-batches of ranks over the count of the whole step.",
    "Ranks hold pieces of the same rows and divide by the count of all.",
    "Means of parts of equal size, averaged.",
  ],
  "weighting-calibration": [
    "Weighted labels, decided at a tuned threshold.",
    "Weighted labels, the weights taken back out.",
    "Class weights, and a calibration that takes them back out.",
    "A threshold of one half where nothing is weighted.",
    "The focal loss.",
  ],
  "contrastive-offset": embeddings,
  "gather-gradient": embeddings,
  "score-normalization": [
    "Scores as the contract says.",
    "A clipped policy gradient.",
    model,
    right,
    "A divergence from another model.",
  ],
  "ctc-lengths": frames,
  "ctc-blank": frames,
  "ctc-layout": frames,
  "metric-missing": [right, model, "A regression.", "Independent labels.", "The focal loss."],
  "detached-modulation": [
    "A focal loss whose factor is detached, as declared.",
    "The focal loss.",
    "Independent labels.",
    "A loss of two terms, both told.",
    right,
  ],
  temperature: [
    "Distillation without T², as declared.",
    "Soft and hard parts, T² in place.",
    "A divergence from another model.",
    "Gathered keys, labels with the rank's offset.",
    "Images and texts of one process.",
  ],
  smoothing: [
    "Soft targets, as mixing two examples gives them.",
    right,
    model,
    "Independent labels.",
    "Documents packed into rows, borders left out.",
  ],
  "non-finite": [
    "Missing targets are NaN, masked and not read.",
    "Logits of −∞ forbid classes that are no labels.",
    "zeroInfinity, and nothing to zero.",
    "A loss computed in float16.",
    "A loss scale that the gradients still hold.",
    "A micro-batch without a token.",
  ],
};

const loud = (step: DrawnStep) =>
  audit(step.record)
    .findings.filter(({ severity }) => severity !== "note")
    .map(({ check }) => check);

describe.each(checkIds)("%s", (id) => {
  const mistakes = variants(id);

  it("has five variants at least", () => {
    expect(mistakes.size).toBeGreaterThanOrEqual(5);
  });

  it.each([...mistakes])("is found: %s", (_, step) => {
    const found = loud(step);
    expect(found).toContain(id);
    expect(found.filter((check) => check !== id && !step.tolerated.includes(check as CheckId))).toEqual([]);
  });

  it("has five near misses at least", () => {
    expect(new Set(nearMisses[id]).size).toBeGreaterThanOrEqual(5);
  });

  it.each([...new Set(nearMisses[id])])("is not found: %s", (story) => {
    const steps = drawn.filter((step) => step.bug === undefined && step.story === story).slice(0, 4);
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) {
      expect(loud(step)).toEqual([]);
      expect(hasFindings(audit(step.record))).toBe(false);
    }
  });
});
