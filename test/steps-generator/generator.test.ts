import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type AuditedStep, openStep } from "../../src/audit/index.js";
import { encodeStep, parseNpy, parseStep } from "../../src/io/index.js";
import { Random } from "../instruments/random.js";
import { drawStep } from "./draw.js";
import { roundTo } from "./rounding.js";
import { checkIds } from "./story.js";
import { Tape, type Variable } from "./tape.js";

const steps = Array.from({ length: 1200 }, (_, index) => drawStep(index));

/** The library's numbers beside the reported ones; it has no part in how these were computed. */
function opened(step: (typeof steps)[number]): AuditedStep {
  return openStep(step.record, { search: false });
}

/** NaN beside a number is no agreement. */
function agree({ lossError, gradientError = 0, tolerance }: AuditedStep): boolean {
  return lossError <= tolerance.loss && gradientError <= tolerance.gradient;
}

describe("drawn steps", () => {
  it("are right in half of the cases, and have the bugs of all checks in turn", () => {
    expect(steps.filter(({ bug }) => bug === undefined)).toHaveLength(steps.length / 2);
    for (const id of checkIds) expect(steps.filter(({ bug }) => bug === id)).toHaveLength(steps.length / 40);
  });

  it("agree with the library on loss and gradient where nothing is wrong", () => {
    const disagreeing = steps.filter((step) => step.bug === undefined && !agree(opened(step)));
    expect(disagreeing.map(({ index, story }) => `${index}: ${story}`)).toEqual([]);
  });

  it("contradict their contract where a bug shows in the numbers", () => {
    const agreeing = steps.filter((step) => step.bug !== undefined && step.shows === "numbers" && agree(opened(step)));
    expect(agreeing.map(({ index, story }) => `${index}: ${story}`)).toEqual([]);
  });

  it("follow their contract where a bug shows in fields or context, or hold fields that no contract takes", () => {
    const shown = steps.filter(({ bug, shows }) => bug !== undefined && shows === "fields or context");
    const others = shown.filter((step) => {
      const audited = opened(step);
      const refused = ["dtype", "value"].includes(audited.contradiction?.code ?? "");
      if (refused) return step.bug !== "label-dtype" && step.bug !== "ctc-blank";
      // An impossible alignment and a NaN among the scores leave no gradient that could be compared.
      return step.bug === "ctc-lengths" || step.bug === "non-finite" ? audited.lossError > 2e-5 : !agree(audited);
    });
    expect(others.map(({ index, bug, story }) => `${index}, ${bug}: ${story}`)).toEqual([]);
  });

  it("tell many stories of each bug, and never tolerate the bug itself", () => {
    for (const id of checkIds) {
      const told = new Set(steps.filter(({ bug }) => bug === id).map(({ story }) => story));
      expect(told.size, id).toBeGreaterThanOrEqual(2);
    }
    for (const { bug, tolerated } of steps) expect(tolerated).not.toContain(bug);
  });

  it("can be written, read back, and are the same then", () => {
    for (const { record } of steps.slice(0, 300)) {
      const { json, files } = encodeStep(record);
      const back = parseStep(json, (file) => parseNpy(files.get(file)!, file), record.name);
      const again = encodeStep(back);
      expect({ json: JSON.parse(again.json), files: again.files }).toEqual({ json: JSON.parse(json), files });
    }
  });

  it("are the same whenever they are drawn, and others under another seed", () => {
    for (const index of [0, 1, 17, 402, 999]) {
      expect(encodeStep(drawStep(index).record)).toEqual(encodeStep(steps[index].record));
      expect(encodeStep(drawStep(index, 5).record)).not.toEqual(encodeStep(steps[index].record));
    }
  });
});

describe("the generator", () => {
  it("takes nothing of the library but tensors and the types of records", () => {
    const folder = import.meta.dirname;
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => {
      // The judge holds the audit against what was drawn; it draws nothing.
      return file.endsWith(".ts") && !file.endsWith(".test.ts") && file !== "accuracy.ts";
    });
    const imports = files.flatMap((file) => {
      const text = readFileSync(join(folder, file), "utf8");
      return [...text.matchAll(/^(import|export)( type)? [^;]*?from "([^"]*src\/[^"]*)";$/gm)].map((match) => ({
        file,
        isType: match[2] !== undefined,
        from: match[3].replace(/^[./]*/, ""),
      }));
    });
    expect(imports.length).toBeGreaterThan(5);
    const foreign = imports.filter(({ isType, from }) => {
      return from !== "src/tensor/index.js" && !(isType && from === "src/io/index.js");
    });
    expect(foreign).toEqual([]);
  });
});

describe("rounding", () => {
  it.each([
    ["float16", 1 / 3, 0.333251953125],
    ["float16", 65519, 65504],
    ["float16", 65520, Number.POSITIVE_INFINITY],
    ["float16", 2 ** -25, 0],
    ["float16", 3 * 2 ** -26, 2 ** -24],
    ["float16", -2049, -2048],
    ["bfloat16", 1 / 3, 0.333984375],
    ["bfloat16", 1 + 2 ** -8, 1],
    ["bfloat16", 1 + 3 * 2 ** -8, 1 + 2 ** -6],
    ["bfloat16", 301, 300],
    ["bfloat16", 303, 304],
    ["float32", 0.1, Math.fround(0.1)],
    ["float64", 0.1, 0.1],
  ] as const)("to %s makes %d into %d", (precision, x, expected) => {
    expect(roundTo(precision, x)).toBe(expected);
  });

  it("keeps NaN, infinities and the sign of zero", () => {
    for (const x of [Number.NaN, Number.NEGATIVE_INFINITY, -0]) expect(roundTo("float16", x)).toBe(x);
  });
});

describe("a tape", () => {
  type Operation = (tape: Tape, x: Variable) => Variable;
  const other = { shape: [2, 3], data: [0.3, -0.7, 1.1, 0.4, 0.9, -0.2] };
  const operations: Readonly<Record<string, Operation>> = {
    exp: (tape, x) => tape.exp(x),
    sigmoid: (tape, x) => tape.sigmoid(x),
    softplus: (tape, x) => tape.softplus(x),
    "log of a softmax": (tape, x) => tape.log(tape.softmax(x)),
    logSoftmax: (tape, x) => tape.logSoftmax(x),
    power: (tape, x) => tape.power(tape.shift(tape.sigmoid(x), 1), 2.5),
    clamp: (tape, x) => tape.clamp(x, -0.5, 0.5),
    plus: (tape, x) => tape.plus(x, tape.scale(x, 3)),
    minus: (tape, x) => tape.minus(tape.leaf(other), x),
    times: (tape, x) => tape.times(x, tape.exp(x)),
    smaller: (tape, x) => tape.smaller(x, tape.leaf(other)),
    where: (tape, x) => tape.where([1, 0, 1, 1, 0, 1], x),
    take: (tape, x) => tape.take(x, [5, 0, 0, 2]),
    pick: (tape, x) => tape.pick(x, [2, 0]),
    sumRows: (tape, x) => tape.sumRows(tape.times(x, x)),
    products: (tape, x) => tape.products(x, tape.exp(x)),
    unitRows: (tape, x) => tape.unitRows(x),
  };
  const point = [0.31, -1.2, 0.77, 1.9, -0.4, 0.05];
  const mixed = (name: string, numbers: readonly number[]) => {
    const tape = new Tape("float64");
    const x = tape.leaf({ shape: [2, 3], data: numbers });
    const y = operations[name](tape, x);
    const scalar = tape.weightedSum(
      y,
      Array.from(y.data, (_, i) => Math.cos(i + 1)),
    );
    tape.backward(scalar);
    return { value: scalar.data[0], gradient: x.gradient };
  };

  it.each(Object.keys(operations))("has the gradient of %s that central differences give", (name) => {
    const { gradient } = mixed(name, point);
    for (const at of point.keys()) {
      const moved = (by: number) =>
        mixed(
          name,
          point.map((x, i) => (i === at ? x + by : x)),
        ).value;
      expect(gradient[at]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 7);
    }
  });

  it("sums the probabilities of all alignments of a sequence, as counting them one by one does", () => {
    const random = new Random(11);
    const [frames, classes, blank] = [5, 3, 0];
    for (const symbols of [[1], [1, 1], [2, 1], [1, 2, 1], []]) {
      const tape = new Tape("float64");
      const data = Array.from({ length: frames * classes }, () => random.real(1));
      const x = tape.leaf({ shape: [frames, 1, classes], data });
      const logProbs = tape.logSoftmax(x);
      const loss = tape.alignments(logProbs, { frames: [frames], symbols: [symbols], blank });
      let probability = 0;
      for (let path = 0; path < classes ** frames; path++) {
        const way = Array.from({ length: frames }, (_, t) => Math.floor(path / classes ** t) % classes);
        const collapsed = way.filter((k, t) => k !== blank && (t === 0 || k !== way[t - 1]));
        if (`${collapsed}` !== `${symbols}`) continue;
        probability += way.reduce((product, k, t) => product * Math.exp(logProbs.data[t * classes + k]), 1);
      }
      expect(loss.data[0]).toBeCloseTo(-Math.log(probability), 10);
    }
  });

  it("has the gradient of alignments that central differences give", () => {
    const random = new Random(12);
    const [frames, batch, classes] = [4, 2, 3];
    const data = Array.from({ length: frames * batch * classes }, () => random.real(1));
    const run = (numbers: readonly number[]) => {
      const tape = new Tape("float64");
      const x = tape.leaf({ shape: [frames, batch, classes], data: numbers });
      const inputs = { frames: [4, 3], symbols: [[1, 1], [2]], blank: 0 };
      const loss = tape.weightedSum(tape.alignments(tape.logSoftmax(x), inputs), [1, 0.5]);
      tape.backward(loss);
      return { value: loss.data[0], gradient: x.gradient };
    };
    const { gradient } = run(data);
    for (const at of data.keys()) {
      const moved = (by: number) => run(data.map((x, i) => (i === at ? x + by : x))).value;
      expect(gradient[at]).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 7);
    }
  });

  it("lets nothing back through what is detached, and NaN through a mask that multiplies alone", () => {
    const tape = new Tape();
    const x = tape.leaf({ shape: [2], data: [1, Number.NaN] });
    tape.backward(tape.weightedSum(tape.detach(x), [1, 0]));
    expect([...x.gradient]).toEqual([0, 0]);
    expect(tape.weightedSum(x, [2, 0]).data[0]).toBe(2);
    expect(tape.weightedSum(x, [2, 0], { multiplied: true }).data[0]).toBeNaN();
  });
});
