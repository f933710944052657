import { LosswrightError } from "../errors/index.js";
import { type NodeProcess, nodeBuiltin } from "../host/index.js";

/**
 * The MPI library of the machine, found when the program runs and called through koffi.
 *
 * MPI fixes names and arguments, but no binary form: what a communicator or a datatype is differs between the two
 * families, and so does every constant. This file knows them, and addresses, and statuses; what it gives deals in ranks,
 * bytes and requests.
 */
export interface MpiLibrary {
  readonly family: Family;
  /** What was loaded, as it was asked for. */
  readonly path: string;
  /** Starts MPI, and gives all ranks that the launcher started. Blocks until they have come. */
  start(): Ranks;
  /** Lets another process have the core: on fewer cores than ranks the one that is waited for would get none. */
  yieldCore(): void;
  /** Ends MPI; all ranks call it. */
  finish(): void;
  /** Ends all ranks, wherever they are. */
  abort(code: number): void;
}

export type Family = "openmpi" | "mpich";

/** How a family calls itself. */
export const familyNames: Readonly<Record<Family, string>> = { openmpi: "Open MPI", mpich: "MPICH" };

/** Ranks that talk among themselves: a communicator. */
export interface Ranks {
  readonly rank: number;
  readonly size: number;
  /** The same ranks with messages of their own; `ranks` is for use when the request is done. */
  duplicate(): { readonly request: Request; readonly ranks: Ranks };
  /** Every rank's piece at its place in everybody's `bytes`, where the own piece lies already. */
  gather(pieces: Pieces): Request;
  /** `given` of rank r at s becomes `taken` of rank s at r. */
  exchange(given: Pieces, taken: Pieces): Request;
  /** Sums over all ranks, in place. */
  addIntegers(lanes: BigInt64Array): Request;
  send(bytes: Uint8Array, rank: number): Request;
  receive(bytes: Uint8Array, rank: number): Request;
  /** A message that somebody sent, if one has come. */
  take(bytes: Uint8Array): boolean;
}

/** A piece of bytes for or from each rank. */
export interface Pieces {
  readonly bytes: Uint8Array;
  readonly counts: readonly number[];
  /** Where each piece begins in `bytes`. */
  readonly offsets: readonly number[];
}

/** What MPI does in its own time; MPI reads and writes the memory until it is done. */
export interface Request {
  /** Lets MPI work, and asks. @throws `group` where MPI failed */
  isDone(): boolean;
}

/** Names that the dynamic linker finds, the usual one first. */
const sonames: Readonly<Record<Family, readonly string[]>> = {
  openmpi: ["libmpi.so.40"],
  // Debian renames MPICH's library; elsewhere it has the name of the common ABI, as Intel MPI and MVAPICH have.
  mpich: ["libmpich.so.12", "libmpi.so.12"],
};

/** The part of koffi that is used. Addresses are bigints. */
interface Koffi {
  /** Null is the process itself, with the C library in it. */
  load(path: string | null, options?: { readonly global: boolean }): KoffiLibrary;
  address(memory: ArrayBufferView): bigint;
}

interface KoffiLibrary {
  func(name: string, result: string, parameters: readonly string[]): (...given: unknown[]) => number;
  symbol(name: string): bigint;
}

/**
 * Loads the library.
 *
 * @param asked - a family, or a path
 * @throws `unsupported` where koffi or MPI is missing
 */
export function loadMpi(process: NodeProcess, asked: Family | string | undefined): MpiLibrary {
  const koffi = loadKoffi();
  const launcher = launcherOf(process.env);
  // Without a word, the library of the launcher's family; the other family's as a last resort, which fits some setups.
  const families: readonly Family[] = launcher === "mpich" ? ["mpich", "openmpi"] : ["openmpi", "mpich"];
  const names =
    asked === undefined ? families.flatMap((family) => sonames[family]) : (sonames[asked as Family] ?? [asked]);
  const refusals: string[] = [];
  for (const name of names) {
    let library: KoffiLibrary;
    try {
      // Open MPI's plugins look for the library's symbols in the process.
      library = withTameUcx(process, () => koffi.load(name, { global: true }));
    } catch (error) {
      refusals.push((error as Error).message);
      continue;
    }
    return bind(process, koffi, library, name);
  }
  const isPath = asked !== undefined && !(asked in sonames);
  throw new LosswrightError(
    {
      code: "unsupported",
      where: "mpi",
      ...(asked !== undefined && { field: "library" }),
      found: isPath
        ? `${asked}, which does not load (${refusals[0]})`
        : `no MPI library (looked for ${names.join(", ")})`,
      expected: asked === undefined || isPath ? "Open MPI or MPICH" : familyNames[asked as Family],
      fix: "install one (Debian and Ubuntu: apt install openmpi-bin, or apt install mpich; on a cluster: module load openmpi, or mpich), or give its path: mpi({ library: … }).",
    },
    { cause: new Error(refusals.join("; ")) },
  );
}

function loadKoffi(): Koffi {
  try {
    return nodeBuiltin("node:module")!.createRequire(import.meta.url)("koffi") as Koffi;
  } catch (cause) {
    const isMissing = (cause as { code?: string }).code === "MODULE_NOT_FOUND";
    throw new LosswrightError(
      {
        code: "unsupported",
        where: "mpi",
        found: isMissing ? "no package koffi, which calls the MPI library" : `koffi does not load: ${cause}`,
        expected: "koffi 3",
        fix: "npm install koffi",
      },
      { cause },
    );
  }
}

/** The family of the launcher that started this process, by what it left in the environment. */
export function launcherOf(env: NodeProcess["env"]): Family | undefined {
  if (env.OMPI_COMM_WORLD_SIZE !== undefined) return "openmpi";
  return env.PMI_SIZE !== undefined || env.PMI_RANK !== undefined ? "mpich" : undefined;
}

/** How many ranks the launcher says that it started. */
export function launchedRanks(env: NodeProcess["env"]): number {
  return Number(env.OMPI_COMM_WORLD_SIZE ?? env.PMI_SIZE ?? env.SLURM_STEP_NUM_TASKS ?? 1);
}

/**
 * What UCX, the transport below both families on many machines, must not do to a process that is not MPI's alone:
 * - take SIGSEGV from V8, to which an access out of the bounds of a WebAssembly memory is one;
 * - hook into the memory functions: it tries its hooks by moving the program break to and fro, and cuts off what another
 *   thread, of which Node has several, allocates in between.
 */
const settingsOfUcx: Readonly<Record<string, string>> = { UCX_ERROR_SIGNALS: "", UCX_MEM_EVENTS: "n" };

/** Runs what loads UCX, which reads its settings from the environment. What the environment says already stays. */
function withTameUcx<Result>({ env }: NodeProcess, run: () => Result): Result {
  const added = Object.keys(settingsOfUcx).filter((name) => env[name] === undefined);
  for (const name of added) env[name] = settingsOfUcx[name];
  try {
    return run();
  } finally {
    for (const name of added) delete env[name];
  }
}

/** A handle as a function takes it: an address, or an integer of 32 bits. */
type Handle = bigint | number;

/** The family of a loaded library. @throws `unsupported` for another than the two */
function familyOf(koffi: Koffi, library: KoffiLibrary, path: string): Family {
  const refuse = (found: string) =>
    new LosswrightError({
      code: "unsupported",
      where: "mpi",
      field: "library",
      found: `${path}, which is ${found}`,
      expected: "Open MPI, or MPICH or a library that is compatible with it (Intel MPI, MVAPICH, Cray, ParaStation)",
      fix: 'leave the option out, or write "openmpi" or "mpich".',
    });
  try {
    library.symbol("ompi_mpi_comm_world");
    return "openmpi";
  } catch {}
  let versionOf: (...given: unknown[]) => number;
  try {
    versionOf = library.func("MPI_Get_library_version", "int", ["uintptr_t", "uintptr_t"]);
  } catch {
    throw refuse("no MPI library");
  }
  const [version, length] = [new Uint8Array(new ArrayBuffer(8192)), new Int32Array(new ArrayBuffer(8))];
  versionOf(koffi.address(version), koffi.address(length));
  const words = new TextDecoder().decode(version.subarray(0, length[0]));
  if (!/MPICH|MVAPICH|Intel|ParaStation/i.test(words)) throw refuse(words.split("\n")[0]!.trim() || "of no known kind");
  return "mpich";
}

/** The functions and constants of a loaded library. */
function bind(process: NodeProcess, koffi: Koffi, library: KoffiLibrary, path: string): MpiLibrary {
  const family = familyOf(koffi, library, path);
  const isOpen = family === "openmpi";
  // Open MPI's handles are addresses of structures, MPICH's are integers.
  const constant = (symbol: string, integer: number): Handle => (isOpen ? BigInt(library.symbol(symbol)) : integer);
  const [pointer, handle] = ["uintptr_t", isOpen ? "uintptr_t" : "int"];
  const world = constant("ompi_mpi_comm_world", 0x44000000);
  const byte = constant("ompi_mpi_byte", 0x4c00010d);
  const int64 = constant("ompi_mpi_int64_t", 0x4c00083a);
  const sum = constant("ompi_mpi_op_sum", 0x58000003);
  const errorsReturn = constant("ompi_mpi_errors_return", 0x54000001);
  const inPlace = isOpen ? 1n : 0xffff_ffff_ffff_ffffn;
  const ignored = isOpen ? 0n : 1n;
  const anySource = isOpen ? -1 : -2;
  const tag = 1;

  /** Memory for what functions give back. Buffers are made as such: a small array of its own may move. */
  const back = new ArrayBuffer(1024);
  const [integers, backAddress] = [new Int32Array(back), koffi.address(new Uint8Array(back))];

  const errorString = library.func("MPI_Error_string", "int", ["int", pointer, pointer]);
  const wordsOf = (code: number): string => {
    const words = new Uint8Array(back, 8);
    if (errorString(code, backAddress + 8n, backAddress) !== 0) return `error ${code}`;
    return new TextDecoder().decode(words.subarray(0, integers[0]));
  };
  const declare = (name: string, ...parameters: string[]) => {
    const call = library.func(name, "int", parameters);
    return (...given: readonly (Handle | number)[]): void => {
      const code = call(...given);
      if (code === 0) return;
      throw new LosswrightError({
        code: "group",
        where: "mpi",
        found: `${wordsOf(code)} (${name})`,
        expected: `a call that ${familyNames[family]} can do`,
        fix: "look at what the launcher and the other ranks printed.",
      });
    };
  };

  const yieldCore = koffi.load(null).func("sched_yield", "int", []);
  const init = declare("MPI_Init", pointer, pointer);
  const finalize = declare("MPI_Finalize");
  const abort = declare("MPI_Abort", handle, "int");
  const onError = declare("MPI_Comm_set_errhandler", handle, handle);
  const rankOf = declare("MPI_Comm_rank", handle, pointer);
  const sizeOf = declare("MPI_Comm_size", handle, pointer);
  const duplicate = declare("MPI_Comm_idup", handle, pointer, pointer);
  const test = declare("MPI_Test", pointer, pointer, pointer);
  // prettier-ignore
  const gather = declare("MPI_Iallgatherv", pointer, "int", handle, pointer, pointer, pointer, handle, handle, pointer);
  const exchange = declare(
    "MPI_Ialltoallv",
    ...[pointer, pointer, pointer, handle],
    ...[pointer, pointer, pointer, handle, handle, pointer],
  );
  const reduce = declare("MPI_Iallreduce", pointer, pointer, "int", handle, handle, handle, pointer);
  const send = declare("MPI_Isend", pointer, "int", handle, "int", "int", handle, pointer);
  const receive = declare("MPI_Irecv", pointer, "int", handle, "int", "int", handle, pointer);
  const receiveNow = declare("MPI_Recv", pointer, "int", handle, "int", "int", handle, pointer);
  const probe = declare("MPI_Iprobe", "int", "int", handle, pointer, pointer);

  /** Starts a call that gives a request; `memory` is held until the request is done. */
  const begin = (memory: readonly unknown[], start: (request: bigint) => void): Request => {
    const slot = new Uint8Array(new ArrayBuffer(8));
    const at = koffi.address(slot);
    let held: readonly unknown[] | undefined = [slot, ...memory];
    start(at);
    return {
      isDone() {
        if (held === undefined) return true;
        test(at, backAddress, ignored);
        if (integers[0] !== 0) held = undefined;
        return held === undefined;
      },
    };
  };

  const ranksOf = (communicator: () => Handle): Ranks => {
    const ask = (call: typeof rankOf) => {
      call(communicator(), backAddress);
      return integers[0]!;
    };
    return {
      get rank() {
        return ask(rankOf);
      },
      get size() {
        return ask(sizeOf);
      },
      duplicate() {
        const slot = new ArrayBuffer(8);
        const at = koffi.address(new Uint8Array(slot));
        const pending = begin([slot], (request) => duplicate(communicator(), at, request));
        const copy = () => (isOpen ? new BigUint64Array(slot)[0]! : new Int32Array(slot)[0]!);
        const isDone = () => {
          if (!pending.isDone()) return false;
          onError(copy(), errorsReturn);
          return true;
        };
        return { request: { isDone }, ranks: ranksOf(copy) };
      },
      gather({ bytes, counts, offsets }) {
        const [lengths, places] = [integersOf(counts), integersOf(offsets)];
        const given = [bytes, lengths, places].map((memory) => koffi.address(memory)) as [bigint, bigint, bigint];
        return begin([bytes, lengths, places], (request) =>
          gather(inPlace, 0, byte, ...given, byte, communicator(), request),
        );
      },
      exchange(given, taken) {
        const memory = [given, taken].flatMap(({ bytes, counts, offsets }) => [
          bytes,
          integersOf(counts),
          integersOf(offsets),
        ]);
        const [out, outCounts, outPlaces, into, inCounts, inPlaces] = memory.map((each) => koffi.address(each));
        return begin(memory, (request) =>
          exchange(
            ...([out!, outCounts!, outPlaces!, byte] as const),
            ...([into!, inCounts!, inPlaces!, byte, communicator(), request] as const),
          ),
        );
      },
      addIntegers(lanes) {
        return begin([lanes], (request) =>
          reduce(inPlace, koffi.address(lanes), lanes.length, int64, sum, communicator(), request),
        );
      },
      send(bytes, rank) {
        return begin([bytes], (request) =>
          send(koffi.address(bytes), bytes.length, byte, rank, tag, communicator(), request),
        );
      },
      receive(bytes, rank) {
        return begin([bytes], (request) =>
          receive(koffi.address(bytes), bytes.length, byte, rank, tag, communicator(), request),
        );
      },
      take(bytes) {
        probe(anySource, tag, communicator(), backAddress, ignored);
        if (integers[0] === 0) return false;
        receiveNow(koffi.address(bytes), bytes.length, byte, anySource, tag, communicator(), ignored);
        return true;
      },
    };
  };

  return {
    family,
    path,
    start() {
      withTameUcx(process, () => init(0n, 0n));
      // Errors come back as codes and become errors of the program.
      onError(world, errorsReturn);
      return ranksOf(() => world);
    },
    yieldCore: () => void yieldCore(),
    finish: () => finalize(),
    abort: (code) => abort(world, code),
  };
}

function integersOf(numbers: readonly number[]): Int32Array {
  const integers = new Int32Array(new ArrayBuffer(4 * numbers.length));
  integers.set(numbers);
  return integers;
}
