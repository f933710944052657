/**
 * What ranks in a browser do, by the name of the case; the page is rank 0 and workers run the same. `threads` is handed
 * in, since the test builds it into the page.
 */
import { everybody, everyCall } from "./every-call.mjs";

const count = { agree: 2, "agree of four": 4 };
const timeoutSeconds = 20;

/** What a promise comes to. */
const heard = (promise) =>
  promise.then(
    (value) => value,
    (error) => `${error.code ?? error}: ${error.found}`,
  );

async function agree(threads, name, module) {
  const group = await threads(count[name] ?? 1, { module, timeoutSeconds });
  const all = await everybody(group, await everyCall(group));
  await group.close();
  return all;
}

/** Rank 1 does something else than wait. */
const waiting = (act) => async (threads, _, module) => {
  const group = await threads(2, { module, timeoutSeconds });
  if (group.rank === 1) return act();
  return [await heard(group.barrier()), await heard(group.barrier())];
};

export const cases = {
  "agree of one": agree,
  agree,
  "agree of four": agree,

  // As in browsers that cannot wake one who waits without blocking.
  "agree without waking": async (threads, _, module) => {
    delete Atomics.waitAsync;
    return agree(threads, "agree", module);
  },

  throws: waiting(() => {
    throw new TypeError("two words");
  }),

  "throws later": waiting(() => {
    setTimeout(() => {
      throw new TypeError("two words");
    }, 10);
  }),

  "another count": async (threads, _, module) =>
    heard(threads(globalThis.document ? 2 : 3, { module, timeoutSeconds })),
  "no module": async (threads) => heard(threads(2)),
  "nowhere to be found": async (threads) => heard(threads(2, { module: "/nowhere.js", timeoutSeconds })),

  // A worker of the page's own is rank 0 and needs no module: it has a script.
  "a worker as rank 0": async (threads, _, module) => {
    if (!globalThis.document) {
      const group = await threads(2, { timeoutSeconds });
      const all = await everybody(group, await everyCall(group));
      if (group.rank === 0) globalThis.postMessage(all);
      return all;
    }
    const worker = new Worker(module, { type: "module" });
    return new Promise((done) => {
      worker.onmessage = ({ data }) => done(data);
    });
  },
};

/** Runs one case, in the page or in a worker. */
export const run = (threads, name, module) => cases[name](threads, name, module);
