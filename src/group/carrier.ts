/**
 * What moves bytes between ranks. All ranks call the same function in the same order; `collectives.ts` sees to it that
 * they agree on sizes before. A promise is rejected with a `LosswrightError` of code `group` when a rank failed or did
 * not come in time; the carrier is of no use then.
 */
export interface Carrier {
  readonly name: "solo" | "threads" | "mpi";
  readonly rank: number;
  readonly size: number;
  /**
   * Every rank's bytes, in rank order, this rank's own (a copy) among them; each at an offset that is a multiple of 8.
   *
   * @param lengths - how many bytes each rank gives; `own` has `lengths[rank]` of them
   * @param during - what the ranks are doing, for the words of an error
   */
  gather(own: Uint8Array, lengths: readonly number[], during: string): Promise<Uint8Array[]>;
  /**
   * `pieces[r]` goes to rank r; gives what each rank had for this one, in rank order, its own (a copy) among them, each at
   * an offset that is a multiple of 8.
   *
   * @param lengths - how many bytes each rank has for this one; those of `pieces` are known to the others as well
   */
  exchange(pieces: readonly Uint8Array[], lengths: readonly number[], during: string): Promise<Uint8Array[]>;
  /** Sums of 64-bit integers over all ranks, where the carrier adds by itself. */
  addIntegers?(lanes: BigInt64Array, during: string): Promise<BigInt64Array>;
  /** Tells the other ranks, as far as that can be done, that this one is of no more use, and why. */
  fail(reason: string): void;
  /** Leaves. */
  close(): Promise<void>;
}
