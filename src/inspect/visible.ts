/**
 * A token's text on one line, where spaces and control characters can be seen: a space is `·`, a line break `\n`, what
 * moves a cursor or turns the direction of text its code. Nothing of it can act on a terminal.
 */
export function visible(text: string): string {
  return text.replace(/[\p{C}\p{Z}\\]/gu, (character) => {
    if (character === " ") return "·";
    const escaped = escapes.get(character);
    return escaped ?? `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

const escapes = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\\", "\\\\"],
]);

const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303F\uFF01-\uFF60]|\p{Emoji_Presentation}/u;

/** Columns a terminal gives a text: two for East Asian characters and emoji, none for marks that combine. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += /\p{M}/u.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return columns;
}

/** A text of at most so many columns, with `…` where it was cut. */
export function clipped(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = "";
  for (const character of text) {
    if (columnsOf(kept + character) > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
