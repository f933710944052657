import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crossEntropy } from "../losses/categorical/cross-entropy.js";
import { encodeEvents, eventFile, firstEvents, ObjectiveLog } from "./index.js";

/** CRC-32C bit by bit, from its polynomial: nothing shared with the writer's library. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const unmask = (masked: number) => {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
};

type Fields = { tag: number; value: number | Uint8Array }[];

/** A protobuf message as its fields, from the wire format's definition. */
function fieldsOf(bytes: Uint8Array): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Fields = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const [tag, type] = [key >>> 3, key & 7];
    if (type === 0) fields.push({ tag, value: varint() });
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : varint();
      if (type === 1) fields.push({ tag, value: view.getFloat64(at, true) });
      else if (type === 5) fields.push({ tag, value: view.getFloat32(at, true) });
      else if (type === 2) fields.push({ tag, value: bytes.subarray(at, at + length) });
      else throw new Error(`wire type ${type}`);
      at += length;
    }
  }
  return fields;
}

const textOf = (value: number | Uint8Array) => new TextDecoder().decode(value as Uint8Array);

/** Reads a TFRecord file of events, checksums and all. */
function readEvents(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: { time?: number; step: number; version?: string; start?: number; scalars: Record<string, number> }[] =
    [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(unmask(view.getUint32(at + 8, true))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(view.getUint32(at + 12 + length, true))).toBe(crc32c(data));
    at += length + 16;
    const event: (typeof events)[number] = { step: 0, scalars: {} };
    for (const { tag, value } of fieldsOf(data)) {
      if (tag === 1) event.time = value as number;
      if (tag === 2) event.step = value as number;
      if (tag === 3) event.version = textOf(value);
      if (tag === 7) event.start = fieldsOf(value as Uint8Array).find((field) => field.tag === 1)!.value as number;
      if (tag !== 5) continue;
      for (const summary of fieldsOf(value as Uint8Array)) {
        const parts = fieldsOf(summary.value as Uint8Array);
        event.scalars[textOf(parts.find((part) => part.tag === 1)!.value)] = parts.find((part) => part.tag === 2)!
          .value as number;
      }
    }
    events.push(event);
  }
  return events;
}

/** Of each record length, its checksum, the event, its checksum. */
const golden = [
  "1800000000000000",
  "a37f4b22",
  "09000000000000f03f1a0d627261696e2e4576656e743a32",
  "86bf577a",
  "1700000000000000",
  "e7cef81e",
  "09000000000000004010032a0a0a080a0161150000c03f",
  "ed906af8",
];

let calls = 0;
const log = new ObjectiveLog({
  objective: crossEntropy(),
  metrics: { macroF1: { goal: "maximize" } },
  now: () => 500 * ++calls,
});
log.step(1, { value: 0.5, metrics: { macroF1: 0.125 } });
log.step(300, { value: Number.NaN });
log.evaluation(5_000_000_000, { objective: 0.25, metrics: { macroF1: 0.75 } });

describe("event files", () => {
  it("are read by another reader as what was logged", () => {
    expect(readEvents(eventFile(log))).toEqual([
      { time: 0.5, step: 0, version: "brain.Event:2", scalars: {} },
      { time: 0.5, step: 1, scalars: { "objective/train": 0.5, "metric/macroF1/train": 0.125 } },
      { time: 1, step: 300, scalars: { "objective/train": Number.NaN } },
      { time: 1.5, step: 5_000_000_000, scalars: { "objective/eval": 0.25, "metric/macroF1": 0.75 } },
    ]);
  });

  it("begin a run that goes on with the step from which on earlier events are forgotten", () => {
    expect(readEvents(encodeEvents(firstEvents(2, 301)))).toEqual([
      { time: 2, step: 0, version: "brain.Event:2", scalars: {} },
      { time: 2, step: 301, start: 1, scalars: {} },
    ]);
  });

  it("have the bytes of the format", () => {
    const bytes = encodeEvents([
      { wallTime: 1, fileVersion: "brain.Event:2" },
      { wallTime: 2, step: 3, scalars: [{ tag: "a", value: 1.5 }] },
    ]);
    // Made by hand and a checksum written from its polynomial: 09 double · 1a 0d string · 10 03 step · 2a summary { 0a value { 0a tag, 15 float } }.
    expect(Buffer.from(bytes).toString("hex")).toBe(golden.join(""));
  });

  const hasTensorBoard = spawnSync("python3", ["-c", "import tensorboard"]).status === 0;
  if (!hasTensorBoard) console.log("skipped: TensorBoard's own reader, since python3 cannot import tensorboard");
  it.skipIf(!hasTensorBoard)("are read by TensorBoard itself", () => {
    const folder = mkdtempSync(join(tmpdir(), "losswright-events-"));
    try {
      writeFileSync(join(folder, "events.out.tfevents.1.losswright"), eventFile(log));
      const script = `
import sys, json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1]); found.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in found.Scalars(tag)] for tag in found.Tags()["scalars"] if tag != "objective/train"}))`;
      const { stdout } = spawnSync("python3", ["-c", script, folder], { encoding: "utf8" });
      expect(JSON.parse(stdout)).toMatchObject({
        "objective/eval": [[5_000_000_000, 0.25]],
        "metric/macroF1": [[5_000_000_000, 0.75]],
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
