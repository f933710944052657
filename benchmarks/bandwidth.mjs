// What this machine's memory gives: large Float32Arrays copied by all threads at once, bytes read and written.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const elements = 1 << 26;
const repetitions = 9;

/** Copies one array into another of its own whenever the round number changes, and says when it is done. */
function copyOnRequest({ rounds, done, length }) {
  const source = new Float32Array(length).fill(1);
  const target = new Float32Array(length).fill(2);
  parentPort.postMessage("ready");
  for (let round = 0; ; round++) {
    Atomics.wait(rounds, 0, round);
    if (Atomics.load(rounds, 0) < 0) return;
    target.set(source);
    Atomics.add(done, 0, 1);
    Atomics.notify(done, 0);
  }
}

/** Gigabytes a second that `threads` threads copy together, read and written bytes counted; best of several. */
export async function copyBandwidth(threads) {
  const rounds = new Int32Array(new SharedArrayBuffer(4));
  const done = new Int32Array(new SharedArrayBuffer(4));
  const length = Math.floor(elements / threads);
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL(import.meta.url), { workerData: { copies: { rounds, done, length } } }),
  );
  try {
    await Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve, reject) => {
            worker.once("message", resolve);
            worker.once("error", reject);
          }),
      ),
    );
    let best = Number.POSITIVE_INFINITY;
    for (let round = 1; round <= repetitions; round++) {
      Atomics.store(done, 0, 0);
      const start = process.hrtime.bigint();
      Atomics.store(rounds, 0, round);
      Atomics.notify(rounds, 0);
      for (let count = 0; count < threads; count = Atomics.load(done, 0)) Atomics.wait(done, 0, count);
      best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e9);
    }
    return (2 * 4 * length * threads) / best / 1e9;
  } finally {
    Atomics.store(rounds, 0, -1);
    Atomics.notify(rounds, 0);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

if (!isMainThread && workerData?.copies) copyOnRequest(workerData.copies);
