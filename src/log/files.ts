import { join } from "node:path";
import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import { writeBytes } from "../io/files.js";
import { openAppending, readBytes, takeLock } from "../io/growing-file.js";
import { encodeEvents, eventFile, eventOf, firstEvents } from "./event-file.js";
import { ObjectiveLog, type ObjectiveLogOptions } from "./objective-log.js";

export * from "./index.js";

export interface OpenLogOptions extends Omit<ObjectiveLogOptions, "write" | "rewind"> {
  /** Which rank of a distributed run this is: each has a file of its own, and `mergeLogs` makes one of them. */
  readonly rank?: number;
  /** Also writes a TensorBoard event file into the folder. */
  readonly tensorBoard?: boolean;
  /** Goes on from a checkpoint made after this step: what was logged of later steps is dropped. */
  readonly resume?: { readonly fromStep: number };
}

/** A log with its file. */
export interface OpenLog {
  readonly log: ObjectiveLog;
  /** The file of lines. */
  readonly path: string;
  /** Bytes of a torn last line that were cut off when it was opened. */
  readonly torn: number;
  /** Entries of later steps that `resume` dropped. */
  readonly dropped: number;
  /** Waits until the disk has everything, and lets another writer in. */
  close(): void;
}

const openOptions = ["objective", "metrics", "withoutMetric", "now", "rank", "tensorBoard", "resume"] as const;

/** The name of a rank's file in the folder of its run. */
export const logFileName = (rank?: number) => (rank === undefined ? "objective.jsonl" : `objective.rank${rank}.jsonl`);

/**
 * Opens the objective log of a run, and makes it where there is none: JSON lines in a folder, each written whole by one
 * write, so that a kill tears the last line at most; opening cuts such a line off. One writer at a time: a lock file says who.
 *
 * @throws `contract` where the folder holds a log of another objective or other metrics; `file` where the disk refuses,
 * another process writes, or a line other than the last is damaged
 */
export function openObjectiveLog(folder: string, options: OpenLogOptions): OpenLog {
  checkObject("openObjectiveLog", "options", options);
  rejectUnknown("openObjectiveLog", "option", options, openOptions);
  const { rank, tensorBoard = false, resume, ...logOptions } = options;
  if (rank !== undefined && !(Number.isSafeInteger(rank) && rank >= 0)) {
    throw new LosswrightError({
      code: "argument",
      where: "openObjectiveLog",
      field: "rank",
      found: String(rank),
      expected: "a whole number from 0",
    });
  }
  // Refused before anything is written.
  const wanted = new ObjectiveLog(logOptions);
  const path = join(folder, logFileName(rank));
  const release = takeLock(`${path}.lock`);
  const closing: (() => void)[] = [release];
  const close = () => {
    for (const each of closing.splice(0).reverse()) each();
  };
  try {
    const file = openAppending(path);
    closing.push(() => file.close());
    const bytes = file.read();
    // The bytes up to and with each line's end: where resume cuts.
    const ends: number[] = [];
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) ends.push(at + 1);
    const whole = ends.at(-1) ?? 0;
    const torn = bytes.length - whole;
    const events = tensorBoard ? openEvents(folder, rank, logOptions.now ?? Date.now) : undefined;
    if (events) closing.push(() => events.close());
    const encoder = new TextEncoder();
    const sink = {
      ...(logOptions.now && { now: logOptions.now }),
      write: (line: string) => {
        if (closing.length === 0) throw closedLog(path);
        const added = encoder.encode(line);
        file.append(added);
        ends.push((ends.at(-1) ?? 0) + added.length);
      },
      rewind: (lines: number) => {
        if (closing.length === 0) throw closedLog(path);
        file.truncate(ends[lines - 1] ?? 0);
        ends.length = lines;
      },
    };
    let log: ObjectiveLog;
    if (whole === 0) {
      if (torn > 0) file.truncate(0);
      log = new ObjectiveLog({ ...logOptions, ...sink });
    } else {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, whole));
      log = ObjectiveLog.parse(text, { where: path, ...sink });
      log.checkSame(wanted.header, path);
      // Nothing of a file is changed before all of it is known to be ours.
      if (torn > 0) file.truncate(whole);
    }
    const dropped = resume ? log.resume(resume) : 0;
    if (events) {
      events.begin(whole === 0 ? undefined : log.lastStep + 1);
      log.listen({ entry: (entry) => events.add(eventOf(entry)), resumed: (step) => events.begin(step + 1) });
    }
    return { log, path, torn, dropped, close };
  } catch (error) {
    close();
    throw error;
  }
}

function closedLog(path: string): LosswrightError {
  return new LosswrightError({
    code: "file",
    where: path,
    found: "a change after close()",
    expected: "an open log",
    fix: "open it again with openObjectiveLog, which goes on where it ended.",
  });
}

/** Reads a log's file, which may be written to meanwhile: a torn last line is left out. @throws `file` */
export function readObjectiveLog(path: string): ObjectiveLog {
  const bytes = readBytes(path);
  return ObjectiveLog.parse(new TextDecoder().decode(bytes.subarray(0, bytes.lastIndexOf(10) + 1)), { where: path });
}

/** Writes a whole log as one TensorBoard event file. */
export async function writeEventFile(path: string, log: ObjectiveLog): Promise<void> {
  await writeBytes(path, eventFile(log));
}

/** A new event file for this opening: TensorBoard reads all of a folder, in the order of their names. */
function openEvents(folder: string, rank: number | undefined, now: () => number) {
  const name = `events.out.tfevents.${String(Math.floor(now() / 1000)).padStart(10, "0")}.losswright.${process.pid}.${rank ?? 0}`;
  const file = openAppending(join(folder, name));
  return {
    begin: (step: number | undefined) => file.append(encodeEvents(firstEvents(now() / 1000, step))),
    add: (event: ReturnType<typeof eventOf>) => file.append(encodeEvents([event])),
    close: () => file.close(),
  };
}
