import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clipped, columnsOf, visible } from "./visible.js";

describe("visible", () => {
  it.each([
    [" the", "·the"],
    ["a\nb\t\r", "a\\nb\\t\\r"],
    ["a\\n", "a\\\\n"],
    ["\u001b[31m", "\\u{1b}[31m"],
    ["\u202e", "\\u{202e}"],
    ["\u00a0", "\\u{a0}"],
    ["é中", "é中"],
  ])("%j is %j", (text, shown) => expect(visible(text)).toBe(shown));

  it("leaves nothing that moves a cursor or breaks a line, and tells an escape from its letters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(visible(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      }),
    );
    expect(visible("\\n")).not.toBe(visible("\n"));
  });
});

describe("clipped", () => {
  it("keeps what fits and cuts by columns, not by characters", () => {
    expect(clipped("abcd", 4)).toBe("abcd");
    expect(clipped("abcde", 4)).toBe("abc…");
    expect(clipped("中文字", 4)).toBe("中…");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 9 }), (text, columns) => {
        expect(columnsOf(clipped(text, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
