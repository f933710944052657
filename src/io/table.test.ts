import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import type { Tensor } from "../tensor/index.js";
import type { Column, ColumnKind } from "./columns.js";
import { parseTable, type TableOptions } from "./table.js";

const utf8 = (text: string) => new TextEncoder().encode(text);
const csv = (text: string, options: TableOptions = {}) => parseTable(utf8(text), { name: "t.csv", ...options });
const jsonLines = (text: string, options: TableOptions = {}) => parseTable(utf8(text), { name: "t.jsonl", ...options });

async function errorOf(work: Promise<unknown>): Promise<LosswrightError> {
  const error = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof LosswrightError) return error;
  throw error;
}

/** A column as plain data: dtype, shape and numbers, or the list of strings. */
function plain(column: Column): unknown {
  if (!("dtype" in column)) return column;
  const { dtype, shape, data } = column;
  return [dtype, ...(shape.length === 1 ? [] : [shape]), [...data]];
}

describe("cells of CSV", () => {
  const columns: readonly [what: string, cells: readonly string[], expected: unknown][] = [
    ["whole numbers are int32", ["1", "-2", "+3"], ["int32", [1, -2, 3]]],
    ["the ends of int32 are int32", ["2147483647", "-2147483648"], ["int32", [2147483647, -2147483648]]],
    ["one beyond is int64, and all of them", ["1", "2147483648"], ["int64", [1n, 2147483648n]]],
    [
      "ids of 64 bits are exact",
      ["9007199254740993", "-9223372036854775808"],
      ["int64", [9007199254740993n, -(2n ** 63n)]],
    ],
    ["one fraction makes floats", ["1", "0.5"], ["float64", [1, 0.5]]],
    ["exponents are floats", ["1e3", "2E-2"], ["float64", [1000, 0.02]]],
    ["points may end or begin a number", ["5.", ".5", "-.5"], ["float64", [5, 0.5, -0.5]]],
    ["a negative zero stays one", ["-0", "1"], ["float64", [-0, 1]]],
    ["a subnormal number is read", ["5e-324"], ["float64", [5e-324]]],
    [
      "words for no number and no end",
      ["nan", "NaN", "inf", "-Inf", "+infinity"],
      ["float64", [NaN, NaN, Infinity, -Infinity, Infinity]],
    ],
    ["true and false", ["true", "False", "TRUE"], ["bool", [1, 0, 1]]],
    ["space around a number is none of it", [" 1", "2 "], ["int32", [1, 2]]],
    ["a word makes text of all", ["1", "cat"], ["1", "cat"]],
    ["text keeps its space", [" cat", "dog "], [" cat", "dog "]],
    ["a number with a zero before it is a name", ["007", "12"], ["007", "12"]],
    ["nothing at all is text", ["", ""], ["", ""]],
    ["an empty cell is text among text", ["a", ""], ["a", ""]],
    ["hexadecimal is text", ["0x10"], ["0x10"]],
    ["a thousands separator is text", ["1_000"], ["1_000"]],
  ];
  it.each(columns)("%s", async (_, cells, expected) => {
    const table = await csv(`x,row\n${cells.map((cell, i) => `${cell},${i}`).join("\n")}\n`);
    const column = plain(await table.column("x"));
    expect(column).toEqual(expected);
    if (cells[0] === "-0") expect(Object.is((column as [string, number[]])[1][0], -0)).toBe(true);
  });

  const refused: readonly [what: string, cells: readonly string[], kind: ColumnKind | undefined, found: string][] = [
    ["an empty cell among numbers", ["1", "2", ""], undefined, "an empty cell at line 4"],
    ["an empty cell among booleans", ["true", ""], undefined, "an empty cell at line 3"],
    ["a word where numbers are wanted", ["1", "NA"], "numbers", '"NA" at line 3'],
    ["a comma for a point", ['"0,5"'], "numbers", '"0,5" at line 2'],
    ["a boolean among numbers", ["1", "True"], undefined, '"True" at line 3 and "1" at line 2'],
    ["a name for what is missing", ["1", "None"], "numbers", '"None" at line 3'],
    ["integers beyond 64 bits", ["1", "9223372036854775808"], undefined, "9223372036854775808 at line 3"],
    ["numbers beyond a double", ["0.5", "1e999"], undefined, '"1e999" at line 3'],
  ];
  it.each(refused)("refuse %s", async (_, cells, kind, found) => {
    const table = await csv(`x,row\n${cells.map((cell, i) => `${cell},${i}`).join("\n")}\n`);
    const error = await errorOf(table.column("x", kind));
    expect(error).toMatchObject({ code: "file", where: "t.csv", field: "x" });
    expect(error.found).toContain(found);
    expect(error.fix).toBeDefined();
  });

  const fixes: readonly [cell: string, fix: string][] = [
    ["cat", "number the classes (0, 1, …), in labels and predictions alike, or name a column of numbers."],
    ["NA", 'write "nan" where a number is not known, or leave the row out.'],
    ['"0,5"', "write a point in place of the comma: 0.5."],
    ["1_000", "write decimal numbers with a point (0.5, nan, inf), or name a column that holds them."],
  ];
  it.each(fixes)("%s among numbers is answered with what to write", async (cell, fix) => {
    expect((await errorOf((await csv(`x,row\n${cell},1\n`)).column("x", "numbers"))).fix).toBe(fix);
  });

  it("that spell whole numbers as 1.0 are floats, which a field of indices takes too", async () => {
    const table = await csv("x,y\n1.0,1.0\n0.0,nan\n");
    expect(await table.column("x")).toMatchObject({ dtype: "float64", weak: true });
    expect(await table.column("y")).toMatchObject({ dtype: "float64", weak: false });
  });

  it("are text where text is wanted, whatever they look like", async () => {
    const table = await csv("answer\n42\n007\nnan\n");
    expect(await table.column("answer", "text")).toEqual(["42", "007", "nan"]);
  });
});

describe("lines of CSV", () => {
  it("are told apart by any line end, quoted cells may hold them, and blank lines may follow", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const table = await csv(['a,"b ""c"""', '1,"x', 'y,z"', "2,", "", ""].join(end));
      expect(table).toMatchObject({ format: "csv", names: ["a", 'b "c"'], rows: 2 });
      expect(await table.column('b "c"')).toEqual([`x${end}y,z`, ""]);
      expect(plain(await table.column("a"))).toEqual(["int32", [1, 2]]);
    }
  });

  it("count in messages, over quoted cells too", async () => {
    const table = await csv('a,b\n"x\ny",1\nz,\n');
    expect((await errorOf(table.column("b", "numbers"))).found).toContain("line 4");
  });

  it("may begin with a byte order mark, and hold tabs under .tsv", async () => {
    const table = await parseTable(utf8("\ufeffid\tscore\n1\t0.5\n"), { name: "t.tsv" });
    expect(table.names).toEqual(["id", "score"]);
    expect(plain(await table.column("score"))).toEqual(["float64", [0.5]]);
  });

  const wrong: readonly [what: string, text: string, field: string | undefined, found: string][] = [
    ["a line that is too short", "a,b\n1,2\n3\n", "line 3", "1 cells"],
    ["a line that is too long", "a,b\n1,2,3\n", "line 2", "3 cells"],
    ["a blank line in the middle", "a,b\n1,2\n\n3,4\n", "line 3", "a blank line"],
    ["a quote that does not end", 'a,b\n1,"2\n', "line 2", "Quote"],
    ["a quote inside a cell", 'a,b\n1,x"y\n', "line 2", "Quote"],
    ["words behind a quote", 'a,b\n1,"x"y\n', "line 2", "Quote"],
    ["a name twice", "a,b,a\n1,2,3\n", "line 1", '"a" twice'],
    ["nothing", "", undefined, "without a line"],
    ["blank lines", "\n\n", undefined, "without a line"],
  ];
  it.each(wrong)("refuse %s", async (_, text, field, found) => {
    const error = await errorOf(csv(text));
    expect(error).toMatchObject({ code: "file", where: "t.csv" });
    expect(error.field).toBe(field);
    expect(error.found).toContain(found);
  });

  it("a row that is taken for names, and how to say that it is none", async () => {
    expect((await errorOf(csv("cat,cat\ndog,cat\n"))).fix).toContain("--no-header");
  });

  it("a blank line among those of one column is an empty cell", async () => {
    expect((await errorOf((await csv("x\n1\n\n3\n")).column("x"))).found).toBe("an empty cell at line 3");
  });

  it("bytes that are no UTF-8, and UTF-16", async () => {
    expect((await errorOf(parseTable(Uint8Array.of(0x61, 0xff), { name: "t.csv" }))).found).toContain("no UTF-8");
    expect((await errorOf(parseTable(Uint8Array.of(0xff, 0xfe, 0x61, 0), { name: "t.csv" }))).found).toContain(
      "UTF-16",
    );
  });
});

describe("the delimiter of CSV", () => {
  const text = 'id;"a;b";c\n1;"2,5";3\n';

  it("is the one that is said, with quotes and without", async () => {
    for (const [content, format] of [
      [text, "csv"],
      [text, "tsv"],
      [text.replaceAll('"', "").replace("a;b", "a"), "csv"],
    ] as const) {
      const table = await csv(content, { format, delimiter: ";" });
      expect(table).toMatchObject({ rows: 1, names: ["id", expect.stringMatching(/^a/), "c"] });
      expect(plain(await table.column("c"))).toEqual(["int32", [3]]);
    }
    expect(plain(await (await csv("x|y\n1|2\n", { delimiter: "|" })).column("y"))).toEqual(["int32", [2]]);
  });

  it.each(["", ";;", '"', "\n", 7 as never])("is refused where it is %j", async (delimiter) => {
    expect(await errorOf(csv(text, { delimiter }))).toMatchObject({ code: "argument", field: "delimiter" });
  });

  it("is of CSV and TSV alone", async () => {
    expect(await errorOf(jsonLines('{"a":1}', { delimiter: ";" }))).toMatchObject({ field: "delimiter" });
  });

  it("is asked for where all of the first line is one cell and seems to be several", async () => {
    for (const text of ["a;b\n1;2\n", "a;b\n0,5;1\n", 'a;b\n"0",5;1\n', "0.5;1\n"]) {
      const error = await errorOf(csv(text));
      expect(error).toMatchObject({ code: "argument", field: "delimiter" });
      expect(error.found).toBe("no commas in the first line, but semicolons");
      expect(error.fix).toContain('say delimiter: ";" (command line: --delimiter ";")');
    }
    expect((await errorOf(csv("a\tb\n1\t2\n"))).fix).toContain("name the file .tsv");
    expect((await csv("a;b\n1;2\n", { delimiter: "," })).names).toEqual(["a;b"]);
    expect((await csv("a;b,c\n1,2\n")).names).toEqual(["a;b", "c"]);
  });
});

describe("the first line of CSV", () => {
  const clear: readonly [line: string, names: readonly string[], rows: number][] = [
    ["id,label", ["id", "label"], 1],
    [" id , label", ["id", "label"], 1],
    [",label", ["", "label"], 1],
    ["0.5,1", ["0", "1"], 2],
    ["nan,true", ["0", "1"], 2],
    ["3,1", ["0", "1"], 2],
    ["id,0", ["id", "0"], 1],
  ];
  it.each(clear)("%j is what it looks like", async (line, names, rows) => {
    expect(await csv(`${line}\n1,2\n`)).toMatchObject({ names, rows });
  });

  it("names classes where they stand beside a name", async () => {
    expect((await csv("id,0,1,2\n7,0.1,0.2,0.7\n")).names).toEqual(["id", "0", "1", "2"]);
  });

  it.each(["0,1", "0,1,2", "cat,0.5", "img_1,3"])("%j is asked about", async (line) => {
    const [rest] = [line.replace(/[^,]+/g, "0.5")];
    const error = await errorOf(csv(`${line}\n${rest}\n`));
    expect(error).toMatchObject({ code: "argument", field: "header" });
    expect(error.fix).toContain("--no-header");
    expect(await csv(`${line}\n${rest}\n`, { header: true })).toMatchObject({ names: line.split(","), rows: 1 });
    expect(await csv(`${line}\n${rest}\n`, { header: false })).toMatchObject({ rows: 2 });
  });
});

describe("columns of a table", () => {
  it("are named where they are not there, with the near miss", async () => {
    const error = await errorOf((await csv("score,label\n1,2\n")).column("scores"));
    expect(error).toMatchObject({ code: "unknown", where: "t.csv", fix: 'write "score".' });
    expect((await errorOf((await csv("a\n1\n")).column("__proto__"))).code).toBe("unknown");
  });

  it("that are not needed are not kept, and not given", async () => {
    for (const table of [await csv("a,b\n1,2\n", { only: ["b"] }), await jsonLines('{"a":1,"b":2}', { only: ["b"] })]) {
      expect(table.names).toEqual(["a", "b"]);
      expect(plain(await table.column("b"))).toEqual(["int32", [2]]);
      expect((await errorOf(table.column("a"))).found).toContain("not kept");
    }
  });

  it("need a format that name or bytes tell", async () => {
    expect((await errorOf(parseTable(utf8("a\n1\n"), { name: "table.xlsx" }))).code).toBe("argument");
    expect(await parseTable(utf8("a\n1\n"), { format: "csv" })).toMatchObject({ rows: 1 });
    expect((await errorOf(parseTable(utf8("x"), { name: "t.parquet" }))).found).toContain("another beginning");
    expect((await errorOf(jsonLines('{"a":1}', { header: true }))).field).toBe("header");
    expect((await errorOf(csv("a\n1\n", { headers: true } as TableOptions))).fix).toContain('"header"');
  });
});

describe("JSON lines", () => {
  const columns: readonly [what: string, cells: readonly string[], expected: unknown][] = [
    ["whole numbers are int32", ["1", "-2"], ["int32", [1, -2]]],
    [
      "ids of 64 bits are exact",
      ["9007199254740993", "-9223372036854775808"],
      ["int64", [9007199254740993n, -(2n ** 63n)]],
    ],
    ["a long fraction is no id", ["0.12345678901234566", "1"], ["float64", [0.12345678901234566, 1]]],
    [
      "words for what JSON cannot spell",
      ["0.5", '"nan"', '"inf"', '"-inf"'],
      ["float64", [0.5, NaN, Infinity, -Infinity]],
    ],
    ["true and false", ["true", "false"], ["bool", [1, 0]]],
    ["text", ['"a"', '"nan"'], ["a", "nan"]],
    ["digits in text stay text", ['"12345678901234567"', '"x"'], ["12345678901234567", "x"]],
    ["lists of one length are an axis", ["[0.1,0.9]", "[1,0]"], ["float64", [2, 2], [0.1, 0.9, 1, 0]]],
    ["lists of ids", ["[9007199254740993]", "[1]"], ["int64", [2, 1], [9007199254740993n, 1n]]],
    ["lists in lists", ["[[1,2],[3,4]]"], ["int32", [1, 2, 2], [1, 2, 3, 4]]],
    ["lists of booleans", ["[true]", "[false]"], ["bool", [2, 1], [1, 0]]],
    ["empty lists", ["[]", "[]"], ["int32", [2, 0], []]],
  ];
  it.each(columns)("%s", async (_, cells, expected) => {
    const table = await jsonLines(cells.map((cell, i) => `{"row": ${i}, "x": ${cell}}`).join("\n"));
    expect(table).toMatchObject({ format: "jsonl", names: ["row", "x"], rows: cells.length });
    expect(plain(await table.column("x"))).toEqual(expected);
  });

  const refused: readonly [what: string, lines: readonly string[], found: string][] = [
    ["null", ['{"x":1}', '{"x":null}'], "null at line 2"],
    ["a line without the key", ['{"x":1}', '{"y":1}', '{"x":1}'], "no value at line 2"],
    ["null in a list", ['{"x":[1,null]}'], "a list with null at line 1"],
    ["text among numbers", ['{"x":1}', '{"x":"a"}'], '"a" at line 2'],
    ["a boolean among numbers", ['{"x":1}', '{"x":true}'], '"true" at line 2'],
    ["lists of other lengths", ['{"x":[1,2]}', '{"x":[1]}'], "a list of 1 at line 2"],
    ["a number among lists", ['{"x":[1]}', '{"x":1}'], "1 at line 2"],
    ["a list among numbers", ['{"x":1}', '{"x":[1]}'], "a list of 1 at line 2"],
    ["an object", ['{"x":{"a":1}}'], "an object at line 1"],
    ["integers beyond 64 bits", ['{"x":9223372036854775808}'], "9223372036854775808 at line 1"],
  ];
  it.each(refused)("refuse %s", async (_, lines, found) => {
    const error = await errorOf((await jsonLines(lines.join("\n"))).column("x"));
    expect(error).toMatchObject({ code: "file", where: "t.jsonl", field: "x" });
    expect(error.found).toContain(found);
  });

  const broken: readonly [what: string, text: string, where: string][] = [
    ["what is no JSON", '{"x":1}\n{"x":\n', "t.jsonl, line 2"],
    ["bare NaN", '{"x":NaN}', "t.jsonl, line 1"],
    ["a key twice", '{"x":1,"x":2}', "t.jsonl, line 1"],
    ["a hostile key", '{"__proto__":1}', "t.jsonl, line 1"],
    ["deep nesting", `{"x":${"[".repeat(100)}${"]".repeat(100)}}`, "t.jsonl, line 1"],
    ["very deep nesting", `{"x":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, "t.jsonl, line 1"],
    ["numbers beyond a double", '{"x":1e999}', "t.jsonl, line 1"],
    ["a list around all", "[1]", "t.jsonl, line 1"],
    ["nothing", "\n", "t.jsonl"],
  ];
  it.each(broken)("refuse %s", async (_, text, where) => {
    expect(await errorOf(jsonLines(text))).toMatchObject({ code: "file", where });
  });

  it("with numbers in quotes are answered with numbers without", async () => {
    for (const cells of ['{"x":"0.2"}\n{"x":"a"}', '{"x":0.5}\n{"x":"0.2"}', '{"x":"0.2"}']) {
      const error = await errorOf((await jsonLines(cells)).column("x", "numbers"));
      expect(error.fix).toBe("write 0.2 without quotes, not as text.");
    }
  });

  it("with words that are spelt otherwise are answered with the spelling", async () => {
    for (const [cell, said] of [
      ["NaN", 'write "nan"'],
      ["True", "write true without quotes"],
      ["cat", "number the classes"],
      ["", 'write "nan"'],
    ] as const) {
      const error = await errorOf((await jsonLines(`{"x":0.5}\n{"x":${JSON.stringify(cell)}}`)).column("x", "numbers"));
      expect(error.fix).toContain(said);
    }
  });

  it("give no text where numbers are wanted, and no numbers where text is", async () => {
    const table = await jsonLines('{"x":"a","y":1}');
    expect((await errorOf(table.column("x", "numbers"))).found).toContain('"a" at line 1');
    expect((await errorOf(table.column("y", "text"))).found).toContain("1 at line 1");
  });
});

describe("tables packed with gzip", () => {
  const text = `x\n${Array.from({ length: 5000 }, (_, i) => i).join("\n")}\n`;
  const packed = gzipSync(text);

  it("are read as what they hold, of one member or several", async () => {
    const [a, b] = [utf8(text.slice(0, 900)), utf8(text.slice(900))];
    for (const bytes of [packed, Buffer.concat([gzipSync(a), gzipSync(b)])]) {
      const table = await parseTable(bytes, { name: "t.csv.gz" });
      expect(((await table.column("x")) as Tensor).data).toEqual(Int32Array.from({ length: 5000 }, (_, i) => i));
    }
    expect(await parseTable(gzipSync('{"a":1}'), { name: "t.jsonl.gz" })).toMatchObject({ names: ["a"] });
  });

  it("are refused wherever they are cut off, and wherever a bit of the sums at their end is wrong", async () => {
    for (const length of [2, 9, 12, 100, packed.length - 9, packed.length - 8, packed.length - 1]) {
      const error = await errorOf(parseTable(packed.subarray(0, length), { name: "t.csv.gz" }));
      expect(error, `${length} bytes`).toMatchObject({ code: "file", where: "t.csv.gz" });
    }
    for (let at = packed.length - 8; at < packed.length; at++) {
      const wrong = Buffer.from(packed);
      wrong[at]! ^= 1;
      expect((await errorOf(parseTable(wrong, { name: "t.csv.gz" }))).field).toBe("crc");
    }
  });

  it("are refused as errors of the file for any byte that is changed, or read as they were", async () => {
    for (let at = 0; at < packed.length; at += 7) {
      const wrong = Buffer.from(packed);
      wrong[at]! ^= 0x55;
      const read = await parseTable(wrong, { name: "t.csv.gz" }).then(
        (table) => table.rows,
        (error: unknown) => error,
      );
      if (read === 5000) expect(at).toBeLessThan(10);
      else expect(read).toBeInstanceOf(LosswrightError);
    }
  });

  it("are stopped where they unpack to more than a text can be", async () => {
    const zeros = gzipSync(new Uint8Array(64 * 1024 * 1024));
    const bomb = Buffer.concat(Array.from({ length: 9 }, () => zeros));
    const error = await errorOf(parseTable(bomb, { name: "t.csv.gz" }));
    expect(error).toMatchObject({ code: "file", field: "data", found: "more" });
  });
});

describe("round trips", () => {
  const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;
  const cell = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", "\t", " ", "é", "𝒳", "7", ".") });

  it("of any text through CSV and TSV, and through JSON lines", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), async (rows) => {
        for (const [format, between] of [
          ["csv", ","],
          ["tsv", "\t"],
        ] as const) {
          const text = [["a", "b"], ...rows].map((row) => row.map(quoted).join(between)).join("\r\n");
          const table = await parseTable(utf8(text), { format });
          expect(await table.column("a", "text")).toEqual(rows.map(([a]) => a));
          expect(await table.column("b", "text")).toEqual(rows.map(([, b]) => b));
        }
        const table = await jsonLines(rows.map(([a, b]) => JSON.stringify({ a, b })).join("\n"));
        expect(await table.column("a", "text")).toEqual(rows.map(([a]) => a));
      }),
      { numRuns: 100 },
    );
  });

  it("say the same of cells that are quoted and of cells that are not, errors too", async () => {
    const bare = fc.string({ unit: fc.constantFrom("a", "b", ",", "\n", "\r", " ", "7", ".", "-") });
    const outcome = (text: string) =>
      csv(text, { header: false }).then(
        async (table) => [table.names, ...(await Promise.all(table.names.map((name) => table.column(name, "text"))))],
        (error: LosswrightError) => [error.field, error.found],
      );
    await fc.assert(
      fc.asyncProperty(bare, async (text) => {
        // A quoted cell of its own line before makes the parser of quoted cells read the rest.
        const width = text.split(/[\r\n]/)[0]!.split(",").length;
        const first = Array.from({ length: width }, (_, i) => `q${i}`);
        const quotedFirst = first.map(quoted).join(",");
        expect(await outcome(`${first.join(",")}\n${text}`)).toEqual(await outcome(`${quotedFirst}\n${text}`));
      }),
      { numRuns: 300 },
    );
  });

  it("of any doubles and any integers of 64 bits, to the bit", async () => {
    const ids = fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double(), { minLength: 1 }), ids, async (doubles, integers) => {
        const spelt = doubles.map((value) => (Object.is(value, -0) ? "-0" : String(value)));
        const column = (await (await csv(`x\n${spelt.join("\n")}`)).column("x")) as Tensor;
        expect(Float64Array.from(column.data as Float64Array, Number)).toEqual(Float64Array.from(doubles));
        for (const table of [
          await csv(`x\n${integers.join("\n")}`),
          await jsonLines(integers.map((value) => `{"x":${value}}`).join("\n")),
        ]) {
          const { data } = (await table.column("x")) as Tensor;
          expect(Array.from(data as BigInt64Array, BigInt)).toEqual(integers);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("of any bytes give a table or an error of ours, never another", async () => {
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: "binary" }).map(utf8), cell.map(utf8));
    await fc.assert(
      fc.asyncProperty(
        bytes,
        fc.constantFrom("csv", "tsv", "jsonl", "parquet") as fc.Arbitrary<"csv">,
        async (given, format) => {
          try {
            const table = await parseTable(given, { format });
            for (const name of table.names) await table.column(name);
          } catch (error) {
            expect(error).toBeInstanceOf(LosswrightError);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});
