/**
 * Threads of a page in a real browser: the bits of Node, and an end to every failure. Pages are served from here, since
 * shared memory needs headers; one page runs all cases, and its workers the same program.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromium, flags } from "./instruments/chromium.js";
import { compiledCommand, root } from "./instruments/command.js";
import { groupsOf } from "./instruments/ranks.js";
import { everyCall } from "./threads/every-call.mjs";

if (!chromium)
  console.log("skipped: threads in a browser, since no Chromium is on the path (Debian: apt install chromium)");

const { dist, folder } = compiledCommand("threads-browser");
const profiles = mkdtempSync(join(tmpdir(), "losswright-threads-browser-"));

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The page and its workers alike: the page goes through the cases, a worker runs the one that its URL names. */
const program = () => `
import { threads } from ${JSON.stringify(join(dist, "group", "threads.js"))};
import { run } from ${JSON.stringify(join(root, "test", "threads", "pages.mjs"))};
const name = new URL(import.meta.url).searchParams.get("case");
if (name) await run(threads, name, import.meta.url);
else {
  const found = { isolated: crossOriginIsolated };
  for (const name of new URL(location.href).searchParams.getAll("case")) {
    const module = new URL("/program.js?case=" + encodeURIComponent(name), location.href);
    found[name] = await run(threads, name, module).catch((error) => error.code + ": " + error.found);
  }
  await fetch("/done", { method: "POST", body: JSON.stringify(found) });
}
`;

let server: Server;
let address: string;
let code: string;
let answer: (body: string) => void;

beforeAll(async () => {
  if (!chromium) return;
  const entry = join(folder, "page.js");
  writeFileSync(entry, program());
  const build = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
  ({ code } = (await build.generate({ format: "es" })).output[0]);
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    if (!pathname.startsWith("/plain"))
      for (const [name, value] of Object.entries(isolation)) response.setHeader(name, value);
    if (pathname === "/program.js") {
      response.setHeader("Content-Type", "text/javascript");
      response.end(code);
    } else if (pathname === "/done") {
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => answer(body));
    } else if (pathname === "/isolated" || pathname === "/plain") {
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      response.end('<!doctype html><script type="module" src="/program.js"></script>');
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server?.closeAllConnections();
  server?.close();
  rmSync(profiles, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

/** Opens a page, has it go through cases, and gives what it posts back. */
async function open(path: string, cases: readonly string[]): Promise<Record<string, unknown>> {
  const posted = new Promise<string>((found) => {
    answer = found;
  });
  const query = cases.map((name) => `case=${encodeURIComponent(name)}`).join("&");
  const profile = `--user-data-dir=${join(profiles, path.slice(1))}`;
  const browser = spawn(chromium!, [...flags, profile, `${address}${path}?${query}`, "--remote-debugging-port=0"], {
    stdio: "ignore",
    detached: true,
  });
  try {
    const late = new Promise<string>((_, fail) =>
      setTimeout(() => fail(new Error(`${path}: the page did not answer`)), 45_000).unref(),
    );
    return JSON.parse(await Promise.race([posted, late]));
  } finally {
    // The whole group, or its renderers would write into the profile while it is removed.
    process.kill(-browser.pid!, "SIGKILL");
    await new Promise((done) =>
      browser.exitCode === null && browser.signalCode === null ? browser.once("exit", done) : done(0),
    );
  }
}

/** What the same program gives on so many ranks of one process. */
async function here(size: number): Promise<string[]> {
  const all = await Promise.all(groupsOf(size).map((group) => everyCall(group)));
  return all.map((hash) => hash.toString(16));
}

describe("threads in a page that is cross-origin isolated", () => {
  const agreeing = {
    "agree of one": 1,
    agree: 2,
    "agree of four": 4,
    "agree without waking": 2,
    "a worker as rank 0": 2,
  };
  const others = ["throws", "throws later", "another count", "no module", "nowhere to be found"];
  let found: Record<string, unknown>;

  beforeAll(async () => {
    // What runs without waking comes last: the page keeps it up.
    if (chromium) found = await open("/isolated", [...others, "a worker as rank 0", ...Object.keys(agreeing)]);
  }, 60_000);

  it.skipIf(!chromium).each(Object.entries(agreeing))("give the bits of one process: %s", async (name, size) => {
    expect(found.isolated).toBe(true);
    expect(found[name]).toEqual(await here(size));
  });

  it.skipIf(!chromium)("tell the page that a worker failed, at once or later", () => {
    const said = "group: rank 1 failed: ";
    for (const name of ["throws", "throws later"]) {
      const [first, second] = found[name] as string[];
      expect(first).toContain(said);
      expect(first).toContain("TypeError: two words");
      expect(second).toBe(first);
    }
  });

  it.skipIf(!chromium)("tell the page that a worker calls for another count", () => {
    expect(found["another count"]).toBe("group: threads(3) on rank 1 where rank 0 calls threads(2)");
  });

  it.skipIf(!chromium)("need a module that can be loaded", () => {
    expect(found["no module"]).toBe("option: none, where no script runs that others could run as well");
    expect(found["nowhere to be found"]).toBe("group: rank 1 failed: its module /nowhere.js could not be loaded");
  });
});

describe("threads in another page", () => {
  it.skipIf(!chromium)("say which headers are missing, and are possible for one", async () => {
    const found = await open("/plain", ["agree", "agree of one"]);
    expect(found.isolated).toBe(false);
    for (const header of Object.keys(isolation)) expect(found.agree).toContain(header);
    expect(found.agree).toMatch(/^unsupported: /);
    expect(found["agree of one"]).toEqual(await here(1));
  });
});
