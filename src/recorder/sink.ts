import { zipSync } from "fflate";
import { encodeStep, parseNpy, parseStep, type StepRecord } from "../io/index.js";

/** Where records go. */
export interface StepSink {
  /** What the run is called, where the recorder is not told. */
  readonly run?: string;
  /**
   * Keeps a record, whole or not at all. Called for one record after the other.
   *
   * @param name - of the step, as `step-00000500`: the same name again replaces the record
   */
  write(name: string, record: StepRecord): void | Promise<void>;
}

/** A sink that keeps records in memory, encoded, for a browser to hand over. */
export interface MemorySink extends StepSink {
  write(name: string, record: StepRecord): void;
  /** The records by name, in the order they were written; read from their bytes at each call. */
  records(): StepRecord[];
  /** All records as one zip file, a directory each: unpacked, it is what `losswright audit` reads as a run. */
  zip(): Uint8Array;
  /** Forgets what it holds. */
  clear(): void;
}

/** Makes a sink that keeps records in memory: as much of it as their tensors take. */
export function memorySink(): MemorySink {
  const kept = new Map<string, ReturnType<typeof encodeStep>>();
  return {
    write: (name, record) => {
      const encoded = encodeStep({ ...record, name });
      kept.delete(name);
      kept.set(name, encoded);
    },
    records: () =>
      Array.from(kept, ([name, { json, files }]) =>
        parseStep(json, (file) => parseNpy(files.get(file)!, `${name}/${file}`), name),
      ),
    zip: () => {
      const tree: Record<string, Uint8Array> = {};
      for (const [name, { json, files }] of kept) {
        for (const [file, bytes] of files) tree[`${name}/${file}`] = bytes;
        tree[`${name}/step.json`] = new TextEncoder().encode(json);
      }
      // The date that a zip file must have is the first there is: the same records are the same bytes.
      return zipSync(tree, { mtime: new Date(1980, 0, 1) });
    },
    clear: () => kept.clear(),
  };
}
