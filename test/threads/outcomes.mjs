/**
 * `outcomes.mjs CASE COUNT`: what becomes of a group in which something goes wrong. Every rank runs the case and prints
 * what it is told, a line each.
 */
import { setTimeout as after } from "node:timers/promises";

const { threads } = await import(process.env.LOSSWRIGHT_THREADS);
const [, , name, size] = process.argv;
const count = Number(size);
const one = Float64Array.of(1);

/** What a call of a group comes to, in one line. */
async function heard(group, call) {
  const said = await Promise.resolve()
    .then(call)
    .then(
      () => "came back",
      (error) => `${error.code}: ${error.found}`,
    );
  console.log(`${group.rank} ${said}`);
}

/** All ranks but some wait, and hear of what the others did. */
async function others(ranks, act, options) {
  const group = await threads(count, { timeoutSeconds: 20, ...options });
  if (ranks.includes(group.rank)) return act(group);
  await heard(group, () => group.barrier());
  // What ended the group stays the answer.
  await heard(group, () => group.allReduceSum(one));
}

const cases = {
  "a rank throws": () =>
    others([2], () => {
      throw new TypeError("two words");
    }),

  "a rank's promise is rejected": () =>
    others([1], () => {
      Promise.reject(new RangeError("nobody caught this"));
    }),

  "nobody catches": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    if (group.rank === 1) throw new TypeError("two words");
    await group.barrier();
  },

  "a rank throws and rank 0 does not wait": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    if (group.rank === 1) throw new TypeError("two words");
    if (group.rank === 0) await after(300);
    await group.close();
  },

  "a rank throws after the last call": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    await group.barrier();
    if (group.rank === 1) throw new TypeError("two words");
  },

  "a rank exits": () => others([1], () => process.exit(3)),
  "a rank exits with nothing to say": () => others([1], () => process.exit(0)),
  "a rank ends": () => others([2], () => {}),
  "a rank closes": () => others([2], (group) => group.close()),
  "rank 0 ends": () => others([0], () => {}),
  "a rank waits for nothing": () => others([1], () => new Promise(() => {})),
  "rank 0 waits for nothing": () => others([0], () => new Promise(() => {})),
  "rank 0 throws": () =>
    others([0], () => {
      throw new TypeError("of rank 0");
    }),

  "ranks come late": () =>
    others(
      [1, 3],
      async (group) => {
        await after(3200);
        await heard(group, () => group.barrier());
      },
      { timeoutSeconds: 2 },
    ),

  "a rank is told to wait longer": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    if (group.rank === 1) await after(2500);
    await heard(group, () => group.barrier());
  },

  "another count": async () => {
    const { isMainThread } = await import("node:worker_threads");
    await heard({ rank: isMainThread ? 0 : "another" }, () =>
      threads(isMainThread ? count : count + 1, { timeoutSeconds: 20 }),
    );
  },

  "other calls": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    await heard(group, () => (group.rank === 1 ? group.allReduceMax(one) : group.allReduceSum(one)));
  },

  "other lengths": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    await heard(group, () => group.allReduceSum(new Float64Array(group.rank === 1 ? 3 : 2)));
  },

  "other element types": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    await heard(group, () => group.allGather(group.rank === 1 ? new Int32Array(2) : new Float32Array(2)));
  },

  "two calls at once": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    const calls = [() => group.barrier(), () => group.allGather(one), () => group.close()];
    await Promise.all(calls.map((call) => heard(group, call)));
    await heard(group, () => group.barrier());
  },

  "a call after the end": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    await group.close();
    await group.close();
    await heard(group, () => group.barrier());
  },

  "a second call in one script": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    await heard(group, () => threads(count));
    await heard(group, () => threads(count, { module: import.meta.url }));
    await heard(group, () => threads(count, { module: process.argv[1] }));
    await heard(group, () => group.barrier());
  },

  "the event loop lives": async () => {
    const group = await threads(count, { timeoutSeconds: 20 });
    let beats = 0;
    const timer = setInterval(() => beats++, 5);
    // This rank's thread stands still; the others' must not.
    if (group.rank === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
    await group.barrier();
    clearInterval(timer);
    if (group.rank !== 1) console.log(`${group.rank} ${beats > 2 ? "went on" : `stood still: ${beats}`}`);
  },

  "another module": async () => {
    const module = new URL("agree.mjs", import.meta.url);
    // Its ranks read the command line, which is this one's.
    for (const one of [module, module.href]) {
      const group = await threads(count, { module: one, timeoutSeconds: 20 });
      const { everyCall, everybody } = await import("./every-call.mjs");
      console.log(`${group.rank} ${await everybody(group, await everyCall(group))}`);
      await group.close();
    }
  },

  "a module that never calls": async () => {
    const module = new URL("every-call.mjs", import.meta.url);
    await heard({ rank: 0 }, () => threads(count, { module, timeoutSeconds: 20 }));
  },

  "a module that is not there": async () => {
    await heard({ rank: 0 }, () => threads(count, { module: "./nowhere.mjs", timeoutSeconds: 20 }));
    await heard({ rank: 0 }, () => threads(count, { module: "https://localhost/x.mjs", timeoutSeconds: 20 }));
  },
};

await cases[name]();
