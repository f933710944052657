import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { broken } from "./failure.js";
import { problems, systemCode } from "./system-code.js";

/** A file that is written to at its end alone, by this process alone; every call returns when the system has taken it. */
export interface AppendingFile {
  /** Everything in it. */
  read(): Uint8Array;
  /** Adds bytes in one write. A write that the disk takes in part is taken back, and throws. */
  append(bytes: Uint8Array): void;
  /** Keeps the first so many bytes. */
  truncate(size: number): void;
  /** Waits until the disk has everything, then closes. */
  close(): void;
}

/** Opens a file to append to, and makes it and its directory where there is none. @throws `file` where the disk refuses */
export function openAppending(path: string): AppendingFile {
  const ask = <T>(work: () => T): T => growing(path, work);
  const file = ask(() => {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o666);
  });
  return {
    read: () => ask(() => readFileSync(path)),
    append: (bytes) =>
      ask(() => {
        const { size } = fstatSync(file);
        const written = writeSync(file, bytes);
        if (written === bytes.length) return;
        ftruncateSync(file, size);
        throw broken(path, undefined, `${written} of ${bytes.length} bytes written`, "room on the disk", "make room.");
      }),
    truncate: (size) => ask(() => ftruncateSync(file, size)),
    close: () =>
      ask(() => {
        fsyncSync(file);
        closeSync(file);
      }),
  };
}

/** Reads a file whole, of any size. @throws `file` where it cannot be read */
export function readBytes(path: string): Uint8Array {
  return growing(path, () => readFileSync(path));
}

/** Locks that this process holds: one that names it and is not among them is of an earlier process of its number. */
const heldLocks = new Set<string>();

/**
 * Takes a lock: a file that names its process. One whose process on this machine is gone (killed) is taken over.
 *
 * @returns what gives it back
 * @throws `file` while another process holds it, or one of another machine does
 */
export function takeLock(path: string): () => void {
  const whole = resolve(path);
  const mine = JSON.stringify({ process: process.pid, machine: hostname() });
  growing(path, () => mkdirSync(dirname(whole), { recursive: true }));
  for (;;) {
    try {
      writeFileSync(whole, mine, { flag: "wx" });
      heldLocks.add(whole);
      return () => {
        if (heldLocks.delete(whole)) rmSync(whole, { force: true });
      };
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw asBroken(path, error);
    }
    const holder = growing(path, () => readIfThere(whole));
    if (holder === undefined) continue;
    if (heldLocks.has(whole) || !isGone(holder)) {
      throw broken(
        path,
        undefined,
        `a lock of ${holder || "a process that is just taking it"}`,
        "one writer at a time",
        "close the other writer; where it is gone for certain, remove the lock file.",
      );
    }
    // Whoever else finds it stale renames it too: one of both succeeds, and then tries again like the other.
    const aside = `${whole}.${randomUUID()}`;
    try {
      renameSync(whole, aside);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw asBroken(path, error);
      continue;
    }
    // A new holder's lock, moved by mistake between reading and renaming, goes back.
    if (readIfThere(aside) === holder) rmSync(aside, { force: true });
    else renameSync(aside, whole);
  }
}

/** Whether the process that a lock names ran on this machine and runs no more. */
function isGone(holder: string): boolean {
  let named: { process?: unknown; machine?: unknown };
  try {
    named = JSON.parse(holder);
  } catch {
    return false;
  }
  if (typeof named.process !== "number" || named.machine !== hostname()) return false;
  if (named.process === process.pid) return true;
  try {
    process.kill(named.process, 0);
    return false;
  } catch (error) {
    return systemCode(error) === "ESRCH";
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function growing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asBroken(path, error);
  }
}

function asBroken(path: string, error: unknown): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  return broken(
    path,
    undefined,
    problems.get(code) ?? code,
    "a file to read and write",
    "check path and rights.",
    error,
  );
}
