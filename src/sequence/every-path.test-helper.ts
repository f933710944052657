/** Alignments and labelings one by one: the definition itself, for sizes at which it can be written out. */
import { Random } from "../../test/instruments/random.js";

/** Every list of `length` numbers below `base`, the last changing fastest. */
export function everyList(length: number, base: number): number[][] {
  if (length === 0) return [[]];
  return everyList(length - 1, base).flatMap((head) => Array.from({ length: base }, (_, last) => [...head, last]));
}

/** Every list of 0 to `most` labels below `classes`, none the blank: repeats among them. */
export function everyLabeling(most: number, classes: number, blank: number): number[][] {
  const lists = Array.from({ length: most + 1 }, (_, length) => everyList(length, classes - 1)).flat();
  return lists.map((list) => list.map((label) => (label < blank ? label : label + 1)));
}

/** Merges repeats, then drops blanks. */
export function collapsed(path: readonly number[], blank: number): number[] {
  return path.filter((label, t) => label !== blank && label !== path[t - 1]);
}

/** Numbers about normal, of a seed. */
export function normals(seed: number, count: number, scale = 1.5): Float64Array {
  const random = new Random(seed);
  return Float64Array.from({ length: count }, () => random.real(scale));
}

/** Rows of log-softmax, by definition. */
export function logSoftmaxRows(logits: ArrayLike<number>, classes: number): number[][] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const scores = Array.from({ length: classes }, (_, k) => logits[row * classes + k]!);
    const sum = scores.reduce((total, score) => total + Math.exp(score), 0);
    return scores.map((score) => score - Math.log(sum));
  });
}

/** What all paths that collapse to a list of labels have together. */
export interface CtcMass {
  /** Sum of their probabilities. */
  probability: number;
  /** Of those in class k in frame t: `[frames][classes]`. */
  readonly through: number[][];
  /** The largest of their probabilities. */
  best: number;
}

/** Every frame path, gathered by the labels that it collapses to, joined by commas. */
export function everyCtcPath(logProbs: readonly (readonly number[])[], blank: number): Map<string, CtcMass> {
  const classes = logProbs[0]!.length;
  const masses = new Map<string, CtcMass>();
  for (const path of everyList(logProbs.length, classes)) {
    const probability = Math.exp(path.reduce((sum, label, t) => sum + logProbs[t]![label]!, 0));
    const key = collapsed(path, blank).join();
    const through = () => logProbs.map(() => new Array<number>(classes).fill(0));
    const mass = masses.get(key) ?? { probability: 0, through: through(), best: 0 };
    masses.set(key, mass);
    mass.probability += probability;
    mass.best = Math.max(mass.best, probability);
    for (const [t, label] of path.entries()) mass.through[t]![label]! += probability;
  }
  return masses;
}

/** Every way to spread labels over frames: the frame in which each is emitted, never falling. */
export function everyEmission(frames: number, labels: number): number[][] {
  return everyList(labels, frames).filter((list) => list.every((frame, i) => i === 0 || frame >= list[i - 1]!));
}
