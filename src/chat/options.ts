import { rejectUnknown } from "../errors/index.js";
import { ControlTokens } from "./control-tokens.js";
import { refusal } from "./refusal.js";

/** The choices of `chatTemplate`, each with its default. */
export interface Options {
  /** Which turns of the assistant are trained on: `"all"` (default), or the `"last"` alone. */
  readonly turns: "all" | "last";
  /** Whether the control token that ends a turn is trained on (true). Without it a model never learns to stop. */
  readonly trainOnEndOfTurn: boolean;
  /**
   * What ends a turn, as texts; `null` (default) for the tokenizer's control tokens. Only for templates that end turns with
   * plain text, or that leave several control tokens to choose from.
   */
  readonly endOfTurn: readonly string[] | null;
  /** Whether the row ends with the prompt for another answer (false). */
  readonly addGenerationPrompt: boolean;
  /** A token that holds text of the assistant and of the prompt: left to the `"prompt"` (default), `"train"`, `"throw"`. */
  readonly straddle: "prompt" | "train" | "throw";
  /** The most tokens of a conversation; `null` (default) for no limit of its own. */
  readonly maxLength: number | null;
  /** A conversation beyond `maxLength` or `rowLength`: `"throw"` (default), `"keepStart"`, `"keepEnd"`. */
  readonly overlong: "throw" | "keepStart" | "keepEnd";
  /** The length that rows are padded to; `null` (default) for that of the longest. */
  readonly rowLength: number | null;
  /** What rows are padded with; `null` (default) for `pad_token` of the special tokens. */
  readonly padToken: string | null;
  /** The label where nothing is trained (−100). */
  readonly ignoreIndex: number;
}

interface Choice<T> {
  readonly fallback: T;
  readonly accepts: string;
  holds(value: unknown): boolean;
}

const flag = (fallback: boolean): Choice<boolean> => ({
  fallback,
  accepts: "true or false",
  holds: (value) => typeof value === "boolean",
});

const words = <W extends string>(...choices: readonly [W, ...W[]]): Choice<W> => ({
  fallback: choices[0],
  accepts: choices.map((word) => `"${word}"`).join(" or "),
  holds: (value) => choices.includes(value as W),
});

const lengthOrNull: Choice<number | null> = {
  fallback: null,
  accepts: "a whole number of at least 1, or null",
  holds: (value) => value === null || (Number.isSafeInteger(value) && (value as number) >= 1),
};

const choices: { readonly [K in keyof Options]: Choice<Options[K]> } = {
  turns: words("all", "last"),
  trainOnEndOfTurn: flag(true),
  endOfTurn: {
    fallback: null,
    accepts: "a list of texts, or null",
    holds: (value) =>
      value === null ||
      (Array.isArray(value) && value.length > 0 && value.every((text) => text && typeof text === "string")),
  },
  addGenerationPrompt: flag(false),
  straddle: words("prompt", "train", "throw"),
  maxLength: lengthOrNull,
  overlong: words("throw", "keepStart", "keepEnd"),
  rowLength: lengthOrNull,
  padToken: {
    fallback: null,
    accepts: "the text of a token, or null",
    holds: (value) => value === null || (typeof value === "string" && value !== ""),
  },
  ignoreIndex: {
    fallback: -100,
    accepts: "a whole number of 32 bits",
    holds: (value) => (value as number) === ((value as number) | 0),
  },
};

/**
 * The options in full.
 *
 * @param inputs - the other names of the call, for the near miss of a misspelt one
 * @throws `unknown` for a name that is none, `option` for a value that is not accepted
 */
export function readOptions(given: object, inputs: readonly string[]): Options {
  const names = Object.keys(choices) as (keyof Options)[];
  rejectUnknown("chatTemplate", "option", given, [...inputs, ...names]);
  const read = names.map((name) => {
    const { fallback, accepts, holds } = choices[name];
    const value = (given as Record<string, unknown>)[name];
    if (value !== undefined && !holds(value)) {
      throw refusal({
        code: "option",
        field: name,
        found: JSON.stringify(value) ?? String(value),
        expected: accepts,
        fix: `without it the default is ${JSON.stringify(fallback)}.`,
      });
    }
    return [name, value === undefined ? fallback : value];
  });
  return Object.fromEntries(read) as Options;
}

/** What may end a turn: the texts given, else the tokenizer's control tokens. */
export function endingsOf({ endOfTurn }: Options, controls: ControlTokens): ControlTokens {
  return endOfTurn === null ? controls : new ControlTokens(endOfTurn);
}
