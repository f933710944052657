/** Something that must be said without stopping: a code for programs, a message for people. */
export interface Note {
  readonly code: string;
  readonly message: string;
  /** The field it speaks of. */
  readonly field?: string;
  /** How many units it holds for, and the place of the first. */
  readonly count?: number;
  readonly unit?: readonly number[];
}
