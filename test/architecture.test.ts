/**
 * "Imports go one way" of the design, held against the import statements of src. Folders that do not exist yet stand
 * in the table already; one that exists and stands not in it is an error.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const everything = "everything";

/** What each folder may import, beside `errors`, `numerics` and `host`, which everything may. */
const table: Readonly<Record<string, readonly string[] | typeof everything>> = {
  errors: [],
  host: [],
  numerics: [],
  tensor: [],
  // A tally carries the contract whose numbers it holds, in canonical form.
  tally: ["tensor", "contract"],
  contract: ["tensor"],
  kernels: ["tensor"],
  sequence: ["tensor"],
  chat: ["tensor", "sequence"],
  losses: ["tensor", "tally", "contract", "kernels", "sequence"],
  metrics: ["tensor", "tally", "contract", "kernels", "sequence", "losses"],
  decisions: ["tensor", "tally"],
  calibration: ["tensor", "tally", "contract", "decisions"],
  charts: [],
  log: ["tensor", "tally", "contract", "losses", "metrics", "charts", "io"],
  group: ["tally", "tensor", "losses"],
  report: ["tensor", "contract", "metrics", "charts"],
  io: ["tensor", "tally", "contract", "losses"],
  audit: ["tensor", "tally", "contract", "losses", "metrics", "sequence", "io", "inspect"],
  inspect: ["tensor", "contract", "losses", "sequence", "io"],
  recorder: ["tensor", "contract", "losses", "tally", "io"],
  adapters: ["tensor", "contract", "losses", "metrics"],
  cli: everything,
};
const forEveryone = ["errors", "numerics", "host"];

/** The part that a browser runs: no folder of it knows Node. */
const core = [
  ...forEveryone,
  "tensor",
  "tally",
  "contract",
  "sequence",
  "chat",
  "losses",
  "group",
  "metrics",
  "decisions",
  "calibration",
];

interface Import {
  /** Path inside src, with slashes. */
  readonly from: string;
  readonly specifier: string;
}

const source = new URL("../src/", import.meta.url);

/** Every import, export-from and dynamic import of the code, tests and their helpers left out. */
function importsOfSource(): Import[] {
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
  const code = files.filter((path) => /\.ts$/.test(path) && !/\.(test|test-d|test-helper)\.ts$/.test(path));
  return code.flatMap((from) => {
    const text = readFileSync(new URL(from, source), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
    const statements = text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
    return [...statements].map(([, specifier]) => ({ from, specifier: specifier! }));
  });
}

const imports = importsOfSource();

/** The folder of src that a path lies in; "" for the entry files. */
const folderOf = (path: string) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "");

/** The path inside src that a relative import means, or undefined for a package. */
function targetOf({ from, specifier }: Import): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, new URL(from, source)).pathname.slice(source.pathname.length);
}

/** What touches the disk: files that are read or placed whole, and those that grow. */
const disk = ["io/files", "io/growing-file"];
const isDisk = (path: string | undefined) => path !== undefined && disk.includes(path.replace(/\.[jt]s$/, ""));

/** WebAssembly modules, as the build writes them. */
const binaries = readdirSync(new URL("kernels/binaries/", source)).map(
  (name) => `kernels/binaries/${name.replace(/\.ts$/, ".js")}`,
);

/** Imports from one folder into another. */
const crossings = imports.flatMap((found) => {
  const target = targetOf(found);
  const [from, to] = [folderOf(found.from), target === undefined ? undefined : folderOf(target)];
  return to === undefined || from === to || from === "" ? [] : [{ ...found, folder: from, to }];
});

describe("imports", () => {
  it("are read at all", () => {
    expect(imports.length).toBeGreaterThan(50);
    expect(crossings.length).toBeGreaterThan(20);
  });

  it("have every folder of src in the table", () => {
    const folders = readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).filter((name) => !(name in table))).toEqual([]);
  });

  it("go one way between folders", () => {
    const wrong = crossings.filter(({ folder, to }) => {
      const allowed = table[folder] ?? [];
      return allowed !== everything && !forEveryone.includes(to) && !allowed.includes(to);
    });
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  it("make no cycle of folders", () => {
    const edges = new Map<string, Set<string>>();
    for (const { folder, to } of crossings) edges.set(folder, (edges.get(folder) ?? new Set()).add(to));
    const done = new Set<string>();
    const visit = (folder: string, path: readonly string[]): void => {
      if (path.includes(folder)) expect.fail(`a cycle: ${[...path.slice(path.indexOf(folder)), folder].join(" → ")}`);
      if (done.has(folder)) return;
      for (const next of edges.get(folder) ?? []) visit(next, [...path, folder]);
      done.add(folder);
    };
    for (const folder of edges.keys()) visit(folder, []);
  });

  it("reach another folder through its index, but for the losses' registry, the disk, logs on it and the kernels' modules", () => {
    // A loss imports the one module it needs: through an index every bundle would hold all of them.
    const besides = ["losses/registry.js", ...disk.map((path) => `${path}.js`), "log/files.js", ...binaries];
    const around = crossings.filter(({ from, specifier }) => {
      const target = targetOf({ from, specifier })!;
      return !/^[^/]+\/index\.js$/.test(target) && !besides.includes(target);
    });
    expect(around.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  it("bring nothing from Node into the part that browsers run", () => {
    const fromNode = imports.filter(({ from, specifier }) => {
      const isCore = core.includes(folderOf(from)) || from === "index.ts";
      return isCore && (specifier.startsWith("node:") || specifier === "fs" || specifier === "path");
    });
    expect(fromNode).toEqual([]);
    const pathsFromCore = crossings.filter(
      ({ folder, to }) => core.includes(folder) && !core.includes(to) && to !== "kernels",
    );
    expect(pathsFromCore).toEqual([]);
  });

  it("bring nothing from Node, nor the disk, into the recorder, which browsers run too", () => {
    const browserRooms = ["recorder", "io", ...core];
    const files = imports.filter(({ from }) => browserRooms.includes(folderOf(from)) && !isDisk(from));
    expect(files.some(({ from }) => folderOf(from) === "recorder")).toBe(true);
    const wrong = files.filter((found) => found.specifier.startsWith("node:") || isDisk(targetOf(found)));
    expect(wrong).toEqual([]);
  });

  it("keep the renderer of pages in charts, inspect/html and audit/html", () => {
    const rendering = imports.filter(({ specifier }) => specifier.startsWith("preact")).map(({ from }) => from);
    expect(rendering.length).toBeGreaterThan(0);
    expect(rendering.filter((from) => !/^(charts|(inspect|audit)\/html)\//.test(from))).toEqual([]);
  });

  it("keep the disk in io/files, io/growing-file and the command line", () => {
    const touching = imports.filter(({ specifier }) => /^node:fs/.test(specifier)).map(({ from }) => from);
    expect(touching.filter((from) => !isDisk(from) && folderOf(from) !== "cli")).toEqual([]);
  });

  it("bring nothing from Node into logs, charts and reports, but where a log has its file", () => {
    const files = imports.filter(({ from }) => ["log", "charts", "report"].includes(folderOf(from)));
    const fromNode = files.filter((found) => found.specifier.startsWith("node:") || isDisk(targetOf(found)));
    expect(fromNode.filter(({ from }) => from !== "log/files.ts")).toEqual([]);
  });
});
