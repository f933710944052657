import { describe, expect, it } from "vitest";
import { chatTokenizer, stretchesOf, templateOf, trainedOf, unmarked } from "./chat.test-helper.js";
import { type ChatMessage, chatTemplate, type SpecialTokens } from "./index.js";

const tokenizer = await chatTokenizer();

const turns: readonly ChatMessage[] = [
  { role: "user", content: "Two plus two?" },
  { role: "assistant", content: "Four." },
  { role: "user", content: "Thanks!" },
  { role: "assistant", content: "Any time." },
];
const system: ChatMessage = { role: "system", content: "Be brief." };
const question = ["Two", " plus", " two", "?"];
const none: SpecialTokens = { bos_token: null, eos_token: null };

interface Family {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
  readonly specialTokens: SpecialTokens;
  /** Every token of the row, written down by hand. */
  readonly row: readonly (readonly ["prompt" | "trained", readonly string[]])[];
  /** What is trained on when only the last turn counts, and when ends of turns do not. */
  readonly last: readonly string[];
  readonly withoutEnds: readonly string[];
}

const families: Record<string, Family> = {
  chatml: {
    messages: [system, ...turns],
    specialTokens: none,
    row: [
      [
        "prompt",
        [
          ...["<|im_start|>", "system", "\n", "Be", " brief", ".", "<|im_end|>", "\n"],
          ...["<|im_start|>", "user", "\n", ...question, "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"],
        ],
      ],
      ["trained", ["Four", ".", "<|im_end|>"]],
      [
        "prompt",
        ["\n", "<|im_start|>", "user", "\n", "Thanks", "!", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"],
      ],
      ["trained", ["Any", " time", ".", "<|im_end|>"]],
      ["prompt", ["\n"]],
    ],
    last: ["Any", " time", ".", "<|im_end|>"],
    withoutEnds: ["Four", ".", "Any", " time", "."],
  },
  "llama-3": {
    messages: turns,
    specialTokens: { bos_token: "<|begin_of_text|>", eos_token: "<|eot_id|>" },
    row: [
      [
        "prompt",
        [
          ...[
            "<|begin_of_text|>",
            "<|start_header_id|>",
            "user",
            "<|end_header_id|>",
            "\n",
            "\n",
            ...question,
            "<|eot_id|>",
          ],
          ...["<|start_header_id|>", "assistant", "<|end_header_id|>", "\n", "\n"],
        ],
      ],
      ["trained", ["Four", ".", "<|eot_id|>"]],
      [
        "prompt",
        [
          ...["<|start_header_id|>", "user", "<|end_header_id|>", "\n", "\n", "Thanks", "!", "<|eot_id|>"],
          ...["<|start_header_id|>", "assistant", "<|end_header_id|>", "\n", "\n"],
        ],
      ],
      ["trained", ["Any", " time", ".", "<|eot_id|>"]],
    ],
    last: ["Any", " time", ".", "<|eot_id|>"],
    withoutEnds: ["Four", ".", "Any", " time", "."],
  },
  mistral: {
    messages: [system, ...turns],
    specialTokens: { bos_token: "<s>", eos_token: { content: "</s>" } },
    row: [
      ["prompt", ["<s>", "[INST]", " Be", " brief", ".", "\n", "\n", ...question, "[/INST]"]],
      ["trained", [" Four", ".", "</s>"]],
      ["prompt", ["[INST]", " Thanks", "!", "[/INST]"]],
      ["trained", [" Any", " time", ".", "</s>"]],
    ],
    last: [" Any", " time", ".", "</s>"],
    withoutEnds: [" Four", ".", " Any", " time", "."],
  },
  gemma: {
    messages: turns,
    specialTokens: { bos_token: "<bos>", eos_token: "<eos>" },
    row: [
      [
        "prompt",
        [
          ...["<bos>", "<start_of_turn>", "user", "\n", ...question, "<end_of_turn>", "\n"],
          ...["<start_of_turn>", "model", "\n"],
        ],
      ],
      ["trained", ["Four", ".", "<end_of_turn>"]],
      [
        "prompt",
        [
          ...["\n", "<start_of_turn>", "user", "\n", "Thanks", "!", "<end_of_turn>", "\n"],
          ...["<start_of_turn>", "model", "\n"],
        ],
      ],
      ["trained", ["Any", " time", ".", "<end_of_turn>"]],
      ["prompt", ["\n"]],
    ],
    last: ["Any", " time", ".", "<end_of_turn>"],
    withoutEnds: ["Four", ".", "Any", " time", "."],
  },
  // Its control tokens swallow the line break behind them; the end of text that closes the conversation is no turn's.
  "phi-3": {
    messages: [system, ...turns],
    specialTokens: { eos_token: "<|endoftext|>" },
    row: [
      ["prompt", ["<|system|>", "Be", " brief", ".", "<|end|>", "<|user|>", ...question, "<|end|>", "<|assistant|>"]],
      ["trained", ["Four", ".", "<|end|>"]],
      ["prompt", ["<|user|>", "Thanks", "!", "<|end|>", "<|assistant|>"]],
      ["trained", ["Any", " time", ".", "<|end|>"]],
      ["prompt", ["<|endoftext|>"]],
    ],
    last: ["Any", " time", ".", "<|end|>"],
    withoutEnds: ["Four", ".", "Any", " time", "."],
  },
  tools: {
    messages: [
      system,
      { role: "user", content: "Cold?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ type: "function", function: { name: "weather", arguments: { city: "Oslo" } } }],
      },
      { role: "tool", name: "weather", content: "cold" },
      { role: "assistant", content: "It is cold." },
    ],
    tools: [{ name: "weather" }],
    specialTokens: none,
    row: [
      [
        "prompt",
        [
          ...["<|im_start|>", "system", "\n", "Be", " brief", "."],
          ...["\n", "\n", "<", "tools", ">", "\n", '{"', "name", '":', ' "', "weather", '"}', "\n", "</", "tools", ">"],
          ...["<|im_end|>", "\n", "<|im_start|>", "user", "\n", "Cold", "?", "<|im_end|>", "\n"],
          ...["<|im_start|>", "assistant", "\n"],
        ],
      ],
      [
        "trained",
        [
          ...["<tool_call>", "\n", '{"', "name", '":', ' "', "weather", '",', ' "', "arguments", '":'],
          ...[' {"', "city", '":', ' "', "Oslo", '"}}', "\n", "</tool_call>", "<|im_end|>"],
        ],
      ],
      [
        "prompt",
        [
          ...["\n", "<|im_start|>", "user", "\n", "<", "tool", "_", "response", ">", "\n", "cold", "\n"],
          ...["</", "tool", "_", "response", ">", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"],
        ],
      ],
      ["trained", ["It", " is", " cold", ".", "<|im_end|>"]],
      ["prompt", ["\n"]],
    ],
    last: ["It", " is", " cold", ".", "<|im_end|>"],
    withoutEnds: [
      ...["<tool_call>", "\n", '{"', "name", '":', ' "', "weather", '",', ' "', "arguments", '":'],
      ...[' {"', "city", '":', ' "', "Oslo", '"}}', "\n", "</tool_call>", "It", " is", " cold", "."],
    ],
  },
};

describe.each(Object.entries(families))("the template of %s", (name, family) => {
  const marked = templateOf(name);
  const { messages, tools, specialTokens } = family;
  const call = { conversations: [{ messages, ...(tools && { tools }) }], tokenizer, specialTokens };

  describe.each([
    ["generation marks", marked],
    ["prefixes of the conversation", unmarked(marked)],
  ])("read by %s", (_, template) => {
    it("trains on what the assistant wrote and on the end of its turns, token by token", async () => {
      const fields = await chatTemplate({ ...call, template });
      expect(stretchesOf(fields, tokenizer)).toEqual(family.row);
      expect(fields.notes).toEqual([]);
    });

    it("trains on the last turn alone, where that is asked", async () => {
      expect(trainedOf(await chatTemplate({ ...call, template, turns: "last" }), tokenizer)).toEqual(family.last);
    });

    it("leaves out the ends of turns, where that is asked", async () => {
      const fields = await chatTemplate({ ...call, template, trainOnEndOfTurn: false });
      expect(trainedOf(fields, tokenizer)).toEqual(family.withoutEnds);
    });

    it("trains on the same tokens when the question of the next turn follows", async () => {
      const asked = [...messages, { role: "user", content: "Thanks!" }];
      const conversations = [{ ...call.conversations[0]!, messages: asked }];
      const fields = await chatTemplate({ ...call, conversations, template, addGenerationPrompt: true });
      const written = family.row.flatMap(([kind, tokens]) => (kind === "trained" ? tokens : []));
      expect(trainedOf(fields, tokenizer)).toEqual(written);
    });
  });

  it("gives the same fields with its marks and without them", async () => {
    const [left, right] = await Promise.all(
      [marked, unmarked(marked)].map((template) => chatTemplate({ ...call, template })),
    );
    expect(left!.conversations[0]!.spans).toEqual(right!.conversations[0]!.spans);
    expect(left!.labels).toEqual(right!.labels);
    expect(left!.roles).toEqual(right!.roles);
  });
});
