import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chatTokenizer } from "./chat.test-helper.js";
import { type ChatTokenizer, tokenizerFrom, tokenOffsets } from "./index.js";

const tokenizer = await chatTokenizer();
const decoder = new TextDecoder();

/** The bytes of each token, in hexadecimal or as text. */
function bytesOfTokens(text: string, of: ChatTokenizer = tokenizer): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const { ids, offsets } = tokenOffsets(text, of);
  return Array.from(ids, (_, i) => bytes.subarray(offsets[2 * i]!, offsets[2 * i + 1]!));
}
const textsOfTokens = (text: string, of?: ChatTokenizer) =>
  bytesOfTokens(text, of).map((bytes) => decoder.decode(bytes));

/** A vocabulary in the way of SentencePiece: characters, bytes for the rest, a space before the first word. */
const sentencePiece = {
  added_tokens: [{ id: 0, content: "<s>", special: true }],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: "ByteFallback" },
  model: {
    type: "BPE",
    byte_fallback: true,
    vocab: Object.fromEntries(
      [
        "<s>",
        ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
        ...["▁", "h", "i", "y", "o", "▁h", "▁hi"],
      ].map((piece, id) => [piece, id]),
    ),
    merges: ["▁ h", "▁h i"],
  },
};

describe("tokenOffsets", () => {
  it("gives each token the text it stands for", () => {
    expect(textsOfTokens("<|im_start|>user\nTwo plus two?<|im_end|>")).toEqual([
      ...["<|im_start|>", "user", "\n", "Two", " plus", " two", "?", "<|im_end|>"],
    ]);
  });

  it("counts in bytes, so that a token may end inside a character", () => {
    // é is C3 A9, the fox F0 9F A6 8A: of no word of the vocabulary, so each byte is a token.
    const bytes = bytesOfTokens("é🦊");
    expect(bytes.map((token) => [...token])).toEqual([[0xc3], [0xa9], [0xf0], [0x9f], [0xa6], [0x8a]]);
    const { byteOf } = tokenOffsets("aé🦊b", tokenizer);
    expect([0, 1, 2, 3, 4, 5].map(byteOf)).toEqual([0, 1, 3, 3, 7, 8]);
  });

  it("covers any text without a gap and without an overlap", () => {
    const piece = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom("<|im_start|>", "[INST]", " plus", " two", "\n\n", "\u00a0", "\ud800", "<tool_call>"),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const { ids, offsets, byteOf } = tokenOffsets(text, tokenizer);
        let at = 0;
        for (let i = 0; i < ids.length; i++) {
          expect(offsets[2 * i]).toBe(at);
          expect(offsets[2 * i + 1]).toBeGreaterThan(at);
          at = offsets[2 * i + 1]!;
        }
        expect(at).toBe(new TextEncoder().encode(text).length);
        expect(byteOf(text.length)).toBe(at);
      }),
    );
  });

  it("leaves out the whitespace that a control token swallows", () => {
    expect(textsOfTokens("<|end|>\n \u2003Four.<|user|>\n")).toEqual(["<|end|>", "Four", ".", "<|user|>"]);
    const { offsets } = tokenOffsets("<|end|>\nFour", tokenizer);
    expect([...offsets]).toEqual([0, 7, 8, 12]);
  });

  it("aligns SentencePiece: its spaces, its bytes, and the space it puts before the first word", async () => {
    const of = await tokenizerFrom(sentencePiece);
    expect(textsOfTokens("hi yo", of)).toEqual(["hi", " ", "y", "o"]);
    expect(textsOfTokens(" hi", of)).toEqual(["", " hi"]);
    expect(textsOfTokens("<s>hi<s> é", of).map((text) => text.replaceAll("\ufffd", "?"))).toEqual([
      ...["<s>", "hi", "<s>", "", " ", "?", "?"],
    ]);
  });

  it("of nothing is nothing", () => {
    expect(tokenOffsets("", tokenizer)).toMatchObject({ ids: [], offsets: new Int32Array(0) });
  });

  it("refuses a text that the tokenizer normalizes, and says where", async () => {
    const json = {
      ...sentencePiece,
      normalizer: { type: "Lowercase" },
      model: { ...sentencePiece.model, vocab: sentencePiece.model.vocab },
    };
    const of = await tokenizerFrom(json);
    expect(() => tokenOffsets("hiYo", of)).toThrow(
      expect.objectContaining({ code: "value", index: [2], found: 'tokens that do not spell "Yo" at place 2' }),
    );
  });

  it("refuses tokens that say nothing of the text", () => {
    const of = (tokens: readonly string[]): ChatTokenizer => ({
      encode: () => ({ ids: tokens.map((_, i) => i), tokens }),
      get_added_tokens_decoder: () => new Map(),
    });
    for (const tokens of [["a", "<unk>"], ["a"], ["a", "b", "c"], []]) {
      expect(() => tokenOffsets("ab", of(tokens))).toThrow(/do not spell/);
    }
  });
});
