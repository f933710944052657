import { describe, expect, it } from "vitest";
import { readVocabulary } from "./vocabulary.js";

const read = (value: unknown) => readVocabulary(JSON.stringify(value), "tokens.json");

describe("readVocabulary", () => {
  it("reads a list of texts as they stand", () => {
    const textOf = read(["<pad>", "a", "Ġb"]);
    expect([0, 1, 2, 3, -1].map(textOf)).toEqual(["<pad>", "a", "Ġb", undefined, undefined]);
  });

  it("reads an object from text to id", () => {
    expect(read({ a: 7, b: 2 })(7)).toBe("a");
  });

  it("spells the pieces of a byte-level tokenizer.json back, control tokens as they stand", () => {
    const vocab = { Ġ: 0, Ġthe: 1, Ċ: 2, "ä¸Ń": 3, "ä¸": 4, "Ã©": 5 };
    const textOf = read({ model: { vocab }, added_tokens: [{ id: 9, content: "<|im_end|>" }] });
    expect([0, 1, 2, 3, 5, 9].map(textOf)).toEqual([" ", " the", "\n", "中", "é", "<|im_end|>"]);
    expect(textOf(4)).toBe("<E4><B8>");
  });

  it("spells SentencePiece back, also where pieces stand with their scores", () => {
    const textOf = read({
      model: {
        vocab: [
          ["▁the", -1],
          ["<0x0A>", -2],
          ["<0xE4>", -3],
        ],
      },
    });
    expect([0, 1, 2].map(textOf)).toEqual([" the", "\n", "<E4>"]);
  });

  it.each([
    ["no JSON", "{"],
    ["a number", "3"],
    ["null", "null"],
    ["a list with a number", '["a", 1]'],
    ["an object with a text", '{"a": "b"}'],
    ["an empty object", "{}"],
    ["a tokenizer without a vocabulary", '{"model": {}}'],
    ["an added token without an id", '{"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "x"}]}'],
  ])("refuses %s", (_, text) => {
    expect(() => readVocabulary(text, "tokens.json")).toThrow(
      expect.objectContaining({ code: "file", where: "tokens.json", fix: expect.any(String) }),
    );
  });
});
