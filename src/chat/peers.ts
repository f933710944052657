import { reasonOf, refusal } from "./refusal.js";

/** What this room needs of a Jinja library: `@huggingface/jinja`, or anything with its `Template`. */
export interface Jinja {
  readonly Template: new (source: string) => { render(values: Record<string, unknown>): string };
}

/** A token beside the vocabulary's own, as `tokenizer.json` lists it. */
export interface AddedToken {
  readonly content: string;
  /** Whether it is a control token rather than text. */
  readonly special: boolean;
  /** Whether it swallows the whitespace before it, after it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** What this room needs of a tokenizer: that of `@huggingface/tokenizers`, or anything that gives ids and pieces. */
export interface ChatTokenizer {
  /**
   * The ids of a text and the vocabulary's own spelling of each token (`"Ġhello"`, `"▁hello"`, `"<0x0A>"`), nothing put
   * before or after: a chat template writes its own beginning of sequence.
   */
  encode(
    text: string,
    options: { add_special_tokens: false },
  ): { readonly ids: readonly number[]; readonly tokens: readonly string[] };
  /** The added tokens by id. */
  get_added_tokens_decoder(): ReadonlyMap<number, AddedToken>;
}

/**
 * The Jinja library, loaded on first need.
 *
 * @throws `unsupported` when the optional peer is not installed
 */
export async function loadJinja(): Promise<Jinja> {
  try {
    // `as string`: its declarations do not resolve under nodenext; what is emitted is the literal, for bundlers to see.
    return await import("@huggingface/jinja" as string);
  } catch (cause) {
    throw notInstalled("chatTemplate", "@huggingface/jinja", "chat templates are written in Jinja", cause);
  }
}

/**
 * A tokenizer of `@huggingface/tokenizers` over the parsed `tokenizer.json` (and `tokenizer_config.json`) of a model:
 * nothing is downloaded, the files are the caller's.
 *
 * @throws `unsupported` when the optional peer is not installed, `argument` when it cannot read the files
 *
 * @example
 * const tokenizer = await tokenizerFrom(JSON.parse(await readFile("tokenizer.json", "utf8")));
 */
export async function tokenizerFrom(tokenizerJson: object, tokenizerConfig: object = {}): Promise<HubTokenizer> {
  const where = "tokenizerFrom";
  const peer = await import("@huggingface/tokenizers" as string).catch((cause) => {
    throw notInstalled(where, "@huggingface/tokenizers", "tokenizer.json is read by it", cause);
  });
  try {
    return new peer.Tokenizer(tokenizerJson, tokenizerConfig);
  } catch (cause) {
    throw refusal(
      {
        code: "argument",
        where,
        field: "tokenizerJson",
        found: `what the tokenizer library refuses: ${reasonOf(cause)}`,
        expected: "the parsed tokenizer.json of a model",
        fix: "pass JSON.parse of the file's text; a model without tokenizer.json has to be converted first.",
      },
      cause,
    );
  }
}

/** A tokenizer that also decodes. */
export interface HubTokenizer extends ChatTokenizer {
  decode(ids: number[], options?: { skip_special_tokens?: boolean; clean_up_tokenization_spaces?: boolean }): string;
}

function notInstalled(where: string, name: string, why: string, cause: unknown) {
  return refusal(
    {
      code: "unsupported",
      where,
      found: `no package ${name} (${reasonOf(cause)})`,
      expected: `the optional peer ${name}: ${why}`,
      fix: `npm install ${name}`,
    },
    cause,
  );
}
