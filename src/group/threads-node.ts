import { type NodeWorker, nodeBuiltin } from "../host/index.js";
import type { SharedCarrier } from "./shared-carrier.js";
import type { Invitation } from "./threads-invitation.js";
import { RankWatch } from "./threads-watch.js";

/** What a worker is given, under the library's name among the data of a worker. */
interface Invited {
  readonly losswright?: { readonly rank: number; readonly memory: SharedArrayBuffer };
}

/** The place in a group for which this thread was started, if it was. */
export function nodeInvitation(): Invitation | undefined {
  const { isMainThread, workerData } = nodeBuiltin("node:worker_threads")!;
  const invited = isMainThread ? undefined : (workerData as Invited | null)?.losswright;
  if (!(invited?.memory instanceof SharedArrayBuffer)) return undefined;
  return {
    rank: invited.rank,
    accept: async () => invited.memory,
    // Node tells the thread that started this one.
    tellOfFailures() {},
  };
}

/** The path of the script that runs in this thread, or undefined where it is none: text of the command line, a prompt. */
export function nodeScript(): string | undefined {
  const { argv, execArgv } = nodeBuiltin("node:process")!;
  if (nodeBuiltin("node:worker_threads")!.isMainThread && execArgv.some(isText)) return undefined;
  return resolved(argv[1]);
}

/** Whether a module is this very script; `script` comes from {@link nodeScript} or is a page's URL. */
export function sameScript(module: string | URL, script: string): boolean {
  const node = nodeBuiltin("node:url");
  if (!node) return new URL(module, script).href === script;
  const url = urlOf(module);
  return url.protocol === "file:" && url.search === "" && resolved(node.fileURLToPath(url)) === script;
}

/** Starts ranks 1 … size − 1. */
export function startInNode(carrier: SharedCarrier, module: string | URL): void {
  const { Worker } = nodeBuiltin("node:worker_threads")!;
  const { argv, execArgv } = nodeBuiltin("node:process")!;
  const watch = new RankWatch(carrier);
  const crew: Crew = { carrier, watch, alive: new Set() };
  const { memory, size } = carrier;
  for (let rank = 1; rank < size; rank++) {
    const invited: Invited = { losswright: { rank, memory: memory as SharedArrayBuffer } };
    const worker = new Worker(urlOf(module), {
      name: `losswright rank ${rank} of ${size}`,
      argv: argv.slice(2),
      workerData: invited,
      // These flags tell what the text of the command line is; a file says so itself, and Node refuses them.
      ...(execArgv.some(isTextFlag) && { execArgv: withoutText(execArgv) }),
    });
    crew.alive.add(worker);
    worker.on("error", (error) => watch.failed(rank, error));
    worker.on("exit", (code) => {
      crew.alive.delete(worker);
      watch.ended(rank, code);
      if (crew.alive.size === 0 && !watch.hasFailures) crews.delete(crew);
    });
    worker.unref();
  }
  const process = nodeBuiltin("node:process")!;
  process.off("beforeExit", waitForCrews);
  process.on("beforeExit", waitForCrews);
  crews.add(crew);
}

/** Workers of a group of which this thread is rank 0. */
interface Crew {
  readonly carrier: SharedCarrier;
  readonly watch: RankWatch;
  readonly alive: Set<NodeWorker>;
}
const crews = /*#__PURE__*/ new Set<Crew>();

/**
 * Workers keep the process alive until they end. They are let go of at first only so that Node says when rank 0 has
 * nothing left to do: ranks that still wait for it then hear of that, instead of waiting for the time limit.
 */
function waitForCrews(): void {
  const process = nodeBuiltin("node:process")!;
  for (const { carrier, watch, alive } of crews) {
    carrier.end(0);
    for (const worker of alive) worker.ref();
    // 0 would be a choice too: Node has a code of its own for a script that never comes to its end.
    if (alive.size === 0 && watch.exitCode) process.exitCode ||= watch.exitCode;
  }
}

/** A path is one from the working folder, as everywhere in Node. */
function urlOf(module: string | URL): URL {
  if (module instanceof URL) return module;
  // One letter is a drive of Windows.
  return /^[a-z][a-z+.-]+:/i.test(module) ? new URL(module) : nodeBuiltin("node:url")!.pathToFileURL(module);
}

/** A script's path without links and with its ending, or undefined where there is no such file. */
function resolved(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return nodeBuiltin("node:module")!.createRequire(path).resolve(path);
  } catch {
    return undefined;
  }
}

const isText = (flag: string) => /^(-e|-p|-pe|--eval|--print)$|^--(eval|print)=/.test(flag);
const isTextFlag = (flag: string) => flag.startsWith("--input-type");

function withoutText(flags: readonly string[]): string[] {
  return flags.filter((flag, i) => {
    const isValue = i > 0 && (isText(flags[i - 1]!) ? !flags[i - 1]!.includes("=") : flags[i - 1] === "--input-type");
    return !isText(flag) && !isTextFlag(flag) && !isValue;
  });
}
