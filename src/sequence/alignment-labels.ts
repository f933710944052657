import { formatShape } from "../tensor/index.js";
import { wrong } from "./arguments.js";

/** The constants of a batch of alignments, as their reader finds them. */
export interface AlignmentConstants {
  readonly where: string;
  readonly sequences: number;
  /** T of the scores. */
  readonly frames: number;
  /** C of the scores. */
  readonly classes: number;
  readonly blank: number;
  /** S of labels `[B, S]`; undefined for labels that lie one sequence after another in one axis. */
  readonly width: number | undefined;
  /** How many entries labels has. */
  readonly size: number;
  label(at: number): number;
  inputLength(sequence: number): number;
  labelLength(sequence: number): number;
}

/**
 * Labels and lengths of CTC and transducer batches, checked where they are read: a sequence that nobody asks for may
 * hold anything, but for the lengths of concatenated labels, which say where every other sequence begins.
 */
export class AlignmentLabels {
  /** Labels of the sequence taken last, from the front. */
  readonly labels: Int32Array;
  /** Where each sequence begins in concatenated labels. */
  private readonly starts: Int32Array | undefined;

  /** @throws `option` for a blank that is no class; `value` for lengths that concatenated labels do not have */
  constructor(private readonly constants: AlignmentConstants) {
    const { where, blank, classes, width, size, sequences } = constants;
    if (!(blank < classes)) {
      const fix = `the last class is ${classes - 1}; check that the scores' last axis holds the classes, blank among them.`;
      throw wrong(where, "option", "blank", String(blank), `a class in 0..${classes - 1}`, fix);
    }
    let longest = width ?? 0;
    if (width === undefined) {
      const starts = new Int32Array(sequences + 1);
      for (let b = 0; b < sequences; b++) {
        const length = this.length(b);
        longest = Math.max(longest, length);
        starts[b + 1] = starts[b]! + length;
      }
      if (starts[sequences] !== size) {
        const found = `${size} concatenated labels for lengths that sum to ${starts[sequences]}`;
        const fix = "concatenate the labels without their padding, or pass them padded as [B, S].";
        throw wrong(where, "value", "labels", found, "as many labels as labelLengths say", fix);
      }
      this.starts = starts;
    }
    this.labels = new Int32Array(longest);
  }

  /** Frames of a sequence. @throws `value` for a length that the scores do not have */
  frames(sequence: number): number {
    const { inputLength, frames } = this.constants;
    const fix =
      "a length counts frames of these scores: divide by the encoder's subsampling, and check which axis the layout takes for time.";
    return this.checked("inputLengths", sequence, inputLength(sequence), frames, fix);
  }

  /** Labels of a sequence. @throws `value` for a length that labels do not have */
  length(sequence: number): number {
    const { labelLength, width, size } = this.constants;
    const fix = "a length counts the labels before the padding.";
    return this.checked("labelLengths", sequence, labelLength(sequence), width ?? size, fix);
  }

  /**
   * Reads the labels of a sequence into `labels`.
   *
   * @returns how many there are
   * @throws `value` for the blank among them, or what is no class
   */
  take(sequence: number): number {
    const { label, width } = this.constants;
    const count = this.length(sequence);
    const start = this.starts ? this.starts[sequence]! : sequence * width!;
    for (let i = 0; i < count; i++) {
      const found = label(start + i);
      this.labels[i] = found;
      if (this.labels[i] !== found || !this.isLabel(found)) throw this.noLabel(found, sequence, i, start);
    }
    return count;
  }

  private isLabel(found: number): boolean {
    return found >= 0 && found < this.constants.classes && found !== this.constants.blank;
  }

  private checked(field: string, sequence: number, length: number, most: number, fix: string): number {
    if (Number.isInteger(length) && length >= 0 && length <= most) return length;
    const found = `${length} at ${formatShape([sequence])}`;
    throw wrong(this.constants.where, "value", field, found, `a length in 0..${most}`, fix, [sequence]);
  }

  private noLabel(found: number, sequence: number, i: number, start: number) {
    const { where, blank, classes, width } = this.constants;
    const index = width === undefined ? [start + i] : [sequence, i];
    const shown = `${found}${found === blank ? ", the blank," : ""} at ${formatShape(index)}`;
    const fix =
      found === blank
        ? `blank is a class of its own: set blank to one that no label has, or shorten labelLengths[${sequence}] if this is padding.`
        : `the scores have ${classes} classes: check whether the blank took an index, or shorten labelLengths[${sequence}] if this is padding.`;
    return wrong(
      where,
      "value",
      "labels",
      shown,
      `a class in 0..${classes - 1} other than the blank ${blank}`,
      fix,
      index,
    );
  }
}
