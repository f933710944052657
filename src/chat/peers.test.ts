import { afterEach, describe, expect, it, vi } from "vitest";
import { templateOf } from "./chat.test-helper.js";

afterEach(() => {
  vi.doUnmock("@huggingface/jinja");
  vi.doUnmock("@huggingface/tokenizers");
  vi.resetModules();
});

/** This room as a machine sees it where a package is not installed. */
async function without(name: string) {
  vi.resetModules();
  vi.doMock(name, () => {
    throw new Error(`Cannot find package '${name}'`);
  });
  return import("./index.js");
}

describe("an optional peer that is not installed", () => {
  it("is named by tokenizerFrom, with the command that installs it", async () => {
    const { tokenizerFrom } = await without("@huggingface/tokenizers");
    await expect(tokenizerFrom({})).rejects.toMatchObject({
      code: "unsupported",
      where: "tokenizerFrom",
      fix: "npm install @huggingface/tokenizers",
      cause: expect.anything(),
    });
  });

  it("is named by chatTemplate, which takes the caller's own Jinja instead", async () => {
    const { chatTemplate, loadJinja } = await import("./index.js");
    const jinja = await loadJinja();
    const { chatTemplate: bare } = await without("@huggingface/jinja");
    const tokenizer = {
      encode: (text: string) => ({ ids: [...text].map((c) => c.charCodeAt(0)), tokens: [...text] }),
      get_added_tokens_decoder: () => new Map(),
    };
    const template = "{% for message in messages %}{{ message.content }}{% endfor %}";
    const input = { conversations: [[{ role: "user", content: "Hi" }]], template, tokenizer };
    await expect(bare(input)).rejects.toMatchObject({ code: "unsupported", fix: "npm install @huggingface/jinja" });
    expect([...(await bare({ ...input, jinja })).inputIds.data]).toEqual([72, 105]);
    expect(chatTemplate).not.toBe(bare);
  });
});

describe("tokenizerFrom", () => {
  it("refuses what is no tokenizer.json, in the library's words", async () => {
    const { tokenizerFrom } = await import("./index.js");
    await expect(tokenizerFrom({})).rejects.toMatchObject({ code: "argument", field: "tokenizerJson" });
    await expect(tokenizerFrom(templateOf("chatml") as never)).rejects.toMatchObject({ code: "argument" });
  });
});
