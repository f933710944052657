import { checkWhole } from "./arguments.js";
import { type CtcFrames, type CtcReading, CtcScores } from "./ctc-scores.js";
import { logAdd } from "./log-sum.js";

/** Options of {@link ctcBeamDecode}. */
export interface CtcBeamOptions extends CtcReading {
  /** How many label prefixes are kept after each frame; 16 by default. */
  readonly beamWidth?: number;
}

/** A label sequence that a beam ended with. */
export interface CtcHypothesis {
  readonly labels: Int32Array;
  /** Log of the probability of those of its alignments that stayed in the beam: all of them, where it was wide enough. */
  readonly logProbability: number;
}

/**
 * Prefix beam search for CTC: label prefixes, not frame paths, so that all alignments of one labeling add up.
 *
 * @param fields - `logits` or `logProbs` `[T, B, C]` (`[B, T, C]` under `layout: "BTC"`), `inputLengths?` `[B]`
 * @param options - `blank` (0), `layout` (`"TBC"`), `beamWidth` (16)
 * @returns for each sequence the hypotheses of its last beam, the most probable first, at most `beamWidth`
 * @throws `unknown`, `missing-field`, `argument`, `role`, `dtype`, `shape`, `option` and `value` with the fix
 *
 * Hannun, Maas, Jurafsky and Ng 2014, algorithm 1, without a language model.
 */
export function ctcBeamDecode(fields: CtcFrames, options: CtcBeamOptions = {}): readonly (readonly CtcHypothesis[])[] {
  const batch = new CtcScores("ctcBeamDecode", fields, options, false, ["beamWidth"]);
  const width = checkWhole("ctcBeamDecode", "beamWidth", options.beamWidth ?? 16, 1);
  const beam = new Beam(width, batch.classes, batch.blank);
  return Array.from({ length: batch.sequences }, (_, sequence) => {
    const frames = batch.labels.frames(sequence);
    const scores = batch.load(sequence, frames);
    beam.begin();
    for (let t = 0; t < frames; t++) beam.advance(scores, t * batch.classes, t);
    return beam.prefixes.map((prefix) => ({ labels: labelsOf(prefix), logProbability: prefix.total }));
  });
}

/** A node of the tree of prefixes: its parent's labels and one more. */
class Prefix {
  readonly children = new Map<number, Prefix>();
  /** Log-probability of its alignments that end in a blank, and of those that end in its last label. */
  blank = Number.NEGATIVE_INFINITY;
  label = Number.NEGATIVE_INFINITY;
  /** The same one frame on, while that frame is read. */
  nextBlank = Number.NEGATIVE_INFINITY;
  nextLabel = Number.NEGATIVE_INFINITY;
  /** The frame in which the next ones were last begun. */
  frame = -1;
  isKept = true;

  constructor(
    readonly parent: Prefix | undefined,
    readonly symbol: number,
  ) {
    parent?.children.set(symbol, this);
  }

  get total(): number {
    return logAdd(this.blank, this.label);
  }
}

class Beam {
  prefixes: Prefix[] = [];

  /** Prefixes that are in the tree and have a score in this frame. */
  private readonly touched: Prefix[] = [];
  /** The best so far of this frame, in order: prefixes, or new ones by a parent and a symbol. */
  private readonly scores: Float64Array;
  private readonly symbols: Int32Array;
  private readonly nodes: Prefix[] = [];
  private count = 0;

  constructor(
    private readonly width: number,
    private readonly classes: number,
    private readonly blank: number,
  ) {
    this.scores = new Float64Array(width);
    this.symbols = new Int32Array(width);
  }

  begin(): void {
    const root = new Prefix(undefined, -1);
    root.blank = 0;
    this.prefixes = [root];
  }

  /** Reads a frame of log-probabilities. */
  advance(scores: Float64Array, from: number, frame: number): void {
    const { touched, classes, blank } = this;
    touched.length = 0;
    this.count = 0;
    for (const prefix of this.prefixes) {
      const { total, symbol } = prefix;
      this.touch(prefix, frame);
      prefix.nextBlank = logAdd(prefix.nextBlank, total + scores[from + blank]!);
      if (symbol >= 0) prefix.nextLabel = logAdd(prefix.nextLabel, prefix.label + scores[from + symbol]!);
      for (let k = 0; k < classes; k++) {
        if (k === blank) continue;
        // The same label again is another one only after a blank.
        const score = (k === symbol ? prefix.blank : total) + scores[from + k]!;
        const child = prefix.children.get(k);
        if (!child) {
          this.offer(score, prefix, k);
          continue;
        }
        this.touch(child, frame);
        child.nextLabel = logAdd(child.nextLabel, score);
      }
    }
    for (const prefix of touched) this.offer(logAdd(prefix.nextBlank, prefix.nextLabel), prefix, -1);
    this.keep();
  }

  private touch(prefix: Prefix, frame: number): void {
    if (prefix.frame === frame) return;
    prefix.frame = frame;
    prefix.nextBlank = Number.NEGATIVE_INFINITY;
    prefix.nextLabel = Number.NEGATIVE_INFINITY;
    this.touched.push(prefix);
  }

  /** Puts a candidate in its place among the best; of equals the first offered stays ahead. */
  private offer(score: number, node: Prefix, symbol: number): void {
    const { scores, symbols, nodes, width } = this;
    if (score === Number.NEGATIVE_INFINITY) return;
    if (this.count === width && score <= scores[width - 1]!) return;
    let place = this.count < width ? this.count++ : width - 1;
    for (; place > 0 && scores[place - 1]! < score; place--) {
      scores[place] = scores[place - 1]!;
      symbols[place] = symbols[place - 1]!;
      nodes[place] = nodes[place - 1]!;
    }
    scores[place] = score;
    symbols[place] = symbol;
    nodes[place] = node;
  }

  /** Makes the best the beam, and takes prefixes that nothing leads through out of the tree. */
  private keep(): void {
    const { touched, scores, symbols, nodes } = this;
    for (const prefix of touched) {
      prefix.isKept = false;
      prefix.blank = prefix.nextBlank;
      prefix.label = prefix.nextLabel;
    }
    const kept: Prefix[] = [];
    for (let i = 0; i < this.count; i++) {
      const symbol = symbols[i]!;
      const prefix = symbol < 0 ? nodes[i]! : new Prefix(nodes[i]!, symbol);
      if (symbol >= 0) prefix.label = scores[i]!;
      prefix.isKept = true;
      kept.push(prefix);
    }
    for (const prefix of touched) {
      for (let leaf = prefix; !leaf.isKept && leaf.children.size === 0 && leaf.parent; leaf = leaf.parent) {
        leaf.parent.children.delete(leaf.symbol);
      }
    }
    this.prefixes = kept;
  }
}

function labelsOf(prefix: Prefix): Int32Array {
  const labels: number[] = [];
  for (let node = prefix; node.parent; node = node.parent) labels.push(node.symbol);
  return Int32Array.from(labels.reverse());
}
