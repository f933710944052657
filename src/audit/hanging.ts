/** Columns of a terminal that text is written for. */
export const width = 80;

/** Text of a record without what moves a terminal's cursor or changes its colors. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

/** A label and words beside it, wrapped to 80 columns under the words; a word longer than a line is cut. */
export function hanging(label: string, text: string, indent: number): string[] {
  const lines: string[] = [];
  const longest = new RegExp(`.{1,${width - indent}}`, "gu");
  let line = label;
  let separator = "";
  for (const word of plain(text)
    .match(/\S+/g)
    ?.flatMap((each) => each.match(longest)!) ?? []) {
    if (line.length + separator.length + word.length > width) {
      lines.push(line.trimEnd());
      line = " ".repeat(indent);
      separator = "";
    }
    line += separator + word;
    separator = " ";
  }
  return [...lines, line.trimEnd()];
}
