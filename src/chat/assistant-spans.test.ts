import { describe, expect, it } from "vitest";
import { chatTokenizer, templateOf, trainedOf } from "./chat.test-helper.js";
import { type ChatMessage, type ChatTemplateInput, chatTemplate } from "./index.js";

const tokenizer = await chatTokenizer();
const messages: readonly ChatMessage[] = [
  { role: "user", content: "Two plus two?" },
  { role: "assistant", content: "Four." },
  { role: "user", content: "Thanks!" },
  { role: "assistant", content: "Any time." },
];
const trained = ["Four", ".", "<|im_end|>", "Any", " time", ".", "<|im_end|>"];

const call = (template: string, input: Partial<ChatTemplateInput> = {}) =>
  chatTemplate({
    conversations: [messages],
    template,
    tokenizer,
    specialTokens: { eos_token: "<|im_end|>" },
    ...input,
  });

/** A template that writes each message, and those of the assistant with what is given. */
const writing = (assistant: string, after = "") =>
  `{%- for message in messages -%}{%- if message.role == "assistant" -%}${assistant}{%- else -%}
  {{- "<|im_start|>" + message.content -}}{%- endif -%}{%- endfor -%}${after}`;

describe("generation marks", () => {
  it("that leave the end of a turn out give it to the turn behind them", async () => {
    const template = writing("{% generation %}{{- message.content -}}{% endgeneration %}{{- eos_token -}}");
    expect(trainedOf(await call(template), tokenizer)).toEqual(trained);
    expect(trainedOf(await call(template, { trainOnEndOfTurn: false }), tokenizer)).toEqual([
      ...["Four", ".", "Any", " time", "."],
    ]);
  });

  it("do not take the next speaker's control token for the end of a turn", async () => {
    const fields = await call(writing("{% generation %}{{- message.content -}}{% endgeneration %}"));
    expect(trainedOf(fields, tokenizer)).toEqual(["Four", ".", "Any", " time", "."]);
    expect(fields.notes).toEqual([expect.objectContaining({ code: "no-end-of-turn", count: 2 })]);
  });

  it("may come in several stretches a message, each of them its own message's", async () => {
    const two = "{% generation %}{{- message.content -}}{% endgeneration %}{{- '\n' -}}";
    const template = writing(`${two}{% generation %}{{- eos_token -}}{% endgeneration %}`);
    const { conversations } = await call(template, { turns: "last" });
    expect(conversations[0]!.spans.map(({ message, trained }) => [message, trained])).toEqual([
      [1, ""],
      [1, ""],
      [3, "Any time."],
      [3, "<|im_end|>"],
    ]);
  });

  it("keep what whitespace control asks for, with dashes and on lines of their own", async () => {
    const template = `{%- for message in messages -%}
  {{- "<|im_start|>" -}}
  {% if message.role == "assistant" %}
    {%- generation -%}
    {{ message.content + eos_token }}
    {%- endgeneration -%}
  {% else %}
{{ message.content }}
  {% endif %}
{%- endfor -%}`;
    const fields = await call(template);
    expect(fields.conversations[0]!.text).toBe(
      "<|im_start|>Two plus two?\n<|im_start|>Four.<|im_end|><|im_start|>Thanks!\n<|im_start|>Any time.<|im_end|>",
    );
    expect(fields.conversations[0]!.spans.map((span) => span.trained)).toEqual([
      "Four.<|im_end|>",
      "Any time.<|im_end|>",
    ]);
  });

  it.each([
    ["open twice", "{% generation %}{{- message.content -}}", /without its other half/],
    ["close what is not open", "{{- message.content -}}{% endgeneration %}", /an end of generation after/],
    [
      "mark nothing",
      "{{- message.content -}}{% if false %}{% generation %}{% endgeneration %}{% endif %}",
      /0 marked stretches for 2/,
    ],
    [
      "are measured by a filter",
      "{% set said %}{% generation %}{{- message.content -}}{% endgeneration %}{% endset %}{{- said | length -}}",
      /differ at character \d+/,
    ],
  ])("that %s are refused", async (_, assistant, words) => {
    await expect(call(writing(assistant))).rejects.toMatchObject({
      code: "value",
      message: expect.stringMatching(words),
    });
  });

  it("are counted where they stand, though the last message has more of them than it had as one of many", async () => {
    const thoughts = "{% if loop.last %}{% generation %}{{- 'Two' -}}{% endgeneration %}{{- '\\n' -}}{% endif %}";
    const template = writing(`${thoughts}{% generation %}{{- message.content + eos_token -}}{% endgeneration %}`);
    const { conversations } = await call(template, { turns: "last" });
    expect(conversations[0]!.spans.map(({ message, trained }) => [message, trained])).toEqual([
      [1, ""],
      [3, "Two"],
      [3, "Any time.<|im_end|>"],
    ]);
  });

  it("refuse a text that holds their stand-ins", async () => {
    const conversations = [[{ role: "user", content: "\uFDD0" }, messages[1]!]];
    await expect(call(templateOf("chatml"), { conversations })).rejects.toThrow(/noncharacter/);
  });
});

describe("prefixes", () => {
  it("are refused where a template rewrites earlier turns", async () => {
    const forgetful = writing('{{- (message.content if loop.last else "…") + eos_token -}}');
    const error = await call(forgetful).catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: "value",
      found:
        'that messages 0..1 alone become "Four.<|im_end|>" where the conversation has "…<|im_end|><|im_start|>Thanks!Any time.<…", at character 25',
    });
    expect(error.fix).toMatch(/generation/);
  });

  it("are refused where the generation prompt is not how an answer begins", async () => {
    const template = writing(
      "{{- message.content + eos_token -}}",
      '{%- if add_generation_prompt -%}{{- "assistant" -}}{%- endif -%}',
    );
    await expect(call(template)).rejects.toThrow(/messages before message 1 alone become "assistant"/);
  });

  it("train on the end of a conversation, where a template closes nothing else", async () => {
    const template = writing(
      "{{- message.content -}}",
      "{%- if not add_generation_prompt -%}{{- eos_token -}}{%- endif -%}",
    );
    const fields = await call(template);
    expect(trainedOf(fields, tokenizer)).toEqual(["Four", ".", "Any", " time", ".", "<|im_end|>"]);
    expect(fields.notes).toEqual([expect.objectContaining({ code: "no-end-of-turn", count: 1 })]);
  });

  it("carry the template's own refusal, with the messages it refuses", async () => {
    const conversations = [[{ role: "system", content: "Be brief." }, ...messages]];
    const specialTokens = { bos_token: "<bos>", eos_token: null };
    await expect(call(templateOf("gemma"), { conversations, specialTokens })).rejects.toThrow(
      /refuses 5 messages \(system, user, assistant, user, assistant\): no system message/,
    );
  });
});

describe("special tokens and variables", () => {
  it("reach the template by name, and null is a token that the model has not", async () => {
    const template = `{{- bos_token if bos_token is defined else "none" -}}{{- greeting -}}${writing("{{- message.content + eos_token -}}")}`;
    const variables = { greeting: "It" };
    const specialTokens = { bos_token: null, eos_token: { content: "<|im_end|>" } };
    expect((await call(template, { specialTokens, variables })).conversations[0]!.text).toMatch(
      /^noneIt<\|im_start\|>/,
    );
    const given = { ...specialTokens, bos_token: "<s>" };
    expect((await call(template, { specialTokens: given, variables })).conversations[0]!.text).toMatch(/^<s>It/);
  });

  it("in a comment are not asked for", async () => {
    await expect(call(`{#- bos_token -#}${templateOf("chatml")}`)).resolves.toBeDefined();
  });

  it("and tools are the conversation's own before the call's", async () => {
    const template = `${writing("{{- message.content + eos_token -}}")}`.replace(
      "{%- for",
      "{{- tools | tojson -}}{%- for",
    );
    const { conversations } = await call(template, {
      conversations: [messages, { messages, tools: ["two"] }],
      tools: ["plus"],
      specialTokens: { eos_token: "<|im_end|>", pad_token: "<|im_end|>" },
    });
    expect(conversations.map(({ text }) => text.slice(0, 7))).toEqual(['["plus"', '["two"]']);
  });
});
