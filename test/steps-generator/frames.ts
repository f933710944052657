/** CTC steps: scores of frames, symbols without places, lengths of both. */
import type { StepContext } from "../../src/io/index.js";
import type { Random } from "../instruments/random.js";
import { labelDtype, normals, surroundings, wideOrSingle } from "./chance.js";
import { type Drawn, drawn, type Frame } from "./drawn.js";
import type { Precision } from "./rounding.js";
import type { Tape, Variable } from "./tape.js";
import { type Coefficients, integers, type Part, reals } from "./task.js";

export interface FramesData {
  readonly frames: number;
  readonly batch: number;
  readonly classes: number;
  /** [T, B, C], whatever the layout of the record. */
  readonly logits: Float64Array;
  /** Symbols of each sequence. */
  readonly symbols: readonly (readonly number[])[];
  readonly inputLengths: readonly number[];
  readonly layout: "TBC" | "BTC";
  readonly precision: Precision;
  readonly labelDtype: "int64" | "int32";
  /** What stands behind the symbols of a row. */
  readonly filler: number;
  readonly context?: StepContext;
}

export interface FramesCode {
  readonly blank: number;
  readonly zeroInfinity: boolean;
  /** Frames that code takes each sequence to have. */
  readonly framesOf?: ((data: FramesData) => readonly number[]) | undefined;
  readonly symbolsOf?: ((data: FramesData) => readonly (readonly number[])[]) | undefined;
  /** [T, B, C] as code reads it from the field in its layout. */
  readonly read?: ((tape: Tape, field: Variable, data: FramesData) => Variable) | undefined;
}

/** Row-major places of [T, B, C] in a field of some layout. */
export function placesOf({ frames, batch, classes, layout }: FramesData): number[] {
  const places: number[] = [];
  for (let t = 0; t < frames; t++) {
    for (let b = 0; b < batch; b++) {
      for (let k = 0; k < classes; k++) {
        places.push(layout === "TBC" ? (t * batch + b) * classes + k : (b * frames + t) * classes + k);
      }
    }
  }
  return places;
}

function framesPart(data: FramesData, code: FramesCode): Part {
  const { frames, batch, classes, layout, symbols, inputLengths, filler, precision } = data;
  const places = placesOf(data);
  const field = new Float64Array(data.logits.length);
  for (const [i, place] of places.entries()) field[place] = data.logits[i];
  const width = Math.max(...symbols.map((own) => own.length));
  const padded = symbols.flatMap((own) => Array.from({ length: width }, (_, s) => own[s] ?? filler));
  return {
    fields: {
      logits: reals(field, layout === "TBC" ? [frames, batch, classes] : [batch, frames, classes], precision),
      labels: integers(padded, [batch, width], data.labelDtype),
      inputLengths: integers(inputLengths, [batch], data.labelDtype),
      labelLengths: integers(
        symbols.map((own) => own.length),
        [batch],
        data.labelDtype,
      ),
    },
    leaves: ["logits"],
    losses(tape, { logits }) {
      const ordered = code.read?.(tape, logits, data) ?? tape.take(logits, places, [frames, batch, classes]);
      return tape.alignments(tape.logSoftmax(ordered), {
        frames: code.framesOf?.(data) ?? inputLengths,
        symbols: code.symbolsOf?.(data) ?? symbols,
        blank: code.blank,
        zeroInfinity: code.zeroInfinity,
      });
    },
    weights: symbols.map(() => 1),
    counted: symbols.map(() => 1),
    groups: symbols.map((own) => Math.max(own.length, 1)),
    ...(data.context && { context: data.context }),
  };
}

/** Each loss over the length of its own label, then the mean over the batch: `reduction="mean"` of PyTorch. */
export const overLabels: Coefficients = (parts) => {
  const count = parts.reduce((sum, { weights }) => sum + weights.length, 0);
  return parts.map(({ weights, groups }) => weights.map((w, i) => w / groups[i] / count));
};

/** The sum of all losses over the number of all symbols. */
export const overSymbols: Coefficients = (parts) => {
  const count = parts.reduce((sum, { groups }) => sum + groups.reduce((own, n) => own + n, 0), 0);
  return parts.map(({ weights }) => weights.map((w) => w / count));
};

export interface FramesStep extends Drawn<FramesData, FramesCode> {
  readonly per: "sample" | "sequence";
}

export interface FramesWishes {
  readonly layout?: "TBC" | "BTC";
  readonly blank?: number | "last";
  /** As many frames as sequences. */
  readonly square?: boolean;
  readonly per?: "sample" | "sequence";
  readonly zeroInfinity?: boolean;
  /** Frames that are too few for the symbols of the first sequence. */
  readonly impossible?: boolean;
  readonly ragged?: boolean;
  readonly filler?: number;
  /** A class that no label is. */
  readonly spared?: "first" | "last";
  readonly context?: (data: FramesData) => StepContext;
  readonly outer?: Frame["context"];
}

/** Frames that an alignment needs: one a symbol, one more between equal neighbors. */
function framesNeeded(symbols: readonly number[]): number {
  return symbols.length + symbols.filter((symbol, i) => i > 0 && symbol === symbols[i - 1]).length;
}

/** Sequences of frames under CTC. */
export function frameStep(random: Random, wishes: FramesWishes = {}): FramesStep {
  const {
    layout = random.pick(["TBC", "TBC", "BTC"] as const),
    square = false,
    per = random.pick(["sample", "sequence", "sequence"] as const),
    zeroInfinity = false,
    impossible = false,
    ragged = true,
  } = wishes;
  const batch = square ? random.integer(4, 6) : random.integer(2, 4);
  const frames = square ? batch : random.integer(6, 10);
  const classes = random.integer(4, 6);
  const blank = wishes.blank === "last" ? classes - 1 : (wishes.blank ?? 0);
  const precision = wideOrSingle(random);
  const inputLengths = Array.from({ length: batch }, () =>
    ragged ? random.integer(Math.min(4, frames), frames) : frames,
  );
  inputLengths[random.integer(0, batch - 1)] = frames;
  const spared = wishes.spared === "first" ? 0 : wishes.spared === "last" ? classes - 1 : blank;
  const known = Array.from({ length: classes }, (_, k) => k).filter((k) => k !== blank && k !== spared);
  const symbols = inputLengths.map((length) => {
    const most = square ? 2 : 3;
    for (;;) {
      const own = Array.from({ length: random.integer(1, most) }, () => random.pick(known));
      if (framesNeeded(own) <= length) return own;
    }
  });
  if (impossible) {
    const own = Array.from({ length: random.integer(3, 5) }, () => random.pick(known));
    const repeat = random.chance(0.5) ? [own[0], ...own] : own;
    symbols[0] = repeat;
    inputLengths[0] = Math.min(frames, framesNeeded(repeat) - random.integer(1, 2));
    inputLengths[1] = frames;
  }
  const base: FramesData = {
    frames,
    batch,
    classes,
    logits: normals(random, frames * batch * classes, random.between(0.8, 2)),
    symbols,
    inputLengths,
    layout,
    precision,
    labelDtype: labelDtype(random),
    filler: wishes.filler ?? (blank === 0 ? 1 : 0),
  };
  const own = wishes.context?.(base);
  const step = drawn<FramesData, FramesCode>(
    framesPart,
    [{ ...base, ...(own && { context: own }) }],
    { blank, zeroInfinity },
    {
      intended: {
        objective: "ctc",
        options: { blank, layout, ...(zeroInfinity && { zeroInfinity }) },
        reduction: { per, divideBy: "weight" },
      },
      precision,
      context: { ...surroundings(random, "wordErrorRate"), ...wishes.outer },
      ...(per === "sequence" && { coefficients: overLabels }),
    },
  );
  return { ...step, per };
}

/** The names of classes, the blank's at its place. */
export function symbolsWithBlank(classes: number, blank: number): string[] {
  return Array.from({ length: classes }, (_, k) => (k === blank ? "<blank>" : "abcdefgh"[k]));
}
