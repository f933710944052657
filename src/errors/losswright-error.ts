/**
 * Stable codes of every error the library throws. A code never changes its meaning; sentences may.
 *
 * - `argument`      a call's argument is of the wrong kind
 * - `contract`      a contract (JSON) is not one this version can read
 * - `denominator`   a given denominator cannot divide
 * - `dtype`         a tensor's element type does not fit its field
 * - `empty`         nothing was counted and the contract says `onEmpty: "throw"`
 * - `engine`        a kernel or one of its threads failed
 * - `file`          a file is missing, truncated, hostile or of an unknown format
 * - `group`         ranks of a group disagree, one of them failed, or one did not come in time
 * - `memory`        the kernels' memory has no room
 * - `merge`         two tallies do not belong together
 * - `missing-field` a field the objective needs was not given
 * - `option`        an option's value is outside its range
 * - `reduction`     `per` or `divideBy` does not suit the objective
 * - `role`          a tensor is known to hold something else than the field wants
 * - `shape`         shapes do not fit each other
 * - `undefined`     a metric has no value for what it was given, and its option says `undefined: "throw"`
 * - `unknown`       a name (option, field, objective, call option, key) that nothing answers to
 * - `unsupported`   a thing that exists by definition, but not in this version
 * - `value`         a value of a live unit is out of range
 */
export type ErrorCode =
  | "argument"
  | "contract"
  | "denominator"
  | "dtype"
  | "empty"
  | "engine"
  | "file"
  | "group"
  | "memory"
  | "merge"
  | "missing-field"
  | "option"
  | "reduction"
  | "role"
  | "shape"
  | "undefined"
  | "unknown"
  | "unsupported"
  | "value";

export interface ErrorDetails {
  readonly code: ErrorCode;
  /** Who speaks: an objective, a function or a file. */
  readonly where?: string;
  /** The field, option or key that is wrong. */
  readonly field?: string;
  /** What was received, as it was passed: shape, dtype, first bad index and value. */
  readonly found: string;
  readonly expected: string;
  /** What to do about it; one imperative sentence. */
  readonly fix?: string;
  /** Row-major place of the first bad value in its tensor. */
  readonly index?: readonly number[];
}

/** The one error class of the library: data first, the sentence made from it. */
export class LosswrightError extends Error implements ErrorDetails {
  readonly code: ErrorCode;
  // Declared alone: a field that is not set is no property, and is not printed.
  declare readonly where?: string;
  declare readonly field?: string;
  readonly found: string;
  readonly expected: string;
  declare readonly fix?: string;
  declare readonly index?: readonly number[];

  constructor(details: ErrorDetails, options?: ErrorOptions) {
    super(sentence(details), options);
    this.name = "LosswrightError";
    this.code = details.code;
    this.found = details.found;
    this.expected = details.expected;
    if (details.where !== undefined) this.where = details.where;
    if (details.field !== undefined) this.field = details.field;
    if (details.fix !== undefined) this.fix = details.fix;
    if (details.index !== undefined) this.index = details.index;
  }

  toJSON(): ErrorDetails & { message: string } {
    const { code, where, field, found, expected, fix, index, message } = this;
    return {
      code,
      message,
      found,
      expected,
      ...(where !== undefined && { where }),
      ...(field !== undefined && { field }),
      ...(fix !== undefined && { fix }),
      ...(index !== undefined && { index }),
    };
  }
}

function sentence({ where, field, found, expected, fix }: ErrorDetails): string {
  const subject = [where, field].filter((part) => part !== undefined).join(": ");
  return `${subject ? `${subject}: ` : ""}found ${found}; expected ${expected}.${fix ? ` Fix: ${fix}` : ""}`;
}
