/**
 * Laws of groups and of accumulation, for every objective: whoever computes a step, one process, ranks or micro-batches,
 * has the same value, to the bit, and the same gradients by what units own.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AnyBatch,
  accumulation,
  crossEntropy,
  type Group,
  huber,
  infoNce,
  LosswrightError,
  listNet,
  type Objective,
  objectiveNames,
  policyGradient,
  squaredError,
  type Tensor,
  tensor,
  weightedSum,
} from "../src/index.js";
import { definitionOf } from "../src/losses/index.js";
import { type Case, drawn, fieldAxis, takeAlong, takePlaces, type Wishes } from "./instruments/batches.js";
import { bits, tensorBits } from "./instruments/bits.js";
import type { Random } from "./instruments/random.js";
import { errorsOnRanks, onRanks } from "./instruments/ranks.js";

const independent = objectiveNames().filter((name) => definitionOf(name).couples !== true);
const sizes = [1, 2, 3, 4, 7];

async function forAll(
  name: string,
  check: (found: Case) => Promise<void>,
  wishes: Wishes = {},
  numRuns = 40,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(drawn(name, wishes), async (found) => {
      if (!found.objective.couples) await check(found);
    }),
    { numRuns },
  );
}

/** The rows of a batch dealt out in any order; a part may be empty. */
function dealt(found: Case, count: number): { places: number[][]; parts: AnyBatch[] } {
  const { random, unitShape } = found;
  const places: number[][] = Array.from({ length: count }, () => []);
  const all = Array.from({ length: unitShape[0]! }, (_, row) => row);
  for (const row of random.shuffled(all)) random.pick(places).push(row);
  return { places, parts: places.map((rows) => takeAlong(found, 0, rows)) };
}

const anySize = (random: Random) => random.pick(sizes);

/** What an evaluation says of the step, as text. */
function stepBits({ value, numerator, denominator }: { value: number; numerator: number; denominator: number }) {
  return [value, numerator, denominator].map(bits);
}

/** Gradients of a part have the bits of the whole's; fields that units share are the parts' to rounding. */
function expectGradients(
  found: Case,
  places: readonly number[][],
  whole: Readonly<Record<string, Tensor>>,
  parts: readonly Readonly<Record<string, Tensor>>[],
): void {
  for (const [field, gradient] of Object.entries(whole)) {
    const axis = fieldAxis(found, field, 0);
    const isOwn = found.objective.definition.fields[field]!.gradient === "row" && axis >= 0;
    const largest = Math.max(...Array.from(gradient.data as Float64Array, Math.abs), 1e-300);
    const tolerance = largest * parts.length * (gradient.dtype === "float32" ? 1e-6 : 1e-12);
    const expectNear = (mine: number, wanted: number, at: number) => {
      if (Number.isFinite(wanted) && !(Math.abs(mine - wanted) <= tolerance)) {
        expect.fail(`d/d${field}[${at}] is ${mine}, the whole's is ${wanted}`);
      }
    };
    if (axis < 0) {
      for (const [at, wanted] of [...(gradient.data as Float64Array)].entries()) {
        const sum = parts.reduce((total, part) => total + Number(part[field]!.data[at]), 0);
        expectNear(sum, wanted, at);
      }
      continue;
    }
    for (const [i, part] of parts.entries()) {
      const wanted = takePlaces(gradient, axis, places[i]!);
      const given = part[field]!;
      if (isOwn) expect({ field, bits: tensorBits(given) }).toEqual({ field, bits: tensorBits(wanted) });
      else
        for (const [at, entry] of [...(wanted.data as Float64Array)].entries())
          expectNear(Number(given.data[at]), entry, at);
    }
  }
}

describe.each(independent)("%s over ranks", (name) => {
  it("has the value of one process, to the bit, on any split, and the rows of its gradient", async () => {
    await forAll(
      name,
      async (found) => {
        const { objective, batch, random } = found;
        const { places, parts } = dealt(found, anySize(random));
        const whole = objective.valueAndGradients(batch);
        const ranks = await onRanks(parts.length, (group) =>
          objective.valueAndGradients(parts[group.rank]!, { group }),
        );
        for (const rank of ranks) {
          expect(stepBits(rank)).toEqual(stepBits(whole));
          expect(bits(objective.value(rank.tally))).toBe(bits(whole.value));
          expect(JSON.stringify(rank.tally.denominator)).toBe(JSON.stringify(whole.tally.denominator));
        }
        const gradients = ranks.map((rank) => rank.gradients);
        expectGradients(found, places, whole.gradients, gradients);
        const evaluated = await onRanks(parts.length, (group) => objective.evaluate(parts[group.rank]!, { group }));
        for (const rank of evaluated) expect(stepBits(rank)).toEqual(stepBits(whole));
      },
      { wholeRows: true },
    );
  });
});

describe.each(independent)("%s over micro-batches", (name) => {
  it("counted ahead, from constants alone, has the bits of the whole batch", async () => {
    await forAll(
      name,
      async (found) => {
        const { objective, batch, random } = found;
        const { places, parts } = dealt(found, random.integer(1, 4));
        const whole = objective.valueAndGradients(batch);
        const step = accumulation(objective).ahead(parts.map((part) => objective.denominator(part)));
        const gradients = parts.map((part) => step.add(part).gradients);
        const { value, tally } = step.finish();
        expect(bits(value)).toBe(bits(whole.value));
        expect(bits(tally.numerator)).toBe(bits(whole.numerator));
        expectGradients(found, places, whole.gradients, gradients);
      },
      { wholeRows: true },
    );
  });

  it("divided last has the value's bits, and its gradients to rounding", async () => {
    await forAll(
      name,
      async (found) => {
        const { objective, batch, random } = found;
        const { places, parts } = dealt(found, random.integer(1, 4));
        const whole = objective.valueAndGradients(batch);
        const step = accumulation(objective).dividedLast();
        const gradients = parts.map((part) => step.add(part).gradients);
        const { value, factor } = step.finish();
        expect(bits(value)).toBe(bits(whole.value));
        expect(factor).toBe(
          whole.denominator === 0 ? (objective.reduction.onEmpty === "nan" ? NaN : 0) : 1 / whole.denominator,
        );
        if (whole.denominator === 0) return;
        for (const [field, gradient] of Object.entries(whole.gradients)) {
          if (objective.definition.fields[field]!.gradient !== "row" || fieldAxis(found, field, 0) < 0) continue;
          for (const [i, part] of gradients.entries()) {
            const wanted = takePlaces(gradient, fieldAxis(found, field, 0), places[i]!);
            const tolerance = gradient.dtype === "float32" ? 1e-6 : 1e-14;
            const given = part[field]!.data;
            for (let at = 0; at < given.length; at++) {
              const [mine, theirs] = [Number(given[at]) * factor, Number(wanted.data[at])];
              const isNear = Math.abs(mine - theirs) <= tolerance * Math.abs(theirs) + 1e-37;
              if (!isNear && !Object.is(mine, theirs) && Number.isFinite(theirs)) {
                expect.fail(`d/d${field}: ${mine} beside ${theirs}`);
              }
            }
          }
        }
      },
      { wholeRows: true, dtype: "float64", reduction: { onEmpty: "nan" } },
    );
  });
});

describe("sequences cut into pieces that lie on several ranks", () => {
  it("are averaged by whoever holds all pieces: groupKeys over ranks have the bits of one process", async () => {
    const objective = crossEntropy({ per: "sequence" });
    const logits = Float64Array.from({ length: 24 }, (_, i) => Math.sin(i) * 3);
    const labels = Int32Array.of(0, 1, 2, -100, 1, 2, 0, 0);
    const groupKeys = BigInt64Array.of(5n, 5n, 7n, 7n, 5n, 7n, 9n, 9n);
    const batch = (from: number, to: number) => ({
      logits: tensor(logits.slice(3 * from, 3 * to), [to - from, 3]),
      labels: tensor(labels.slice(from, to)),
      groupKeys: tensor(groupKeys.slice(from, to)),
    });
    const whole = objective.valueAndGradients(batch(0, 8));
    const ranks = await onRanks(3, (group) =>
      objective.valueAndGradients(batch([0, 3, 3][group.rank]!, [3, 3, 8][group.rank]!), { group }),
    );
    for (const rank of ranks) expect(stepBits(rank)).toEqual(stepBits(whole));
    const joined = ranks.flatMap(({ gradients }) => [...gradients.logits.data]);
    expect(joined.map(bits)).toEqual([...whole.gradients.logits.data].map(bits));
    const step = accumulation(objective).ahead([batch(0, 3), batch(3, 8)]);
    const parts = [batch(0, 3), batch(3, 8)].map((part) => step.add(part));
    expect(bits(step.finish().value)).toBe(bits(whole.value));
    expect(parts.flatMap(({ gradients }) => [...gradients.logits.data]).map(bits)).toEqual(joined.map(bits));
    expect(() => accumulation(objective).dividedLast().add(batch(0, 3))).toThrow(
      expect.objectContaining({ code: "unsupported", field: "groupKeys", fix: expect.stringMatching(/ahead/) }),
    );
  });
});

describe("micro-batches on ranks", () => {
  it("are one step: one reduction ahead and one at the end, the bits of one batch", async () => {
    const objective = crossEntropy({ classWeights: [1, 0.3, 7] });
    const logits = Float32Array.from({ length: 36 }, (_, i) => Math.sin(i) * 3);
    const labels = Int32Array.from({ length: 12 }, (_, i) => (i === 5 ? -100 : i % 3));
    const batch = (from: number, to: number) => ({
      logits: tensor(logits.slice(3 * from, 3 * to), [to - from, 3]),
      labels: tensor(labels.slice(from, to)),
    });
    const whole = objective.valueAndGradients(batch(0, 12));
    const cuts = [[batch(0, 1), batch(1, 5)], [batch(5, 6)], [batch(6, 6), batch(6, 9), batch(9, 12)]];
    const ranks = await onRanks(3, async (group) => {
      const mine = cuts[group.rank]!;
      const step = await accumulation(objective).ahead(
        mine.map(({ labels: own }) => ({ labels: own })),
        { group },
      );
      const gradients = mine.flatMap((part) => [...step.add(part).gradients.logits.data]);
      const before = group.traffic.collectives;
      const finished = await step.finish();
      return { ...finished, gradients, calls: group.traffic.collectives - before };
    });
    for (const { value, calls } of ranks) expect([bits(value), calls]).toEqual([bits(whole.value), 1]);
    expect(ranks.flatMap(({ gradients }) => gradients).map(bits)).toEqual([...whole.gradients.logits.data].map(bits));
    const last = await onRanks(3, async (group) => {
      const step = accumulation(objective).dividedLast();
      for (const part of cuts[group.rank]!) step.add(part);
      return step.finish({ group });
    });
    for (const { value, factor } of last)
      expect([bits(value), factor]).toEqual([bits(whole.value), 1 / whole.denominator]);
  });
});

describe("a weighted sum", () => {
  const sum = weightedSum({
    policy: { objective: policyGradient({ clipLow: 0.2, clipHigh: 0.2 }), weight: 1 },
    value: { objective: huber({ delta: 2 }), weight: 0.5 },
  });
  const reals = (from: number, to: number, phase: number) =>
    tensor(Float64Array.from({ length: to - from }, (_, i) => Math.sin(phase * (from + i))));
  const batch = (from: number, to: number) => ({
    policy: {
      logProbs: reals(from, to, 1),
      oldLogProbs: reals(from, to, 1.1),
      advantages: reals(from, to, 3),
    },
    value: { predictions: reals(2 * from, 2 * to, 2), targets: reals(2 * from, 2 * to, 5) },
  });

  it("takes no scale and no engine but those that are", () => {
    for (const [call, field] of [
      [{ scale: "2" }, "scale"],
      [{ engine: "" }, "engine"],
      [{ scale: Number.NaN }, "scale"],
    ] as const) {
      expect(() => sum.valueAndGradients(batch(0, 2), call as never)).toThrow(
        expect.objectContaining({ code: "option", field }),
      );
    }
  });

  it("over ranks has the bits of one process, part by part", async () => {
    const whole = sum.valueAndGradients(batch(0, 7));
    const ranks = await onRanks(2, (group) =>
      sum.valueAndGradients(group.rank === 0 ? batch(0, 2) : batch(2, 7), { group, scale: "world" }),
    );
    for (const rank of ranks) {
      expect(bits(rank.value)).toBe(bits(whole.value));
      expect(bits(rank.parts.value.value)).toBe(bits(whole.parts.value.value));
      expect(rank.notes).toContainEqual(expect.objectContaining({ code: "world-scale" }));
    }
    const joined = ranks.flatMap(({ gradients }) => [...(gradients.value.predictions!.data as Float64Array)]);
    const wanted = [...(whole.gradients.value.predictions!.data as Float64Array)].map((entry) => 2 * entry);
    expect(joined.map(bits)).toEqual(wanted.map(bits));
    const evaluated = await onRanks(2, (group) =>
      sum.evaluate(group.rank === 0 ? batch(0, 2) : batch(2, 7), { group }),
    );
    for (const rank of evaluated) expect(bits(rank.value)).toBe(bits(whole.value));
  });

  it("accumulates part by part, ahead and last, alone and over ranks", async () => {
    const whole = sum.evaluate(batch(0, 7));
    const parts = [batch(0, 3), batch(3, 7)];
    const ahead = accumulation(sum).ahead(parts);
    for (const part of parts) ahead.add(part);
    expect(bits(ahead.finish().value)).toBe(bits(whole.value));
    const last = accumulation(sum).dividedLast();
    for (const part of parts) last.add(part);
    expect(last.finish()).toMatchObject({ value: whole.value, factor: { policy: 1 / 7, value: 1 / 14 } });
    const ranks = await onRanks(2, async (group) => {
      const step = await accumulation(sum).ahead([parts[group.rank]!], { group });
      step.add(parts[group.rank]!);
      return step.finish();
    });
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
  });

  it("of other weights on one rank is an error on all", async () => {
    const other = weightedSum({
      policy: { objective: policyGradient({ clipLow: 0.2, clipHigh: 0.2 }), weight: 1 },
      value: { objective: huber({ delta: 2 }), weight: 0.25 },
    });
    const errors = await errorsOnRanks(2, (group) => (group.rank === 0 ? sum : other).evaluate(batch(0, 3), { group }));
    for (const error of errors)
      expect(error).toMatchObject({ code: "group", found: expect.stringMatching(/0\.5 and 0\.25/) });
  });
});

describe("room for gradients over ranks", () => {
  const rows = (rank: number) => 2 + rank;
  const batch = (rank: number) => ({
    logits: tensor(
      Float32Array.from({ length: 3 * rows(rank) }, (_, i) => Math.sin(i + rank)),
      [rows(rank), 3],
    ),
    labels: tensor(Int32Array.from({ length: rows(rank) }, (_, i) => i % 3)),
  });

  it("is the caller's, or the logits' own, with the same bits", async () => {
    const plain = await onRanks(2, (group) => crossEntropy().valueAndGradients(batch(group.rank), { group }));
    const into = await onRanks(2, async (group) => {
      const logits = tensor(new Float32Array(3 * rows(group.rank)).fill(7), [rows(group.rank), 3]);
      const { gradients } = await crossEntropy().valueAndGradients(batch(group.rank), {
        group,
        into: { gradients: { logits } },
      });
      expect(gradients.logits.data).toBe(logits.data);
      return gradients;
    });
    const over = await onRanks(2, async (group) => {
      const own = batch(group.rank);
      const { gradients } = await crossEntropy().valueAndGradients(own, { group, inPlace: true });
      expect(gradients.logits.data).toBe(own.logits.data);
      return gradients;
    });
    for (const [rank, { gradients }] of plain.entries()) {
      expect(tensorBits(into[rank]!.logits)).toBe(tensorBits(gradients.logits));
      expect(tensorBits(over[rank]!.logits)).toBe(tensorBits(gradients.logits));
    }
  });

  it("is the caller's for rows that were gathered, and refused in place, where ranks share them", async () => {
    const keys = (rank: number) =>
      tensor(
        Float64Array.from({ length: 4 }, (_, i) => Math.cos(i + 3 * rank)),
        [2, 2],
      );
    const call = (group: Group) => ({ queries: keys(group.rank + 5), keys: keys(group.rank) });
    const plain = await onRanks(2, (group) => infoNce().valueAndGradients(call(group), { group }));
    const into = await onRanks(2, async (group) => {
      const room = tensor(new Float64Array(4).fill(7), [2, 2]);
      await infoNce().valueAndGradients(call(group), { group, into: { gradients: { keys: room } } });
      return room;
    });
    for (const [rank, { gradients }] of plain.entries()) {
      expect(tensorBits(into[rank]!)).toBe(tensorBits(gradients.keys));
    }
    const errors = await errorsOnRanks(2, (group) =>
      infoNce().valueAndGradients(call(group), { group, inPlace: true }),
    );
    for (const error of errors) expect(error).toMatchObject({ code: "unsupported", field: "inPlace" });
  });
});

describe("a group's evaluation", () => {
  it("has the standard error of the whole", async () => {
    const reals = (from: number, to: number) =>
      tensor(Float64Array.from({ length: to - from }, (_, i) => Math.sin(from + i)));
    const batch = (from: number, to: number) => ({ predictions: reals(from, to), targets: reals(2 * from, from + to) });
    const whole = squaredError().evaluate(batch(0, 9), { standardError: true });
    const pieces = [
      batch(0, 4),
      { predictions: reals(4, 9), targets: tensor((batch(0, 9).targets.data as Float64Array).slice(4)) },
    ];
    const first = { predictions: reals(0, 4), targets: tensor((batch(0, 9).targets.data as Float64Array).slice(0, 4)) };
    const ranks = await onRanks(2, (group) =>
      squaredError().evaluate(group.rank === 0 ? first : pieces[1]!, { group, standardError: true }),
    );
    for (const rank of ranks) {
      expect(bits(rank.standardError)).toBe(bits(whole.standardError));
      expect(bits(rank.effectiveSampleSize)).toBe(bits(whole.effectiveSampleSize));
    }
  });

  it("says what any rank has to say, and by whom", async () => {
    const ranks = await onRanks(3, (group) =>
      squaredError().evaluate({ predictions: tensor([group.rank === 1 ? NaN : 1]), targets: tensor([0]) }, { group }),
    );
    for (const [rank, { value, notes }] of ranks.entries()) {
      expect(value).toBeNaN();
      const note = notes.find(({ code }) => code === "non-finite-input")!;
      expect(note.message.startsWith("rank 1: ")).toBe(rank !== 1);
    }
  });

  it("of nothing at all is what the contract says of an empty step", async () => {
    const empty = { logits: tensor(new Float64Array(0), [0, 3]), labels: tensor(new Int32Array(0)) };
    const zero = await onRanks(3, (group) => crossEntropy().valueAndGradients(empty, { group }));
    for (const { value, denominator } of zero) expect([value, denominator]).toEqual([0, 0]);
    const errors = await errorsOnRanks(2, (group) => crossEntropy({ onEmpty: "throw" }).evaluate(empty, { group }));
    for (const error of errors) expect(error).toMatchObject({ code: "empty" });
  });
});

describe("ranks that do not fit each other", () => {
  const logits = tensor(
    Float64Array.from({ length: 6 }, (_, i) => Math.sin(i)),
    [2, 3],
  );
  const labels = tensor(Int32Array.of(0, 2));
  const batch = { logits, labels };

  /** What all ranks throw when one of three does something else. */
  const whenOneDiffers = (odd: (group: Group) => Promise<unknown>) =>
    errorsOnRanks(3, (group) => (group.rank === 1 ? odd(group) : crossEntropy().valueAndGradients(batch, { group })));

  it.each([
    [
      "another contract",
      (group: Group) => crossEntropy({ labelSmoothing: 0.1 }).valueAndGradients(batch, { group }),
      /options\.labelSmoothing: 0 and 0\.1/,
    ],
    [
      "another objective",
      (group: Group) => squaredError().valueAndGradients({ predictions: logits, targets: logits }, { group }),
      /contract\.objective/,
    ],
    [
      "another reduction",
      (group: Group) => crossEntropy({ per: "sequence" }).valueAndGradients(batch, { group }),
      /reduction\.per/,
    ],
    [
      "another dtype",
      (group: Group) =>
        crossEntropy().valueAndGradients(
          { logits: tensor(Float32Array.from(logits.data as Float64Array), [2, 3]), labels },
          { group },
        ),
      /fields\.logits: "float64" and "float32"/,
    ],
    [
      "another number of classes",
      (group: Group) =>
        crossEntropy().valueAndGradients({ logits: tensor(new Float64Array(8), [2, 4]), labels }, { group }),
      /widths\.K: 3 and 4/,
    ],
    [
      "another scale",
      (group: Group) => crossEntropy().valueAndGradients(batch, { group, scale: 3 }),
      /call\.scale: 1 and 3/,
    ],
  ] as const)("%s: an error on all that names the first difference and the rank", async (_, odd, words) => {
    for (const error of await whenOneDiffers(odd)) {
      expect(error).toBeInstanceOf(LosswrightError);
      expect(error).toMatchObject({ code: "group", field: "rank 1", found: expect.stringMatching(words) });
    }
  });

  it("a bad label on one rank: its own error there, and its words on the others; the group can go on", async () => {
    const program = async (group: Group) => {
      const own = group.rank === 1 ? tensor(Int32Array.of(0, 3)) : labels;
      let error: unknown;
      try {
        await crossEntropy().valueAndGradients({ logits, labels: own }, { group });
      } catch (caught) {
        error = caught;
      }
      return { error, next: (await crossEntropy().evaluate(batch, { group })).denominator };
    };
    const ranks = await onRanks(3, program);
    expect(ranks[1]!.error).toMatchObject({ code: "value", field: "labels", index: [1] });
    for (const rank of [0, 2]) {
      expect(ranks[rank]!.error).toMatchObject({
        code: "group",
        field: "rank 1",
        found: expect.stringMatching(/found 3 at \[1\]/),
      });
    }
    for (const { next } of ranks) expect(next).toBe(6);
  });

  it.each([
    ["evaluate", (group: Group, more: object) => crossEntropy().evaluate(batch, { group, ...more })],
    ["valueAndGradients", (group: Group, more: object) => crossEntropy().valueAndGradients(batch, { group, ...more })],
    [
      "evaluate of a coupled objective",
      (group: Group, more: object) => infoNce().evaluate({ queries: logits, keys: logits }, { group, ...more }),
    ],
    ["a weighted sum", (group: Group, more: object) => pair(0.5).evaluate({ a: batch, b: batch }, { group, ...more })],
    [
      "a weighted sum's gradients",
      (group: Group, more: object) => pair(0.5).valueAndGradients({ a: batch, b: batch }, { group, ...more }),
    ],
    [
      "accumulation counted ahead",
      (group: Group, more: object) => accumulation(crossEntropy()).ahead([batch], { group, ...more }),
    ],
    [
      "accumulation divided last",
      (group: Group, more: object) => {
        const step = accumulation(crossEntropy()).dividedLast();
        step.add(batch);
        return step.finish({ group, ...more });
      },
    ],
    [
      "gathered",
      (group: Group, more: object) =>
        accumulation(infoNce()).gathered([{ queries: logits, keys: logits }], { group, ...more }),
    ],
  ] as const)("an unknown option on one rank alone is told to all: %s", async (_, act) => {
    const errors = await errorsOnRanks(2, (group) => act(group, group.rank === 1 ? { foo: 1 } : {}));
    expect(errors[1]).toMatchObject({ code: "unknown", field: "foo" });
    expect(errors[0]).toMatchObject({ code: "group", field: "rank 1", found: expect.stringMatching(/foo/) });
  });

  const pair = (weight: number) =>
    weightedSum({ a: { objective: crossEntropy(), weight: 1 }, b: { objective: crossEntropy(), weight } });

  it("weighted sums of other weights do not accumulate together", async () => {
    const ahead = await errorsOnRanks(2, (group) =>
      accumulation(pair(group.rank + 0.5)).ahead([{ a: batch, b: batch }], { group }),
    );
    const last = await errorsOnRanks(2, (group) => {
      const step = accumulation(pair(group.rank + 0.5)).dividedLast();
      step.add({ a: batch, b: batch });
      return step.finish({ group });
    });
    for (const error of [...ahead, ...last]) {
      expect(error).toMatchObject({
        code: "group",
        found: expect.stringMatching(/contract\.parts\.b\.weight: 0\.5 and 1\.5/),
      });
    }
  });

  it.each([
    [
      "another kind of objective",
      (group: Group) => infoNce().evaluate({ queries: logits, keys: logits }, { group }),
      /contract\.objective/,
    ],
    [
      "a weighted sum",
      (group: Group) => pair(0.5).evaluate({ a: batch, b: batch }, { group }),
      /contract\.objective: "crossEntropy" and "weightedSum"/,
    ],
    [
      "an evaluation beside gradients",
      (group: Group) => crossEntropy().evaluate(batch, { group }),
      /call\.by: "valueAndGradients" and "evaluate"/,
    ],
    ["an accumulated step", (group: Group) => accumulation(crossEntropy()).ahead([batch], { group }), /call/],
  ] as const)("%s: the words are of contracts and calls, not of sums", async (_, odd, words) => {
    for (const error of await whenOneDiffers(odd)) {
      expect(error).toMatchObject({ code: "group", field: "rank 1", found: expect.stringMatching(words) });
    }
  });

  it("which units count is each rank's own affair: a mask of members on some ranks alone", async () => {
    const list = { scores: tensor([[1, 2, 0.5]]), relevance: tensor([[1, 0, 2]]) };
    const mask = tensor([[1, 1, 1]]);
    const whole = listNet().evaluate({
      scores: tensor([
        [1, 2, 0.5],
        [1, 2, 0.5],
      ]),
      relevance: tensor([
        [1, 0, 2],
        [1, 0, 2],
      ]),
    });
    const ranks = await onRanks(2, (group) => listNet().evaluate(group.rank ? { ...list, mask } : list, { group }));
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
  });

  it("several ranks that failed are all named", async () => {
    const errors = await errorsOnRanks(4, (group) =>
      crossEntropy().evaluate({ logits, labels: group.rank === 0 ? labels : tensor(Int32Array.of(0, 3)) }, { group }),
    );
    expect(errors[0]).toMatchObject({ field: "rank 1", found: expect.stringMatching(/ranks 2, 3 failed too/) });
  });

  it("a bad option of the call on one rank is told to all", async () => {
    const errors = await errorsOnRanks(2, (group) =>
      crossEntropy().valueAndGradients(batch, { group, ...(group.rank === 1 && { inPlace: "yes" as never }) }),
    );
    expect(errors[1]).toMatchObject({ code: "option", field: "inPlace" });
    expect(errors[0]).toMatchObject({ code: "group", found: expect.stringMatching(/inPlace/) });
  });

  it("a denominator beside a group, or a gradient cut off where nothing is gathered, is refused", async () => {
    const given = await errorsOnRanks(1, (group) =>
      crossEntropy().valueAndGradients(batch, { group, denominator: 4 } as never),
    );
    expect(given[0]).toMatchObject({ code: "argument", field: "denominator" });
    const local = await errorsOnRanks(1, (group) => crossEntropy().valueAndGradients(batch, { group, local: true }));
    expect(local[0]).toMatchObject({ code: "unsupported", field: "local" });
  });
});

describe("accumulation that cannot be right", () => {
  const batch = (labels: readonly number[]) => ({
    logits: tensor(new Float64Array(3 * labels.length), [labels.length, 3]),
    labels: tensor(Int32Array.from(labels)),
  });

  it("refuses a denominator of another contract", () => {
    const act = () =>
      accumulation(crossEntropy()).ahead([crossEntropy({ labelSmoothing: 0.1 }).denominator(batch([0]))]);
    expect(act).toThrow(expect.objectContaining({ code: "merge", found: expect.stringMatching(/labelSmoothing/) }));
    const mixed = () =>
      accumulation(crossEntropy()).ahead([batch([0]), crossEntropy({ per: "sequence" }).denominator(batch([0]))]);
    expect(mixed).toThrow(expect.objectContaining({ code: "merge" }));
  });

  it("refuses more than was counted ahead at once, and less at the end", () => {
    const step = accumulation(crossEntropy()).ahead([batch([0, 1])]);
    step.add(batch([0]));
    expect(() => step.finish()).toThrow(
      expect.objectContaining({ code: "denominator", found: expect.stringMatching(/count 1, where 2/) }),
    );
    const more = accumulation(crossEntropy()).ahead([batch([0, 1])]);
    expect(() => more.add(batch([0, 1, 2]))).toThrow(expect.objectContaining({ code: "denominator" }));
  });

  it("refuses a step that is over, no micro-batch, and options that it has no use for", () => {
    const step = accumulation(crossEntropy()).ahead([batch([0])]);
    step.add(batch([0]));
    step.finish();
    expect(() => step.add(batch([0]))).toThrow(
      expect.objectContaining({ code: "argument", found: "a step that is finished" }),
    );
    expect(() => accumulation(crossEntropy()).ahead([])).toThrow(expect.objectContaining({ field: "microBatches" }));
    expect(() => accumulation(crossEntropy()).dividedLast().finish()).toThrow(/no micro-batch/);
    const open = accumulation(crossEntropy()).dividedLast();
    expect(() => open.add(batch([0]), { denominator: 3 } as never)).toThrow(
      expect.objectContaining({ code: "unknown", field: "denominator" }),
    );
    expect(() => open.add(batch([0]), { scale: "world" })).toThrow(expect.objectContaining({ field: "scale" }));
    expect(() => accumulation({} as never)).toThrow(expect.objectContaining({ code: "argument", field: "objective" }));
    expect(() => accumulation(crossEntropy(), { acrossBatch: "independent" } as never)).toThrow(/acrossBatches/);
  });

  it("says what each way costs in memory", () => {
    const ahead = accumulation(crossEntropy()).ahead([batch([0])]);
    expect(ahead.memory).toMatchObject({
      bytes: expect.any(Number),
      holds: expect.stringMatching(/labels, masks and weights/),
    });
    expect(accumulation(crossEntropy()).dividedLast().memory.holds).toMatch(/half precision/);
  });
});

describe("accumulation over ranks of which one is wrong", () => {
  const batch = (...labels: number[]) => ({
    logits: tensor(new Float64Array(3 * labels.length), [labels.length, 3]),
    labels: tensor(Int32Array.from(labels)),
  });

  it.each([
    [
      "a label that is none, counted ahead",
      async (group: Group, isOdd: boolean) => {
        const objective = crossEntropy({ classWeights: [1, 2, 3] });
        await accumulation(objective).ahead([batch(0, isOdd ? 7 : 1)], { group });
      },
      /found 7 at \[1\]/,
    ],
    [
      "another contract, counted ahead",
      async (group: Group, isOdd: boolean) => {
        await accumulation(crossEntropy({ labelSmoothing: isOdd ? 0.1 : 0 })).ahead([batch(0)], { group });
      },
      /labelSmoothing/,
    ],
    [
      "a micro-batch left out",
      async (group: Group, isOdd: boolean) => {
        const step = await accumulation(crossEntropy()).ahead([batch(0), batch(1)], { group });
        step.add(batch(0));
        if (!isOdd) step.add(batch(1));
        await step.finish();
      },
      /count 1, where 2/,
    ],
    [
      "nothing added",
      async (group: Group, isOdd: boolean) => {
        const step = accumulation(crossEntropy()).dividedLast();
        if (!isOdd) step.add(batch(0));
        await step.finish({ group });
      },
      /no micro-batch/,
    ],
    [
      "micro-batches that cannot be joined",
      async (group: Group, isOdd: boolean) => {
        const rows = (count: number) => tensor(new Float64Array(2 * count).fill(1), [count, 2]);
        const keys = rows(isOdd ? 1 : 2);
        await accumulation(infoNce()).gathered([{ queries: rows(2), keys }], { group });
      },
      /1 keys for 2 rows on micro-batch 0/,
    ],
  ] as const)("%s: its own error there, told to the others", async (_, program, words) => {
    const errors = await errorsOnRanks(3, (group) => program(group, group.rank === 1));
    for (const error of errors) expect((error as Error).message).toMatch(words);
    for (const rank of [0, 2]) expect(errors[rank]).toMatchObject({ code: "group", field: "rank 1" });
  });
});

describe("the failure that this is against", () => {
  it("local division and averaging is another objective on uneven ranks: it weighs tokens by their ranks", async () => {
    const objective: Objective = crossEntropy();
    // One rank has 1 token that is wrong, the other 9 that are right.
    const rows = [1, 9];
    const batch = (rank: number) => ({
      logits: tensor(
        Float64Array.from({ length: 2 * rows[rank]! }, (_, i) => (i % 2 === rank ? 0 : 3)),
        [rows[rank]!, 2],
      ),
      labels: tensor(new Int32Array(rows[rank]!)),
    });
    const ranks = await onRanks(2, async (group) => {
      const own = objective.evaluate(batch(group.rank)).value;
      const averaged = (await group.allReduceSum(Float64Array.of(own)))[0]! / group.size;
      return { averaged, right: (await objective.evaluate(batch(group.rank), { group })).value };
    });
    const [first, second] = [Math.log1p(Math.exp(3)), Math.log1p(Math.exp(-3))];
    for (const { averaged, right } of ranks) {
      expect(averaged).toBeCloseTo((first + second) / 2, 12);
      expect(right).toBeCloseTo((first + 9 * second) / 10, 12);
      expect(averaged / right).toBeGreaterThan(4);
    }
  });
});
