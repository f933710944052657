import { rejectUnknown } from "../errors/index.js";
import type { Tensor, Unlabeled } from "../tensor/index.js";
import { AlignmentLabels } from "./alignment-labels.js";
import { checkIntegers, checkReals, checkWhole, checkWord, numbersOf, wrong } from "./arguments.js";
import { logSoftmaxOf } from "./log-sum.js";

/** What the CTC decoders read: exactly one of `logits` and `logProbs`. */
export interface CtcFrames {
  /** `[T, B, C]`, or `[B, T, C]` under `layout: "BTC"`: raw scores of the classes in each frame. */
  readonly logits?: Tensor<"logits" | Unlabeled>;
  /** The same of log-probabilities, taken as they are. */
  readonly logProbs?: Tensor<"logProbabilities" | Unlabeled>;
  /** `[B]`: frames of each sequence; all T without it. */
  readonly inputLengths?: Tensor;
}

/** {@link CtcFrames} with the labels to align, as the objective `ctc` takes them. */
export interface CtcAlignable extends CtcFrames {
  readonly inputLengths: Tensor;
  /** `[B, S]`, padded; or `[ΣS]`, one sequence after another. */
  readonly labels: Tensor<"classIndices" | Unlabeled>;
  /** `[B]`: labels of each sequence. */
  readonly labelLengths: Tensor;
}

/** How the scores of CTC are read. */
export interface CtcReading {
  /** The class that emits nothing; 0 by default. */
  readonly blank?: number;
  /** The order of the scores' axes: `"TBC"` (default) or `"BTC"`. */
  readonly layout?: "TBC" | "BTC";
}

const frameFields = ["logits", "logProbs", "inputLengths"];
const alignableFields = [...frameFields, "labels", "labelLengths"];

/** The scores of a batch, one sequence at a time, with its lengths and, where they are given, its labels. */
export class CtcScores {
  readonly sequences: number;
  readonly classes: number;
  readonly blank: number;
  readonly labels: AlignmentLabels;

  private readonly data: Float64Array | Float32Array;
  private readonly isLogits: boolean;
  private readonly isTimeFirst: boolean;
  private readonly frames: number;
  private readonly row: Float64Array;

  /**
   * @param aligns - whether labels and all lengths must be given
   * @param options - names of options beside {@link CtcReading}'s
   * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `option` and `value` with the fix
   */
  constructor(
    private readonly where: string,
    fields: CtcFrames | CtcAlignable,
    reading: CtcReading,
    aligns: boolean,
    options: readonly string[] = [],
  ) {
    rejectUnknown(where, "field", fields, aligns ? alignableFields : frameFields);
    rejectUnknown(where, "option", reading, ["blank", "layout", ...options]);
    this.blank = checkWhole(where, "blank", reading.blank ?? 0, 0);
    this.isTimeFirst = checkWord(where, "layout", reading.layout ?? "TBC", ["TBC", "BTC"]) === "TBC";
    const { logits, logProbs } = fields;
    if ((logits === undefined) === (logProbs === undefined)) {
      const found = logits ? "logits and logProbs" : "neither logits nor logProbs";
      throw wrong(where, logits ? "argument" : "missing-field", "logits or logProbs", found, "exactly one of the two");
    }
    const axes = this.isTimeFirst ? ["T", "B", "C"] : ["B", "T", "C"];
    const scores = logits
      ? checkReals(where, "logits", logits, ["logits"], axes)
      : checkReals(where, "logProbs", logProbs, ["logProbabilities"], axes);
    this.data = scores.data;
    const [first, second, classes] = scores.shape as [number, number, number];
    const [frames, sequences] = this.isTimeFirst ? [first, second] : [second, first];
    this.isLogits = logits !== undefined;
    this.frames = frames;
    this.sequences = sequences;
    this.classes = classes;
    this.row = new Float64Array(frames * classes);
    this.labels = this.readLabels(fields as Partial<CtcAlignable>, aligns);
  }

  /**
   * The log-probabilities of a sequence's frames, `[frames, C]`; to be read before the next sequence.
   *
   * @throws `value` for NaN, +∞ or a frame of −∞ alone
   */
  load(sequence: number, frames: number): Float64Array {
    const { row, data, classes, sequences } = this;
    for (let t = 0; t < frames; t++) {
      const from = (this.isTimeFirst ? t * sequences + sequence : sequence * this.frames + t) * classes;
      const to = t * classes;
      let highest = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < classes; k++) {
        const score = data[from + k]!;
        if (!(score < Number.POSITIVE_INFINITY)) throw this.noScore(sequence, t, `${score} for class ${k}`);
        if (score > highest) highest = score;
        row[to + k] = score;
      }
      if (highest === Number.NEGATIVE_INFINITY) throw this.noScore(sequence, t, "nothing but -Infinity");
      if (this.isLogits) logSoftmaxOf(row, to, to + classes);
    }
    return row;
  }

  private noScore(sequence: number, frame: number, found: string) {
    const field = this.isLogits ? "logits" : "logProbs";
    const place = `${found} in frame ${frame} of sequence ${sequence}`;
    const fix = "scores past a sequence's frames are not read: check inputLengths and layout.";
    return wrong(this.where, "value", field, place, "scores below +∞, one of them finite", fix);
  }

  private readLabels(fields: Partial<CtcAlignable>, aligns: boolean): AlignmentLabels {
    const { where, sequences, frames, classes, blank } = this;
    const lengths = (field: "inputLengths" | "labelLengths") =>
      numbersOf(checkIntegers(where, field, fields[field], [sequences]));
    const labels = aligns ? checkIntegers(where, "labels", fields.labels, [sequences, "S"], ["N"]) : undefined;
    return new AlignmentLabels({
      where,
      sequences,
      frames,
      classes,
      blank,
      width: labels ? labels.shape[1] : 0,
      size: labels?.data.length ?? 0,
      label: labels ? numbersOf(labels) : () => blank,
      inputLength: aligns || fields.inputLengths !== undefined ? lengths("inputLengths") : () => frames,
      labelLength: aligns ? lengths("labelLengths") : () => 0,
    });
  }
}
