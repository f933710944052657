import { describe, expect, it } from "vitest";
import { objectiveFrom } from "../../losses/index.js";
import { tensor } from "../../tensor/index.js";
import { type PlacesOfGradient, placesOf, pullKinds, type UnitPulls, unitPulls } from "./unit-pulls.js";

const room = { lines: 100, cells: 100 };
const places = (objective: string, field: string, shape: number[], options: object = {}, ...more: never[]) =>
  placesOf(objectiveFrom({ objective, options } as never), field, shape, ...more);
const gridOf = ({ rows, columns, entries }: PlacesOfGradient) => ({ rows, columns, entries });

describe("the units of a gradient", () => {
  it.each([
    ["classes on the last axis", "crossEntropy", "logits", [2, 3, 4], {}, { rows: 2, columns: 3, entries: 4 }],
    ["classes on axis 1", "crossEntropy", "logits", [2, 4, 3], { classAxis: 1 }, { rows: 2, columns: 3, entries: 4 }],
    ["rows of embeddings", "infoNce", "keys", [6, 5], {}, { rows: 1, columns: 6, entries: 5 }],
    ["elements of rows", "squaredError", "predictions", [5, 2], {}, { rows: 5, columns: 2, entries: 1 }],
    ["a column, as one line", "squaredError", "predictions", [7, 1], {}, { rows: 1, columns: 7, entries: 1 }],
    [
      "images, rows of all their pixels",
      "squaredError",
      "predictions",
      [2, 3, 4],
      {},
      { rows: 2, columns: 12, entries: 1 },
    ],
    ["a row of scores", "dpo", "policyChosen", [4], {}, { rows: 1, columns: 4, entries: 1 }],
    ["frames of a sequence, time first", "ctc", "logits", [8, 3, 5], {}, { rows: 3, columns: 8, entries: 5 }],
    ["frames, batch first", "ctc", "logits", [3, 8, 5], { layout: "BTC" }, { rows: 3, columns: 8, entries: 5 }],
    [
      "a field that the objective does not know",
      "crossEntropy",
      "temperature",
      [3],
      {},
      { rows: 1, columns: 3, entries: 1 },
    ],
  ])("are %s", (_, objective, field, shape, options, expected) => {
    expect(gridOf(places(objective, field, shape, options))).toEqual(expected);
  });

  it("lie in the rows of their tokens where the batch was flattened", () => {
    const objective = objectiveFrom({ objective: "crossEntropy" });
    expect(gridOf(placesOf(objective, "logits", [6, 4], { rows: 2, length: 3 }))).toEqual({
      rows: 2,
      columns: 3,
      entries: 4,
    });
  });

  it("turn time-first places into rows", () => {
    const { cell } = places("ctc", "logits", [3, 2, 5]);
    // Places go [t, b]; cells go [b, t].
    expect([0, 1, 2, 3, 4, 5].map(cell)).toEqual([0, 3, 1, 4, 2, 5]);
  });

  it("stand where they were kept from, and nowhere if that is outside", () => {
    const objective = objectiveFrom({ objective: "crossEntropy" });
    const kept = { units: tensor(BigInt64Array.of(1n, 5n, 99n)), shape: [2, 3] };
    const { rows, columns, cell } = placesOf(objective, "logits", [3, 4], undefined, kept);
    expect([rows, columns, cell(0), cell(1), cell(2)]).toEqual([2, 3, 1, 5, -1]);
  });
});

const logits = (units: readonly (readonly number[])[], rows: number) =>
  tensor(Float32Array.from(units.flat()), [rows, units.length / rows, units[0]!.length]);
const pullsOf = (
  reported: readonly (readonly number[])[],
  declared: readonly (readonly number[])[],
  rows = 1,
  limits = room,
  tolerance = 2e-3,
) => {
  const [mine, theirs] = [logits(reported, rows), logits(declared, rows)];
  return unitPulls("logits", places("crossEntropy", "logits", [...mine.shape]), mine, theirs, limits, tolerance);
};
const kindsOf = ({ kinds }: UnitPulls) => Array.from(kinds, (kind) => pullKinds[kind]);

describe("the pulls of units", () => {
  const declared = [
    [3, -3],
    [3, -3],
    [3, -3],
    [3, -3],
    [3, -3],
    [0, 0],
    [0, 0],
    [3, -3],
  ];
  const reported = [
    [3.01, -3],
    [1, -1],
    [9, -9],
    [-3, 3],
    [0, 0],
    [2, -2],
    [0, 0],
    [Number.NaN, 0],
  ];

  it("are told apart by length and direction", () => {
    const pulls = pullsOf(reported, declared);
    const kinds = ["same", "weaker", "stronger", "turned", "missing", "extra", "none", "broken"];
    expect(kindsOf(pulls)).toEqual(kinds);
    expect(kinds.map((kind) => pulls.counts[pullKinds.indexOf(kind as never)])).toEqual(kinds.map(() => 1));
    expect(pulls.weakest).toBeCloseTo(1 / 3, 12);
    expect(pulls.strongest).toBe(3);
    expect(pulls.longest).toBeCloseTo(Math.hypot(9, 9), 6);
  });

  it("have the length of all entries of a unit, and a line how hard it pulls the declared way", () => {
    const pulls = pullsOf(
      [
        [3, 4],
        [6, 8],
      ],
      [
        [0.6, 0.8],
        [1.2, 1.6],
      ],
    );
    expect([...pulls.reported]).toEqual([5, 10]);
    expect([...pulls.declared].map((length) => Math.fround(length))).toEqual([1, 2]);
    expect(pulls.factors[0]).toBeCloseTo(5, 6);
    expect(pullsOf([[0, 0]], [[0, 0]]).factors[0]).toBeNaN();
  });

  it("are nothing below what rounding leaves, and more is rounding in half precision", () => {
    expect(
      kindsOf(
        pullsOf(
          [
            [1, -1],
            [1e-5, 0],
          ],
          [
            [1, -1],
            [0, 0],
          ],
        ),
      ),
    ).toEqual(["same", "none"]);
    expect(
      kindsOf(
        pullsOf(
          [
            [1, -1],
            [1e-3, 0],
          ],
          [
            [1, -1],
            [0, 0],
          ],
        ),
      ),
    ).toEqual(["same", "extra"]);
    expect(
      kindsOf(
        pullsOf(
          [
            [1, -1],
            [1e-3, 0],
          ],
          [
            [1, -1],
            [0, 0],
          ],
          1,
          room,
          2e-2,
        ),
      ),
    ).toEqual(["same", "none"]);
    expect(kindsOf(pullsOf([[1.03, -1.03]], [[1, -1]], 1, room, 2e-2))).toEqual(["same"]);
    expect(kindsOf(pullsOf([[1.03, -1.03]], [[1, -1]]))).toEqual(["stronger"]);
  });

  it("do not change kind where a whole step is scaled, however short they are", () => {
    const short = [
      [1, -1],
      [2e-4, -2e-4],
      [4e-4, -4e-4],
    ];
    const scaled = short.map((row) => row.map((x) => 3 * x));
    expect(new Set(kindsOf(pullsOf(scaled, short)))).toEqual(new Set(["stronger"]));
  });

  it("share cells where they are many: their length is that of all, their kind the gravest", () => {
    const few = pullsOf(
      [
        [3, 0],
        [4, 0],
        [1, 0],
        [0, 0],
      ],
      [
        [3, 0],
        [4, 0],
        [1, 0],
        [1, 0],
      ],
      2,
      { lines: 1, cells: 1 },
    );
    expect(few).toMatchObject({ lines: 1, cells: 1, rowsEach: 2, columnsEach: 2, rows: 2, columns: 2 });
    expect(few.reported[0]).toBeCloseTo(Math.sqrt(26), 6);
    expect(kindsOf(few)).toEqual(["missing"]);
    expect(few.counts[pullKinds.indexOf("same")]).toBe(3);
  });

  it("of one axis are cut into lines, every unit in one cell", () => {
    const units = Array.from({ length: 1000 }, (_, i) => [i + 1]);
    const long = (lines: number, cells: number) => {
      const all = tensor(Float32Array.from(units.flat()));
      const grid = places("squaredError", "predictions", [1000]);
      return unitPulls("predictions", grid, all, all, { lines, cells }, 2e-3);
    };
    expect(long(8, 128)).toMatchObject({ lines: 8, cells: 128, columnsEach: 1 });
    const folded = long(3, 50);
    expect(folded).toMatchObject({ lines: 3, cells: 50, columnsEach: 7 });
    const squares = folded.reported.reduce((sum, length) => sum + length * length, 0);
    expect(squares / (1000 * 1001 * 2001)).toBeCloseTo(1 / 6, 9);
  });

  it("of nothing are no cells", () => {
    const none = tensor(new Float32Array(0), [0, 4]);
    const pulls = unitPulls("logits", places("crossEntropy", "logits", [0, 4]), none, none, room, 2e-3);
    expect([pulls.lines * pulls.cells, pulls.longest]).toEqual([0, 0]);
  });
});
