// Compiles the AssemblyScript sources in src/kernels/assembly to WebAssembly, and writes each module as TypeScript
// (base64) into src/kernels/binaries. With --check it only compares what it would write with what is there.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { install, root } from "./prepare.mjs";

install();
const { compileKernels, modules } = await import("./compile-kernels.mjs");
const target = join(root, "src", "kernels", "binaries");
const check = process.argv.includes("--check");
const limit = 100_000;
let total = 0;

for (const name of modules) {
  const binary = await compileKernels(name).catch((error) => fail(error.message));
  const compressed = brotliCompressSync(binary).length;
  total += compressed;
  console.log(`kernels  ${name.padEnd(12)} ${kilobytes(binary.length)}, ${kilobytes(compressed)} compressed`);
  const text = [
    "// Written by scripts/kernels.mjs from the sources in src/kernels/assembly; do not edit.",
    'import type { KernelModule } from "../module.js";',
    "",
    `export const ${name}Module: KernelModule = {`,
    `  name: "${name}",`,
    "  base64:",
    `    "${Buffer.from(binary).toString("base64")}",`,
    "};",
    "",
  ].join("\n");
  const file = join(target, `${name}.ts`);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  if (check) fail(`${name}: the committed module is not what its sources compile to; run npm run kernels`);
  mkdirSync(target, { recursive: true });
  writeFileSync(file, text);
}
if (total > limit) fail(`the modules take ${kilobytes(total)} compressed, more than ${kilobytes(limit)}`);

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
