import type { ControlTokens } from "./control-tokens.js";
import { excerpt, refusal } from "./refusal.js";
import { type ChatMessage, firstDifference, type Renderer } from "./renderer.js";

/** A stretch of the text that the assistant wrote, with the token that ends its turn. */
export interface AssistantSpan {
  /** Which message of the conversation it belongs to. */
  readonly message: number;
  /** First place of the text and the one after the last: `text.slice(start, end)`. */
  readonly start: number;
  readonly end: number;
  /** Where the control token that ends the turn begins; `end` where none does. */
  readonly endOfTurn: number;
}

export interface SpokenText {
  readonly text: string;
  readonly spans: readonly AssistantSpan[];
}

/** What the search needs to know of a conversation. */
export interface SpanSearch {
  readonly renderer: Renderer;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly unknown[] | undefined;
  readonly addGenerationPrompt: boolean;
  readonly controls: ControlTokens;
  /** The tokens that may end a turn: all controls, or what the caller named. */
  readonly endings: ControlTokens;
}

/**
 * Where the assistant speaks, from the template itself.
 *
 * With generation marks the marked stretches count; a token that ends the turn right behind one belongs to it.
 * Without them a turn is what follows the rendering of the messages before it with a generation prompt, up to the end of
 * the rendering with it; both must be prefixes of the whole text. The turn ends with its last control token: the line
 * break that many templates put between turns is nobody's.
 *
 * @throws `value` when marks are broken, or mark nothing; when a prefix of the conversation is no prefix of the text
 */
export function assistantSpans(search: SpanSearch): SpokenText {
  return search.renderer.hasMarks ? spansOfMarks(search) : spansOfPrefixes(search);
}

function spansOfMarks(search: SpanSearch): SpokenText {
  const { renderer, messages, tools, addGenerationPrompt, endings } = search;
  const { text, spans } = renderer.withMarks(messages, tools, addGenerationPrompt);
  const speakers = assistantMessages(messages).length;
  if ((spans.length === 0) !== (speakers === 0)) {
    throw refusal({
      code: "value",
      field: "template",
      found: `${spans.length} marked stretches for ${speakers} assistant messages`,
      expected: "marks around what the assistant says, and around nothing else",
      fix: "put the marks where the template writes assistant messages, or remove them.",
    });
  }
  const owners = ownersOfMarks(search, spans.length);
  const controls = spans.map(([start, end]) => lastControl(text, start, end, endings));
  const ending = controls.includes(undefined) ? endingBehindMarks(search) : "";
  return {
    text,
    spans: spans.map(([start, end], i) => {
      const turn = { message: owners[i]!, start };
      const control = controls[i];
      if (control) return { ...turn, end, endOfTurn: control.start };
      return { ...turn, end: end + (ending && text.startsWith(ending, end) ? ending.length : 0), endOfTurn: end };
    }),
  };
}

/**
 * The message of each marked stretch: rendered up to the next assistant message, the marks so far are counted, and the
 * new ones belong to the last assistant message before it.
 */
function ownersOfMarks({ renderer, messages, tools }: SpanSearch, total: number): number[] {
  const owners: number[] = [];
  const speakers = assistantMessages(messages);
  speakers.forEach((message, i) => {
    const next = speakers[i + 1];
    const count = next === undefined ? total : renderer.withMarks(messages.slice(0, next), tools, true).spans.length;
    if (count < owners.length || count > total) {
      throw refusal({
        code: "value",
        field: "template",
        found: `${Math.max(count, owners.length)} marked stretches in the messages up to ${message}, and ${Math.min(count, total)} in more of the conversation`,
        expected: "stretches that stay when messages follow",
        fix: "mark each assistant message the same way wherever it stands.",
      });
    }
    while (owners.length < count) owners.push(message);
  });
  return owners;
}

/** The control token that a template writes right behind its marks, of a conversation that ends with the assistant. */
function endingBehindMarks({ renderer, messages, tools, endings }: SpanSearch): string {
  const last = assistantMessages(messages).at(-1);
  if (last === undefined) return "";
  const { text, spans } = renderer.withMarks(messages.slice(0, last + 1), tools, false);
  return spans.length ? endings.startingAt(text, spans.at(-1)![1]) : "";
}

function spansOfPrefixes(search: SpanSearch): SpokenText {
  const { renderer, messages, tools, addGenerationPrompt, endings } = search;
  const text = renderer.plain(messages, tools, addGenerationPrompt);
  const spans = assistantMessages(messages).map((message): AssistantSpan => {
    const before = renderer.plain(messages.slice(0, message), tools, true);
    const { body, tail } = closedText(search, message + 1);
    requirePrefix(body, before, message, "before");
    requirePrefix(text, body, message, "with");
    const [start, end] = [before.length, body.length];
    const control = lastControl(text, start, end, endings);
    if (control) return { message, start, end: control.end, endOfTurn: control.start };
    // Of a template that closes the conversation alone, and not each turn, that is the last turn's end.
    const closing = text.startsWith(tail, end) ? endings.startingAt(tail, 0) : "";
    return { message, start, end: end + closing.length, endOfTurn: end };
  });
  return { text, spans };
}

/**
 * The rendering of the first messages, apart from what the template puts behind every conversation that asks for no answer:
 * control tokens that are gone as soon as there is a generation prompt.
 */
function closedText(
  { renderer, messages, tools, controls }: SpanSearch,
  count: number,
): { body: string; tail: string } {
  const first = messages.slice(0, count);
  const closed = renderer.plain(first, tools, false);
  const agreed = firstDifference(closed, renderer.plain(first, tools, true));
  // The two may agree on half of a control token ("<|" of "<|user|>" and "<|end|>"): step back whole ones.
  let end = closed.length;
  while (end > agreed) {
    const rest = closed.slice(0, end).trimEnd();
    const control = controls.ending(rest);
    if (!control) return { body: closed, tail: "" };
    end = rest.length - control.length;
  }
  return { body: closed.slice(0, end), tail: closed.slice(end) };
}

function requirePrefix(text: string, prefix: string, message: number, which: "before" | "with"): void {
  if (text.startsWith(prefix)) return;
  const at = firstDifference(text, prefix);
  const messages = which === "with" ? `messages 0..${message}` : `the messages before message ${message}`;
  throw refusal({
    code: "value",
    field: "template",
    found: `that ${messages} alone become ${excerpt(prefix.slice(at))} where the conversation has ${excerpt(text.slice(at))}, at character ${at}`,
    expected: "the rendering of the first messages to be a prefix of the whole",
    fix: "mark what the assistant says in the template: {% generation %} … {% endgeneration %}; a template that rewrites earlier turns has no prefixes.",
  });
}

/** The control token that ends a stretch, whitespace behind it left aside. */
function lastControl(
  text: string,
  start: number,
  end: number,
  endings: ControlTokens,
): { start: number; end: number } | undefined {
  const whole = text.slice(start, end);
  // As it stands first: a caller may have named whitespace.
  for (const spoken of [whole, whole.trimEnd()]) {
    const control = endings.ending(spoken);
    if (control) return { start: start + spoken.length - control.length, end: start + spoken.length };
  }
  return undefined;
}

function assistantMessages(messages: readonly ChatMessage[]): number[] {
  return messages.flatMap(({ role }, i) => (role === "assistant" ? [i] : []));
}
