import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import {
  mean,
  meanOf,
  type RecordedPart,
  type StepWishes,
  stepOf,
  sumOf,
  type TokenWishes,
  tokenParts,
  total,
  weightOf,
} from "../../../test/instruments/steps.js";
import { LosswrightError } from "../../errors/index.js";
import { readStep } from "../../io/files.js";
import type { StepRecord } from "../../io/index.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { audit, type StepAudit } from "../audit.js";
import type { Finding } from "../finding.js";
import { type AuditPageOptions, auditPage } from "./page.js";

const tokens = (kept: readonly number[], wishes: Partial<TokenWishes> = {}) =>
  tokenParts(new Random(7), { kept, length: 12, ...wishes });
const right = (parts: readonly RecordedPart[], wishes: Partial<StepWishes> = {}) => {
  const weight = total(parts.map(weightOf));
  return stepOf({ parts, loss: total(parts.map(sumOf)) / weight, factors: parts.map(() => 1 / weight), ...wishes });
};
const averaged = (parts: readonly RecordedPart[], wishes: Partial<StepWishes> = {}) =>
  stepOf({
    parts,
    loss: mean(parts.map(meanOf)),
    factors: parts.map((part) => 1 / weightOf(part) / parts.length),
    ...wishes,
  });

const pageOf = (record: StepRecord, options?: AuditPageOptions) =>
  auditPage([{ path: "runs/step", audit: audit(record) }], options);
const pageOfFindings = (record: StepRecord, findings: readonly Finding[]) =>
  auditPage([{ path: "runs/step", audit: { ...audit(record), findings } }]);

/** Tags, attributes and text of a page; throws for what no parser would read as it was meant. */
function read(html: string): { tags: Set<string>; attributes: Set<string>; text: string } {
  const [tags, attributes, open] = [new Set<string>(), new Set<string>(), [] as string[]];
  const body = html.replace(/^<!doctype html>\n/, "");
  let text = "";
  let at = 0;
  for (const match of body.matchAll(/<(\/?)([a-z]\w*)((?: [\w:-]+(?:="[^"<]*")?)*)\/?>/gi)) {
    const [whole, close, tag, given] = match;
    const between = body.slice(at, match.index);
    if (between.includes("<")) throw new Error(`a stray < in ${between.slice(0, 80)}`);
    if (open.at(-1) !== "style") text += `${between} `;
    at = match.index + whole.length;
    tags.add(tag!.toLowerCase());
    for (const [, name] of given!.matchAll(/ ([\w:-]+)/g)) attributes.add(name!.toLowerCase());
    if (tag === "meta" || whole.endsWith("/>")) continue;
    if (!close) open.push(tag!);
    else if (open.pop() !== tag) throw new Error(`</${tag}> closes nothing`);
  }
  if (open.length || body.slice(at).trim()) throw new Error(`left open: ${open.join()}`);
  const plain = text.replaceAll("&lt;", "<").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
  return { tags, attributes, text: plain.replace(/\s+/g, " ") };
}

const textOf = (record: StepRecord) => read(pageOf(record)).text;

describe("the page of an audit", () => {
  const wrong = averaged(tokens([5, 9, 3, 20]));

  it("is one document that runs no script and may load nothing", () => {
    const html = pageOf(wrong);
    expect(html.startsWith("<!doctype html>\n<html")).toBe(true);
    expect(html).toContain("default-src 'none'; style-src 'unsafe-inline'");
    expect(html).not.toMatch(/<script|\son\w+=|https?:|@import|<link|<img|url\((?!#)/i);
  });

  it("tells the verdict first, with the sentence of the gravest finding", () => {
    const note = { check: "a", severity: "note", message: "Only a note.", evidence: {}, fix: "no fix" } as const;
    const error = { ...note, check: "b", severity: "error", message: "What is wrong." } as const;
    const html = pageOfFindings(wrong, [note, error]);
    const header = html.slice(html.indexOf("<header"), html.indexOf("</header>") + "</header>".length);
    expect(read(header).text).toMatch(/✗ WRONG step What is wrong\. runs\/step/);
    expect(html.indexOf("<header")).toBeLessThan(html.indexOf("The contract"));
  });

  it.each([
    ["WRONG for an error", averaged(tokens([5, 9])), "✗ WRONG step"],
    ["DOUBT for numbers that nothing explains", right(tokens([5, 9]), { loss: 77 }), "\\? DOUBT step"],
    ["CLEAN for the contract's own numbers", right(tokens([5, 9])), "✓ CLEAN step"],
    ["NOTE where nothing was reported", stepOf({ parts: tokens([5]), loss: null }), "i NOTE step"],
  ])("says %s", (_, record, words) => {
    expect(textOf(record)).toMatch(new RegExp(words));
  });

  it("tells a clean step in one sentence, with how close it is", () => {
    expect(textOf(right(tokens([5, 9])))).toMatch(
      /\S+ \/ 14 tokens = \S+, as reported \(\de−\d+\), and the gradient is the contract's, in each of 2 parts \(\de−\d+\)\./,
    );
  });

  it("sets declared, reported and gradient side by side, and says what each part counts and how it pulls", () => {
    const text = textOf(wrong);
    expect(text).toMatch(/The contract: cross entropy of each label/);
    expect(text).toMatch(/Declared \S+ \S+ \/ 37 tokens/);
    expect(text).toMatch(/Reported \S+ ✗ \S+ % (higher|lower) than declared/);
    expect(text).toMatch(/Gradient \S+x as long ✗ \d+ degrees off/);
    expect(text).toMatch(/3 3 \S+ \S+ \S+ 3\.08x too hard 4 20 \S+ \S+ \S+ 0\.463x too little whole step 37/);
  });

  it("tells of a finding why, harm, fix with its code, evidence and where to read more", () => {
    const finding: Finding = {
      check: "label-shift",
      severity: "error",
      message: "The message.",
      why: "The reason.",
      harm: "The harm.",
      fix: "do this:\nfirst = 1\n    second = 2",
      evidence: { gradientFactors: Array.from({ length: 30 }, (_, i) => i), declared: Number.NaN, which: "words" },
    };
    const html = pageOfFindings(wrong, [finding]);
    const { text } = read(html);
    expect(text).toContain("label-shift The message. Why The reason. Harm The harm. Fix Do this:");
    expect(html).toContain("<code>first = 1\n    second = 2</code></pre>");
    expect(text).toMatch(/gradient factors 0, 1, .*, 11, … 30 in all declared not a number which words/);
    expect(text).toContain("More: docs/checks/label-shift.md");
  });

  it("tells of an explanation only what is otherwise than declared", () => {
    const text = textOf(averaged(tokens([5, 9])));
    const told = text.slice(text.indexOf("What gives the reported numbers"), text.indexOf("The gradient, unit"));
    expect(told).toMatch(/put together whole → mean of means Residual: loss \S+, gradient \S+\./);
    expect(told).not.toMatch(/labelSmoothing|ignoreIndex|objective/);
    expect(textOf(right(tokens([5, 9])))).not.toContain("What gives");
  });

  it("says which entries of the contract, and which transforms, explain the numbers", () => {
    const own = audit(right(tokens([9], { classWeights: [1, 2, 3, 4, 5] }), { loss: 77 }));
    const contract = { ...own.step.declared!.contract, options: { labelShift: 7 } };
    const transform = [
      { apply: "softmax", field: "logits" },
      { apply: "scaleLoss", value: 0.25 },
    ];
    const explanation = { ...own.step.explanations[0]!, contract, transform, fits: true };
    const html = auditPage([{ path: "p", audit: { ...own, step: { ...own.step, explanations: [explanation] } } }]);
    expect(read(html).text).toMatch(/options\.classWeights \[1,2,3,4,5\] → absent/);
    expect(read(html).text).toMatch(/options\.labelShift \S+ → 7/);
    expect(read(html).text).toMatch(/transform none → softmax of logits transform none → scaleLoss: 0\.25/);
  });

  it("refuses an option that it does not know, and names the near miss", () => {
    expect(() => auditPage([], { titel: "x" } as AuditPageOptions)).toThrow(LosswrightError);
    expect(() => auditPage([], { titel: "x" } as AuditPageOptions)).toThrow('write "title"');
    expect(() => auditPage([], [] as never)).toThrow("expected an object");
  });
});

describe("the gradient's pattern", () => {
  const rows = [3, 3];
  const [part] = tokens([20], { rows: 2 });
  const factor = 1 / 20;
  const shapes = (html: string, kind: string) =>
    [...html.slice(html.indexOf("hatches")).matchAll(new RegExp(`<path class="${kind}" d="([^"]*)"`, "g"))]
      .map(([, d]) => d!.split("M").length - 1)
      .reduce((sum, count) => sum + count, 0);

  it("has a bar and a tick for every unit that pulls, and an axis of positions", () => {
    const html = pageOf(right([part!]));
    // One of each stands in the legend.
    expect(shapes(html, "same")).toBe(21);
    expect(shapes(html, "ticks")).toBe(21);
    expect(read(html).text).toMatch(/Of 24 tokens: 20 as declared 4 that pull nothing/);
    expect(html.match(/class="strip"/g)).toHaveLength(2);
    expect(read(html).text).toMatch(/0 1 2 3 4 5 6 7 8 9 10 11/);
  });

  it("shows a unit left out, one too much and a row that pulls too hard at a glance", () => {
    const record = right([part!], {
      factors: [({ row, at }) => (row === 1 ? 3 * factor : at < 5 ? 0 : factor)],
    });
    const gradient = record.reported.gradients.logits!;
    const free = part!.fields.labels!.data.findIndex((label) => Number(label) === -100);
    (gradient.data as Float32Array)[5 * free] = 0.2;
    const html = pageOf(record);
    expect(shapes(html, "missing")).toBe(2);
    expect(shapes(html, "extra")).toBe(2);
    const text = read(html).text;
    expect(text).toMatch(/1 that should not pull, and do 1 that should pull, and do not/);
    expect(text).toMatch(/that pull harder than declared \(up to 3\.00x\)/);
    expect(html).toMatch(/aria-label="row 1: \d+ too strong.*along the declared gradient 3\.00x"/);
  });

  it("says how many tokens of each role pull, and marks a prompt that does", () => {
    const roles = Int32Array.from({ length: 24 }, (_, at) => (at % 12 < 3 ? 1 : 2));
    const context = { sequence: { roles: tensor(roles, [2, 12]) } };
    const html = pageOf(right([part!], { context }));
    const pulling = Array.from(part!.fields.labels!.data, Number).map((label) => label !== -100);
    const prompts = pulling.filter((pulls, at) => pulls && at % 12 < 3).length;
    expect(prompts).toBeGreaterThan(0);
    expect(read(html).text).toContain(
      `${prompts} of 6 prompt tokens pull; ${20 - prompts} of 18 assistant tokens pull.`,
    );
    expect(html).toMatch(/<span class="prompt" style="flex-grow:\d+"><b>!<\/b><\/span>/);
    expect(html).toContain(`prompt in the loss: ${prompts} position`);
  });

  it("says where there is nothing to draw", () => {
    expect(textOf(stepOf({ parts: tokens([5]), loss: 1 }))).toContain("No gradients were recorded");
    const half = right(tokens(rows));
    half.parts[1]!.reported.gradients = {};
    expect(textOf(half)).toContain("Only 1 of 2 parts recorded gradients");
  });

  it("crosses out what is not finite, and says so in words", () => {
    const record = right([part!]);
    (record.reported.gradients.logits!.data as Float32Array).fill(Number.NaN, 0, 5);
    const text = textOf({ ...record, reported: { ...record.reported, loss: Number.NEGATIVE_INFINITY } });
    expect(text).toContain("1 not finite");
    expect(text).toContain("Reported minus infinity");
    expect(text).not.toMatch(/\bundefined\b|\[object/);
  });

  it("has a part a field, and gives the gradient of a shared scalar as a number", async () => {
    const record = await readStep(
      fileURLToPath(new URL("../../../test/steps/gather-multiplies-the-gradient", import.meta.url)),
    );
    const [{ fields, reported }] = record.parts as [StepRecord["parts"][number]];
    const gradients = { ...reported.gradients, logScale: tensor(Float64Array.of(-0.5), []) };
    const alone = { ...record, fields, reported: { loss: 1, gradients }, context: {}, parts: [] };
    const { text } = read(pageOf(alone));
    for (const field of ["images", "texts", "logScale"]) expect(text).toContain(`Gradient of ${field}`);
    const [declared] = audit(alone).step.declared!.gradients;
    const shown = Number(declared!.byField.logScale!.data[0]).toFixed(4).replace("-", "−");
    expect(text).toContain(`reported declared −0.5000 ${shown}`);
  });

  it("puts the units that a sample kept where they lie in the whole step", () => {
    const labels = Array.from(part!.fields.labels!.data, Number);
    const kept = labels.flatMap((label, at) => (label !== -100 && at % 3 === 0 ? [at] : []));
    const rowsOf = (field: Tensor, width: number) =>
      Float32Array.from(
        kept.flatMap((unit) => Array.from(field.data.subarray(unit * width, (unit + 1) * width), Number)),
      );
    const whole = right([part!]);
    const sampled = {
      units: tensor(Int32Array.from(kept)),
      shape: [2, 12],
      fields: ["logits"],
      tally: { denominator: 20, numerator: sumOf(part!) },
    };
    const html = pageOf({
      ...whole,
      fields: { ...whole.fields, logits: tensor(rowsOf(part!.fields.logits!, 5), [kept.length, 5]) },
      reported: {
        ...whole.reported,
        gradients: { logits: tensor(rowsOf(whole.reported.gradients.logits!, 5), [kept.length, 5]) },
      },
      context: { sampled },
    });
    // One of each stands in the legend; a cell is ten wide.
    expect(shapes(html, "same")).toBe(kept.length + 1);
    const lines = [...html.matchAll(/class="strip"[\s\S]*?<path class="same" d="([^"]*)"/g)].map(([, d]) => d!);
    const places = lines.flatMap((d, row) =>
      [...d.matchAll(/M(\d+) 30v/g)].map(([, x]) => 12 * row + (Number(x) - 1) / 10),
    );
    expect(places).toEqual(kept);
    expect(read(html).text).toContain("Only some units of the step were kept");
  });

  it("draws of many parts those that deviate most, and says how many it leaves out", () => {
    const many = tokens(Array.from({ length: 100 }, (_, i) => (i === 70 ? 2 : 6)));
    const html = pageOf(averaged(many));
    const { text } = read(html);
    expect(html.match(/<h5>Micro-batch/g)).toHaveLength(12);
    expect(text).toContain("88 more parts, nearer to their declared gradients, not drawn");
    expect(text).toContain("Micro-batch 71");
    expect(text).toMatch(/ 100 6 \S+ \S+ \S+ \S+x (too little )?whole step/);
    expect(html.length).toBeLessThan(1e6);
  });
});

describe("the batch of a page", () => {
  const ids = (length: number, rows: number) =>
    tensor(
      Int32Array.from({ length: rows * length }, (_, at) => at % 7),
      [rows, length],
    );
  const withIds = (kept: number, length: number, rows: number) => {
    const [part] = tokens([kept], { rows, length });
    return right([part!], { context: { sequence: { inputIds: ids(length, rows) } } });
  };

  it("stands there as tokens with their labels, by their text where a vocabulary gives it", () => {
    const html = pageOf(withIds(9, 12, 2), { textOf: (id) => `w${id}` });
    expect(html.match(/<span class="t [a-z ]+" (?:style="[^"]*" )?role="img"/g)).toHaveLength(24);
    expect(html).toContain("<b>w6</b>");
  });

  it("is limited, and says how many rows and positions are left out", () => {
    const html = pageOf(withIds(300, 400, 40));
    const cells = html.match(/<span class="t /g)!.length;
    expect(cells).toBeGreaterThan(500);
    expect(cells).toBeLessThan(1300);
    expect(read(html).text).toMatch(/positions \d+\.\.\d+ of 400/);
    expect(read(html).text).toMatch(/3[5-9] more rows, not on this page/);
  });

  it("shows of a long row where something is to be looked at", () => {
    const record = withIds(20, 600, 1);
    const roles = new Int32Array(600).fill(2);
    roles.fill(0, 590);
    const labels = record.fields!.labels!.data as BigInt64Array;
    labels.fill(1n);
    labels[595] = 2n;
    labels.fill(-100n, 590, 595);
    const context = { sequence: { ...record.context.sequence, roles: tensor(roles, [1, 600]) } };
    const html = pageOf({ ...record, context });
    expect(read(html).text).toContain("positions 344..599 of 600");
    expect(html).toContain("look: padding in the loss");
  });

  it("is not shown where labels are one a sample", () => {
    const [part] = tokens([6], { rows: 1, length: 6 });
    const flat = { labels: tensor(part!.fields.labels!.data, [6]), logits: tensor(part!.fields.logits!.data, [6, 5]) };
    const html = pageOf(right([{ ...part!, fields: flat }]));
    expect(html).not.toContain('<div class="batch">');
    expect(html).toContain('<div class="pattern">');
  });
});

describe("a hostile record", () => {
  const evil = `</style></title><script>alert(1)</script><img src=x onerror="alert(1)">"'\`&\u0000\u0007\u001b[31m\u202eabc\u2066\ud800`;
  const hostile = (): StepRecord => {
    const context = {
      task: evil,
      run: evil,
      framework: evil,
      metric: { name: evil, reads: evil, value: 1 },
      alignment: { symbols: [evil] },
      [evil]: evil,
    };
    return { ...averaged(tokens([5, 9]), { context }), name: evil };
  };
  const found: Finding = {
    check: evil,
    severity: "error",
    message: evil,
    why: evil,
    harm: evil,
    fix: `${evil}\n${evil}`,
    evidence: { [evil]: evil, list: [Number.NaN, 1] },
  };
  const page = (textOf?: AuditPageOptions["textOf"]) => {
    const own = audit(hostile());
    const each: StepAudit = { ...own, findings: [found] };
    const audits = [1, 2].map(() => ({ path: evil, audit: each }));
    return auditPage(audits, { title: evil, ...(textOf && { textOf }) });
  };

  it("brings no tag and no attribute of its own", () => {
    const tame = averaged(tokens([5, 9]));
    const known = auditPage(
      [1, 2].map(() => ({ path: "p", audit: { ...audit(tame), findings: [{ ...found, fix: "a\nb" }] } })),
    );
    const [theirs, mine] = [read(page(() => evil)), read(known)];
    expect([...theirs.tags].filter((tag) => !mine.tags.has(tag))).toEqual([]);
    expect([...theirs.attributes].filter((name) => !mine.attributes.has(name))).toEqual([]);
    expect(mine.tags.has("script") || mine.tags.has("img")).toBe(false);
  });

  it("brings no control character, no mark that turns text and no half of a character", () => {
    const html = page(() => evil);
    expect(html.replaceAll("\n", "").match(/\p{C}/gu)).toBeNull();
    expect(read(html).text).toContain("<script>alert(1)</script>");
  });

  it("does not make the page large by long texts", () => {
    const long = "<&".repeat(2_000_000);
    const record = { ...averaged(tokens([5, 9]), { context: { task: long, run: long } }), name: long };
    const findings = [{ ...found, check: long, message: long, fix: `${long}\n${long}`, evidence: { [long]: long } }];
    const html = auditPage([{ path: long, audit: { ...audit(record), findings } }], {
      title: long,
      textOf: () => long,
    });
    expect(html.length).toBeLessThan(1e6);
    expect(read(html).text).toMatch(/more characters/);
  });

  it("that contradicts its contract is told without numbers", () => {
    const [part] = tokens([5]);
    const { labels: _, ...fields } = part!.fields;
    const text = textOf(stepOf({ parts: [{ ...part!, fields }], loss: 1 }));
    expect(text).toMatch(/✗ WRONG step The fields contradict the contract/);
    expect(text).toContain("Declared no value the fields contradict the contract");
    expect(text).toContain("Nothing is declared on these fields");
  });

  it("that counts nothing has a page", () => {
    const text = textOf(stepOf({ parts: tokens([0]), loss: 0, factors: [0] }));
    expect(text).toContain("nothing is counted");
    const none = {
      logits: tensor(new Float32Array(0), [0, 3, 5]),
      labels: tensor(new BigInt64Array(0), [0, 3]),
    };
    const [part] = tokens([0]);
    const empty = stepOf({ parts: [{ ...part!, fields: none, units: [] }], loss: 0, factors: [0] });
    expect(textOf(empty)).toContain("The gradient, unit by unit");
  });
});

describe("a page of several steps", () => {
  const numbered = (record: StepRecord, step: number, run = "night") => ({
    path: `runs/${step}`,
    audit: audit({ ...record, context: { ...record.context, run, step } }),
  });
  const clean = right(tokens([5, 9]));
  const wrong = averaged(tokens([5, 9]));
  const run = [clean, clean, wrong, clean, wrong].map((record, i) => numbered(record, 500 * i));

  it("tells what was found, since when and how often, before the steps", () => {
    const { text } = read(auditPage(run));
    expect(text).toContain("✗ WRONG Run night 5 steps: 2 wrong, 3 clean. In step 1000: ");
    expect(text).toMatch(/accumulation 2 of 5 step 1000 step 2000/);
  });

  it("draws a mark for every step with the finding, at its place", () => {
    const html = auditPage(run);
    expect(html).toContain('<path class="error" d="M12.5 16v-14h5v14zM24.5 16v-14h5v14z"');
  });

  it("leads from every line to the step's section", () => {
    const html = auditPage(run);
    const links = [...html.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
    expect(links).toHaveLength(5);
    for (const id of links) expect(html).toContain(`<section class="step" id="${id}">`);
  });

  it("takes no run's name where steps are of several, and the title that it is given", () => {
    const mixed = [numbered(clean, 1), numbered(clean, 1, "day")];
    expect(read(auditPage(mixed)).text).toContain("✓ CLEAN 2 steps 2 steps: 2 clean.");
    expect(read(auditPage(mixed, { title: "Before the fix" })).text).toContain("✓ CLEAN Before the fix");
  });

  it("draws the pictures of some, and has sections for those that are not clean before others", () => {
    const many = Array.from({ length: 60 }, (_, i) => numbered(i < 50 ? clean : wrong, i));
    const html = auditPage(many);
    expect(html.match(/<section class="step"/g)).toHaveLength(40);
    expect(html.match(/<div class="pattern"/g)).toHaveLength(6);
    for (let step = 51; step <= 60; step++) expect(html).toContain(`id="step-${step}"`);
    expect(html.length).toBeLessThan(1e6);
  });

  it("of none says so", () => {
    expect(read(auditPage([])).text).toContain("No step was audited");
  });
});

describe("the size of a page", () => {
  it("stays under a megabyte for a step of many rows, positions and parts", () => {
    const parts = tokens([9000, 4000, 9500, 7000], { rows: 24, length: 512, classes: 3 });
    const inputIds = tensor(
      Int32Array.from({ length: 24 * 512 }, (_, at) => at % 30_000),
      [24, 512],
    );
    const record = averaged(parts);
    for (const part of record.parts) part.context.sequence = { inputIds };
    const html = pageOf(record, { textOf: (id) => `"token" & <${id}>` });
    expect(html.length).toBeLessThan(1e6);
    expect(html.length).toBeGreaterThan(2e5);
    read(html);
  });
});
