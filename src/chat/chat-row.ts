import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { type AssistantSpan, assistantSpans } from "./assistant-spans.js";
import type { ControlTokens } from "./control-tokens.js";
import type { Options } from "./options.js";
import type { ChatTokenizer } from "./peers.js";
import { excerpt, refusal } from "./refusal.js";
import type { ChatMessage, Renderer } from "./renderer.js";
import { type AlignedTokens, tokenOffsets } from "./token-offsets.js";

/** A conversation: its messages, or its messages with the tools it may call. */
export type Chat =
  | readonly ChatMessage[]
  | { readonly messages: readonly ChatMessage[]; readonly tools?: readonly unknown[] };

/** A stretch that the assistant wrote. */
export interface ChatSpan extends AssistantSpan {
  /** What of it is trained on; `""` where its turn does not count. */
  readonly trained: string;
}

/** A conversation as the template writes it, and as its row holds it. */
export interface ChatText {
  readonly text: string;
  readonly spans: readonly ChatSpan[];
  /** All its tokens, with their places in the text. */
  readonly tokens: AlignedTokens;
  /** Which of them are in the row: from `start` up to `end`, not including it. */
  readonly kept: { readonly start: number; readonly end: number };
  /** The row without its padding, as `packSequences` takes documents and their loss masks. */
  readonly ids: Int32Array;
  readonly roles: Uint8Array;
  readonly lossMask: Uint8Array;
}

/** Something that must be said without stopping. */
export interface ChatNote {
  readonly code:
    | "truncated"
    | "straddling-token"
    | "no-end-of-turn"
    | "first-token"
    | "nothing-trained"
    | "control-token-in-content";
  readonly message: string;
  readonly conversation: number;
  /** How many tokens, turns or messages it holds for. */
  readonly count: number;
}

/** What a token is to the loss; padding is what no token has filled. */
export const role = { prompt: 1, assistant: 2 } as const;

/** What all rows of a call share. */
export interface Writer {
  readonly renderer: Renderer;
  readonly tokenizer: ChatTokenizer;
  readonly tools: readonly unknown[] | undefined;
  readonly options: Options;
  readonly controls: ControlTokens;
  /** Which tokens may end a turn. */
  readonly endings: ControlTokens;
}

/** A conversation that is ready for its row. */
export interface Row {
  readonly chat: ChatText;
  /** Tokens to train on that truncation drops. */
  readonly droppedTrained: number;
  /** 1 where the row begins with a token to train on, which nothing precedes. */
  readonly first: number;
  readonly notes: readonly ChatNote[];
}

/**
 * A conversation as its row: written, cut into tokens, each token with its role and whether it is trained on.
 *
 * @throws `argument`, `unknown` for what is no conversation; `value` for all that template, tokenizer and length refuse
 */
export function rowOf(writer: Writer, chat: Chat, conversation: number): Row {
  const field = `conversations[${conversation}]`;
  try {
    return writtenRow(writer, messagesOf(chat, field), conversation);
  } catch (cause) {
    if (!(cause instanceof LosswrightError)) throw cause;
    // Whoever finds a fault below knows the messages, not which of many conversations they are.
    const { code, found, expected, fix, index } = cause;
    const inside = cause.field?.startsWith(field) ? cause.field : [field, cause.field].filter(Boolean).join(": ");
    throw refusal({ code, field: inside, found, expected, ...(fix && { fix }), ...(index && { index }) }, cause);
  }
}

function writtenRow(
  writer: Writer,
  { messages, tools = writer.tools }: ReturnType<typeof messagesOf>,
  conversation: number,
): Row {
  const { renderer, tokenizer, options, controls, endings } = writer;
  const { addGenerationPrompt } = options;
  const { text, spans } = assistantSpans({ renderer, messages, tools, addGenerationPrompt, controls, endings });
  const tokens = tokenOffsets(text, tokenizer);
  const lastTurn = spans.at(-1)?.message;
  const chatSpans = spans.map((span): ChatSpan => {
    const counts = options.turns === "all" || span.message === lastTurn;
    const end = options.trainOnEndOfTurn ? span.end : span.endOfTurn;
    return { ...span, trained: counts ? text.slice(span.start, end) : "" };
  });
  const { roles, trained, straddling } = markTokens(tokens, chatSpans, options.straddle);
  const { length } = tokens.ids;
  const kept = keep(length, options);
  const dropped = length - (kept.end - kept.start);
  const lossMask = trained.slice(kept.start, kept.end);
  const droppedTrained = sum(trained) - sum(lossMask);
  refuseIgnored(tokens.ids, trained, options.ignoreIndex);
  const first = lossMask[0] ?? 0;
  lossMask[0] = 0;
  const injected = messages.map(({ content }) => controls.within(textIn(content))).filter(Boolean);
  const notes = notesOf(conversation, {
    "straddling-token": [
      straddling,
      `tokens that hold text of the prompt and of the assistant, ${options.straddle === "train" ? "trained on" : "left to the prompt"} (straddle: "${options.straddle}")`,
    ],
    truncated: [
      dropped,
      `tokens dropped of ${length}, with ${droppedTrained} to train on among them (overlong: "${options.overlong}")`,
    ],
    "no-end-of-turn": [
      spans.filter(({ end, endOfTurn }) => end === endOfTurn).length,
      "turns of the assistant without a control token at their end, so that nothing teaches the model to stop (endOfTurn names a text that ends them)",
    ],
    "first-token": [first, "tokens to train on that begin their row, where nothing precedes them"],
    "nothing-trained": [sum(lossMask) === 0 ? 1 : 0, "rows without a token to train on"],
    "control-token-in-content": [
      injected.length,
      `messages that hold a control token as text (${injected[0]}), which the tokenizer reads as the control token`,
    ],
  });
  return {
    chat: {
      text,
      spans: chatSpans,
      tokens,
      kept,
      ids: Int32Array.from(tokens.ids.slice(kept.start, kept.end)),
      roles: roles.slice(kept.start, kept.end),
      lossMask,
    },
    droppedTrained,
    first,
    notes,
  };
}

/** What there is to say of a conversation: each code with how many it holds for, and what those are. */
function notesOf(
  conversation: number,
  found: Readonly<Record<ChatNote["code"], readonly [count: number, words: string]>>,
): ChatNote[] {
  return (Object.keys(found) as ChatNote["code"][]).flatMap((code) => {
    const [count, words] = found[code];
    return count > 0
      ? [{ code, message: `conversation ${conversation}: ${words}: ${count}`, conversation, count }]
      : [];
  });
}

/** Which tokens the assistant wrote, and which of them count. */
function markTokens(
  { ids, offsets, byteOf }: AlignedTokens,
  spans: readonly ChatSpan[],
  straddle: Options["straddle"],
) {
  const roles = new Uint8Array(ids.length).fill(role.prompt);
  const trained = new Uint8Array(ids.length);
  const cut = new Set<number>();
  /** Gives the tokens of a stretch an entry: those inside, and those that straddle its ends where they are to follow. */
  const fill = (entries: Uint8Array, entry: number, start: number, end: number) => {
    if (start === end) return;
    for (let token = firstEndingAfter(offsets, start); token < ids.length && offsets[2 * token]! < end; token++) {
      const straddles = offsets[2 * token]! < start || offsets[2 * token + 1]! > end;
      if (straddles) cut.add(token);
      if (!straddles || straddle === "train") entries[token] = entry;
    }
  };
  for (const span of spans) {
    const start = byteOf(span.start);
    fill(roles, role.assistant, start, byteOf(span.end));
    fill(trained, 1, start, byteOf(span.start + span.trained.length));
  }
  if (cut.size > 0 && straddle === "throw") {
    const [token] = cut;
    throw refusal({
      code: "value",
      found: `token ${token} (id ${ids[token!]}), which holds text of the prompt and of the assistant`,
      expected: 'tokens on one side of each end, since straddle is "throw"',
      fix: 'end the prompt with a control token, or say straddle: "prompt" or "train".',
    });
  }
  return { roles, trained, straddling: cut.size };
}

/** The first token that reaches beyond a byte, or stands for nothing right there. Tokens come in order, so halving finds it. */
function firstEndingAfter(offsets: Int32Array, byte: number): number {
  let [low, high] = [0, offsets.length / 2];
  while (low < high) {
    const middle = (low + high) >> 1;
    const [start, end] = [offsets[2 * middle]!, offsets[2 * middle + 1]!];
    if (end > byte || (start === end && start >= byte)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A token to train on that is the ignored label would be ignored: a pad token's id must not be both. */
function refuseIgnored(ids: readonly number[], trained: Uint8Array, ignoreIndex: number): void {
  const token = ids.findIndex((id, i) => id === ignoreIndex && trained[i]);
  if (token < 0) return;
  throw refusal({
    code: "value",
    found: `token ${token} to train on, whose id is ignoreIndex, ${ignoreIndex}`,
    expected: "an ignoreIndex that is no token's id",
    fix: "leave ignoreIndex at −100: padding has that label by its place, whatever the pad token is.",
  });
}

/** Which tokens fit the row. */
function keep(length: number, { maxLength, rowLength, overlong }: Options) {
  const most = Math.min(maxLength ?? Number.POSITIVE_INFINITY, rowLength ?? Number.POSITIVE_INFINITY);
  if (length <= most) return { start: 0, end: length };
  if (overlong === "keepStart") return { start: 0, end: most };
  if (overlong === "keepEnd") return { start: length - most, end: length };
  throw refusal({
    code: "value",
    found: `${length} tokens`,
    expected: `at most ${most} (${most === maxLength ? "maxLength" : "rowLength"})`,
    fix: 'leave the conversation out, raise the limit, or say overlong: "keepStart" (the first tokens) or "keepEnd" (the last).',
  });
}

function messagesOf(chat: Chat, field: string) {
  const { messages, tools, ...rest } = (Array.isArray(chat) ? { messages: chat } : (chat ?? {})) as Exclude<
    Chat,
    readonly ChatMessage[]
  >;
  if (!Array.isArray(messages) || messages.length === 0) {
    throw refusal({
      code: "argument",
      field,
      found: Array.isArray(messages) ? "no messages" : excerpt(JSON.stringify(chat) ?? String(chat)),
      expected: "a list of messages, or { messages, tools }",
      fix: "conversations is a list of conversations, and each of them a list of messages.",
    });
  }
  rejectUnknown("chatTemplate", `key of ${field}`, rest, ["messages", "tools"]);
  const bad = messages.findIndex((message) => typeof message?.role !== "string");
  if (bad < 0) return { messages: messages as readonly ChatMessage[], ...(tools && { tools }) };
  throw refusal({
    code: "argument",
    field: `${field}.messages[${bad}]`,
    found: excerpt(JSON.stringify(messages[bad]) ?? String(messages[bad])),
    expected: 'a message with a role: { role: "user", content: "…" }',
  });
}

/** All text of a message's content: a string, or a list of parts with text. */
function textIn(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (typeof part?.text === "string" ? part.text : "")).join("");
}

/** How many flags are up. */
export function sum(flags: Uint8Array): number {
  return flags.reduce((count, flag) => count + flag, 0);
}
