import type { OptionSpecs, UnitKind } from "../contract/index.js";
import type { BatchCall, KernelModule } from "../kernels/index.js";
import type { Role, Tensor, TensorData, Unlabeled } from "../tensor/index.js";

/** A set of numbers that a field's values lie in. */
export type Domain = "finite" | "unitInterval" | "nonNegative" | "positive" | "nonPositive" | "aboveMinusOne" | "sign";

/**
 * A tensor an objective reads: what it holds, its shape, and how its gradient comes about.
 *
 * Shapes are written with `"..."` for leading axes of any number, `"*"` for trailing ones, and names for all others:
 * `["...", "K"]`, `["B", "*"]`. A name used twice must have one length, and so must `"..."` and `"*"`.
 */
export interface FieldSpec {
  readonly meaning: string;
  /** float32 or float64; integers; or 0 and 1 of any dtype. */
  readonly holds: "reals" | "indices" | "flags";
  /** Roles accepted beside an unlabeled tensor. */
  readonly roles: readonly Role[];
  readonly shape: readonly string[];
  /**
   * How it is read: one row a unit, at the unit itself (`"label"`) or where a label shift finds its score
   * (`"source"`), or as a whole by the loss (`"whole"`).
   */
  readonly read: "label" | "source" | "whole";
  /** Each unit owns its row of the gradient, or units share the field and their gradients add up, or it is a constant. */
  readonly gradient: "row" | "shared" | "none";
  readonly optional?: boolean;
  /**
   * Smaller shapes taken besides, each entry holding for several units: `[]`, the units' shape with 1 as its last
   * axis, or `[B]`. The gradient of such a field is summed over the units that share an entry.
   */
  readonly broadcasts?: readonly ("scalar" | "lastOne" | "row")[];
  /** Of a `mask` over members of a unit (list items, elements of a sample): whether one of the units' shape is taken too. */
  readonly orUnits?: boolean;
  /**
   * Where its values may lie, or how that follows from the options. Live units are checked; NaN in a field with a
   * gradient gives NaN and a note instead.
   */
  readonly domain?: Domain | ((options: never) => Domain | undefined);
  /** Of indices: the axis they count along, so that `index` checks their range. */
  readonly indexes?: string;
  /** Whether the option `classAxis` says where its last named axis lies. */
  readonly followsClassAxis?: boolean;
  /** Orders of its axes that the words of an option stand for; `shape` is that of the option's default. */
  readonly layouts?: { readonly option: string; readonly shapes: Readonly<Record<string, readonly string[]>> };
  /** A second shape it may have, told apart from the first by its number of axes. */
  readonly orShape?: readonly string[];
  /** How many views of each example its rows hold, one view after the other; one without it. */
  readonly views?: number;
  /** Of a field of a loss that couples its batch, read as a whole: row u is read for unit u alone all the same. */
  readonly ownRows?: boolean;
  /**
   * Of indices along another axis than the units': without this field, and without those named here, unit i means
   * entry i.
   */
  readonly pairsRowsUnless?: readonly string[];
  /** A scalar that an option of the same name gives, unless that option is `"field"`. */
  readonly scalarOption?: boolean;
}

/** Fields of every batch beside the loss's own, as types; `commonFields` binds them. */
export interface UnitFields {
  /** Weight of each unit, finite and at least 0: of the units' shape, or `[B, 1]`. */
  readonly weights?: Tensor<"weights" | Unlabeled>;
  /** 1 where a unit counts, 0 where it is not even read: of the units' shape, or `[B, 1]`. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
  /** Equal ids in a row are one sequence: of the units' shape, or `[B]`. */
  readonly segmentIds?: Tensor;
  /** Equal keys anywhere in the step are one group: of the units' shape, or `[B]`. */
  readonly groupKeys?: Tensor;
}

/** What a reader of the docs and of `losswright losses NAME` is told. Written once, here. */
export interface Documentation {
  /** One sentence. */
  readonly summary: string;
  readonly formula: string;
  readonly gradient: string;
  /** The chapter's table: which target, drawn from which distribution, makes this the negative log-likelihood. */
  readonly likelihood: { readonly target: string; readonly distribution: string };
  readonly pitfalls: readonly string[];
  readonly metric: string;
  readonly source: string;
}

/** What the constants of a batch (labels, lengths, weights, options) say of its units; logits are never read here. */
export interface UnitRules {
  /** Whether an unmasked unit takes part: `false` for an ignored label. */
  present?(unit: number): boolean;
  /** What `present` asks, as data, where it is no more than this: all units are then looked through at once. */
  readonly ignored?: { readonly field: string; readonly value: number };
  /** Factor on the loss of a live unit, beside the batch's weight. */
  numeratorWeight?(unit: number): number;
  /** Factor on its share of the denominator, under `divideBy: "weight"`. */
  denominatorWeight?(unit: number): number;
  /** Of a unit that is a whole sequence: how many labels it has, at least 0. */
  length?(unit: number): number;
}

/** The mathematics of one call. `gradient` and `addShared` follow a `loss` of the same unit and may use its work. */
export interface RowMath {
  /** The loss of a unit, from the rows the engine has loaded. */
  loss(unit: number): number;
  /** Writes d loss / d row into the unit's own gradient rows. */
  gradient?(unit: number): void;
  /** Adds factor · d loss / d field to the sums of shared fields. */
  addShared?(unit: number, factor: number): void;
  /** Turns the sums of shared fields into their gradients, once, after the last unit. */
  finish?(): void;
  /** Whether the unit just computed reads an entry of a row; every one without it. The others are not blamed. */
  reads?(field: string, entry: number): boolean;
}

/** What a definition sees of a batch. */
export interface BatchView<Options> {
  readonly where: string;
  readonly options: Options;
  readonly unitShape: readonly number[];
  /** Lengths of named axes; ∞ for one that no field tells, where only the units are asked for. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Whether an optional field was given. */
  has(field: string): boolean;
  /** Row-major numbers of a field read as a whole. */
  reals(field: string): Float64Array | Float32Array;
  /**
   * An index of a field with `indexes`, for a unit that counts. @throws `value` outside 0..length−1 of that axis, or of
   * a list that is looked up in
   */
  index(field: string, length?: number): (unit: number) => number;
  /** An integer of a field, whatever its dtype, unchecked. */
  integer(field: string): (index: number) => number;
  /** Whether a field of 0 and 1 is 1 there. */
  flag(field: string): (index: number) => boolean;
  /** A scalar field, or the option of its name. */
  scalar(field: string): number;
  /** Row-major data of a field, for what the readers above do not cover. */
  data(field: string): TensorData;
}

/** What `open` gets beside the batch: the engine's scratch rows and the sums of shared gradients. */
export interface Workspace {
  /** One row of float64 for each field of reals or flags read by unit, filled before `loss`. */
  readonly rows: Readonly<Record<string, Float64Array>>;
  /** The gradient row of each field with its own; written by `gradient`. */
  readonly own: Readonly<Record<string, Float64Array>>;
  /** The gradient of each shared field, of the field's size; added to by `addShared`. Empty when only values are asked. */
  readonly sums: Readonly<Record<string, Float64Array>>;
  /** Whether a unit counts with a weight above 0. */
  isLive(unit: number): boolean;
  /** Says something once, counting the units it holds for. */
  note(code: string, unit: number, message: string, field?: string): void;
}

/**
 * How a kernel computes a batch in place of `open`, when its fields are float32: a row kernel over one row a unit, or
 * `run` for what sees the whole batch. The engine checks labels, stages arrays, weighs, sums and hands the units that
 * a kernel leaves to `open`.
 */
export interface KernelPlan {
  readonly module: KernelModule;
  /** The exported function. */
  readonly kernel: string;
  /** Fields read one row a unit, in the kernel's order; those that were not given are passed over. */
  readonly inputs?: readonly string[];
  /** The field of one index a unit. */
  readonly label?: string | null;
  /** Fields whose gradients the kernel writes, in its order. */
  readonly outputs: readonly string[];
  readonly tables?: readonly (Float32Array | Int32Array | undefined)[];
  /** Parameters from the second on; the first is the gradient's factor. */
  readonly parameters?: readonly number[];
  readonly flags?: number;
  /** What the kernel calls the width of a row; K without it, or 1. */
  readonly width?: number;
  /** Bytes of scratch a thread needs. */
  readonly scratch?: number;
  /** About how long a unit takes on one thread. */
  readonly nanoseconds: number;
  /** Whether a row's gradient may be written over its input while it runs. */
  readonly worksInPlace?: boolean;
  /** Computes the whole batch itself, in place of a walk over rows. */
  run?(call: BatchCall): void;
}

export interface LossDefinition<Options extends object> {
  readonly name: string;
  readonly family:
    | "elementwise"
    | "binary"
    | "categorical"
    | "distribution"
    | "contrastive"
    | "preference"
    | "latent"
    | "language";
  readonly unit: UnitKind;
  readonly documentation: Documentation;
  readonly options: OptionSpecs<Options>;
  readonly fields: Readonly<Record<string, FieldSpec>>;
  /** Groups of fields of which exactly one must be given: `[["labels", "targets"]]`. */
  readonly oneOf?: readonly (readonly string[])[];
  /** Shape of the units in the names of the fields' axes; `["..."]` when they are spread over leading axes. */
  readonly unitShape: readonly string[];
  /** Whether a unit's loss depends on the other units of its batch. */
  readonly couples?: boolean | ((options: Options) => boolean);
  /**
   * Of a loss that couples its batch and reads a masked unit as the others' context: the axes along which rows of all
   * ranks are gathered, so that each rank computes its own units among all of them. Without it every rank computes the
   * whole batch.
   */
  gathers?(options: Options): readonly string[];
  /** The contract in words: completes "… of each position" with what the options change. */
  describe(options: Options): string;
  /** Checks and fills what depends on several options. */
  settle?(options: Options): Options;
  /** Label shift and class axis, where the loss has them. */
  alignment?(options: Options): { readonly labelShift: number; readonly classAxis: number };
  units?(batch: BatchView<Options>): UnitRules;
  open(batch: BatchView<Options>, work: Workspace): RowMath;
  /** The kernel for a batch, or why there is none for it under these options. Must not look at the number of units. */
  kernel?(batch: BatchView<Options>): KernelPlan | string;
}

/** What a walk over a batch needs of a definition. */
export type RowDefinition = Pick<
  LossDefinition<object>,
  "name" | "fields" | "unitShape" | "alignment" | "open" | "kernel"
>;

/** Whether a unit's loss depends on the other units of its batch, under these options. */
export function couplesBatch<Options extends object>({ couples = false }: LossDefinition<Options>, options: Options) {
  return typeof couples === "function" ? couples(options) : couples;
}

/** The axes of a field under these options, in words: of its second shape where a tensor has that many axes. */
export function axesOf({ shape, layouts, orShape }: FieldSpec, options: object, count?: number): readonly string[] {
  if (count !== undefined && orShape?.length === count) return orShape;
  return layouts?.shapes[(options as Record<string, string>)[layouts.option]!] ?? shape;
}

/** Where the values of a field may lie under these options. */
export function domainOf({ domain }: FieldSpec, options: object): Domain | undefined {
  return typeof domain === "function" ? domain(options as never) : domain;
}
