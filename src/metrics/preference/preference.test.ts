import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuses } from "../../../test/instruments/refusals.js";
import { tensor } from "../../tensor/index.js";
import { bradleyTerryScores } from "./bradley-terry-scores.js";
import { pairAccuracy } from "./pair-accuracy.js";
import { rewardMargin } from "./reward-margin.js";
import { winRate } from "./win-rate.js";

const column = (values: readonly number[]) => tensor(Float64Array.from(values), [values.length]);

/** Wins of every item over every other one, so that the likelihood has a maximum. */
const tables = fc.integer({ min: 2, max: 5 }).chain((count) =>
  fc.array(fc.integer({ min: 1, max: 20 }), { minLength: count * count, maxLength: count * count }).map((cells) => ({
    count,
    wins: cells.map((cell, at) => (at % (count + 1) === 0 ? 0 : cell)),
  })),
);

describe("metrics of preference", () => {
  it("ties are half a win, and no right answer", () => {
    const [first, second] = [column([2, 1, 0, 3]), column([1, 1, 1, 0])];
    expect(winRate().update({ left: first, right: second }).compute()).toBe(0.625);
    expect(pairAccuracy().update({ chosen: first, rejected: second }).compute()).toBe(0.5);
    expect(rewardMargin().update({ chosen: first, rejected: second }).compute()).toBe(0.75);
  });

  it("scores make every item's expected wins its wins, and have mean 0", () => {
    fc.assert(
      fc.property(tables, ({ count, wins }) => {
        const scores = bradleyTerryScores()
          .update({ wins: tensor(Float64Array.from(wins), [count, count]) })
          .compute();
        const s = Array.from(scores.data);
        expect(s.reduce((sum, score) => sum + score, 0)).toBeCloseTo(0, 12);
        for (let i = 0; i < count; i++) {
          let left = 0;
          for (let j = 0; j < count; j++) {
            const games = wins[i * count + j]! + wins[j * count + i]!;
            left += wins[i * count + j]! - games / (1 + Math.exp(s[j]! - s[i]!));
          }
          expect(left).toBeCloseTo(0, 5);
        }
      }),
    );
  });

  it("two items differ by the log odds of their wins", () => {
    const [first, second] = bradleyTerryScores()
      .update({
        wins: tensor([
          [0, 3],
          [1, 0],
        ]),
      })
      .compute().data;
    expect(first! - second!).toBeCloseTo(Math.log(3), 12);
  });

  it("an item that always won has no finite score, unless a prior gives it one", () => {
    const pairs = { winners: tensor([0, 0, 1, 2]), losers: tensor([1, 2, 2, 1]) };
    expect(Array.from(bradleyTerryScores().update(pairs).compute().data)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    const [first, ...others] = bradleyTerryScores({ prior: 0.5 }).update(pairs).compute().data;
    // 1.5 wins to 0.5 over each of two equals: log 3 above them, of which 2/3 lie above the mean.
    expect(first).toBeCloseTo((2 / 3) * Math.log(3), 9);
    expect(others[0]).toBeCloseTo(others[1]!, 12);
  });

  refuses([
    [
      "an item against itself",
      () => bradleyTerryScores().update({ winners: tensor([1]), losers: tensor([1]) }),
      "value",
      "losers",
      /another item/,
    ],
    [
      "an item past the number of items",
      () => bradleyTerryScores({ items: 2 }).update({ winners: tensor([2]), losers: tensor([1]) }),
      "value",
      "winners",
      /0\.\.1/,
    ],
    [
      "a negative number of wins",
      () =>
        bradleyTerryScores().update({
          wins: tensor([
            [0, -1],
            [1, 0],
          ]),
        }),
      "value",
      "wins",
      /at least 0/,
    ],
    ["one side alone", () => winRate().update({ left: column([1]) } as never), "missing-field", "right", /right/],
  ]);
});
