/**
 * Contrastive objectives over ranks and micro-batches: rows of all ranks are gathered in rank order, labels and pairs come to
 * mean the same keys, gradients flow back to the rank that owns a row.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AnyBatch,
  accumulation,
  clip,
  dpo,
  type EvaluationWithGradients,
  type Group,
  infoNce,
  ntXent,
  type Objective,
  sigLip,
  supervisedContrastive,
  type Tensor,
  tensor,
  type Unlabeled,
} from "../src/index.js";
import { bits, tensorBits } from "./instruments/bits.js";
import { Random } from "./instruments/random.js";
import { errorsOnRanks, onRanks } from "./instruments/ranks.js";

type Dtype = "float32" | "float64";

/** Rows of a step, from which each rank takes its own. */
interface Story {
  readonly objective: Objective;
  /** The batch of the rows from one on up to another, among all; alone it is that of a rank. */
  rows(from: number, to: number): AnyBatch;
  /** Fields whose rows other ranks read. */
  readonly gathered: readonly string[];
  readonly name: string;
}

const width = 5;

function embeddings(random: Random, rows: number, dtype: Dtype): (from: number, to: number) => Tensor<Unlabeled> {
  const data = Array.from({ length: rows * width }, () => random.real(1));
  const typed = dtype === "float32" ? Float32Array.from(data) : Float64Array.from(data);
  return (from, to) => tensor(typed.slice(from * width, to * width), [to - from, width]);
}

/** Every objective that is computed by rank, with what it may be given besides. */
function stories(rows: number, dtype: Dtype, seed: number): readonly Story[] {
  const random = new Random(seed);
  const [left, right] = [embeddings(random, rows, dtype), embeddings(random, rows, dtype)];
  const weights = Float64Array.from({ length: rows }, () => random.integer(0, 3) / 2);
  const masked = Uint8Array.from({ length: rows }, () => (random.integer(0, 4) === 0 ? 0 : 1));
  const classes = Int32Array.from({ length: rows }, () => random.integer(0, 2));
  const common = (from: number, to: number) => ({
    weights: tensor(weights.slice(from, to)),
    mask: tensor(masked.slice(from, to)),
  });
  const search = (from: number, to: number) => ({ queries: left(from, to), keys: right(from, to) });
  const pairs = (from: number, to: number) => ({ images: left(from, to), texts: right(from, to), logScale: 1.5 });
  const both = ["queries", "keys"];
  return [
    { name: "infoNce", objective: infoNce(), rows: search, gathered: ["keys"] },
    {
      name: "infoNce, weighted and masked",
      objective: infoNce({ temperature: "field", normalize: false }),
      rows: (from: number, to: number) => ({ ...search(from, to), ...common(from, to), temperature: 0.5 }),
      gathered: ["keys"],
    },
    {
      name: "infoNce, symmetric",
      objective: infoNce({ symmetric: true }),
      rows: (from: number, to: number) => ({ ...search(from, to), ...common(from, to) }),
      gathered: both,
    },
    { name: "clip", objective: clip(), rows: pairs, gathered: ["images", "texts"] },
    {
      name: "clip, weighted and masked",
      objective: clip(),
      rows: (from: number, to: number) => ({ ...pairs(from, to), ...common(from, to) }),
      gathered: ["images", "texts"],
    },
    {
      name: "sigLip, weighted and masked",
      objective: sigLip(),
      rows: (from: number, to: number) => ({ ...pairs(from, to), ...common(from, to), bias: -2 }),
      gathered: ["texts"],
    },
    {
      name: "supervisedContrastive",
      objective: supervisedContrastive({ ignoreIndex: 1 }),
      rows: (from: number, to: number) => ({
        embeddings: left(from, to),
        labels: tensor(classes.slice(from, to)),
        ...common(from, to),
      }),
      gathered: ["embeddings"],
    },
  ] as unknown as readonly Story[];
}

/** Where a step of so many rows is cut: uneven, with a rank that has none. */
function cuts(rows: number, size: number): number[] {
  const random = new Random(size);
  const inner = Array.from({ length: size - 1 }, () => random.integer(0, rows)).sort((a, b) => a - b);
  if (size > 2) inner[1] = inner[0]!;
  return [0, ...inner.sort((a, b) => a - b), rows];
}

/** Gradients of all ranks put together beside those of one process: learned scalars add up. */
function expectJoined(
  whole: Readonly<Record<string, Tensor>>,
  parts: readonly Readonly<Record<string, Tensor>>[],
  tolerance: number,
): void {
  for (const [field, wanted] of Object.entries(whole)) {
    const shown = parts.map((part) => part[field]!);
    const isScalar = wanted.shape.length === 0;
    const found = isScalar
      ? [shown.reduce((sum, { data }) => sum + Number(data[0]), 0)]
      : shown.flatMap(({ data }) => [...(data as Float64Array)]);
    expect(found.length).toBe(wanted.data.length);
    const largest = Math.max(...Array.from(wanted.data as Float64Array, Math.abs), 1e-300);
    for (const [at, entry] of found.entries()) {
      const error = Math.abs(entry - Number(wanted.data[at]));
      if (!(error <= tolerance * largest)) {
        expect.fail(`d/d${field}[${at}] is ${entry}, of one process ${wanted.data[at]}`);
      }
    }
  }
}

const rows = 11;

describe.each(["float64", "float32"] as const)("contrastive objectives in %s", (dtype) => {
  const tolerance = dtype === "float64" ? 1e-12 : 1e-5;
  const all = stories(rows, dtype, 7);

  it.each(all.map((story) => [story.name, story] as const))(
    "%s over 1, 2, 3, 4 and 7 ranks: the value of one process to the bit, gradients that flow back",
    async (_, { objective, rows: take, gathered }) => {
      const whole = objective.valueAndGradients(take(0, rows));
      for (const size of [1, 2, 3, 4, 7]) {
        const places = cuts(rows, size);
        const ranks = await onRanks(size, (group) =>
          objective.valueAndGradients(take(places[group.rank]!, places[group.rank + 1]!), { group }),
        );
        for (const rank of ranks) {
          expect([rank.value, rank.numerator, rank.denominator].map(bits)).toEqual(
            [whole.value, whole.numerator, whole.denominator].map(bits),
          );
          expect(rank.tally.batches).toBe(1);
          expect(rank.ranBy).toBe(whole.ranBy);
        }
        expectJoined(
          whole.gradients,
          ranks.map(({ gradients }) => gradients),
          tolerance,
        );
        for (const [field, gradient] of Object.entries(whole.gradients)) {
          if (gathered.includes(field) || gradient.shape.length === 0 || dtype === "float32") continue;
          const joined = ranks.flatMap(({ gradients }) => [...(gradients[field]!.data as Float64Array)]);
          expect(joined.map(bits)).toEqual([...(gradient.data as Float64Array)].map(bits));
        }
      }
    },
  );

  it.each(all.map((story) => [story.name, story] as const))(
    "%s over micro-batches: the exact gradient of each, with learned scalars apart",
    (_, { objective, rows: take }) => {
      const whole = objective.valueAndGradients(take(0, rows));
      const places = [0, 4, 4, 5, rows];
      const parts = places.slice(1).map((to, i) => take(places[i]!, to));
      const step = accumulation(objective).gathered(parts);
      expect(bits(step.value)).toBe(bits(whole.value));
      expect(step.memory.bytes).toBeGreaterThan(0);
      for (const [field, gradient] of Object.entries(whole.gradients)) {
        if (gradient.shape.length === 0) {
          expect(tensorBits(step.shared[field]!)).toBe(tensorBits(gradient));
          continue;
        }
        const joined = step.gradients.flatMap((part) => [...(part[field]!.data as Float64Array)]);
        expect(joined.map(bits)).toEqual([...(gradient.data as Float64Array)].map(bits));
        expect(step.gradients.map((part) => part[field]!.shape)).toEqual([4, 0, 1, 6].map((count) => [count, width]));
      }
    },
  );

  it("are gathered over micro-batches and ranks at once", async () => {
    for (const { objective, rows: take } of all) {
      const whole = objective.valueAndGradients(take(0, rows));
      const mine = [
        [take(0, 2), take(2, 3)],
        [take(3, 3), take(3, 7), take(7, rows)],
      ];
      const ranks = await onRanks(2, (group) => accumulation(objective).gathered(mine[group.rank]!, { group }));
      for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
      const parts = ranks.flatMap(({ gradients }) => gradients);
      for (const [field, gradient] of Object.entries(whole.gradients)) {
        if (gradient.shape.length === 0) continue;
        const joined = parts.flatMap((part) => [...(part[field]!.data as Float64Array)]);
        const largest = Math.max(...Array.from(gradient.data as Float64Array, Math.abs));
        for (const [at, entry] of joined.entries()) {
          expect(Math.abs(entry - Number(gradient.data[at]))).toBeLessThanOrEqual(tolerance * largest);
        }
      }
    }
  });
});

describe("any split of any drawn step", () => {
  /** Rows dealt to ranks in order: how many each has, some none. */
  const dealtTo = (random: Random, total: number, ranks: number) => {
    const inner = Array.from({ length: ranks - 1 }, () => random.integer(0, total)).sort((a, b) => a - b);
    return [0, ...inner, total];
  };

  it("has the bits of one process: objectives, dtypes, weights, masks, ranks and cuts as they come", async () => {
    await fc.assert(
      fc.asyncProperty(fc.noShrink(fc.integer()), async (seed) => {
        const random = new Random(seed);
        const [total, ranks] = [random.integer(1, 9), random.integer(1, 5)];
        const { objective, rows: take } = random.pick(stories(total, random.pick(["float32", "float64"]), seed));
        const places = dealtTo(random, total, ranks);
        const whole = objective.valueAndGradients(take(0, total));
        const found = await onRanks(ranks, (group) =>
          objective.valueAndGradients(take(places[group.rank]!, places[group.rank + 1]!), { group }),
        );
        for (const { value } of found) expect(bits(value)).toBe(bits(whole.value));
        expectJoined(
          whole.gradients,
          found.map(({ gradients }) => gradients),
          2e-5,
        );
      }),
      { numRuns: 150 },
    );
  });

  it("has them with labels and pairs left out, where ranks have more keys than rows, or fewer", async () => {
    await fc.assert(
      fc.asyncProperty(fc.noShrink(fc.integer()), async (seed) => {
        const random = new Random(seed);
        const ranks = random.integer(1, 4);
        const counts = Array.from({ length: ranks }, () => {
          const keys = random.integer(0, 4);
          return { keys, rows: keys === 0 ? 0 : random.integer(0, 4) };
        });
        const start = (axis: "keys" | "rows", rank: number) =>
          counts.slice(0, rank).reduce((sum, count) => sum + count[axis], 0);
        const all = { keys: start("keys", ranks), rows: start("rows", ranks) };
        const dtype = random.pick(["float32", "float64"] as const);
        const [queries, keys] = [embeddings(random, all.rows, dtype), embeddings(random, all.keys, dtype)];
        const labels = counts.map((count) =>
          Int32Array.from({ length: count.rows }, () => random.integer(0, count.keys - 1)),
        );
        const excluded = new Uint8Array(all.rows * all.keys);
        const parts = counts.map((count, rank) => {
          const own = new Uint8Array(count.rows * count.keys);
          for (let row = 0; row < count.rows; row++) {
            for (let key = 0; key < count.keys; key++) {
              if (key === labels[rank]![row] || !random.chance(0.3)) continue;
              own[row * count.keys + key] = 1;
              excluded[(start("rows", rank) + row) * all.keys + start("keys", rank) + key] = 1;
            }
          }
          return {
            queries: queries(start("rows", rank), start("rows", rank + 1)),
            keys: keys(start("keys", rank), start("keys", rank + 1)),
            labels: tensor(labels[rank]!),
            excludeMask: tensor(own, [count.rows, count.keys]),
          };
        });
        const whole = infoNce().valueAndGradients({
          queries: queries(0, all.rows),
          keys: keys(0, all.keys),
          labels: tensor(
            Int32Array.from(labels.flatMap((own, rank) => [...own].map((label) => label + start("keys", rank)))),
          ),
          excludeMask: tensor(excluded, [all.rows, all.keys]),
        });
        const found = await onRanks(ranks, (group) => infoNce().valueAndGradients(parts[group.rank]!, { group }));
        for (const { value } of found) expect(bits(value)).toBe(bits(whole.value));
        expectJoined(
          whole.gradients,
          found.map(({ gradients }) => gradients),
          2e-5,
        );
        const gathered = accumulation(infoNce()).gathered(parts);
        expect(bits(gathered.value)).toBe(bits(whole.value));
      }),
      { numRuns: 150 },
    );
  });
});

describe("labels over ranks", () => {
  const [queries, keys] = [embeddings(new Random(1), 6, "float64"), embeddings(new Random(2), 9, "float64")];
  // Rank 0 has 2 queries and 4 keys, rank 1 has 4 queries and 5 keys.
  const own = [tensor(Int32Array.of(3, 0)), tensor(Int32Array.of(4, 4, 0, 2))];
  const cut = (rank: number) => ({
    queries: rank === 0 ? queries(0, 2) : queries(2, 6),
    keys: rank === 0 ? keys(0, 4) : keys(4, 9),
  });
  const labels = tensor(Int32Array.of(3, 0, 8, 8, 4, 6));

  it("count a rank's own keys; the offset among all is added to them", async () => {
    const whole = infoNce().valueAndGradients({ queries: queries(0, 6), keys: keys(0, 9), labels });
    const ranks = await onRanks(2, (group) =>
      infoNce().valueAndGradients({ ...cut(group.rank), labels: own[group.rank]! }, { group }),
    );
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
    expectJoined(
      whole.gradients,
      ranks.map(({ gradients }) => gradients),
      1e-12,
    );
    const gathered = accumulation(infoNce()).gathered([0, 1].map((part) => ({ ...cut(part), labels: own[part]! })));
    expect(bits(gathered.value)).toBe(bits(whole.value));
  });

  it("without the offset are the well-known mistake: another value on every rank but the first", async () => {
    const rows = 4;
    const mine = (side: typeof queries, rank: number) => side(rank * 3, rank * 3 + 3);
    const whole = infoNce().evaluate({ queries: queries(0, 6), keys: keys(0, 6) });
    const wrong = [0, 1].map((rank) => infoNce().evaluate({ queries: mine(queries, rank), keys: keys(0, 6) }));
    const right = [0, 1].map((rank) =>
      infoNce().evaluate({
        queries: mine(queries, rank),
        keys: keys(0, 6),
        labels: tensor(Int32Array.of(0, 1, 2).map((label) => label + 3 * rank)),
      }),
    );
    expect((right[0]!.value + right[1]!.value) / 2).toBeCloseTo(whole.value, 12);
    expect(wrong[0]!.value).toBe(right[0]!.value);
    expect(Math.abs(wrong[1]!.value - right[1]!.value)).toBeGreaterThan(0.1);
    expect(wrong[1]!.notes).toContainEqual(expect.objectContaining({ code: "paired-by-row" }));
    const ranks = await onRanks(2, (group) =>
      infoNce().evaluate({ queries: mine(queries, group.rank), keys: mine(keys, group.rank) }, { group }),
    );
    for (const { value, notes } of ranks) expect([bits(value), notes]).toEqual([bits(whole.value), []]);
    expect(rows).toBe(4);
  });

  it("that count all keys already are refused on their rank, and told to the other", async () => {
    const errors = await errorsOnRanks(2, (group) =>
      infoNce().evaluate(
        { ...cut(group.rank), labels: tensor(group.rank === 0 ? Int32Array.of(3, 0) : Int32Array.of(8, 8, 4, 6)) },
        { group },
      ),
    );
    expect(errors[1]).toMatchObject({
      code: "value",
      field: "labels",
      fix: expect.stringMatching(/offset among all keys is added/),
    });
    expect(errors[0]).toMatchObject({ code: "group", field: "rank 1" });
  });

  it("of masked rows may be anything", async () => {
    const masks = [tensor([1, 1]), tensor([0, 1, 1, 1])];
    const garbage = tensor(Int32Array.of(-100, 4, 0, 2));
    const whole = infoNce().evaluate({
      queries: queries(0, 6),
      keys: keys(0, 9),
      labels,
      mask: tensor([1, 1, 0, 1, 1, 1]),
    });
    const ranks = await onRanks(2, (group) =>
      infoNce().evaluate(
        { ...cut(group.rank), labels: group.rank === 0 ? own[0]! : garbage, mask: masks[group.rank]! },
        { group },
      ),
    );
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
  });

  it("are not needed where row i belongs to key i of its own rank, however many keys a rank has besides", async () => {
    const whole = infoNce().evaluate({
      queries: queries(0, 6),
      keys: keys(0, 9),
      labels: tensor(Int32Array.of(0, 1, 4, 5, 6, 7)),
    });
    const ranks = await onRanks(2, (group) => infoNce().evaluate(cut(group.rank), { group }));
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
    expect(bits(accumulation(infoNce()).gathered([cut(0), cut(1)]).value)).toBe(bits(whole.value));
  });

  it("are needed where a rank has fewer keys than rows: row i would be paired with another rank's key", async () => {
    const errors = await errorsOnRanks(2, (group) =>
      infoNce().evaluate({ queries: queries(0, group.rank ? 3 : 2), keys: keys(0, 2) }, { group }),
    );
    expect(errors[1]).toMatchObject({ code: "shape", field: "keys", found: "2 keys for 3 rows on rank 1" });
    expect(errors[0]).toMatchObject({ code: "group", field: "rank 1" });
  });

  it("are nothing to a symmetric search, which needs as many keys as queries on every rank", async () => {
    const errors = await errorsOnRanks(2, (group) => infoNce({ symmetric: true }).evaluate(cut(group.rank), { group }));
    for (const error of errors) {
      expect(error).toMatchObject({ code: "shape", field: "keys", found: "4 keys for 2 queries on rank 0" });
    }
  });
});

describe("fields of pairs over ranks", () => {
  const [queries, keys] = [embeddings(new Random(3), 5, "float64"), embeddings(new Random(4), 5, "float64")];
  const flags = Uint8Array.from({ length: 25 }, (_, at) => Number(at % 6 !== 0 && at % 4 === 1));
  const rowsOf = (from: number, to: number) => tensor(flags.slice(5 * from, 5 * to), [to - from, 5]);
  const block = (from: number, to: number) =>
    tensor(
      Uint8Array.from({ length: (to - from) ** 2 }, (_, at) => {
        const [row, column] = [from + Math.floor(at / (to - from)), from + (at % (to - from))];
        return flags[5 * row + column]!;
      }),
      [to - from, to - from],
    );
  const blocks = tensor(
    flags.map((flag, at) => Number(flag === 1 && Math.floor(at / 5) < 2 === at % 5 < 2)),
    [5, 5],
  );
  const takes: Record<string, [Objective, (from: number, to: number) => AnyBatch]> = {
    infoNce: [infoNce() as unknown as Objective, (from, to) => ({ queries: queries(from, to), keys: keys(from, to) })],
    "infoNce, symmetric": [
      infoNce({ symmetric: true }) as unknown as Objective,
      (from, to) => ({ queries: queries(from, to), keys: keys(from, to) }),
    ],
    clip: [
      clip() as unknown as Objective,
      (from, to) => ({ images: queries(from, to), texts: keys(from, to), logScale: 1 }),
    ],
    sigLip: [
      sigLip() as unknown as Objective,
      (from, to) => ({ images: queries(from, to), texts: keys(from, to), logScale: 1, bias: -1 }),
    ],
  };

  it.each(Object.keys(takes))("%s: excludeMask has columns for the rank's own keys, or for all", async (name) => {
    const [objective, take] = takes[name]!;
    const bounds = [0, 2, 5];
    for (const [wanted, mine] of [
      [rowsOf(0, 5), rowsOf],
      [blocks, block],
    ] as const) {
      const whole = objective.valueAndGradients({ ...take(0, 5), excludeMask: wanted });
      const ranks = await onRanks(2, (group) => {
        const [from, to] = [bounds[group.rank]!, bounds[group.rank + 1]!];
        return objective.valueAndGradients({ ...take(from, to), excludeMask: mine(from, to) }, { group });
      });
      for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
      expectJoined(
        whole.gradients,
        ranks.map(({ gradients }) => gradients),
        1e-12,
      );
    }
  });

  it("positiveMask too", async () => {
    const positives = Uint8Array.from({ length: 25 }, (_, at) => Number(at % 6 === 0 || at % 7 === 2));
    const batch = (from: number, to: number) => ({
      queries: queries(from, to),
      keys: keys(from, to),
      positiveMask: tensor(positives.slice(5 * from, 5 * to), [to - from, 5]),
    });
    const whole = infoNce().valueAndGradients(batch(0, 5));
    const ranks = await onRanks(2, (group) =>
      infoNce().valueAndGradients(group.rank ? batch(2, 5) : batch(0, 2), { group }),
    );
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
    expectJoined(
      whole.gradients,
      ranks.map(({ gradients }) => gradients),
      1e-12,
    );
  });

  it("of another number of columns are refused with both numbers that fit", async () => {
    const [objective, take] = takes.clip!;
    const errors = await errorsOnRanks(2, (group) =>
      objective.evaluate(
        {
          ...take(group.rank ? 2 : 0, group.rank ? 5 : 2),
          excludeMask: tensor(new Uint8Array(8), [2, 4]),
        },
        { group },
      ),
    );
    expect(errors[0]).toMatchObject({
      code: "shape",
      field: "excludeMask",
      expected: expect.stringMatching(/\[2, 2\].*\[2, 5\]/),
    });
  });
});

describe("a gather without its gradient", () => {
  it("is reproduced by local: true, which says so: keys then lack what other ranks' rows add", async () => {
    const take = stories(8, "float64", 3);
    for (const { objective, rows: cut, gathered, name } of take) {
      if (name.includes("masked") || name.includes("supervised") || name.includes("symmetric")) continue;
      const whole = objective.valueAndGradients(cut(0, 8));
      const call = (local: boolean) => (group: Group) =>
        objective.valueAndGradients(cut(4 * group.rank, 4 * group.rank + 4), { group, local });
      const [truncated, complete] = [await onRanks(2, call(true)), await onRanks(2, call(false))];
      const field = gathered.at(-1)!;
      const join = (ranks: readonly EvaluationWithGradients[]) =>
        ranks.flatMap(({ gradients }) => [...(gradients[field]!.data as Float64Array)]);
      const largest = Math.max(...Array.from(whole.gradients[field]!.data as Float64Array, Math.abs));
      const worst = (found: readonly number[]) =>
        Math.max(...found.map((entry, at) => Math.abs(entry - Number(whole.gradients[field]!.data[at]))));
      expect(worst(join(complete))).toBeLessThan(1e-12 * largest);
      expect(worst(join(truncated))).toBeGreaterThan(0.01 * largest);
      for (const { value, notes } of truncated) {
        expect(bits(value)).toBe(bits(whole.value));
        expect(notes).toContainEqual(expect.objectContaining({ code: "truncated-gradient" }));
      }
    }
  });
});

describe("objectives that every rank computes whole", () => {
  it("ntXent puts the first views of all ranks before the second ones", async () => {
    const views = [embeddings(new Random(8), 6, "float64"), embeddings(new Random(9), 6, "float64")];
    const batch = (from: number, to: number) => {
      const data = views.flatMap((view) => [...(view(from, to).data as Float64Array)]);
      return { embeddings: tensor(Float64Array.from(data), [2 * (to - from), width]) };
    };
    const whole = ntXent().valueAndGradients(batch(0, 6));
    const ranks = await onRanks(3, (group) =>
      ntXent().valueAndGradients(batch([0, 2, 2][group.rank]!, [2, 2, 6][group.rank]!), { group }),
    );
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
    const halves = [0, 1].map((view) =>
      ranks.flatMap(({ gradients }) => {
        const { data } = gradients.embeddings;
        return [...(data as Float64Array).slice((view * data.length) / 2, ((view + 1) * data.length) / 2)];
      }),
    );
    expect(halves.flat().map(bits)).toEqual([...(whole.gradients.embeddings.data as Float64Array)].map(bits));
    const step = accumulation(ntXent()).gathered([batch(0, 2), batch(2, 6)]);
    expect(bits(step.value)).toBe(bits(whole.value));
  });

  it("dpo of distributions sorts over all ranks, with the weights and masks of each", async () => {
    const objective = dpo({ kind: "aot", referenceFree: true });
    const reals = (phase: number) => Float64Array.from({ length: 7 }, (_, i) => Math.sin(phase * (i + 1)) * 2);
    const [chosen, rejected, weights] = [reals(1), reals(2.3), reals(4).map(Math.abs)];
    const batch = (from: number, to: number, isWeighted = true) => ({
      policyChosen: tensor(chosen.slice(from, to)),
      policyRejected: tensor(rejected.slice(from, to)),
      ...(isWeighted && { weights: tensor(weights.slice(from, to)) }),
    });
    const whole = objective.valueAndGradients(batch(0, 7));
    const ranks = await onRanks(2, (group) =>
      objective.valueAndGradients(group.rank ? batch(3, 7) : batch(0, 3), { group }),
    );
    for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
    for (const field of ["policyChosen", "policyRejected"] as const) {
      const joined = ranks.flatMap(({ gradients }) => [...(gradients[field].data as Float64Array)]);
      expect(joined.map(bits)).toEqual([...(whole.gradients[field].data as Float64Array)].map(bits));
    }
    weights.fill(1, 3);
    const half = objective.evaluate(batch(0, 7));
    const mixed = await onRanks(2, (group) =>
      objective.evaluate(group.rank ? batch(3, 7, false) : batch(0, 3), { group }),
    );
    for (const { value } of mixed) expect(bits(value)).toBe(bits(half.value));
  });

  it("ntXent refuses a rank with a view without the other", async () => {
    const batch = (rows: number) => ({ embeddings: tensor(new Float64Array(rows * width).fill(1), [rows, width]) });
    const errors = await errorsOnRanks(2, (group) => ntXent().evaluate(batch(group.rank ? 3 : 5), { group }));
    for (const error of errors) expect(error).toMatchObject({ code: "shape", found: "5 rows on rank 0" });
  });

  it("take masks and weights that only some micro-batches have", () => {
    const take = embeddings(new Random(11), 6, "float64");
    const batch = (from: number, to: number) => ({ queries: take(from, to), keys: take(from, to) });
    const [first, second] = [batch(0, 3), { ...batch(3, 6), mask: tensor([1, 0, 1]), weights: tensor([2, 1, 0.5]) }];
    const whole = infoNce().evaluate({
      ...batch(0, 6),
      mask: tensor([1, 1, 1, 1, 0, 1]),
      weights: tensor([1, 1, 1, 2, 1, 0.5]),
    });
    expect(bits(accumulation(infoNce()).gathered([first, second]).value)).toBe(bits(whole.value));
  });

  it("refuse local: true and groupKeys", async () => {
    const batch = { embeddings: tensor(new Float64Array(20).fill(1), [4, width]) };
    const [error] = await errorsOnRanks(1, (group) => ntXent().valueAndGradients(batch, { group, local: true }));
    expect(error).toMatchObject({ code: "unsupported", field: "local" });
    const keyed = { ...batch, groupKeys: tensor(new Int32Array(4)) };
    const [other] = await errorsOnRanks(1, (group) => ntXent().evaluate(keyed as never, { group }));
    expect(other).toMatchObject({ code: "unsupported", field: "groupKeys" });
  });
});

describe("flags of pairs", () => {
  const take = embeddings(new Random(12), 4, "float64");
  const [queries, keys] = [take(0, 2), take(2, 4)];

  it("are 0 or 1 over ranks and micro-batches as they are in one batch", async () => {
    const batch = { queries, keys, excludeMask: tensor([0, 0.3, 0, 0], [2, 2]) };
    const wanted = expect.objectContaining({ code: "value", field: "excludeMask", index: [0, 1] });
    expect(() => infoNce().evaluate(batch)).toThrow(wanted);
    expect(() => accumulation(infoNce()).gathered([batch, batch])).toThrow(wanted);
    const errors = await errorsOnRanks(2, (group) => infoNce().evaluate(batch, { group }));
    for (const error of errors) expect(error).toEqual(wanted);
  });

  it("may be of any dtype on any rank, also where a rank has no row or all columns", async () => {
    const flags = [0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    const whole = clip().evaluate({
      images: take(0, 4),
      texts: take(0, 4),
      logScale: 1,
      excludeMask: tensor(Uint8Array.from(flags), [4, 4]),
    });
    for (const [cut, masks] of [
      [0, [tensor(new Uint8Array(0), [0, 4]), tensor(Float64Array.from(flags), [4, 4])]],
      [0, [tensor(new Uint8Array(0), [0, 0]), tensor(Uint8Array.from(flags), [4, 4])]],
      [2, [tensor(flags.slice(0, 8).map(Boolean), [2, 4]), tensor(Int32Array.from(flags.slice(8)), [2, 4])]],
    ] as const) {
      const ranks = await onRanks(2, (group) => {
        const [from, to] = group.rank === 0 ? [0, cut] : [cut, 4];
        const pairs = { images: take(from, to), texts: take(from, to), logScale: 1 };
        return clip().evaluate({ ...pairs, excludeMask: masks[group.rank]! }, { group });
      });
      for (const { value } of ranks) expect(bits(value)).toBe(bits(whole.value));
    }
  });

  it("labels may be of another integer dtype on another rank", async () => {
    const whole = infoNce().evaluate({ queries, keys, labels: tensor(Int32Array.of(1, 0)) });
    const twice = await onRanks(2, (group) => {
      const rows = { queries: take(group.rank, group.rank + 1), keys: take(2 * group.rank, 2 * group.rank + 2) };
      const label = group.rank === 0 ? tensor(Int32Array.of(1)) : tensor(BigInt64Array.of(0n));
      return infoNce().evaluate({ ...rows, labels: label }, { group });
    });
    expect(twice[0]!.value).toBe(twice[1]!.value);
    expect(whole.denominator).toBe(twice[0]!.denominator);
  });
});

describe("contrastive ranks that do not fit each other", () => {
  const take = embeddings(new Random(5), 4, "float64");
  const pairs = { images: take(0, 4), texts: take(0, 4), logScale: 1 };

  it.each([
    ["another learned scale", { ...pairs, logScale: 1.25 }, /scalars\.logScale: "1" and "1\.25"/],
    [
      "another width",
      { images: tensor(new Float64Array(16), [4, 4]), texts: tensor(new Float64Array(16), [4, 4]), logScale: 1 },
      /widths\.D: 5 and 4/,
    ],
  ])("%s: an error on all", async (_, odd, words) => {
    const errors = await errorsOnRanks(3, (group) =>
      clip().valueAndGradients(group.rank === 2 ? odd : pairs, { group }),
    );
    for (const error of errors)
      expect(error).toMatchObject({ code: "group", field: "rank 2", found: expect.stringMatching(words) });
  });

  it("a batch that does not bind on one rank: an error on all", async () => {
    const bad = { images: take(0, 3), texts: take(0, 4), logScale: 1 };
    const errors = await errorsOnRanks(2, (group) =>
      clip().valueAndGradients(group.rank === 1 ? bad : pairs, { group }),
    );
    expect(errors[1]).toMatchObject({ code: "shape", field: "texts" });
    expect(errors[0]).toMatchObject({ code: "group", field: "rank 1" });
  });
});

describe("a coupled objective in micro-batches", () => {
  const take = embeddings(new Random(6), 6, "float64");
  const batch = (from: number, to: number) => ({ queries: take(from, to), keys: take(from, to) });

  it("is refused by ahead and dividedLast, unless smaller sets of negatives are accepted", () => {
    for (const act of [
      () => accumulation(infoNce()).ahead([batch(0, 3)]),
      () => accumulation(infoNce()).dividedLast(),
    ]) {
      expect(act).toThrow(expect.objectContaining({ code: "unsupported", fix: expect.stringMatching(/gathered/) }));
    }
    const step = accumulation(infoNce(), { acrossBatches: "independent" }).ahead([batch(0, 3), batch(3, 6)]);
    step.add(batch(0, 3));
    step.add(batch(3, 6));
    const halves = [infoNce().evaluate(batch(0, 3)).value, infoNce().evaluate(batch(3, 6)).value];
    expect(step.finish().value).toBeCloseTo((halves[0]! + halves[1]!) / 2, 12);
  });

  it("is not for objectives whose units are on their own", () => {
    const act = () => accumulation(dpo()).gathered([{} as never]);
    expect(act).toThrow(
      expect.objectContaining({ code: "unsupported", field: "gathered", fix: expect.stringMatching(/ahead/) }),
    );
  });
});
