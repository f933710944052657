import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { rolldown } from "rolldown";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LosswrightError } from "../errors/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { openTable } from "./files.js";
import { encodeNpy } from "./npy.js";
import { encodeNpz } from "./npz.js";
import { encodeSafetensors } from "./safetensors.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "losswright-table-"));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function errorOf(work: Promise<unknown>): Promise<LosswrightError> {
  const error = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof LosswrightError) return error;
  throw error;
}

const numbers = [0.5, 2, -3];
const x = tensor(Float64Array.from(numbers));
const parquet = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: "x", data: numbers, type: "DOUBLE" }] }));
const files: readonly [name: string, bytes: Uint8Array | string, names: readonly string[]][] = [
  ["t.csv", "x\n0.5\n2\n-3\n", ["x"]],
  ["t.tsv", "x\n0.5\n2\n-3\n", ["x"]],
  ["t.csv.gz", gzipSync("x\n0.5\n2\n-3\n"), ["x"]],
  ["t.jsonl", '{"x":0.5}\n{"x":2}\n{"x":-3}\n', ["x"]],
  ["t.parquet", parquet, ["x"]],
  ["named by nothing", parquet, ["x"]],
  ["t.npy", encodeNpy(x), []],
  ["t.npz", encodeNpz(new Map([["x", x]])), ["x"]],
  ["t.safetensors", encodeSafetensors(new Map([["x", x]])), ["x"]],
];

describe("openTable", () => {
  it.each(files)("gives the column of %s", async (name, bytes, names) => {
    const path = join(root, name);
    await writeFile(path, bytes);
    const file = await openTable(path);
    try {
      expect(file.names).toEqual(names);
      const column = (await file.column(names[0], "numbers")) as Tensor;
      expect(column).toMatchObject({ dtype: "float64", shape: [3] });
      expect([...(column.data as Float64Array)]).toEqual(numbers);
      // The only column need not be named.
      expect(await file.column()).toEqual(column);
      if (/csv|tsv/.test(name)) expect(await file.column(names[0], "text")).toEqual(numbers.map(String));
      else expect(await errorOf(file.column(names[0], "text"))).toMatchObject({ code: "file", where: path });
      if (names.length > 0) expect((await errorOf(file.column("y"))).code).toBe("unknown");
    } finally {
      await file.close();
    }
  });

  it("wants a name where there are several columns", async () => {
    const path = join(root, "t.csv");
    await writeFile(path, "a,b\n1,2\n");
    const error = await errorOf((await openTable(path)).column());
    expect(error).toMatchObject({ code: "argument", where: path, fix: `name the column: ${path}#a.` });
  });

  it("names the file that is missing, a directory, or of a format that nothing tells", async () => {
    const path = join(root, "missing.csv");
    expect((await errorOf(openTable(path))).found).toContain("no such file");
    expect((await errorOf(openTable(root))).found).toContain("a directory");
    await writeFile(join(root, "t.xlsx"), "PK not really");
    expect((await errorOf(openTable(join(root, "t.xlsx")))).code).toBe("argument");
    await writeFile(join(root, "t.npy"), "x");
    expect((await errorOf(openTable(join(root, "t.npy")))).code).toBe("file");
  });
});

describe("the readers of tables", () => {
  it("need nothing of Node in a browser, and load the parsers when a file needs them", {
    timeout: 120_000,
  }, async () => {
    const entry = new URL("./table.ts", import.meta.url).pathname;
    const build = await rolldown({
      input: entry,
      platform: "browser",
      logLevel: "silent",
      resolve: { extensionAlias: { ".js": [".ts", ".js"] } },
    });
    const { output } = await build.generate({ format: "es", minify: true });
    const chunks = output.filter((each) => each.type === "chunk");
    for (const { code, fileName } of chunks) expect(code, fileName).not.toMatch(/from\s*"node:|require\("/);
    const named = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
    const loaded = new Set([chunks.find(({ isEntry }) => isEntry)!.fileName]);
    for (const file of loaded) for (const more of named.get(file)!.imports) loaded.add(more);
    const later = new Set([...loaded].flatMap((file) => named.get(file)!.dynamicImports));
    expect(later.size).toBe(3);
    expect([...later].filter((file) => loaded.has(file))).toEqual([]);
    // The parser of CSV alone has 50 kB, that of Parquet 180 kB.
    expect([...loaded].reduce((sum, file) => sum + named.get(file)!.code.length, 0)).toBeLessThan(25_000);
  });
});
