import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossEntropy } from "../losses/categorical/cross-entropy.js";
import { squaredError } from "../losses/elementwise/squared-error.js";
import { weightedSum } from "../losses/weighted-sum.js";
import { accuracy } from "../metrics/index.js";
import { tensor } from "../tensor/index.js";
import { mergeLogs, ObjectiveLog } from "./index.js";

const objective = crossEntropy();
const metrics = { macroF1: { goal: "maximize" } } as const;
const now = () => 1000;
const newLog = () => new ObjectiveLog({ objective, metrics, now });
const tallyOf = (scale: number, label = 0) =>
  objective.tally({
    logits: tensor([
      [2 * scale, 0, -1],
      [0.1, scale, 3],
    ]),
    labels: tensor([label, 2]),
  });

describe("ObjectiveLog", () => {
  it("refuses an objective without a metric, unless it is told", () => {
    expect(() => new ObjectiveLog({ objective })).toThrow(/crossEntropy and no metric.*Fix:.*withoutMetric: true/s);
    expect(() => new ObjectiveLog({ objective, metrics: [] })).toThrow(/misleads/);
    expect(new ObjectiveLog({ objective, withoutMetric: true }).diagnose()).toMatchObject({
      metrics: [],
      isAlarm: false,
    });
  });

  it("refuses a metric that is the objective again, or that nobody knows the goal of", () => {
    expect(() => new ObjectiveLog({ objective, metrics: { loss: { goal: "minimize" } } })).toThrow(
      /the objective again/,
    );
    expect(() => new ObjectiveLog({ objective, metrics: ["myScore"] })).toThrow(/goal: "maximize"/);
    expect(() => new ObjectiveLog({ objective, metrics: ["rocCurve"] })).toThrow(/neither/);
    const known = new ObjectiveLog({ objective, metrics: ["accuracy", "perplexity"] });
    expect(known.header.metrics).toEqual({
      accuracy: { goal: "maximize", best: 1 },
      perplexity: { goal: "minimize", best: 1 },
    });
  });

  it("divides once, by the contract", () => {
    const log = newLog();
    log.step(1, { tally: tallyOf(1) });
    log.step(2, { numerator: 1, denominator: 3 });
    log.step(3, { value: 0.25 });
    log.step(4, { numerator: 0, denominator: 0 });
    const values = log.entries.map(({ objective }) => objective.value);
    expect(values).toEqual([objective.value(tallyOf(1)), 1 / 3, 0.25, 0]);
    const strict = new ObjectiveLog({ objective: crossEntropy({ onEmpty: "throw" }), metrics });
    expect(() => strict.step(1, { numerator: 0, denominator: 0 })).toThrow(expect.objectContaining({ code: "empty" }));
  });

  it("takes metrics that compute their number", () => {
    const log = new ObjectiveLog({ objective, metrics: ["accuracy"] });
    const metric = accuracy().update({ predictions: tensor([1, 0]), labels: tensor([1, 1]) });
    log.evaluation(1, { objective: 0.5, metrics: { accuracy: metric } });
    expect(log.entries[0]!.metrics).toEqual({ accuracy: 0.5 });
  });

  it("wants every metric at an evaluation, and names near misses", () => {
    const log = newLog();
    expect(() => log.evaluation(1, { objective: 1 })).toThrow(
      /metrics.macroF1: found an evaluation at step 1 without it/,
    );
    expect(() => log.evaluation(1, { objective: 1, metrics: { macroF: 1 } })).toThrow(/write "macroF1"/);
    expect(() => log.step(1, { value: 1, tally: tallyOf(1) } as never)).toThrow(/several of/);
    expect(() => log.step(1, {} as never)).toThrow(/nothing of an objective/);
    expect(() =>
      log.step(1, { tally: squaredError().tally({ predictions: tensor([1]), targets: tensor([2]) }) }),
    ).toThrow(expect.objectContaining({ code: "merge" }));
    expect(log.entries).toEqual([]);
  });

  it("goes forward, and back by resume alone", () => {
    const log = newLog();
    log.step(1, { value: 3 });
    log.evaluation(1, { objective: 3, metrics: { macroF1: 0.1 } });
    log.step(2, { value: 2 });
    expect(() => log.step(2, { value: 1 })).toThrow(/step 2 after step 2.*resume\(\{ fromStep: 1 \}\)/s);
    expect(() => log.evaluation(1, { objective: 3, metrics: { macroF1: 0.1 } })).toThrow(/go forward/);
    expect(() => log.step(1.5, { value: 1 })).toThrow(/whole number/);
    expect(log.resume({ fromStep: 1 })).toBe(1);
    log.step(2, { value: 1 });
    expect(log.entries.map(({ objective }) => objective.value)).toEqual([3, 3, 1]);
  });

  it("writes lines that it reads back to the bit, non-finite numbers too", () => {
    const lines: string[] = [];
    const log = new ObjectiveLog({ objective, metrics, now, write: (line) => lines.push(line) });
    log.step(1, { tally: tallyOf(1) });
    log.step(2, { numerator: Number.POSITIVE_INFINITY, denominator: 2 });
    log.evaluation(2, { objective: Number.NaN, metrics: { macroF1: Number.NEGATIVE_INFINITY } });
    expect(lines.join("")).toBe(log.toText());
    expect(lines.every((line) => line.endsWith("\n") && !line.slice(0, -1).includes("\n"))).toBe(true);
    expect(lines.at(-1)).toContain('"value":"nan"');
    const read = ObjectiveLog.parse(log.toText());
    expect(read.toText()).toBe(log.toText());
    expect(read.entries[0]!.objective.tally).toEqual(log.entries[0]!.objective.tally);
    expect(read.entries.map(({ objective }) => objective.value)).toEqual(
      log.entries.map(({ objective }) => objective.value),
    );
  });

  it("leaves out a torn last line, and nothing else", () => {
    const log = newLog();
    for (let step = 1; step <= 3; step++) log.step(step, { numerator: step, denominator: 7 });
    const text = log.toText();
    const ends = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
    for (let cut = ends[0]!; cut <= text.length; cut++) {
      const whole = ends.findLast((end) => end <= cut)!;
      expect(ObjectiveLog.parse(text.slice(0, cut)).toText()).toBe(text.slice(0, whole));
    }
    const damaged = text.replace('"step":2', '"stop":2');
    expect(() => ObjectiveLog.parse(damaged, { where: "a.jsonl" })).toThrow(/a.jsonl, line 3: found step undefined/);
    expect(() => ObjectiveLog.parse(text.slice(0, 10))).toThrow(/no whole line/);
    expect(() => ObjectiveLog.parse('{"format":"other"}\n')).toThrow(/first line with format/);
  });

  it("logs weighted sums by the tallies of their parts", () => {
    const sum = weightedSum({
      a: { objective: squaredError(), weight: 1 },
      b: { objective: squaredError(), weight: 0.5 },
    });
    const batch = (x: number) => ({ predictions: tensor([x, 1]), targets: tensor([0.3, 0.7]) });
    const log = () => new ObjectiveLog({ objective: sum, metrics, now });
    const [left, right] = [log(), log()];
    left.step(1, { tally: sum.tally({ a: batch(1), b: batch(2) }) });
    right.step(1, { tally: sum.tally({ a: batch(3), b: batch(4) }) });
    const whole = sum.tally({ a: batch(1), b: batch(2) }).merge(sum.tally({ a: batch(3), b: batch(4) }));
    const read = mergeLogs([ObjectiveLog.parse(left.toText()), right]).log;
    expect(read.entries[0]!.objective.value).toBe(sum.value(whole));
    expect(() => left.step(2, { numerator: 1, denominator: 1 })).toThrow(/each by its own denominator/);
  });
});

describe("mergeLogs", () => {
  it("gives the bits of the whole, in any order and grouping of the ranks", () => {
    const number = fc.double({ noNaN: true, min: -1e9, max: 1e9 });
    fc.assert(
      fc.property(fc.array(number, { minLength: 3, maxLength: 6 }), fc.boolean(), (scales, byTally) => {
        const ranks = scales.map((scale, i) => {
          const log = newLog();
          log.step(1, byTally ? { tally: tallyOf(scale % 50, i % 3) } : { numerator: scale, denominator: i + 0.1 });
          return log;
        });
        const merge = (logs: ObjectiveLog[]) => mergeLogs(logs).log;
        const whole = merge(ranks).toText();
        expect(merge([...ranks].reverse()).toText()).toBe(whole);
        const [a, b, ...rest] = ranks as [ObjectiveLog, ObjectiveLog, ...ObjectiveLog[]];
        const through = ObjectiveLog.parse(merge([b, ...rest]).toText());
        expect(merge([a, through]).toText()).toBe(whole);
        if (byTally) {
          const tally = scales.map((scale, i) => tallyOf(scale % 50, i % 3)).reduce((sum, next) => sum.merge(next));
          expect(merge(ranks).entries[0]!.objective.value).toBe(objective.value(tally));
        }
      }),
      { numRuns: 40 },
    );
  });

  it("does not average means, nor guess between metrics", () => {
    const of = (value: number, macroF1: number) => {
      const log = newLog();
      log.evaluation(1, { objective: value, metrics: { macroF1 } });
      return log;
    };
    expect(mergeLogs([of(1, 0.5), of(1, 0.5)]).log.entries).toHaveLength(1);
    expect(() => mergeLogs([of(1, 0.5), of(2, 0.5)])).toThrow(/mean of means/);
    expect(() => mergeLogs([of(1, 0.5), of(1, 0.6)])).toThrow(
      /metrics.macroF1: found 0.5 in one rank and 0.6 in another/,
    );
  });

  it("leaves out and names the steps that not all ranks have; evaluations may be one rank's", () => {
    const [first, second] = [newLog(), newLog()];
    for (const step of [1, 2, 3]) first.step(step, { numerator: step, denominator: 1 });
    for (const step of [1, 2]) second.step(step, { numerator: 10 * step, denominator: 1 });
    first.evaluation(3, { objective: 1, metrics: { macroF1: 0.5 } });
    const { log, incomplete } = mergeLogs([first, second]);
    expect(log.entries.map(({ kind, step, objective }) => [kind, step, objective.value])).toEqual([
      ["train", 1, 5.5],
      ["train", 2, 11],
      ["evaluation", 3, 1],
    ]);
    expect(incomplete).toEqual([{ kind: "train", step: 3, ranks: 1 }]);
  });

  it("refuses logs of another contract", () => {
    const other = new ObjectiveLog({ objective: crossEntropy({ labelSmoothing: 0.1 }), metrics });
    expect(() => mergeLogs([newLog(), other])).toThrow(/contract.options.labelSmoothing: 0 and 0.1/);
  });
});
