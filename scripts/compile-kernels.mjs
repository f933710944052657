// Compiles modules of kernels from their AssemblyScript sources.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { root } from "./prepare.mjs";

/** Entry files of src/kernels/assembly. */
export const modules = ["pointwise", "softmax", "similarity", "ctc"];
const folder = join(root, "src", "kernels", "assembly");
/** Modules share one memory: the constants of each lie in a range of their own, below the heap of `session.ts`. */
const firstRange = 4096;
const range = 32_768;

/**
 * The WebAssembly of a module.
 *
 * @param replaced - sources by file name that stand in for those of the folder
 */
export async function compileKernels(name, replaced = {}) {
  const files = new Map();
  const base = firstRange + modules.indexOf(name) * range;
  const { error, stderr } = await asc.main(
    [
      `${name}.ts`,
      ...["--outFile", "module.wasm", "--optimizeLevel", "3", "--shrinkLevel", "0", "--converge", "--noAssert"],
      ...["--runtime", "stub", "--importMemory", "--sharedMemory", "--initialMemory", "4", "--maximumMemory", "65536"],
      ...["--enable", "simd", "--enable", "threads", "--enable", "bulk-memory"],
      ...["--memoryBase", String(base), "--use", "abort="],
    ],
    {
      readFile: (path) =>
        replaced[path] ?? (existsSync(join(folder, path)) ? readFileSync(join(folder, path), "utf8") : null),
      writeFile: (path, contents) => files.set(path, contents),
      listFiles: () => [],
    },
  );
  if (error) throw new Error(`${name}: ${error.message}\n${stderr.toString()}`);
  const binary = files.get("module.wasm");
  const end = constantsEnd(binary);
  if (end > base + range)
    throw new Error(`${name}: constants reach ${end}, beyond their range ${base}..${base + range}`);
  return binary;
}

/** Where the data segments of a module end. */
function constantsEnd(binary) {
  let at = 8;
  const read = () => {
    let [value, shift, byte] = [0, 0, 0];
    do {
      byte = binary[at++];
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    return value;
  };
  let end = 0;
  while (at < binary.length) {
    const id = binary[at++];
    const size = read();
    const next = at + size;
    // Segments of the data section: kind 0, `i32.const` offset `end`, then the bytes.
    for (let count = id === 11 ? read() : 0; count > 0; count--) {
      if (read() !== 0) throw new Error("a data segment without a place of its own");
      at++;
      const offset = read();
      at++;
      const length = read();
      end = Math.max(end, offset + length);
      at += length;
    }
    at = next;
  }
  return end;
}
