import crc32c from "crc-32/crc32c.js";
import { PbfWriter } from "pbf";
import type { LogEntry } from "./entry.js";
import type { ObjectiveLog } from "./objective-log.js";

/** What TensorBoard shows at a step. */
export interface Scalar {
  readonly tag: string;
  readonly value: number;
}

/**
 * One event of a TensorBoard file: `tensorflow.Event` with its version, with scalars, or with the start of a session at a
 * step, from which on TensorBoard forgets what an earlier session logged.
 */
export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step?: number;
  readonly fileVersion?: string;
  readonly scalars?: readonly Scalar[];
  readonly isStart?: boolean;
}

/** The first event of every file. */
const fileVersion = "brain.Event:2";

/** The scalars of an entry: `objective/train`, `objective/eval`, `metric/NAME`; metrics of training steps apart. */
function scalarsOf({ kind, objective, metrics }: LogEntry): Scalar[] {
  const isTraining = kind === "train";
  return [
    { tag: isTraining ? "objective/train" : "objective/eval", value: objective.value },
    ...Object.entries(metrics).map(([name, value]) => ({ tag: `metric/${name}${isTraining ? "/train" : ""}`, value })),
  ];
}

/** The event of an entry. */
export function eventOf(entry: LogEntry): TensorBoardEvent {
  return { wallTime: entry.time / 1000, step: entry.step, scalars: scalarsOf(entry) };
}

/** What a file begins with: its version and, for a run that goes on, the step that it goes on from. */
export function firstEvents(wallTime: number, fromStep?: number): TensorBoardEvent[] {
  const start = { wallTime, step: fromStep ?? 0, isStart: true };
  return [{ wallTime, fileVersion }, ...(fromStep === undefined ? [] : [start])];
}

/** A whole log as the bytes of one TensorBoard event file. */
export function eventFile(log: ObjectiveLog): Uint8Array {
  const begun = (log.entries[0]?.time ?? 0) / 1000;
  return encodeEvents([...firstEvents(begun), ...log.entries.map(eventOf)]);
}

/** Events as records, each framed by its length and two checksums (TFRecord). */
export function encodeEvents(events: readonly TensorBoardEvent[]): Uint8Array {
  const records = events.map((event) => record(encodeEvent(event)));
  const bytes = new Uint8Array(records.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of records) {
    bytes.set(each, at);
    at += each.length;
  }
  return bytes;
}

/** length (u64) · masked CRC of the length · data · masked CRC of the data, all little endian. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return bytes;
}

/** CRC-32C, rotated and moved, so that a checksum of checksums is no zero. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c.buf(bytes) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Event: wall_time 1, step 2, file_version 3, summary 5, session_log 7. */
function encodeEvent({ wallTime, step = 0, fileVersion, scalars, isStart }: TensorBoardEvent): Uint8Array {
  const writer = new PbfWriter();
  writer.writeDoubleField(1, wallTime);
  if (step !== 0) writer.writeVarintField(2, step);
  if (fileVersion !== undefined) writer.writeStringField(3, fileVersion);
  if (scalars) writer.writeMessage(5, writeSummary, scalars);
  // SessionLog: status 1, of which 1 is START.
  if (isStart) writer.writeMessage(7, (status: number, session) => session.writeVarintField(1, status), 1);
  return writer.finish();
}

/** Summary: value 1, each with tag 1 and simple_value 2 (a float32). */
function writeSummary(scalars: readonly Scalar[], writer: PbfWriter): void {
  for (const scalar of scalars) {
    writer.writeMessage(
      1,
      ({ tag, value }: Scalar, message) => {
        message.writeStringField(1, tag);
        message.writeFloatField(2, value);
      },
      scalar,
    );
  }
}
