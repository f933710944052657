import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crossEntropy } from "../losses/categorical/cross-entropy.js";
import { packSequences } from "../sequence/index.js";
import { tensor } from "../tensor/index.js";
import { chatTokenizer, stretchesOf, templateOf, trainedOf, unmarked } from "./chat.test-helper.js";
import { type ChatMessage, type ChatTemplateInput, chatTemplate } from "./index.js";

const tokenizer = await chatTokenizer();
const template = templateOf("chatml");
const idOf = (token: string) => tokenizer.encode(token, { add_special_tokens: false }).ids[0]!;
const end = idOf("<|im_end|>");

const short: readonly ChatMessage[] = [
  { role: "user", content: "Thanks!" },
  { role: "assistant", content: "Any time." },
];
const long: readonly ChatMessage[] = [
  { role: "user", content: "Two plus two?" },
  { role: "assistant", content: "Four." },
  ...short,
];
const pad = { pad_token: "<|im_end|>" };

/** A call with defaults of these tests: ChatML, padded with its end of turn. */
const call = (input: Partial<ChatTemplateInput>) =>
  chatTemplate({ conversations: [long, short], template, tokenizer, specialTokens: pad, ...input });

describe("the fields of a batch", () => {
  it("have one shape, and say of every place what it is", async () => {
    const fields = await call({});
    const [rows, length] = [2, 31];
    for (const name of [
      "inputIds",
      "labels",
      "roles",
      "attentionMask",
      "lossMask",
      "segmentIds",
      "positions",
    ] as const) {
      expect(fields[name].shape, name).toEqual([rows, length]);
    }
    const used = fields.conversations[1]!.ids.length;
    for (let at = length; at < 2 * length; at++) {
      const isToken = at - length < used;
      expect(fields.attentionMask.data[at]).toBe(isToken ? 1 : 0);
      expect(fields.segmentIds.data[at]).toBe(isToken ? 1 : 0);
      expect(fields.positions.data[at]).toBe(isToken ? at - length : 0);
      expect(fields.roles.data[at] === 0).toBe(!isToken);
      expect(fields.labels.data[at]).toBe(fields.lossMask.data[at] ? fields.inputIds.data[at] : -100);
    }
    expect(fields.accounting).toEqual({
      ...{ tokens: 46, dropped: 0, slots: 62, padding: 16, prompt: 35, assistant: 11 },
      ...{ trained: 11, droppedTrained: 0, first: 0 },
    });
  });

  it("keep the end of a turn trained on though the pad token is the same token", async () => {
    const { inputIds, labels, roles, accounting } = await call({ rowLength: 40 });
    const ends = [...inputIds.data].flatMap((id, at) => (id === end ? [at] : []));
    const trained = ends.filter((at) => labels.data[at] === end);
    expect(trained.map((at) => roles.data[at])).toEqual([2, 2, 2]);
    // Three turns of users end with it too, and the rest is padding.
    expect(ends.length).toBe(3 + 3 + accounting.padding);
    expect(ends.filter((at) => roles.data[at] === 0).every((at) => labels.data[at] === -100)).toBe(true);
  });

  it("give a loss as many units as there are tokens to train on", async () => {
    const { labels, accounting } = await call({});
    const logits = tensor(new Float32Array(2 * 31 * 3), [2, 31, 3]);
    const denominator = crossEntropy({ labelShift: 1 }).denominator({
      logits,
      labels: tensor(
        labels.data.map((label) => Math.min(label, 0)),
        [2, 31],
      ),
    });
    expect(denominator.value).toBe(accounting.trained);
  });

  it("are rows that packSequences packs, with nothing trained on lost", async () => {
    const { conversations, accounting } = await call({});
    const packed = packSequences({
      documents: conversations.map(({ ids }) => ids),
      lossMasks: conversations.map(({ lossMask }) => lossMask),
      rowLength: 64,
    });
    expect(packed.inputIds.shape).toEqual([1, 64]);
    expect(packed.accounting).toMatchObject({ tokens: accounting.tokens, trained: accounting.trained });
  });

  it("of no conversation are empty", async () => {
    const fields = await call({ conversations: [] });
    expect(fields.inputIds.shape).toEqual([0, 0]);
    expect(fields.accounting.tokens).toBe(0);
  });

  it("depend on no other conversation, but for the padding", async () => {
    const [together, alone] = await Promise.all([call({}), call({ conversations: [short] })]);
    expect(together.conversations[1]).toEqual({ ...alone.conversations[0], tokens: expect.anything() });
  });
});

describe("which tokens count", () => {
  it("roles name the assistant's tokens whether its turn counts or not", async () => {
    const fields = await call({ conversations: [long], turns: "last", trainOnEndOfTurn: false });
    expect(trainedOf(fields, tokenizer)).toEqual(["Any", " time", "."]);
    expect(fields.accounting).toMatchObject({ assistant: 7, trained: 3 });
    expect(fields.conversations[0]!.spans.map(({ message, trained }) => [message, trained])).toEqual([
      [1, ""],
      [3, "Any time."],
    ]);
  });

  it("a prompt for the next answer is prompt", async () => {
    const fields = await call({ conversations: [short], addGenerationPrompt: true });
    expect(fields.conversations[0]!.text.endsWith("<|im_start|>assistant\n")).toBe(true);
    expect(stretchesOf(fields, tokenizer).at(-1)).toEqual(["prompt", ["\n", "<|im_start|>", "assistant", "\n"]]);
  });

  it("labels elsewhere are the ignoreIndex given", async () => {
    const { labels } = await call({ conversations: [short], ignoreIndex: -1 });
    expect(labels.data[0]).toBe(-1);
  });

  it("are those whose text the spans hold, whatever the messages say", async () => {
    const content = fc.oneof(fc.string({ unit: "grapheme", maxLength: 12 }), fc.constantFrom("\n", " Four. ", ""));
    const turn = fc.tuple(content, content);
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 1, maxLength: 3 }), fc.boolean(), async (turns, marks) => {
        const messages = turns.flatMap(([asked, said]) => [
          { role: "user", content: asked },
          { role: "assistant", content: said },
        ]);
        const source = marks ? template : unmarked(template);
        const fields = await call({ conversations: [messages], template: source });
        const [chat] = fields.conversations;
        expect(chat!.spans.map(({ trained }) => trained)).toEqual(turns.map(([, said]) => `${said}<|im_end|>`));
        // Of tokens that straddle nothing, the trained ones are the trained text to the byte.
        if (fields.notes.some(({ code }) => code === "straddling-token")) return;
        const bytes = new TextEncoder().encode(chat!.text);
        const trained = [...chat!.lossMask].flatMap((flag, i) =>
          flag ? [...bytes.subarray(chat!.tokens.offsets[2 * i], chat!.tokens.offsets[2 * i + 1])] : [],
        );
        expect(new TextDecoder().decode(Uint8Array.from(trained))).toBe(
          chat!.spans.map(({ trained }) => trained).join(""),
        );
      }),
      { numRuns: 60 },
    );
  });
});

describe("a token that straddles the end of the prompt", () => {
  // "Answer: Four." has no control token before the answer; " Four" holds the prompt's space.
  const straddling = `{%- for message in messages -%}
    {%- if message.role == "user" -%}{{- message.content + ":\n" -}}{%- else -%}
    {% generation %}{{- message.content + "<|im_end|>" -}}{% endgeneration %}
    {%- endif -%}
  {%- endfor -%}`;
  const conversations = [
    [
      { role: "user", content: "Two plus two" },
      { role: "assistant", content: "\nFour." },
    ],
  ];
  // Between "two" and "Four" the pre-tokenizer makes ":\n" + "\nFour" into ":", "\n", "\n", "Four": join the breaks.
  const joined = {
    encode: (text: string, options: { add_special_tokens: false }) => {
      const { ids, tokens } = tokenizer.encode(text, options);
      const at = tokens.findIndex((piece, i) => piece === "Ċ" && tokens[i + 1] === "Ċ");
      if (at < 0) return { ids, tokens };
      return { ids: ids.toSpliced(at, 2, idOf("\n\n")), tokens: tokens.toSpliced(at, 2, "ĊĊ") };
    },
    get_added_tokens_decoder: () => tokenizer.get_added_tokens_decoder(),
  };
  const input = { conversations, template: straddling, tokenizer: joined };

  it("is left to the prompt, and said", async () => {
    const fields = await call(input);
    expect(trainedOf(fields, tokenizer)).toEqual(["Four", ".", "<|im_end|>"]);
    expect(fields.notes).toEqual([
      {
        code: "straddling-token",
        conversation: 0,
        count: 1,
        message:
          'conversation 0: tokens that hold text of the prompt and of the assistant, left to the prompt (straddle: "prompt"): 1',
      },
    ]);
  });

  it("is trained on, and said, or refused, where that is asked", async () => {
    const fields = await call({ ...input, straddle: "train" });
    expect(trainedOf(fields, tokenizer)).toEqual(["\n\n", "Four", ".", "<|im_end|>"]);
    expect(fields.notes).toEqual([expect.objectContaining({ code: "straddling-token", count: 1 })]);
    // It is of a turn that counts: of one that does not, nothing is trained on.
    const { accounting } = await call({
      ...input,
      conversations: [[...conversations[0]!, ...short]],
      straddle: "train",
      turns: "last",
    });
    expect(accounting.trained).toBe(4);
    await expect(call({ ...input, straddle: "throw" })).rejects.toThrow(/token 4 .* straddle is "throw"/);
  });
});

describe("a conversation longer than its row", () => {
  it("is refused, with the limit it breaks", async () => {
    await expect(call({ maxLength: 20 })).rejects.toThrow(
      /conversations\[0\]: found 31 tokens; expected at most 20 \(maxLength\)/,
    );
    await expect(call({ rowLength: 20 })).rejects.toThrow(/at most 20 \(rowLength\)/);
  });

  it("keeps its first tokens and says what is lost", async () => {
    const fields = await call({ maxLength: 17, overlong: "keepStart" });
    expect(fields.inputIds.shape).toEqual([2, 17]);
    expect(trainedOf(fields, tokenizer)).toEqual(["Four", ".", "<|im_end|>"]);
    expect(fields.accounting).toMatchObject({ tokens: 46, dropped: 14, padding: 2, trained: 7, droppedTrained: 4 });
    expect(fields.notes).toEqual([
      expect.objectContaining({
        code: "truncated",
        count: 14,
        message: 'conversation 0: tokens dropped of 31, with 4 to train on among them (overlong: "keepStart"): 14',
      }),
    ]);
  });

  it("keeps its last tokens, of which the first has nothing to be told from", async () => {
    const fields = await call({ conversations: [long], maxLength: 5, overlong: "keepEnd" });
    expect([...fields.positions.data]).toEqual([0, 1, 2, 3, 4]);
    expect(stretchesOf(fields, tokenizer)).toEqual([
      ["prompt", ["Any"]],
      ["trained", [" time", ".", "<|im_end|>"]],
      ["prompt", ["\n"]],
    ]);
    expect(fields.accounting).toMatchObject({ assistant: 4, trained: 3, first: 1, droppedTrained: 3 });
    expect(fields.notes.map(({ code }) => code)).toEqual(["truncated", "first-token"]);
  });

  it("and without a token to train on says so", async () => {
    const { notes } = await call({ conversations: [long], maxLength: 4, overlong: "keepStart" });
    expect(notes.map(({ code }) => code)).toEqual(["truncated", "nothing-trained"]);
  });
});

describe("what is said without stopping", () => {
  it("that a message holds a control token as text", async () => {
    const injected = [{ role: "user", content: [{ type: "text", text: "Thanks<|im_end|>!" }] }, short[1]!];
    const source = template.replaceAll(
      "message.content",
      "(message.content if message.content is string else message.content[0].text)",
    );
    const { notes } = await call({ conversations: [injected], template: source });
    expect(notes).toEqual([expect.objectContaining({ code: "control-token-in-content", count: 1 })]);
  });

  it("that no control token ends a turn, unless endOfTurn names the text that does", async () => {
    const source = `{%- for message in messages -%}{{- message.role + ": " + message.content + "\n" -}}{%- endfor -%}
      {%- if add_generation_prompt -%}{{- "assistant:" -}}{%- endif -%}`;
    const said = await call({ conversations: [short], template: source });
    expect(said.notes.map(({ code, count }) => [code, count])).toEqual([["no-end-of-turn", 1]]);
    expect(trainedOf(said, tokenizer)).toEqual([" Any", " time", ".", "\n"]);
    const named = await call({ conversations: [short], template: source, endOfTurn: ["\n"], trainOnEndOfTurn: false });
    expect(named.notes).toEqual([]);
    expect(trainedOf(named, tokenizer)).toEqual([" Any", " time", "."]);
  });

  it("that nothing is trained on where no assistant speaks", async () => {
    for (const source of [template, unmarked(template)]) {
      const { notes, accounting } = await call({ conversations: [short.slice(0, 1)], template: source });
      expect(notes.map(({ code }) => code)).toEqual(["nothing-trained"]);
      expect(accounting.assistant).toBe(0);
    }
  });
});

describe("a call that is wrong", () => {
  it.each([
    ["a misspelt option", { turn: "last" }, "unknown", /write "turns"/],
    ["a misspelt input", { specialToken: {} }, "unknown", /write "specialTokens"/],
    ["turns that are no choice", { turns: "first" }, "option", /"all" or "last"/],
    ["a row of no length", { rowLength: 0 }, "option", /at least 1/],
    ["ends of turns that are no list", { endOfTurn: "\n" }, "option", /a list of texts/],
    ["an ignoreIndex that is no id", { ignoreIndex: 0.5 }, "option", /whole number of 32 bits/],
    ["an ignoreIndex that is trained on", { ignoreIndex: end }, "value", /conversations\[0\]: found token 14 to train/],
    ["no conversations", { conversations: undefined }, "missing-field", /\[messages\]/],
    ["a conversation that is not in a list", { conversations: short }, "argument", /expected a list of messages/],
    ["a message without a role", { conversations: [[{ content: "Four." }]] }, "argument", /a message with a role/],
    ["a conversation without messages", { conversations: [[]] }, "argument", /no messages/],
    ["a key no conversation has", { conversations: [{ messages: short, tool: [] }] }, "unknown", /tool/],
    ["a template that is no source", { template: {} }, "argument", /Jinja source/],
    ["a template that is no Jinja", { template: "{% for %}" }, "argument", /Jinja cannot read/],
    ["a tokenizer that is a file's JSON", { tokenizer: { model: {} } }, "argument", /await tokenizerFrom/],
    ["a pad token of several tokens", { padToken: "Two plus" }, "value", /which is 2 tokens/],
    ["rows to pad and nothing to pad with", { specialTokens: {} }, "missing-field", /end-of-sequence token will do/],
    [
      "a special token nobody gave",
      { template: templateOf("llama-3") },
      "missing-field",
      /specialTokens: \{ bos_token/,
    ],
  ])("is refused: %s", async (_, input, code, words) => {
    const error = await call(input as Partial<ChatTemplateInput>).catch((thrown) => thrown);
    expect(error).toMatchObject({ name: "LosswrightError", code });
    expect(error.message).toMatch(words);
  });

  it("is refused without an input at all", async () => {
    await expect(chatTemplate(undefined as never)).rejects.toThrow(/expected an object/);
  });
});
