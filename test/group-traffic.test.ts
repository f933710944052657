/**
 * The bytes that an objective sends for a given number of ranks, by a model on paper, held against those that a run counts.
 * The model is the one of docs/distributed.md.
 */
import { describe, expect, it } from "vitest";
import {
  type AnyBatch,
  accumulation,
  clip,
  crossEntropy,
  infoNce,
  type Objective,
  sigLip,
  supervisedContrastive,
  type Tensor,
  tensor,
} from "../src/index.js";
import { onRanks } from "./instruments/ranks.js";

/** Every call begins with a header of four float64 that all ranks gather. */
const header = 32;
/** An exact sum is 72 integers of 64 bits: 69 limbs, and counts of NaN and of both infinities. */
const exactSum = 72;
/** Every agreement has as many lanes: how many ranks failed, four sums of hashes, an exact sum, and five integers. */
const agreement = 5 + exactSum + 5;

/** What one rank sends where every lane is gathered by all ranks, as threads do. */
const lanes = (count: number, ranks: number) => 8 * count * (ranks - 1);

interface Shape {
  readonly ranks: number;
  /** Rows of each rank. */
  readonly rows: readonly number[];
  readonly rank: number;
  readonly width: number;
  /** Bytes of a number of the embeddings. */
  readonly bytes: number;
}

/** Rows that every other rank gets, and a gradient in float64 that every other rank is sent its part of. */
function rowsThereAndBack({ ranks, rows, rank, width, bytes }: Shape): number {
  const all = rows.reduce((sum, count) => sum + count, 0);
  return rows[rank]! * width * bytes * (ranks - 1) + 8 * width * (all - rows[rank]!);
}

const rowWise = ({ ranks }: Shape) => ({
  collectives: 2,
  sent: lanes(2 * agreement, ranks) + 2 * header * (ranks - 1),
});

/** Agreement on the form, the number of rows of each axis, rows there and back, and what every objective sends. */
const coupled = (axes: number, fields: number) => (shape: Shape) => {
  const { ranks } = shape;
  const collectives = 4 + 2 * fields;
  const sent =
    lanes(3 * agreement, ranks) +
    8 * axes * (ranks - 1) +
    fields * rowsThereAndBack(shape) +
    collectives * header * (ranks - 1);
  return { collectives, sent };
};

type Model = (shape: Shape) => { readonly collectives: number; readonly sent: number };
type Take = (rows: number, width: number) => AnyBatch;

const embeddings = (rows: number, width: number): Tensor =>
  tensor(
    Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i)),
    [rows, width],
  );

const cases: readonly (readonly [string, Objective, Take, Model])[] = [
  [
    "crossEntropy",
    crossEntropy() as unknown as Objective,
    (rows, width) => ({ logits: embeddings(rows, width), labels: tensor(new Int32Array(rows)) }),
    rowWise,
  ],
  [
    "infoNce",
    infoNce() as unknown as Objective,
    (rows, width) => ({ queries: embeddings(rows, width), keys: embeddings(rows, width) }),
    coupled(2, 1),
  ],
  [
    "infoNce, symmetric",
    infoNce({ symmetric: true }) as unknown as Objective,
    (rows, width) => ({ queries: embeddings(rows, width), keys: embeddings(rows, width) }),
    coupled(2, 2),
  ],
  [
    "clip",
    clip() as unknown as Objective,
    (rows, width) => ({ images: embeddings(rows, width), texts: embeddings(rows, width), logScale: 1 }),
    coupled(1, 2),
  ],
  [
    "sigLip",
    sigLip() as unknown as Objective,
    (rows, width) => ({ images: embeddings(rows, width), texts: embeddings(rows, width), logScale: 1, bias: 0 }),
    coupled(1, 1),
  ],
  [
    "supervisedContrastive",
    supervisedContrastive() as unknown as Objective,
    (rows, width) => ({ embeddings: embeddings(rows, width), labels: tensor(new Int32Array(rows)) }),
    // Labels of four bytes go out as well, in a call of their own.
    (shape) => {
      const { collectives, sent } = coupled(1, 1)(shape);
      const more = (4 * shape.rows[shape.rank]! + header) * (shape.ranks - 1);
      return { collectives: collectives + 1, sent: sent + more };
    },
  ],
];

describe.each(cases)("%s", (_, objective, take, model) => {
  it.each([1, 2, 3, 4, 7])("sends the bytes of the model over %i ranks", async (ranks) => {
    const width = 3;
    const rows = Array.from({ length: ranks }, (_, rank) => 1 + ((5 * rank) % 4));
    const counted = await onRanks(ranks, async (group) => {
      await objective.valueAndGradients(take(rows[group.rank]!, width), { group });
      return group.traffic;
    });
    const received = counted.reduce((sum, each) => sum + each.received, 0);
    expect(received).toBe(counted.reduce((sum, { sent }) => sum + sent, 0));
    for (const [rank, { collectives, sent }] of counted.entries()) {
      expect({ collectives, sent }).toEqual(model({ ranks, rows, rank, width, bytes: 4 }));
    }
  });
});

describe("micro-batches", () => {
  it("send nothing: a step of any number of them costs one reduction ahead and one at the end", async () => {
    const batch = { logits: embeddings(2, 3), labels: tensor(new Int32Array(2)) };
    for (const count of [1, 8]) {
      const counted = await onRanks(2, async (group) => {
        const micro = Array.from({ length: count }, () => batch);
        const step = await accumulation(crossEntropy()).ahead(micro as never, { group });
        for (const each of micro) step.add(each as never);
        await step.finish();
        return group.traffic;
      });
      for (const { collectives, sent } of counted) {
        expect({ collectives, sent }).toEqual({ collectives: 2, sent: lanes(2 * agreement, 2) + 2 * header });
      }
    }
  });
});
