import type { ChatTokenizer } from "./peers.js";
import { excerpt, refusal } from "./refusal.js";

/** A text as tokens, each with the bytes of the text that it stands for. */
export interface AlignedTokens {
  readonly ids: readonly number[];
  /**
   * Start and end of token i at 2i and 2i + 1, in bytes of the text's UTF-8: a byte-level token may end inside a
   * character. Tokens never overlap. Text that no token stands for (whitespace that a control token swallows) lies between
   * them; a token that stands for no text (a space put before the first word) has start = end.
   */
  readonly offsets: Int32Array;
  /** Where a place of the JavaScript string lies in the bytes. */
  byteOf(place: number): number;
}

/** How a vocabulary spells bytes. Byte strings are strings of chars 0..255. */
type Spelling = (piece: string) => string | undefined;

/** Byte-level BPE: one printable character a byte. */
const byteOfCharacter = new Map<string, string>();
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  byteOfCharacter.set(String.fromCharCode(printable ? byte : next++), String.fromCharCode(byte));
}

const byteLevel: Spelling = (piece) => {
  let bytes = "";
  for (const character of piece) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return undefined;
    bytes += byte;
  }
  return bytes;
};

/** SentencePiece: "▁" is a space, "<0x0A>" a byte, the rest is text. */
const sentencePiece: Spelling = (piece) => {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
  return byte ? String.fromCharCode(Number.parseInt(byte[1]!, 16)) : bytesOf(piece.replaceAll("▁", " "));
};

/**
 * The tokens of a text with their places in it, which tokenizers of `@huggingface/tokenizers` do not give.
 *
 * Every token is spelt back to bytes (byte-level BPE; SentencePiece with byte fallback) and the bytes are laid along the
 * text's own. Between two added tokens they must be the text to the byte, but for a space that the tokenizer puts before
 * the first word.
 *
 * @throws `value` where the tokens do not spell the text: a normalizer changed it, a token is unknown, or the vocabulary
 * spells in another way
 */
export function tokenOffsets(text: string, tokenizer: ChatTokenizer): AlignedTokens {
  const { ids, tokens } = tokenizer.encode(text, { add_special_tokens: false });
  const bytes = bytesOf(text);
  const places = placesOf(text);
  const added = tokenizer.get_added_tokens_decoder();
  let reached = 0;
  for (const spelling of [byteLevel, sentencePiece]) {
    const laid = layAlong(bytes, ids, tokens, added, spelling);
    if (laid.complete) return { ids, offsets: laid.offsets, byteOf: (place) => places[place]! };
    reached = Math.max(reached, laid.reached);
  }
  const stop = places.findLastIndex((byte) => byte <= reached);
  throw refusal({
    code: "value",
    where: "tokenOffsets",
    field: "text",
    found: `tokens that do not spell ${excerpt(text.slice(stop))} at place ${stop}`,
    expected: "tokens whose bytes, one after the other, are the text",
    fix: 'if the tokenizer normalizes, pass text that is normalized already (text.normalize("NFC")); an unknown token or a vocabulary that is neither byte-level nor SentencePiece cannot be aligned.',
    index: [stop],
  });
}

/** Tokens laid along the bytes: all of both, or as far as they fit. */
interface Laid {
  readonly complete: boolean;
  readonly reached: number;
  readonly offsets: Int32Array<ArrayBuffer>;
}

function layAlong(
  bytes: string,
  ids: readonly number[],
  tokens: readonly string[],
  added: ReturnType<ChatTokenizer["get_added_tokens_decoder"]>,
  spelling: Spelling,
): Laid {
  const offsets = new Int32Array(2 * ids.length);
  const stoppedAt = (reached: number): Laid => ({ complete: false, reached, offsets });
  let at = 0;
  let token = 0;
  let swallows = false;
  while (token < ids.length) {
    if (swallows) at = afterSpace(bytes, at);
    const control = added.get(ids[token]!);
    if (control) {
      const content = bytesOf(control.content);
      if (control.lstrip && !bytes.startsWith(content, at)) at = afterSpace(bytes, at);
      if (!bytes.startsWith(content, at)) return stoppedAt(at);
      offsets.set([at, at + content.length], 2 * token++);
      at += content.length;
      swallows = control.rstrip;
      continue;
    }
    swallows = false;
    const first = token;
    const spelt: string[] = [];
    for (; token < ids.length && !added.has(ids[token]!); token++) {
      const piece = spelling(tokens[token]!);
      if (piece === undefined) break;
      spelt.push(piece);
    }
    const whole = spelt.join("");
    // A tokenizer may put a space before the first word of a stretch: a space of the tokens, not of the text.
    let extra = whole[0] === " " && !bytes.startsWith(whole, at) ? 1 : 0;
    if (spelt.length === 0 || !bytes.startsWith(whole.slice(extra), at))
      return stoppedAt(at + agreement(bytes, at, whole));
    spelt.forEach((piece, i) => {
      const length = piece.length - (piece.length > 0 ? extra : 0);
      if (piece.length > 0) extra = 0;
      offsets.set([at, at + length], 2 * (first + i));
      at += length;
    });
  }
  if (swallows) at = afterSpace(bytes, at);
  return { complete: at === bytes.length, reached: at, offsets };
}

/** How many bytes of `piece` stand at `at`. */
function agreement(bytes: string, at: number, piece: string): number {
  let length = 0;
  while (length < piece.length && bytes[at + length] === piece[length]) length++;
  return length;
}

/** What `trim` of JavaScript takes away, in UTF-8. */
const spaces =
  /(?:[\t-\r ]|\xC2\xA0|\xE1\x9A\x80|\xE2\x80[\x80-\x8A\xA8\xA9\xAF]|\xE2\x81\x9F|\xE3\x80\x80|\xEF\xBB\xBF)*/y;

function afterSpace(bytes: string, at: number): number {
  spaces.lastIndex = at;
  spaces.test(bytes);
  return Math.max(at, spaces.lastIndex);
}

const encoder = new TextEncoder();

/** The UTF-8 of a text, one character 0..255 a byte: comparing and searching bytes are then those of strings. */
function bytesOf(text: string): string {
  const encoded = encoder.encode(text);
  let bytes = "";
  // In pieces: a call takes only so many arguments.
  for (let at = 0; at < encoded.length; at += 8192) bytes += String.fromCharCode(...encoded.subarray(at, at + 8192));
  return bytes;
}

/** For each place of the string, the byte where it lies; both halves of a surrogate pair at the pair's first byte. */
function placesOf(text: string): Int32Array {
  const places = new Int32Array(text.length + 1);
  let byte = 0;
  let place = 0;
  for (const character of text) {
    places.fill(byte, place, place + character.length);
    const point = character.codePointAt(0)!;
    byte += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    place += character.length;
  }
  places[place] = byte;
  return places;
}
