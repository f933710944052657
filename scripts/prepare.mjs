// What every script needs before it runs: the packages of the lock file, and a build no older than its sources.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const installed = join(root, "node_modules", ".losswright-lock");
const built = join(root, ".cache", "sources");

/** Runs a command; quiet ones show their output only when they fail. Ends the script when it fails. */
export function run(command, args, { quiet = false } = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: quiet ? "pipe" : "inherit", encoding: "utf8" });
  if (result.status === 0) return;
  if (quiet) process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  if (result.error) process.stderr.write(`${command}: ${result.error.message}\n`);
  process.exit(result.status || 1);
}

/** The path of a tool that npm installed. */
export function tool(name) {
  return join(root, "node_modules", ".bin", name);
}

/** Installs the packages of the lock file when they are not there yet, quietly. */
export function install() {
  const lock = hashOf([join(root, "package-lock.json")]);
  if (read(installed) === lock) return;
  // Not `npm ci`: it refuses a lock file that lists native packages of this platform alone.
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], { quiet: true });
  writeFileSync(installed, lock);
}

/** Compiles the sources into dist/ when they changed since the last build. */
export function build() {
  const sources = hashOf([...filesIn(join(root, "src")), join(root, "tsconfig.json"), join(root, "package.json")]);
  if (read(built) === sources && existsSync(join(root, "dist", "index.js"))) return;
  rmSync(join(root, "dist"), { recursive: true, force: true });
  run(tool("tsc"), ["-p", "tsconfig.json"]);
  writeModules();
  mkdirSync(dirname(built), { recursive: true });
  writeFileSync(built, sources);
}

/** Writes the embedded WebAssembly modules as files, for pages that fetch them. */
function writeModules() {
  const folder = join(root, "dist", "kernels", "wasm");
  mkdirSync(folder, { recursive: true });
  for (const file of filesIn(join(root, "src", "kernels", "binaries"))) {
    const [, base64] = readFileSync(file, "utf8").match(/base64:\s*"([^"]*)"/);
    writeFileSync(join(folder, `${basename(file, ".ts")}.wasm`), Buffer.from(base64, "base64"));
  }
}

function read(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

function hashOf(files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file.slice(root.length)).update("\0").update(readFileSync(file));
  return hash.digest("hex");
}
