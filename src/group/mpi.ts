import { checkObject, closest, LosswrightError, rejectUnknown } from "../errors/index.js";
import { nodeBuiltin } from "../host/index.js";
import type { Group } from "../tally/index.js";
import { Collectives } from "./collectives.js";
import { MpiCarrier } from "./mpi-carrier.js";
import { loadMpi } from "./mpi-library.js";

export interface MpiOptions {
  /**
   * How long a rank waits for the others before it ends the run with an error; 600 where not given. It must be longer
   * than the slowest rank needs between two calls of the group.
   */
  readonly timeoutSeconds?: number;
  /**
   * "openmpi", "mpich" (and what is compatible: Intel MPI, MVAPICH, Cray), or the path of the library. Where not given:
   * that of the launcher.
   */
  readonly library?: string;
}

/** MPI can be started once in a process: this is its group, while there is one. */
let current: { readonly options: string; readonly group: Promise<Group>; closed: boolean } | undefined;

/**
 * The ranks that an MPI launcher started, each a process: `mpirun -n 4 node train.js`, over the MPI library that the
 * machine has (Open MPI, MPICH and their kin), which the package `koffi` calls.
 *
 * Ranks that wait keep their event loop. A rank that throws, exits or dies ends the run with an error on every rank that
 * waits for it; `timeoutSeconds` is the limit where nobody can know. A process has one group: a second call gives the same.
 *
 * @throws `unsupported` where there is no koffi, no MPI library, or no Node; `group` where the ranks do not come together
 * @example
 * const group = await mpi();
 * const step = await crossEntropy().valueAndGradients({ logits, labels }, { group });
 * if (group.rank === 0) console.log(step.value);
 * await group.close();
 */
export async function mpi(options: MpiOptions = {}): Promise<Group> {
  checkObject("mpi", "options", options);
  rejectUnknown("mpi", "option", options, ["timeoutSeconds", "library"]);
  const { timeoutSeconds = 600, library } = options;
  checkSeconds(timeoutSeconds);
  if (library !== undefined) checkLibrary(library);
  const process = nodeBuiltin("node:process");
  if (!process || !nodeBuiltin("node:worker_threads")!.isMainThread) {
    throw new LosswrightError({
      code: "unsupported",
      where: "mpi",
      found: process ? "a thread of a process" : "a runtime without Node's modules",
      expected: "the main thread of a process of Node",
      fix: "without MPI, threads() divides the work among threads, and solo() is a group of one.",
    });
  }
  const given = JSON.stringify({ timeoutSeconds, library });
  if (current) {
    if (current.closed)
      throw again("a second group over MPI after the first was closed", "close it at the end of the run.");
    if (given !== current.options) {
      throw again("a second call of mpi() with other options", "call mpi() once, and hand its group on.");
    }
    return current.group;
  }
  const found = loadMpi(process, library);
  const starting = MpiCarrier.start(found, { timeoutSeconds }).then((carrier): Group => {
    const close = carrier.close.bind(carrier);
    carrier.close = () => {
      mine.closed = true;
      return close();
    };
    return new Collectives(carrier);
  });
  const mine = { options: given, group: starting, closed: false };
  current = mine;
  return starting;
}

function again(found: string, fix: string): LosswrightError {
  const expected = "one group over MPI in a process: MPI can be started once";
  return new LosswrightError({ code: "group", where: "mpi", found, expected, fix });
}

function checkSeconds(timeoutSeconds: unknown): void {
  if (typeof timeoutSeconds === "number" && timeoutSeconds > 0 && Number.isFinite(timeoutSeconds)) return;
  throw new LosswrightError({
    code: "option",
    where: "mpi",
    field: "timeoutSeconds",
    found: typeof timeoutSeconds === "number" ? String(timeoutSeconds) : typeof timeoutSeconds,
    expected: "a positive number of seconds",
    fix: "give the longest that a rank may need between two calls of the group; 600 where left out.",
  });
}

function checkLibrary(library: unknown): void {
  const families = ["openmpi", "mpich"];
  const isName = typeof library === "string" && /^[\w -]*$/.test(library);
  if (typeof library === "string" && (families.includes(library) || !isName)) return;
  const meant = isName ? closest(library as string, families) : undefined;
  throw new LosswrightError({
    code: "option",
    where: "mpi",
    field: "library",
    found: typeof library === "string" ? JSON.stringify(library) : typeof library,
    expected: '"openmpi", "mpich", or the path of a library',
    fix: meant === undefined ? "leave it out: the launcher's library is taken." : `write "${meant}".`,
  });
}
