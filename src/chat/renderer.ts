import type { Jinja } from "./peers.js";
import { excerpt, reasonOf, refusal } from "./refusal.js";

/** One message of a conversation. A template reads what it knows of the rest: `tool_calls`, `name`, `thinking`, … */
export interface ChatMessage {
  /** "system", "user", "assistant", "tool", or what the template knows. */
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

/**
 * The special tokens a template may name, as `special_tokens_map.json` has them: `bos_token`, `eos_token`, `pad_token`, …
 * `null` says that the model has none.
 */
export type SpecialTokens = Readonly<Record<string, string | { readonly content: string } | null>>;

/** A conversation as the template writes it, and where its marks say the assistant speaks. */
export interface MarkedText {
  readonly text: string;
  /** Start and end of each marked stretch, as places of `text`. */
  readonly spans: readonly (readonly [start: number, end: number])[];
}

const mark = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/** Noncharacters of Unicode: no text holds them, and no template writes them by itself. */
const opening = "\uFDD0";
const closing = "\uFDD1";

/** A template with what it always sees: special tokens and the caller's own variables. */
export class Renderer {
  /** Whether the template says itself, by generation marks, where the assistant speaks. */
  readonly hasMarks: boolean;
  private readonly unmarked: InstanceType<Jinja["Template"]>;
  private readonly marked: InstanceType<Jinja["Template"]> | undefined;

  constructor(
    source: string,
    jinja: Jinja,
    private readonly variables: Readonly<Record<string, unknown>>,
  ) {
    this.unmarked = compile(source, jinja);
    this.hasMarks = source.search(mark) >= 0;
    if (!this.hasMarks) return;
    // The library drops the marks. As an `if` around a sentinel they keep what whitespace control asks of a block.
    const withSentinels = source.replace(mark, (_, before: string, end: string | undefined, after: string) => {
      return `{%${before} if true %}${end ? closing : opening}{% endif ${after}%}`;
    });
    this.marked = compile(withSentinels, jinja);
  }

  /** @throws `value` with the template's own words when it refuses the conversation */
  plain(messages: readonly ChatMessage[], tools: readonly unknown[] | undefined, addGenerationPrompt: boolean): string {
    return this.render(this.unmarked, messages, tools, addGenerationPrompt);
  }

  /**
   * The rendering with the marks' stretches.
   *
   * @throws `value` when the marks do not close, or when the text without them is not the plain rendering
   */
  withMarks(
    messages: readonly ChatMessage[],
    tools: readonly unknown[] | undefined,
    addGenerationPrompt: boolean,
  ): MarkedText {
    const plain = this.plain(messages, tools, addGenerationPrompt);
    const found = this.render(this.marked!, messages, tools, addGenerationPrompt);
    if (plain.includes(opening) || plain.includes(closing)) {
      throw refusal({
        code: "value",
        field: "conversations",
        found: "the noncharacter U+FDD0 or U+FDD1 in the text",
        expected: "text without them: they stand for the template's generation marks",
        fix: "remove them; Unicode reserves them for uses like this one.",
      });
    }
    const pieces = found.split(/([\uFDD0\uFDD1])/);
    const spans: [number, number][] = [];
    let text = "";
    let start = -1;
    for (const piece of pieces) {
      if (piece === opening && start < 0) start = text.length;
      else if (piece === closing && start >= 0) {
        spans.push([start, text.length]);
        start = -1;
      } else if (piece === opening || piece === closing) throw unbalanced(text, piece);
      else text += piece;
    }
    if (start >= 0) throw unbalanced(text, opening);
    if (text !== plain) {
      const at = firstDifference(text, plain);
      throw refusal({
        code: "value",
        field: "template",
        found: `renderings that differ at character ${at}: ${excerpt(text.slice(at))} with the marks, ${excerpt(plain.slice(at))} without`,
        expected: "the same text with and without the generation marks",
        fix: "keep whitespace control ({%- … -%}) and filters (trim, length, …) from reaching across a mark.",
      });
    }
    return { text, spans };
  }

  private render(
    template: InstanceType<Jinja["Template"]>,
    messages: readonly ChatMessage[],
    tools: readonly unknown[] | undefined,
    addGenerationPrompt: boolean,
  ): string {
    try {
      return template.render({
        ...this.variables,
        messages,
        ...(tools && { tools }),
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (cause) {
      const count = messages.length === 1 ? "1 message" : `${messages.length} messages`;
      throw refusal(
        {
          code: "value",
          field: "template",
          found: `a template that refuses ${count} (${messages.map(({ role }) => role).join(", ")}): ${reasonOf(cause)}`,
          expected: "a conversation that the template can write",
          fix: "change the messages, or give what the template reads as variables.",
        },
        cause,
      );
    }
  }
}

/**
 * The variables of every rendering: special tokens by name, then the caller's own.
 *
 * @throws `missing-field` when the template names a special token that nobody gave: Jinja writes nothing for it
 */
export function variablesOf(
  source: string,
  specialTokens: SpecialTokens,
  variables: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const code = source.replace(/\{#[\s\S]*?#\}/g, "");
  for (const [name] of code.matchAll(/\b(?:bos|eos|pad|unk|sep|cls|mask)_token\b/g)) {
    if (name in specialTokens || name in variables) continue;
    throw refusal({
      code: "missing-field",
      field: "specialTokens",
      found: `a template that writes ${name}, and no such token`,
      expected: `specialTokens with ${name}`,
      fix: `give specialTokens: { ${name}: "…" } as special_tokens_map.json has it, or ${name}: null where the model has none.`,
    });
  }
  const given = Object.entries(specialTokens).flatMap(([name, token]) => {
    const content = contentOf(token);
    return content === undefined ? [] : [[name, content] as const];
  });
  return { ...Object.fromEntries(given), ...variables };
}

/** The text of a special token, or `undefined` for one that the model does not have. */
export function contentOf(token: SpecialTokens[string] | undefined): string | undefined {
  return typeof token === "string" ? token : token?.content;
}

/** The first place where two texts differ. */
export function firstDifference(left: string, right: string): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  return at;
}

function compile(source: string, jinja: Jinja) {
  try {
    return new jinja.Template(source);
  } catch (cause) {
    throw refusal(
      {
        code: "argument",
        field: "template",
        found: `what Jinja cannot read: ${reasonOf(cause)}`,
        expected: "the Jinja source of a chat template",
        fix: "pass the text of chat_template.jinja, or chat_template of tokenizer_config.json.",
      },
      cause,
    );
  }
}

function unbalanced(text: string, sentinel: string) {
  const what = sentinel === opening ? "a generation mark that opens" : "an end of generation";
  return refusal({
    code: "value",
    field: "template",
    found: `${what} after ${excerpt(text, "end")} without its other half`,
    expected: "generation marks in pairs, none inside another",
    fix: "close each {% generation %} with {% endgeneration %} before the next one.",
  });
}
