/** Trains byte-level BPE on a few sentences and writes the `tokenizer.json` of it, which the real library loads. */

/** What GPT-2 splits text into before it merges; the library's ByteLevel pre-tokenizer uses the same. */
const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export interface ControlToken {
  readonly content: string;
  /** Whether it swallows the whitespace behind it, as Phi's do. */
  readonly rstrip?: boolean;
  /** Whether it is control rather than text; tool marks are often text. */
  readonly special?: boolean;
}

/**
 * @param corpus - every word of it becomes one token, unless `merges` runs out first
 * @param controls - added tokens, after the vocabulary
 */
export function trainByteLevelBpe(corpus: string, controls: readonly ControlToken[], merges = 10_000) {
  const alphabet = byteAlphabet();
  const counts = new Map<string, { pieces: string[]; count: number }>();
  for (const [word] of corpus.matchAll(words)) {
    const pieces = Array.from(new TextEncoder().encode(word), (byte) => alphabet[byte]!);
    const known = counts.get(pieces.join(""));
    if (known) known.count++;
    else counts.set(pieces.join(""), { pieces, count: 1 });
  }
  const vocabulary = [...alphabet];
  const merged: [string, string][] = [];
  while (merged.length < merges) {
    const pair = mostFrequentPair([...counts.values()]);
    if (!pair) break;
    merged.push(pair);
    if (!vocabulary.includes(pair.join(""))) vocabulary.push(pair.join(""));
    for (const word of counts.values()) word.pieces = join(word.pieces, pair);
  }
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: controls.map(({ content, rstrip = false, special = true }, i) => ({
      id: vocabulary.length + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip,
      normalized: false,
      special,
    })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(vocabulary.map((piece, id) => [piece, id])),
      merges: merged.map((pair) => pair.join(" ")),
    },
  };
}

/** A printable character for each byte: itself where it is printable Latin-1, else the next one from U+0100 on. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}

function mostFrequentPair(entries: readonly { pieces: string[]; count: number }[]): [string, string] | undefined {
  const pairs = new Map<string, number>();
  for (const { pieces, count } of entries) {
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair = `${pieces[i]} ${pieces[i + 1]}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + count);
    }
  }
  // Of pairs equally frequent the first in the alphabet, so that a training is the same everywhere.
  const [best] = [...pairs].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return best && (best[0].split(" ") as [string, string]);
}

function join(pieces: readonly string[], [left, right]: readonly [string, string]): string[] {
  const out: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i] === left && pieces[i + 1] === right) out.push(left + pieces[++i]);
    else out.push(pieces[i]!);
  }
  return out;
}
