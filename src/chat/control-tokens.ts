import type { ChatTokenizer } from "./peers.js";
import { contentOf, type SpecialTokens } from "./renderer.js";

/** The control tokens of a model as texts, found where they begin and where they end. */
export class ControlTokens {
  /** Longest first, so that of two tokens that both fit the whole one counts. */
  private readonly contents: readonly string[];

  constructor(contents: Iterable<string>) {
    this.contents = [...new Set(contents)].filter(Boolean).sort((a, b) => b.length - a.length);
  }

  /** The control token that begins at a place of a text, or `""`. */
  startingAt(text: string, at: number): string {
    return this.contents.find((content) => text.startsWith(content, at)) ?? "";
  }

  /** The control token that ends the text, or `""`. */
  ending(text: string): string {
    return this.contents.find((content) => text.endsWith(content)) ?? "";
  }

  /** A control token somewhere in a text, or `""`. */
  within(text: string): string {
    return this.contents.find((content) => text.includes(content)) ?? "";
  }
}

/** Every token of control that the tokenizer marks as special, and every special token given. */
export function controlTokensOf(tokenizer: ChatTokenizer, specialTokens: SpecialTokens): ControlTokens {
  const added = [...tokenizer.get_added_tokens_decoder().values()].filter(({ special }) => special);
  const given = Object.values(specialTokens).map((token) => contentOf(token) ?? "");
  return new ControlTokens([...added.map(({ content }) => content), ...given]);
}
