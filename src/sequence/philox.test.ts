import { describe, expect, it } from "vitest";
import { Philox } from "./philox.js";

const hex = (words: Uint32Array) => Array.from(words, (word) => word.toString(16).padStart(8, "0")).join(" ");

describe("Philox", () => {
  it("gives the known answers of Random123's kat_vectors, philox4x32 with 10 rounds", () => {
    expect(hex(new Philox(0).draw(0, 0, 0, 0))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  });

  it("takes all 53 bits of a seed", () => {
    const [a, b, c] = [0, 2 ** 32, Number.MAX_SAFE_INTEGER].map((seed) => hex(new Philox(seed).draw(0, 0)));
    expect(new Set([a, b, c]).size).toBe(3);
  });

  it("fills [0, 1) evenly: 10,000 draws in ten bins, and bits that are set half of the time", () => {
    const random = new Philox(1);
    const bins = new Array<number>(10).fill(0);
    let ones = 0;
    for (let i = 0; i < 10_000; i++) {
      const word = random.draw(i, 3)[0]!;
      bins[Math.floor((word / 2 ** 32) * 10)]!++;
      for (let bit = 0; bit < 32; bit++) ones += (word >>> bit) & 1;
    }
    expect(Math.min(...bins)).toBeGreaterThan(850);
    expect(Math.max(...bins)).toBeLessThan(1150);
    expect(ones / 320_000).toBeCloseTo(0.5, 2);
  });

  it("agrees with products formed in integers of any size", () => {
    const big = (seed: number, counter: readonly number[]) => {
      let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
      let [k0, k1] = [BigInt(seed) & 0xffffffffn, BigInt(seed) >> 32n];
      for (let round = 0; round < 10; round++) {
        const [p0, p1] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n];
        [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & 0xffffffffn, (p0 >> 32n) ^ c3 ^ k1, p0 & 0xffffffffn];
        k0 = (k0 + 0x9e3779b9n) & 0xffffffffn;
        k1 = (k1 + 0xbb67ae85n) & 0xffffffffn;
      }
      return [c0, c1, c2, c3].map((word) => word.toString(16).padStart(8, "0")).join(" ");
    };
    const draws = new Philox(99);
    for (let i = 0; i < 200; i++) {
      const words = [...draws.draw(i, i * 7, i * i)] as [number, number, number, number];
      const seed = words[0] * 2 ** 21 + (words[1] >>> 11);
      expect(hex(new Philox(seed).draw(...words))).toBe(big(seed, words));
    }
  });
});
