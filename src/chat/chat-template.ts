import { checkObject } from "../errors/index.js";
import { type Tensor, view } from "../tensor/index.js";
import { type Chat, type ChatNote, type ChatText, type Row, role, rowOf, sum, type Writer } from "./chat-row.js";
import { controlTokensOf } from "./control-tokens.js";
import { endingsOf, type Options, readOptions } from "./options.js";
import { type ChatTokenizer, type Jinja, loadJinja } from "./peers.js";
import { excerpt, refusal } from "./refusal.js";
import { contentOf, Renderer, type SpecialTokens, variablesOf } from "./renderer.js";

export interface ChatTemplateInput extends Partial<Options> {
  /** One row each. */
  readonly conversations: readonly Chat[];
  /** The Jinja source: chat_template.jinja, or chat_template of tokenizer_config.json. */
  readonly template: string;
  /** That of `tokenizerFrom`, of `@huggingface/tokenizers`, or one that gives ids and pieces alike. */
  readonly tokenizer: ChatTokenizer;
  /** The tokens a template names: `{ bos_token, eos_token, pad_token, … }`, as special_tokens_map.json has them. */
  readonly specialTokens?: SpecialTokens;
  /** Other variables the template reads (`date_string`, `enable_thinking`, …). */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** For conversations that bring no tools of their own. */
  readonly tools?: readonly unknown[];
  /** The Jinja library, where a dynamic import of `@huggingface/jinja` is not wanted. */
  readonly jinja?: Jinja;
}

/**
 * Every token accounted for:
 *   tokens = prompt + assistant + dropped        slots = rows · T = prompt + assistant + padding
 */
export interface ChatAccounting {
  /** Of all conversations, before truncation. */
  readonly tokens: number;
  readonly dropped: number;
  readonly slots: number;
  readonly padding: number;
  readonly prompt: number;
  readonly assistant: number;
  /** Tokens with a label: the denominator of a mean over tokens. */
  readonly trained: number;
  /** Dropped tokens that would have been trained on. */
  readonly droppedTrained: number;
  /** Tokens of the assistant that begin a row: nothing precedes them, so they have no label. */
  readonly first: number;
}

/** Training fields of a batch, each `[B, T]`; labels are those of the same place (unshifted: give `labelShift: 1`). */
export interface ChatFields {
  readonly inputIds: Tensor<"classIndices", "int32">;
  /** The ids that are trained on, `ignoreIndex` elsewhere. */
  readonly labels: Tensor<"classIndices", "int32">;
  /** 0 padding, 1 prompt (all that the assistant did not write), 2 assistant. */
  readonly roles: Tensor<"unlabeled", "uint8">;
  /** 1 where there is a token: what may be attended to. */
  readonly attentionMask: Tensor<"mask", "bool">;
  /** 1 where the token is trained on. */
  readonly lossMask: Tensor<"mask", "bool">;
  /** 1 in the row's conversation, 0 in the padding. */
  readonly segmentIds: Tensor<"unlabeled", "int32">;
  /** 0, 1, 2, … along the conversation, 0 in the padding. */
  readonly positions: Tensor<"unlabeled", "int32">;
  readonly conversations: readonly ChatText[];
  readonly accounting: ChatAccounting;
  readonly notes: readonly ChatNote[];
}

const inputs = ["conversations", "template", "tokenizer", "specialTokens", "variables", "tools", "jinja"] as const;

/**
 * Chat messages to training fields: the template writes each conversation, the tokenizer cuts it, and what the assistant
 * wrote is trained on.
 *
 * Where the assistant speaks is read from the template itself: from its generation marks
 * (`{% generation %} … {% endgeneration %}`) where it has them, else by rendering prefixes of the conversation, which
 * must be prefixes of the text. The token that ends the turn is trained on too, since without it a model never
 * stops. Padding is known by its place, never by its id: a pad token equal to the end-of-sequence token takes nothing
 * away.
 *
 * @returns fields of shape `[B, T]`, T the longest row or `rowLength`; texts, spans, accounting and notes
 * @throws `unknown`, `argument`, `option`, `missing-field` for the call; `unsupported` without `@huggingface/jinja`;
 * `value` for a template that refuses the messages, marks that do not close, prefixes that are none, a text that cannot
 * be aligned with its tokens, a token to train on whose id is `ignoreIndex`, and a conversation too long while `overlong`
 * is `"throw"`
 *
 * @example
 * const batch = await chatTemplate({ conversations, template, tokenizer, padToken: "<|im_end|>" });
 * crossEntropy({ labelShift: 1 }).valueAndGradients({ logits: model(batch.inputIds), labels: batch.labels });
 */
export async function chatTemplate(input: ChatTemplateInput): Promise<ChatFields> {
  checkObject("chatTemplate", "input", input);
  const { conversations, template, tokenizer, specialTokens = {}, variables = {}, tools, jinja, ...given } = input;
  const options = readOptions(given, inputs);
  checkInputs(input);
  const renderer = new Renderer(
    template,
    jinja ?? (await loadJinja()),
    variablesOf(template, specialTokens, variables),
  );
  const controls = controlTokensOf(tokenizer, specialTokens);
  const writer: Writer = { renderer, tokenizer, tools, options, controls, endings: endingsOf(options, controls) };
  const rows = conversations.map((chat, i) => rowOf(writer, chat, i));
  return assemble(rows, options, padIdOf(options, specialTokens, tokenizer));
}

function assemble(rows: readonly Row[], options: Options, padId: number | undefined): ChatFields {
  const lengths = rows.map(({ chat }) => chat.ids.length);
  const length = options.rowLength ?? lengths.reduce((most, tokens) => Math.max(most, tokens), 0);
  const shape = [rows.length, length];
  const slots = rows.length * length;
  const padding = slots - total(lengths);
  const shorter = lengths.findIndex((tokens) => tokens < length);
  if (shorter >= 0 && padId === undefined) throw noPadToken(shorter, length);
  const inputIds = new Int32Array(slots).fill(padId ?? 0);
  const labels = new Int32Array(slots).fill(options.ignoreIndex);
  const roles = new Uint8Array(slots);
  const attentionMask = new Uint8Array(slots);
  const lossMask = new Uint8Array(slots);
  const segmentIds = new Int32Array(slots);
  const positions = new Int32Array(slots);
  rows.forEach(({ chat }, row) => {
    const start = row * length;
    const end = start + chat.ids.length;
    inputIds.set(chat.ids, start);
    roles.set(chat.roles, start);
    lossMask.set(chat.lossMask, start);
    attentionMask.fill(1, start, end);
    segmentIds.fill(1, start, end);
    for (let at = start; at < end; at++) {
      positions[at] = at - start;
      if (lossMask[at]) labels[at] = inputIds[at]!;
    }
  });
  const tokens = total(rows.map(({ chat }) => chat.tokens.ids.length));
  const assistant = roles.reduce((count, entry) => count + (entry === role.assistant ? 1 : 0), 0);
  return {
    inputIds: view(inputIds, shape, "classIndices", "int32"),
    labels: view(labels, shape, "classIndices", "int32"),
    roles: view(roles, shape, "unlabeled", "uint8"),
    attentionMask: view(attentionMask, shape, "mask", "bool"),
    lossMask: view(lossMask, shape, "mask", "bool"),
    segmentIds: view(segmentIds, shape, "unlabeled", "int32"),
    positions: view(positions, shape, "unlabeled", "int32"),
    conversations: rows.map(({ chat }) => chat),
    accounting: {
      tokens,
      dropped: tokens - (slots - padding),
      slots,
      padding,
      prompt: slots - padding - assistant,
      assistant,
      trained: sum(lossMask),
      droppedTrained: total(rows.map(({ droppedTrained }) => droppedTrained)),
      first: total(rows.map(({ first }) => first)),
    },
    notes: rows.flatMap(({ notes }) => notes),
  };
}

/** The id of the pad token: given as an option, or among the special tokens. */
function padIdOf(options: Options, specialTokens: SpecialTokens, tokenizer: ChatTokenizer): number | undefined {
  const content = options.padToken ?? contentOf(specialTokens.pad_token);
  if (content === undefined) return undefined;
  const { ids } = tokenizer.encode(content, { add_special_tokens: false });
  if (ids.length === 1) return ids[0];
  throw refusal({
    code: "value",
    field: options.padToken === null ? "specialTokens" : "padToken",
    found: `${excerpt(content)}, which is ${ids.length} tokens`,
    expected: "one token of the vocabulary",
    fix: "name a control token of the tokenizer; the one that ends a sequence will do.",
  });
}

function noPadToken(conversation: number, length: number) {
  return refusal({
    code: "missing-field",
    field: "padToken",
    found: `rows to pad (conversation ${conversation} is shorter than ${length} tokens), and no pad token`,
    expected: "padToken, or pad_token among specialTokens",
    fix: "name one; the end-of-sequence token will do: padding is known by its place, and ends of turns stay trained on.",
  });
}

function checkInputs({ conversations, template, tokenizer }: ChatTemplateInput): void {
  const wrong = (field: string, found: unknown, expected: string, fix: string) =>
    refusal({ code: found === undefined ? "missing-field" : "argument", field, found: typeof found, expected, fix });
  if (!Array.isArray(conversations)) {
    throw wrong("conversations", conversations, "a list of conversations", "of one conversation write [messages].");
  }
  if (typeof template !== "string") {
    throw wrong("template", template, "the Jinja source of a chat template", "read chat_template.jinja as text.");
  }
  if (typeof tokenizer?.encode !== "function" || typeof tokenizer.get_added_tokens_decoder !== "function") {
    const fix = "make one of tokenizer.json: await tokenizerFrom(JSON.parse(text)).";
    throw wrong("tokenizer", tokenizer, "a tokenizer with encode and get_added_tokens_decoder", fix);
  }
}

function total(counts: readonly number[]): number {
  return counts.reduce((sofar, count) => sofar + count, 0);
}
