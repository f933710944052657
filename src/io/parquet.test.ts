import { readFileSync } from "node:fs";
import fc from "fast-check";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import type { Tensor } from "../tensor/index.js";
import { parseTable } from "./table.js";

interface Fixture {
  readonly name: string;
  readonly bytes: string;
}

/** Files that Apache Arrow wrote, and what it was given: see fixtures/make-parquet.mjs. */
const { rows, values, files }: { rows: number; values: Record<string, unknown[]>; files: Fixture[] } = JSON.parse(
  readFileSync(new URL("./fixtures/parquet.json", import.meta.url), "utf8"),
);
const bytesOf = ({ bytes }: Fixture) => new Uint8Array(Buffer.from(bytes, "base64"));
const named = (name: string) => bytesOf(files.find((file) => file.name === name)!);
const open = (bytes: Uint8Array) => parseTable(bytes, { name: "t.parquet" });

async function errorOf(work: Promise<unknown>): Promise<LosswrightError> {
  const error = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof LosswrightError) return error;
  throw error;
}

type Sources = Parameters<typeof parquetWriteBuffer>[0]["columnData"];
const written = (columnData: Sources, more: object = {}) => new Uint8Array(parquetWriteBuffer({ columnData, ...more }));

const dtypes: Record<string, string> = {
  id: "int64",
  big: "int64",
  label: "int32",
  small: "int32",
  wide: "int64",
  score: "float64",
  single: "float32",
  flag: "bool",
};

describe.each(files)("a Parquet file of Apache Arrow: $name", (file) => {
  it("gives every column as it was", async () => {
    const table = await open(bytesOf(file));
    expect(table).toMatchObject({ format: "parquet", rows, names: Object.keys(values) });
    for (const [name, dtype] of Object.entries(dtypes)) {
      const column = (await table.column(name)) as Tensor;
      expect(column, name).toMatchObject({ dtype, shape: [rows] });
      const plain = Array.from(column.data as Float64Array, (value: number | bigint) =>
        typeof value === "bigint" && name !== "wide" ? `${value}n` : Number(value),
      );
      expect(plain, name).toEqual(values[name]!.map((value) => (typeof value === "boolean" ? Number(value) : value)));
    }
    expect(await table.column("text")).toEqual(values.text);
    const pair = (await table.column("pair", "numbers")) as Tensor;
    expect(pair).toMatchObject({ dtype: "float64", shape: [rows, 2] });
    expect([...(pair.data as Float64Array)]).toEqual(values.pair!.flat());
  });

  it("names the row where a value is missing, or a list has another length", async () => {
    const table = await open(bytesOf(file));
    expect((await errorOf(table.column("gap"))).found).toMatch(/(null|no value) at row 17/);
    expect((await errorOf(table.column("ragged"))).found).toBe("a list of 1 at row 23");
    expect((await errorOf(table.column("holes"))).found).toBe("a list with null at row 31");
    expect((await errorOf(table.column("text", "numbers"))).found).toContain("at row 0");
    expect((await errorOf(table.column("score", "text"))).found).toContain("at row 0");
  });
});

describe("columns of Parquet", () => {
  it("keep their type without rows", async () => {
    const table = await open(
      written([
        { name: "x", data: [], type: "DOUBLE" },
        { name: "t", data: [], type: "STRING" },
      ]),
    );
    expect(await table.column("x")).toMatchObject({ dtype: "float64", shape: [0] });
    expect(await table.column("t")).toEqual([]);
    expect((await errorOf(table.column("x", "text"))).found).toBe("a column of float64");
  });

  it("of decimals are the nearest doubles", async () => {
    const digits = [123, -5, 1, 100000007];
    for (const [type, data] of [
      ["INT32", digits],
      ["INT64", digits.map(BigInt)],
    ] as const) {
      const schema = [
        { name: "root", num_children: 1 },
        { name: "d", type, converted_type: "DECIMAL", scale: 3, precision: 9, repetition_type: "REQUIRED" },
      ];
      const unscaled = digits.map((value) => value / 1000);
      const table = await open(written([{ name: "d", data: type === "INT32" ? unscaled : unscaled }], { schema }));
      expect([...((await table.column("d")) as Tensor<"unlabeled", "float64">).data], String(data)).toEqual(unscaled);
    }
  });

  it("of half precision are float32", async () => {
    const table = await open(written([{ name: "h", data: [0.5, -2, 65504], type: "FLOAT16" }]));
    expect(await table.column("h")).toMatchObject({ dtype: "float32", data: Float32Array.of(0.5, -2, 65504) });
  });

  it("of dates, structures, maps and unsigned numbers beyond 63 bits are refused by name", async () => {
    const date = await open(written([{ name: "d", data: [new Date(0)], type: "TIMESTAMP" }]));
    expect(await errorOf(date.column("d"))).toMatchObject({ code: "unsupported", field: "d" });
    const json = await open(written([{ name: "j", data: [{ a: 1 }], type: "JSON" }]));
    expect((await errorOf(json.column("j"))).found).toContain("JSON");
    const schema = [
      { name: "root", num_children: 1 },
      { name: "u", type: "INT64", converted_type: "UINT_64", repetition_type: "REQUIRED" },
    ];
    const big = await open(written([{ name: "u", data: [1n, 2n ** 63n] }], { schema }));
    expect((await errorOf(big.column("u"))).found).toBe("9223372036854775808 at row 1");
    const struct = [
      { name: "root", num_children: 1 },
      { name: "s", num_children: 1, repetition_type: "REQUIRED" },
      { name: "a", type: "INT32", repetition_type: "REQUIRED" },
    ];
    const nested = await open(written([{ name: "s", data: [{ a: 1 }] }], { schema: struct }));
    expect((await errorOf(nested.column("s"))).found).toBe("a structure");
  });

  it("go around: any doubles, ids, texts and lists", async () => {
    const row = fc.record({
      x: fc.double(),
      id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      t: fc.string({ unit: "grapheme" }),
    });
    const codec = fc.constantFrom("SNAPPY", "UNCOMPRESSED");
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 60 }),
        codec,
        fc.integer({ min: 1, max: 40 }),
        async (given, packing, group) => {
          const table = await open(
            written(
              [
                { name: "x", data: given.map(({ x }) => x), type: "DOUBLE" },
                { name: "id", data: given.map(({ id }) => id), type: "INT64" },
                { name: "t", data: given.map(({ t }) => t), type: "STRING" },
              ],
              { codec: packing, rowGroupSize: group, pageSize: 100 },
            ),
          );
          const x = (await table.column("x")) as Tensor<"unlabeled", "float64">;
          expect(x.data).toEqual(Float64Array.from(given, (each) => each.x));
          const ids = (await table.column("id")) as Tensor<"unlabeled", "int64">;
          expect([...ids.data]).toEqual(given.map(({ id }) => id));
          expect(await table.column("t")).toEqual(given.map(({ t }) => t));
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** What reading all columns of a file comes to: the columns, or errors of ours. */
async function outcome(bytes: Uint8Array): Promise<"read" | "refused"> {
  let result: "read" | "refused" = "read";
  let names: readonly string[];
  let table: Awaited<ReturnType<typeof open>>;
  try {
    table = await open(bytes);
    names = table.names;
  } catch (error) {
    expect(error).toBeInstanceOf(LosswrightError);
    return "refused";
  }
  for (const name of names) {
    try {
      await table.column(name);
    } catch (error) {
      expect(error).toBeInstanceOf(LosswrightError);
      result = "refused";
    }
  }
  return result;
}

describe("a Parquet file that is no good", () => {
  it("is refused wherever it is cut off", async () => {
    const bytes = named("snappy");
    for (let length = 4; length < bytes.length; length += 41) {
      expect((await errorOf(open(bytes.subarray(0, length)))).code, `${length} bytes`).toBe("file");
    }
  });

  it("ends in an error of ours, and soon, whatever byte of it is changed", { timeout: 120_000 }, async () => {
    for (const name of ["snappy", "version 2", "delta", "zstd"]) {
      const bytes = named(name);
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
          const wrong = bytes.slice();
          wrong[at]! ^= change;
          await outcome(wrong);
        }),
        { numRuns: 150 },
      );
    }
  });

  it("makes no room for a run of more values than a page has", async () => {
    // One page of ten values, whose run of indices is then made to declare 2^30 of them.
    const bytes = written([{ name: "x", data: Array.from({ length: 10 }, () => 7), type: "INT32" }], {
      codec: "UNCOMPRESSED",
    });
    const table = await open(bytes);
    expect(await table.column("x")).toMatchObject({ data: new Int32Array(10).fill(7) });
    let refused = 0;
    for (let at = 4; at < bytes.length - 60; at++) {
      const wrong = bytes.slice();
      wrong.set([0x80, 0x80, 0x80, 0x80, 0x08], at);
      if ((await outcome(wrong)) === "refused") refused++;
    }
    expect(refused).toBeGreaterThan(0);
  });

  it("is refused where a page declares more than any file of its size unpacks to", async () => {
    const values = new Array(1000).fill(1.5);
    const bytes = written([{ name: "x", data: values, type: "DOUBLE" }], { codec: "UNCOMPRESSED" });
    // The header of the first page: type, then its unpacked size as a zigzag number behind 0x15.
    const place = bytes.indexOf(0x15, 5);
    const wrong = new Uint8Array(bytes.length);
    wrong.set(bytes);
    wrong.set([0xfe, 0xff], place + 1);
    expect(await outcome(wrong)).toBe("refused");
  });

  it("is told apart where it is encrypted", async () => {
    const bytes = named("snappy");
    bytes.set([0x50, 0x41, 0x52, 0x45], bytes.length - 4);
    expect((await errorOf(open(bytes))).found).toBe("an encrypted file");
  });
});
