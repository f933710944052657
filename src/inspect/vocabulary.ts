import { LosswrightError } from "../errors/index.js";
import type { Vocabulary } from "./token-batch.js";

/**
 * Token texts by id.
 *
 * Read are a list of texts, an object from text to id (`vocab.json`) and a `tokenizer.json` (its model's vocabulary and
 * added tokens). Pieces of byte-level and SentencePiece vocabularies are spelt back: `Ġthe` and `▁the` are ` the`, bytes
 * that are no whole characters stand as `<E4>`.
 *
 * @param text - the file's text
 * @throws `file` for what is none of these, with the first entry that is wrong
 */
export function readVocabulary(text: string, name: string): Vocabulary {
  const entries = entriesOf(parse(text, name), name);
  const words = new Map<number, string>();
  // One vocabulary spells in one way: pieces of SentencePiece hold characters that byte-level ones spell otherwise.
  const spell = entries.pieces.some(([piece]) => piece.startsWith("Ġ")) ? fromByteLevel : fromSentencePiece;
  for (const [piece, id] of entries.pieces) words.set(id, spell(piece));
  for (const [content, id] of entries.whole) words.set(id, content);
  return (id) => words.get(id);
}

type Entries = readonly (readonly [text: string, id: number])[];

/** Pieces as a vocabulary spells them, and tokens that are their own text. */
interface VocabularyEntries {
  readonly pieces: Entries;
  readonly whole: Entries;
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refused(name, error instanceof Error ? error.message : String(error), error);
  }
}

function entriesOf(given: unknown, name: string): VocabularyEntries {
  if (Array.isArray(given)) return { pieces: [], whole: fromList(given, name) };
  if (!isRecord(given)) throw refused(name, given === null ? "null" : typeof given);
  const { model, added_tokens: added = [] } = given;
  if (!isRecord(model)) return { pieces: fromObject(given, name), whole: [] };
  const { vocab } = model;
  // Unigram models hold pairs of a piece and its score.
  const pieces = Array.isArray(vocab)
    ? fromList(
        vocab.map((pair) => (Array.isArray(pair) ? pair[0] : pair)),
        name,
      )
    : fromObject(isRecord(vocab) ? vocab : {}, name);
  const whole = (Array.isArray(added) ? added : []).map((token) => [token?.content, token?.id] as [string, number]);
  const bad = whole.find(([content, id]) => typeof content !== "string" || !Number.isSafeInteger(id));
  if (bad) throw refused(name, `the added token ${JSON.stringify(bad)}`);
  return { pieces, whole };
}

function fromList(list: readonly unknown[], name: string): Entries {
  const bad = list.findIndex((entry) => typeof entry !== "string");
  if (bad >= 0) throw refused(name, `${typeof list[bad]} at place ${bad} of the list`);
  return list.map((text, id) => [text as string, id]);
}

function fromObject(entries: Readonly<Record<string, unknown>>, name: string): Entries {
  const pairs = Object.entries(entries);
  const bad = pairs.find(([, id]) => !Number.isSafeInteger(id));
  if (bad) throw refused(name, `${typeof bad[1]} as the id of ${JSON.stringify(bad[0].slice(0, 40))}`);
  if (pairs.length === 0) throw refused(name, "no token");
  return pairs as Entries;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refused(where: string, found: string, cause?: unknown): LosswrightError {
  const expected = "a JSON list of token texts, an object from token to id, or a tokenizer.json";
  const fix = "write the texts in the order of their ids, or give the tokenizer.json of the model.";
  return new LosswrightError(
    { code: "file", where, found, expected, fix },
    cause === undefined ? undefined : { cause },
  );
}

/** The byte that a character of a byte-level piece stands for: printable bytes are themselves, the others follow 255. */
function byteOf(character: string): number | undefined {
  const code = character.charCodeAt(0);
  if (code < 256) return code;
  return code <= 288 ? code - 256 : code <= 322 ? code - 162 : code === 323 ? 173 : undefined;
}

function fromByteLevel(piece: string): string {
  const bytes = Array.from(piece, byteOf);
  if (bytes.includes(undefined)) return piece;
  const text = new TextDecoder().decode(Uint8Array.from(bytes as number[]));
  if (!text.includes("\uFFFD")) return text;
  // A piece of a character has no text: ASCII stands as it is, every other byte in hexadecimal.
  return bytes.map((byte) => (byte! < 128 ? String.fromCharCode(byte!) : hexadecimal(byte!))).join("");
}

function fromSentencePiece(piece: string): string {
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(piece) ?? [];
  if (byte === undefined) return piece.replaceAll("▁", " ");
  const code = Number.parseInt(byte, 16);
  return code < 128 ? String.fromCharCode(code) : hexadecimal(code);
}

function hexadecimal(byte: number): string {
  return `<${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}
