// Compiles the AssemblyScript sources in src/kernels/assembly to WebAssembly, and writes each module as TypeScript
// (base64) into src/kernels/binaries. With --check it only compares what it would write with what is there.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import asc from "assemblyscript/asc";
import { install, root } from "./prepare.mjs";

install();
/** Modules share one memory: the constants of each lie in a range of their own, below the heap of `session.ts`. */
const RANGE = 32_768;
const modules = ["pointwise", "softmax", "similarity", "ctc"];
const folder = join(root, "src", "kernels", "assembly");
const target = join(root, "src", "kernels", "binaries");
const check = process.argv.includes("--check");
let total = 0;

for (const [i, name] of modules.entries()) {
  if (!existsSync(join(folder, `${name}.ts`))) continue;
  const base = 4096 + i * RANGE;
  const { binary } = await compile(name, base);
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
if (total > 100_000) fail(`the modules take ${kilobytes(total)} compressed, more than 100 kB`);

async function compile(name, base) {
  const files = new Map();
  const { error, stderr } = await asc.main(
    [
      `${name}.ts`,
      ...["--outFile", "module.wasm", "--optimizeLevel", "3", "--shrinkLevel", "0", "--converge", "--noAssert"],
      ...["--runtime", "stub", "--importMemory", "--sharedMemory", "--initialMemory", "4", "--maximumMemory", "65536"],
      ...["--enable", "simd", "--enable", "threads", "--enable", "bulk-memory"],
      ...["--memoryBase", String(base), "--use", "abort="],
    ],
    {
      readFile: (path, from) => {
        const file = join(from ?? folder, path);
        return existsSync(join(folder, path))
          ? readFileSync(join(folder, path), "utf8")
          : existsSync(file)
            ? readFileSync(file, "utf8")
            : null;
      },
      writeFile: (path, contents) => files.set(path, contents),
      listFiles: () => [],
    },
  );
  if (error) fail(`${name}: ${error.message}\n${stderr.toString()}`);
  const binary = files.get("module.wasm");
  const top = constantsEnd(binary);
  if (top > base + RANGE) fail(`${name}: constants reach ${top}, beyond their range ${base}..${base + RANGE}`);
  return { binary };
}

/** Where the data segments of a module end. */
function constantsEnd(binary) {
  let at = 8;
  const read = (signed) => {
    let [value, shift, byte] = [0, 0, 0];
    do {
      byte = binary[at++];
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    return signed && shift < 32 && byte & 64 ? value | (-1 << shift) : value;
  };
  let end = 0;
  while (at < binary.length) {
    const id = binary[at++];
    const size = read(false);
    const next = at + size;
    if (id === 11) {
      for (let count = read(false); count > 0; count--) {
        const kind = read(false);
        let offset = 0;
        if (kind === 0) {
          at++;
          offset = read(true);
          at++;
        }
        const length = read(false);
        end = Math.max(end, offset + length);
        at += length;
      }
    }
    at = next;
  }
  return end;
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
