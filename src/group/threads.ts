import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import { nodeBuiltin, whyNoThreads } from "../host/index.js";
import type { Group } from "../tally/index.js";
import { Collectives } from "./collectives.js";
import { groupMemory, SharedCarrier } from "./shared-carrier.js";
import { browserInvitation, browserScript, startInBrowser } from "./threads-browser.js";
import type { Invitation } from "./threads-invitation.js";
import { nodeInvitation, nodeScript, sameScript, startInNode } from "./threads-node.js";

export interface ThreadsOptions {
  /**
   * What the other ranks run: a module's URL, or in Node a path. Without it they run the script that calls; a page has
   * to name one.
   */
  readonly module?: string | URL;
  /** How long a rank waits in a call for the others before the group has failed; 600 unless told. */
  readonly timeoutSeconds?: number;
}

const MOST_RANKS = 64;
/** Timers count milliseconds in 31 bits. */
const LONGEST_WAIT = 2_000_000;

/** Whether this thread's script has called `threads`; beside every copy of the library that it holds. */
const state = globalThis as { [key: symbol]: boolean | undefined };
const hasCalled = Symbol.for("losswright.threads");

/**
 * A group of threads that share memory. As with MPI, every rank runs the same script: where the main script calls
 * `threads(4)`, three workers start and run it from its beginning; their own call of `threads(4)` gives them their rank.
 * It resolves when all have come. In a page, or for another script than the one that calls, name a `module`, which calls
 * `threads` with the same count.
 *
 * A worker that fails is an error on every rank that waits for it; where rank 0 does not, its error is printed and sets
 * the exit code. The process ends when every rank has.
 *
 * @param count - ranks, the caller among them: 1 … 64; cores of the machine are a good number
 * @throws `unsupported` in a page that is not cross-origin isolated
 *
 * @example
 * const group = await threads(4);
 * const [total] = await group.allReduceSum(Float64Array.of(group.rank));   // 6 on every rank
 * await group.close();
 */
export async function threads(count: number, options: ThreadsOptions = {}): Promise<Group> {
  const { module, timeoutSeconds } = checked(count, options);
  const isNode = nodeBuiltin("node:worker_threads") !== undefined;
  const isFirst = state[hasCalled] !== true;
  const invitation = isFirst ? (isNode ? nodeInvitation() : browserInvitation()) : undefined;
  if (invitation) {
    state[hasCalled] = true;
    return join(invitation, count, timeoutSeconds);
  }

  const script = isNode ? nodeScript() : browserScript();
  const isOwn = module === undefined || (script !== undefined && sameScript(module, script));
  if (count > 1) checkPossible(script, module);
  if (isOwn && !isFirst) throw secondCall();
  state[hasCalled] = true;
  const carrier = new SharedCarrier(groupMemory(count), 0, timeoutSeconds);
  if (count > 1) start(isNode ? startInNode : startInBrowser, carrier, module ?? script!);
  await carrier.meet(`threads(${count})`);
  return new Collectives(carrier);
}

function start(by: typeof startInNode, carrier: SharedCarrier, module: string | URL): void {
  try {
    by(carrier, module);
  } catch (error) {
    // Some may have started before.
    carrier.fail(String(error));
    throw new LosswrightError(
      {
        code: "option",
        where: "threads",
        field: "module",
        found: `${module}, which no worker can run: ${error}`,
        expected: "the module that the other ranks run: a URL of the page's own origin, in Node a path or a file's URL",
      },
      { cause: error },
    );
  }
}

/** This thread was started as a rank. */
async function join(invitation: Invitation, count: number, timeoutSeconds: number): Promise<Group> {
  const carrier = new SharedCarrier(await invitation.accept(timeoutSeconds), invitation.rank, timeoutSeconds);
  invitation.tellOfFailures(carrier);
  if (count !== carrier.size) {
    const { rank, size } = carrier;
    carrier.write({
      rank,
      found: `threads(${count}) on rank ${rank} where rank 0 calls threads(${size})`,
      expected: "the same count on every rank",
      fix: "take the count from what all ranks know alike, such as the command line.",
    });
  }
  await carrier.meet(`threads(${count})`);
  return new Collectives(carrier);
}

function checked(count: number, options: ThreadsOptions): { module?: string | URL; timeoutSeconds: number } {
  if (!Number.isInteger(count) || count < 1 || count > MOST_RANKS) {
    throw new LosswrightError({
      code: "argument",
      where: "threads",
      field: "count",
      found: String(count),
      expected: `a whole number from 1 to ${MOST_RANKS}`,
    });
  }
  checkObject("threads", "options", options);
  rejectUnknown("threads", "option", options, ["module", "timeoutSeconds"]);
  const { module, timeoutSeconds = 600 } = options;
  if (!(typeof timeoutSeconds === "number" && timeoutSeconds > 0 && timeoutSeconds <= LONGEST_WAIT)) {
    throw new LosswrightError({
      code: "option",
      where: "threads",
      field: "timeoutSeconds",
      found: String(timeoutSeconds),
      expected: `seconds, above 0 and at most ${LONGEST_WAIT}`,
    });
  }
  if (module === undefined) return { timeoutSeconds };
  if (!(module instanceof URL || (typeof module === "string" && module !== ""))) {
    throw new LosswrightError({
      code: "option",
      where: "threads",
      field: "module",
      found: module === "" ? "an empty string" : typeof module,
      expected: "a module's URL or path",
      fix: 'write `new URL("./job.js", import.meta.url)`.',
    });
  }
  return { module, timeoutSeconds };
}

function checkPossible(script: string | undefined, module: string | URL | undefined): void {
  const reason = whyNoThreads();
  if (reason) {
    throw new LosswrightError({
      code: "unsupported",
      where: "threads",
      found: reason,
      expected: "a runtime whose threads share memory",
      fix: "send these headers with the page and with the module, or work with one rank: threads(1) needs none of it.",
    });
  }
  if (module !== undefined || script !== undefined) return;
  throw new LosswrightError({
    code: "option",
    where: "threads",
    field: "module",
    found: "none, where no script runs that others could run as well",
    expected: "the module that the other ranks run",
    fix: 'write `threads(count, { module: new URL("./job.js", import.meta.url) })`; the module calls `threads(count)` too.',
  });
}

function secondCall(): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "threads",
    found: "a second call in one script",
    expected:
      "one call, before any other of `threads`: the other ranks run the script again, and could not tell which of its calls they belong to",
    fix: "call it once and hand the group on, or give `module` another script than this one.",
  });
}
