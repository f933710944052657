import { columnOfValues } from "./columns.js";
import { broken } from "./failure.js";
import { checkJson, isObject, parseJson, shown } from "./json.js";
import type { Table, TextTableOptions } from "./table.js";

/** A key that no writer uses: the digits of an integer that a double does not hold stand under it. */
const digits = "\u0001integer";

/**
 * A table of one JSON object a line, its keys the columns, in any order. Values are numbers, true or false, text, or
 * lists of numbers nested alike in all lines; integers are kept exactly up to 64 bits. Blank lines are passed over.
 *
 * @throws `file` for a line that is no JSON object, has a key twice or a hostile one
 */
export function parseJsonLines(text: string, { name: where, only }: TextTableOptions): Table {
  const columns = new Map<string, unknown[]>();
  const lines: number[] = [];
  let number = 0;
  for (const line of text.split(/\r\n|\n|\r/)) {
    number++;
    if (line.trim() === "") continue;
    const name = `${where}, line ${number}`;
    const value = parseJson(keepingIntegers(line), name);
    if (!isObject(value)) {
      const fix = Array.isArray(value)
        ? "write one object a line, without the list around."
        : "write one object a line.";
      throw broken(name, undefined, shown(value), "a JSON object", fix);
    }
    checkJson(value, name);
    for (const [key, cell] of Object.entries(value)) {
      const column = columns.get(key) ?? [];
      if (column.length === 0) columns.set(key, column);
      if (only === undefined || only.includes(key)) column[lines.length] = integersBack(cell);
    }
    lines.push(number);
  }
  if (lines.length === 0) throw broken(where, undefined, "a file without a line", "a table", "write it again.");
  const place = (row: number) => `line ${lines[row]}`;
  return {
    format: "jsonl",
    names: [...columns.keys()],
    rows: lines.length,
    column: async (column, kind) => {
      // Lines without the key leave holes, which are undefined when they are read.
      const values = Array.from({ length: lines.length }, (_, row) => columns.get(column)![row]);
      return columnOfValues(values, { where, column, place }, kind);
    },
  };
}

/** A line whose integers of 16 digits and more are objects around their digits: JSON.parse would round them. */
function keepingIntegers(line: string): string {
  if (!/\d{16}/.test(line)) return line;
  return line.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    /^-?[1-9]\d{15,}$/.test(token) ? `{${JSON.stringify(digits)}:"${token}"}` : token,
  );
}

function integersBack(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(integersBack);
  return isObject(value) && typeof value[digits] === "string" ? BigInt(value[digits]) : value;
}
