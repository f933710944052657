import { type Contract, canonicalText, type Json } from "../contract/index.js";
import { checkObject, closest, LosswrightError, rejectUnknown } from "../errors/index.js";
import {
  checkSameContract,
  Denominator,
  type DenominatorJson,
  mergeOpen,
  openFromJson,
  openToJson,
} from "./denominator.js";
import { ExactSum, type ExactSumJson, LANES } from "./exact-sum.js";
import type { Note } from "./note.js";

/** What computed unit losses. Reference and kernels may differ in the last bits, so a tally says whose they are. */
export type Engine = "reference" | "wasm";
const engineNames: readonly Engine[] = ["reference", "wasm"];

/** The wire version of a tally; the JSON and the integer form carry it. */
const wireVersion = 1;
const jsonFormat = "losswright tally";
/** Lanes before the sums: parts, version, contract hash, unit axes, batches, and one for each engine. */
const HEADER = 5 + engineNames.length;
const LIMB_LANES = HEADER + 2 * LANES;

export interface TallyJson {
  readonly format: typeof jsonFormat;
  readonly version: number;
  readonly contract: Contract;
  readonly engines: readonly Engine[];
  readonly unitAxes: number;
  readonly batches: number;
  readonly couples: boolean;
  readonly numerator: ExactSumJson;
  readonly denominator: DenominatorJson;
  readonly openNumerators: { readonly [key: string]: ExactSumJson };
}

export interface MergeOptions {
  /** For objectives that couple a batch: accept that each batch had its own negatives. */
  readonly acrossBatches?: "independent";
}

export interface TallyParts {
  readonly contract: Contract;
  readonly engines: readonly Engine[];
  /** Number of axes of the units: `per: "sample"` means another thing on one axis than on two. */
  readonly unitAxes: number;
  /** Batches merged into this tally. */
  readonly batches: number;
  /** Whether a unit's loss depends on the other units of its batch. */
  readonly couples: boolean;
  readonly numerator: ExactSum;
  readonly denominator: Denominator;
  /** Inner numerators of groups given by `groupKeys`, by key; their inner weights are in the denominator. */
  readonly openNumerators: ReadonlyMap<string, ExactSum>;
}

/**
 * An exact numerator and an exact counted weight, undivided: what is known of an objective over one part of a step.
 *
 * Tallies of parts merge by addition, associative and commutative to the bit; `objective.value(tally)` divides once.
 */
export class Tally {
  private readonly parts: TallyParts;

  constructor(parts: TallyParts) {
    this.parts = parts;
  }

  /** The contract whose numbers these are. */
  get contract(): Contract {
    return this.parts.contract;
  }

  get engines(): readonly Engine[] {
    return this.parts.engines;
  }

  get batches(): number {
    return this.parts.batches;
  }

  get unitAxes(): number {
    return this.parts.unitAxes;
  }

  /** Whether a unit's loss depends on the other units of its batch. */
  get couples(): boolean {
    return this.parts.couples;
  }

  /** What divides, exact. */
  get denominator(): Denominator {
    return this.parts.denominator;
  }

  /** The exact numerator, of all but open groups. */
  get numeratorSum(): ExactSum {
    return this.parts.numerator;
  }

  /** Σ w m l, rounded once; with groups, the sum of their quotients (`per: "sequence"`) or of their sums (`"sample"`). */
  get numerator(): number {
    return this.numeratorOver(this.parts.denominator);
  }

  /**
   * The numerator with the quotients of open groups formed by the inner weights of a whole step: this tally's share
   * of the step's numerator.
   */
  numeratorOver({ open }: Denominator): number {
    const { numerator, openNumerators, contract } = this.parts;
    if (openNumerators.size === 0) return numerator.value;
    const sum = numerator.clone();
    for (const [key, inner] of openNumerators) {
      const weight = open.get(key)?.value ?? 0;
      if (weight === 0) continue;
      if (contract.reduction.per === "sequence") sum.add(inner.value / weight);
      else sum.merge(inner);
    }
    return sum.value;
  }

  /** Keys of the groups whose quotient is not formed yet. */
  get openKeys(): readonly string[] {
    return [...this.parts.openNumerators.keys()];
  }

  /** What must be said of these numbers: engines whose last bits may differ were mixed. */
  get notes(): readonly Note[] {
    if (this.engines.length < 2) return [];
    return [
      {
        code: "mixed-engines",
        message: `the tally merges losses of the engines ${this.engines.join(" and ")}, which may differ in the last bits`,
      },
    ];
  }

  /**
   * The tally of both parts together, exact.
   *
   * @throws `merge` for another contract, another number of unit axes, or an objective that couples a batch, unless
   * `acrossBatches: "independent"` accepts that each batch had its own negatives
   */
  merge(other: Tally, options: MergeOptions = {}): Tally {
    checkMergeOptions(options);
    if (!(other instanceof Tally)) {
      throw new LosswrightError({
        code: "argument",
        where: "tally",
        found: typeof other === "object" ? "an object that is no tally" : typeof other,
        expected: "a tally",
        fix: "read JSON with Tally.fromJSON first.",
      });
    }
    const [mine, theirs] = [this.parts, other.parts];
    checkSameContract("tally", mine.contract, theirs.contract);
    if (mine.unitAxes !== theirs.unitAxes) {
      throw new LosswrightError({
        code: "merge",
        where: "tally",
        field: "unitAxes",
        found: `units of ${theirs.unitAxes} axes beside units of ${mine.unitAxes}`,
        expected: "batches whose units have as many axes",
        fix: "shape every part alike: [B, T] in one and [B·T] in another are different samples.",
      });
    }
    if (mine.couples && options.acrossBatches !== "independent") {
      throw new LosswrightError({
        code: "merge",
        where: mine.contract.objective,
        found: "tallies of several batches of an objective that couples its batch",
        expected: "one tally of the whole batch",
        fix: 'let the rows meet: valueAndGradients(batch, { group }) over ranks, accumulation(objective).gathered over micro-batches; or accept smaller sets of negatives: merge(other, { acrossBatches: "independent" }).',
      });
    }
    return new Tally({
      ...mine,
      engines: engineNames.filter((name) => mine.engines.includes(name) || theirs.engines.includes(name)),
      batches: mine.batches + theirs.batches,
      numerator: mine.numerator.clone().merge(theirs.numerator),
      denominator: mine.denominator.merge(theirs.denominator),
      openNumerators: mergeOpen(mine.openNumerators, theirs.openNumerators),
    });
  }

  toJSON(): TallyJson {
    const { contract, engines, unitAxes, batches, couples, numerator, denominator, openNumerators } = this.parts;
    return {
      format: jsonFormat,
      version: wireVersion,
      contract,
      engines,
      unitAxes,
      batches,
      couples,
      numerator: numerator.toJSON(),
      denominator: denominator.toJSON(),
      openNumerators: openToJson(openNumerators),
    };
  }

  /** @throws `argument` for anything that `toJSON` does not write */
  static fromJSON(json: TallyJson): Tally {
    const found = (json ?? {}) as Partial<TallyJson>;
    const wrong = (field: string, got: unknown, expected: string) =>
      new LosswrightError({
        code: "argument",
        where: "Tally.fromJSON",
        field,
        found: JSON.stringify(got) ?? "nothing",
        expected,
      });
    if (found.format !== jsonFormat) throw wrong("format", found.format, `"${jsonFormat}"`);
    if (found.version !== wireVersion) throw wrong("version", found.version, `version ${wireVersion}`);
    const { contract, engines, unitAxes, batches, couples, numerator, denominator, openNumerators } = found;
    if (typeof contract !== "object" || contract === null) throw wrong("contract", contract, "a contract");
    if (!Array.isArray(engines) || !engines.length || !engines.every((name) => engineNames.includes(name))) {
      throw wrong("engines", engines, `a list of ${engineNames.join(", ")}`);
    }
    if (!isCount(unitAxes) || !isCount(batches)) throw wrong("batches", { unitAxes, batches }, "whole numbers");
    if (typeof couples !== "boolean") throw wrong("couples", couples, "true or false");
    const keys = Object.keys(openNumerators ?? {});
    const stray = keys.find((key) => !Object.hasOwn(denominator?.open ?? {}, key));
    if (stray !== undefined) throw wrong("openNumerators", stray, "keys that denominator.open has too");
    return new Tally({
      contract,
      engines,
      unitAxes,
      batches,
      couples,
      numerator: ExactSum.fromJSON(numerator as ExactSumJson),
      denominator: Denominator.fromJSON(denominator as DenominatorJson),
      openNumerators: openFromJson(openNumerators ?? {}),
    });
  }

  /**
   * The fixed integer form: 64-bit integers that an all-reduce of sums adds, lane by lane, into the form of the
   * merged tally. Version, contract and unit axes are lanes too, so a sum of unlike tallies is refused on reading.
   *
   * @throws `merge` for a tally with open groups, whose number is not fixed
   */
  toLimbs(): BigInt64Array {
    const { contract, engines, unitAxes, batches, numerator, denominator, openNumerators } = this.parts;
    if (openNumerators.size > 0) {
      throw new LosswrightError({
        code: "merge",
        where: "tally",
        field: "groupKeys",
        found: `${openNumerators.size} groups that may have pieces in other parts`,
        expected: "a tally without open groups",
        fix: "exchange such tallies as JSON and merge them.",
      });
    }
    const lanes = new BigInt64Array(LIMB_LANES);
    const header = [1n, BigInt(wireVersion), hash(textOf(contract)), BigInt(unitAxes), BigInt(batches)];
    lanes.set([...header, ...engineNames.map((name) => (engines.includes(name) ? 1n : 0n))]);
    numerator.toLanes(lanes, HEADER);
    denominator.counted.toLanes(lanes, HEADER + LANES);
    return lanes;
  }

  /**
   * The merged tally whose parts' integer forms were added.
   *
   * @param like - a tally of this part: contract and unit axes are compared with what the sum says
   * @throws `merge` when a part had another contract, version or number of unit axes, or the objective couples a
   * batch and several parts were added without `acrossBatches: "independent"`
   */
  static fromLimbs(lanes: BigInt64Array, like: Tally, options: MergeOptions = {}): Tally {
    checkMergeOptions(options);
    if (!(like instanceof Tally)) {
      throw new LosswrightError({
        code: "argument",
        where: "Tally.fromLimbs",
        field: "like",
        found: typeof like,
        expected: "a tally of this part, whose contract the sum is read under",
        fix: "Tally.fromLimbs(lanes, objective.tally(batch)).",
      });
    }
    const { contract, unitAxes, couples, denominator } = like.parts;
    const wrong = (field: string, found: string, expected: string) =>
      new LosswrightError({ code: "merge", where: "Tally.fromLimbs", field, found, expected });
    if (lanes.length !== LIMB_LANES) throw wrong("lanes", `${lanes.length} lanes`, `${LIMB_LANES} lanes`);
    const parts = lanes[0]!;
    if (parts < 1n) throw wrong("lanes", `${parts} parts`, "at least one part");
    const expected = [BigInt(wireVersion), hash(textOf(contract)), BigInt(unitAxes)];
    const names = ["version", "contract", "unitAxes"];
    for (const [i, value] of expected.entries()) {
      if (lanes[i + 1] === BigInt.asIntN(64, value * parts)) continue;
      throw wrong(names[i]!, "parts that differ from this one", `the same ${names[i]} in every part`);
    }
    if (couples && parts > 1n && options.acrossBatches !== "independent") {
      throw wrong("batches", `${parts} batches of an objective that couples its batch`, "one batch");
    }
    return new Tally({
      contract,
      unitAxes,
      couples,
      batches: Number(lanes[4]),
      engines: engineNames.filter((_, i) => lanes[5 + i]! > 0n),
      numerator: ExactSum.fromLanes(lanes, HEADER),
      denominator: new Denominator(
        ExactSum.fromLanes(lanes, HEADER + LANES),
        denominator.constant,
        undefined,
        denominator.contract,
      ),
      openNumerators: new Map(),
    });
  }
}

/**
 * The tally of all parts together.
 *
 * @throws `argument` for no tally at all, otherwise as {@link Tally.merge}
 */
export function total(tallies: Iterable<Tally>, options: MergeOptions = {}): Tally {
  let sum: Tally | undefined;
  if (typeof tallies?.[Symbol.iterator] !== "function") throw notTallies(typeof tallies);
  for (const tally of tallies) {
    if (!(tally instanceof Tally)) throw notTallies(`a list with ${tally === null ? "null" : typeof tally} in it`);
    sum = sum ? sum.merge(tally, options) : tally;
  }
  if (sum) return sum;
  throw new LosswrightError({
    code: "argument",
    where: "total",
    found: "no tally",
    expected: "at least one",
    fix: "the tally of an empty batch is objective.tally(batch).",
  });
}

function notTallies(found: string): LosswrightError {
  return new LosswrightError({
    code: "argument",
    where: "total",
    found,
    expected: "a list of tallies",
    fix: "objective.tally(batch) gives one, evaluation.tally holds one, Tally.fromJSON reads one.",
  });
}

function checkMergeOptions(options: MergeOptions): void {
  checkObject("merge", "options", options);
  rejectUnknown("merge", "option", options, ["acrossBatches"]);
  const { acrossBatches } = options;
  if (acrossBatches === undefined || acrossBatches === "independent") return;
  throw new LosswrightError({
    code: "option",
    where: "merge",
    field: "acrossBatches",
    found: JSON.stringify(acrossBatches),
    expected: '"independent"',
    ...(closest(String(acrossBatches), ["independent"]) && { fix: 'write "independent".' }),
  });
}

function textOf(contract: Contract): string {
  return canonicalText(contract as unknown as Json);
}

/** FNV-1a over the code units of a text, as a signed 64-bit integer. */
function hash(text: string): bigint {
  let value = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    value = BigInt.asUintN(64, (value ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return BigInt.asIntN(64, value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
