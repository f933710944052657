import { LosswrightError } from "../errors/index.js";

/** Kernels load whole vectors and cache lines. */
const ALIGNMENT = 64;
const PAGE = 65536;
/** 4 GiB, as far as 32-bit addresses reach. */
export const LARGEST = 65536 * PAGE;

/**
 * Blocks of a WebAssembly memory: first fit over a list of free blocks, neighbors merged when they are given back.
 *
 * There are few blocks (tensors, and the staging of the engine), so a list is enough.
 */
export class Heap {
  private readonly free: { start: number; size: number }[] = [];
  private readonly sizes = new Map<number, number>();
  private end: number;
  /** How often the memory grew; each time it has another buffer. */
  growths = 0;

  constructor(
    private readonly memory: WebAssembly.Memory,
    start: number,
  ) {
    this.end = start;
  }

  /** Bytes in blocks that were not given back. */
  get used(): number {
    let sum = 0;
    for (const size of this.sizes.values()) sum += size;
    return sum;
  }

  /** @throws `memory` where the memory cannot grow that far */
  allocate(bytes: number): number {
    const size = Math.max(Math.ceil(bytes / ALIGNMENT), 1) * ALIGNMENT;
    const at = this.free.findIndex((block) => block.size >= size);
    if (at >= 0) {
      const block = this.free[at]!;
      if (block.size === size) this.free.splice(at, 1);
      else this.free[at] = { start: block.start + size, size: block.size - size };
      this.sizes.set(block.start, size);
      return block.start;
    }
    const start = this.end;
    this.growTo(start + size, bytes);
    this.end = start + size;
    this.sizes.set(start, size);
    return start;
  }

  release(start: number): void {
    const size = this.sizes.get(start)!;
    this.sizes.delete(start);
    this.free.push({ start, size });
    this.free.sort((a, b) => a.start - b.start);
    for (let i = this.free.length - 1; i > 0; i--) {
      const [left, right] = [this.free[i - 1]!, this.free[i]!];
      if (left.start + left.size !== right.start) continue;
      this.free.splice(i - 1, 2, { start: left.start, size: left.size + right.size });
    }
    const last = this.free.at(-1);
    if (!last || last.start + last.size !== this.end) return;
    this.end = last.start;
    this.free.pop();
  }

  private growTo(end: number, asked: number): void {
    const missing = end - this.memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      if (end > LARGEST) throw new RangeError("32-bit addresses reach no further");
      this.memory.grow(Math.ceil(missing / PAGE));
      this.growths++;
    } catch (error) {
      const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
      throw new LosswrightError({
        code: "memory",
        where: "kernels",
        found: `no room for ${megabytes(asked)} beside ${megabytes(this.used)} in use: ${(error as Error).message}`,
        expected: "at most 4 GiB of kernel memory, less where the machine has less",
        fix: "release tensors made with allocate, or pass plain typed arrays: they go through in pieces.",
      });
    }
  }
}
