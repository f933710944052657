import { LosswrightError } from "../errors/index.js";
import type { SharedCarrier } from "./shared-carrier.js";
import type { Invitation } from "./threads-invitation.js";
import { RankWatch } from "./threads-watch.js";

interface MessagePortLike {
  postMessage(message: unknown): void;
  addEventListener(event: string, listener: (event: MessageLike) => void): void;
  removeEventListener(event: string, listener: (event: MessageLike) => void): void;
}

/** What is used of the events of messages and of errors. */
interface MessageLike {
  readonly data?: unknown;
  readonly message?: string;
  readonly filename?: string;
  readonly lineno?: number;
  readonly error?: unknown;
  readonly reason?: unknown;
}

/** What goes between rank 0 and a worker: that the worker listens, then the memory. */
interface Greeting {
  readonly losswright?: "ready" | SharedArrayBuffer;
}

declare const Worker: new (url: string | URL, options: object) => MessagePortLike;

/** The scope of a worker, or of a page. */
interface Scope extends MessagePortLike {
  readonly name?: string;
  readonly document?: unknown;
  readonly location?: { readonly href: string };
}
const scope = () => globalThis as unknown as Scope;

/** The place in a group for which this worker was started, if it was: its name tells. */
export function browserInvitation(): Invitation | undefined {
  const found = scope().document ? null : /^losswright rank (\d+) of \d+$/.exec(scope().name ?? "");
  if (!found) return undefined;
  return {
    rank: Number(found[1]),
    accept: (timeoutSeconds) =>
      new Promise((done, fail) => {
        const worker = scope();
        const stop = () => {
          clearTimeout(timer);
          worker.removeEventListener("message", listen);
        };
        const timer = setTimeout(() => {
          stop();
          fail(silent(timeoutSeconds));
        }, 1000 * timeoutSeconds);
        const listen = ({ data }: MessageLike) => {
          const memory = (data as Greeting | null)?.losswright;
          if (!(memory instanceof SharedArrayBuffer)) return;
          stop();
          done(memory);
        };
        worker.addEventListener("message", listen);
        // Only now: what is posted to a worker before it listens can be lost while its module still loads.
        worker.postMessage({ losswright: "ready" } satisfies Greeting);
      }),
    tellOfFailures(carrier) {
      scope().addEventListener("error", ({ error, message }) => carrier.fail(String(error ?? message)));
      // Promises that are rejected are told to nobody else, the one of the module itself among them.
      scope().addEventListener("unhandledrejection", ({ reason }) => carrier.fail(String(reason)));
    },
  };
}

/** The URL of the script of this worker; a page has none of its own. */
export function browserScript(): string | undefined {
  return scope().document ? undefined : scope().location?.href;
}

/** Starts ranks 1 … size − 1. */
export function startInBrowser(carrier: SharedCarrier, module: string | URL): void {
  const watch = new RankWatch(carrier);
  for (let rank = 1; rank < carrier.size; rank++) {
    const worker = new Worker(module, { type: "module", name: `losswright rank ${rank} of ${carrier.size}` });
    worker.addEventListener("message", ({ data }) => {
      if ((data as Greeting | null)?.losswright !== "ready") return;
      worker.postMessage({ losswright: carrier.memory as SharedArrayBuffer } satisfies Greeting);
    });
    worker.addEventListener("error", ({ message, filename, lineno }) => {
      const words = message ? `${message} (${filename}:${lineno})` : `its module ${module} could not be loaded`;
      watch.failed(rank, words);
    });
  }
}

function silent(timeoutSeconds: number): LosswrightError {
  return new LosswrightError({
    code: "group",
    where: "group",
    found: `no answer of rank 0 within ${timeoutSeconds} s`,
    expected: "every rank in every call",
  });
}
