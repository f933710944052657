import { describe, expect, it } from "vitest";
import { audit, hasFindings } from "../../src/audit/index.js";
import type { StepRecord } from "../../src/io/index.js";
import { Random } from "../instruments/random.js";

/** Draws a step. */
export type Make = (random: Random) => StepRecord;
export type Cases = Readonly<Record<string, Make>>;

const seeds = [1, 2, 3];

/** Mistakes of which each is exactly one finding of the check, and near misses in which nothing is found. */
export function describeVariants(check: string, mistakes: Cases, nearMisses: Cases): void {
  describe(`${check} is found in`, () => {
    it.each(Object.entries(mistakes))("%s", (_, make) => {
      for (const seed of seeds) expect(judged(make(new Random(seed))), `seed ${seed}`).toEqual([check]);
    });
  });
  describe(`${check} is not found in`, () => {
    it.each(Object.entries(nearMisses))("%s", (_, make) => {
      for (const seed of seeds) {
        const record = make(new Random(seed));
        expect(judged(record), `seed ${seed}`).toEqual([]);
        expect(hasFindings(audit(record)), `seed ${seed}`).toBe(false);
      }
    });
  });
}

function judged(record: StepRecord): string[] {
  return audit(record)
    .findings.filter(({ severity }) => severity !== "note")
    .map(({ check }) => check);
}
