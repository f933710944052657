import { readFileSync } from "node:fs";
import { type ControlToken, trainByteLevelBpe } from "../../test/instruments/byte-level-bpe.js";
import { type ChatFields, type HubTokenizer, tokenizerFrom } from "./index.js";

/** Every word that the tests write on purpose: each is one token. */
const corpus = [
  "user\nassistant\nsystem\nmodel\n\n",
  "Two plus two? Four. Four. Thanks! Any time. Any Be brief. Cold? It is cold. It cold",
  '<tools>\n{"name": "weather"}\n</tools> {"name": "weather", "arguments": {"city": "Oslo"}}\n<tool_response>\ncold\n</tool_response>',
].join("\n\n");

const swallowing = ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>"];
const asText = ["<tool_call>", "</tool_call>"];
const plain = [
  ...["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
  ...["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
  ...["<s>", "</s>", "[INST]", "[/INST]", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
];
const controls: readonly ControlToken[] = [
  ...plain.map((content) => ({ content })),
  ...swallowing.map((content) => ({ content, rstrip: true })),
  ...asText.map((content) => ({ content, special: false })),
];

const json = trainByteLevelBpe(corpus, controls);

/** A byte-level tokenizer that knows the control tokens of every family. */
export const chatTokenizer = (): Promise<HubTokenizer> => tokenizerFrom(json);

/** A template of `test/chat-templates`. */
export function templateOf(family: string): string {
  return readFileSync(new URL(`../../test/chat-templates/${family}.jinja`, import.meta.url), "utf8");
}

/** The same template without its generation marks. */
export function unmarked(template: string): string {
  return template.replace(/\{% (?:end)?generation %\}/g, "");
}

/** The text of one token. */
export function textOf(tokenizer: HubTokenizer, id: number): string {
  return tokenizer.decode([id], { clean_up_tokenization_spaces: false });
}

/** A row as a person reads it: its tokens in stretches of what is trained and what is not. */
export function stretchesOf(fields: ChatFields, tokenizer: HubTokenizer, row = 0): ["prompt" | "trained", string[]][] {
  const stretches: ["prompt" | "trained", string[]][] = [];
  const length = fields.inputIds.shape[1]!;
  for (let at = row * length; at < (row + 1) * length; at++) {
    if (fields.attentionMask.data[at] === 0) continue;
    const kind = fields.lossMask.data[at] ? "trained" : "prompt";
    if (stretches.at(-1)?.[0] !== kind) stretches.push([kind, []]);
    stretches.at(-1)![1].push(textOf(tokenizer, fields.inputIds.data[at]!));
  }
  return stretches;
}

/** The texts of the tokens that are trained on, in order. */
export function trainedOf(fields: ChatFields, tokenizer: HubTokenizer, row = 0): string[] {
  return stretchesOf(fields, tokenizer, row).flatMap(([kind, tokens]) => (kind === "trained" ? tokens : []));
}
