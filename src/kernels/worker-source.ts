/** Cells of the block through which the threads of a pool agree on a job. */
export const Cell = {
  /** Raised by one for each job; threads wait for it to change. */
  generation: 0,
  /** 1 while a job takes threads in. */
  open: 1,
  /** The next chunk nobody has taken. */
  next: 2,
  chunks: 3,
  /** Threads beside the main one that may still be at work. */
  active: 4,
  /** Where the bytes of the job's module lie, how many there are, and its number. */
  moduleAt: 5,
  moduleLength: 6,
  module: 7,
  /** Which export of the module runs, in their order. */
  kernel: 8,
  record: 9,
  rows: 10,
  rowsPerChunk: 11,
  /** Scratch of thread i lies at scratch + i · stride. */
  scratch: 12,
  stride: 13,
  /** int32 a chunk: rows that the kernel left to the reference. */
  odd: 14,
  /** 1 after a thread failed; its words follow, UTF-16, `said` of them. */
  failed: 15,
  said: 16,
  /** 1 when threads are to end. */
  stop: 17,
  /** Threads that have come up. */
  ready: 18,
} as const;

export const WORDS_AT = 32;
export const LONGEST_WORDS = 400;
/** Bytes of the block. */
export const CONTROL_BYTES = 4 * (WORDS_AT + LONGEST_WORDS);

/** How long a thread looks for the next job before it sleeps. */
const SPINS = 2000;

/**
 * What a worker runs, as text: it is started from a string in Node and from a blob in browsers, so that bundlers need
 * to know nothing of it. `pool.ts` tells how threads agree.
 */
export const workerSource = `
"use strict";
const run = ({ memory, control, id }) => {
  const cells = new Int32Array(memory.buffer, control, ${WORDS_AT + LONGEST_WORDS});
  const kernels = new Map();
  const word = (cell) => Atomics.load(cells, cell) >>> 0;
  const kernel = () => {
    const key = word(${Cell.module});
    if (!kernels.has(key)) {
      const bytes = new Uint8Array(memory.buffer, word(${Cell.moduleAt}), word(${Cell.moduleLength})).slice();
      const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
      kernels.set(key, Object.values(instance.exports).filter((item) => typeof item === "function"));
    }
    return kernels.get(key)[word(${Cell.kernel})];
  };
  const work = () => {
    const chunks = word(${Cell.chunks});
    if (word(${Cell.next}) >= chunks) return;
    const compute = kernel();
    const [rows, size, record] = [word(${Cell.rows}), word(${Cell.rowsPerChunk}), word(${Cell.record})];
    const scratch = word(${Cell.scratch}) + id * word(${Cell.stride});
    const odd = new Int32Array(memory.buffer, word(${Cell.odd}), chunks);
    for (let chunk; (chunk = Atomics.add(cells, ${Cell.next}, 1)) < chunks; ) {
      odd[chunk] = compute(record, chunk * size, Math.min((chunk + 1) * size, rows), scratch);
    }
  };
  Atomics.add(cells, ${Cell.ready}, 1);
  for (let seen = -1; ; ) {
    for (let i = 0; i < ${SPINS} && Atomics.load(cells, ${Cell.generation}) === seen; i++);
    Atomics.wait(cells, ${Cell.generation}, seen);
    if (Atomics.load(cells, ${Cell.stop})) return;
    seen = Atomics.load(cells, ${Cell.generation});
    Atomics.add(cells, ${Cell.active}, 1);
    Atomics.notify(cells, ${Cell.active});
    try {
      if (Atomics.load(cells, ${Cell.open})) work();
    } catch (error) {
      const words = String(error).slice(0, ${LONGEST_WORDS});
      for (let i = 0; i < words.length; i++) cells[${WORDS_AT} + i] = words.charCodeAt(i);
      cells[${Cell.said}] = words.length;
      Atomics.store(cells, ${Cell.failed}, 1);
    }
    if (Atomics.sub(cells, ${Cell.active}, 1) === 1) Atomics.notify(cells, ${Cell.active});
  }
};
if (typeof process === "object" && process.versions && process.versions.node) {
  run(process.getBuiltinModule("node:worker_threads").workerData);
  process.exit();
} else {
  self.onmessage = ({ data }) => {
    run(data);
    self.close();
  };
}
`;
