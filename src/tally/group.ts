/** Arrays that ranks exchange. */
export type Exchanged = Float64Array | Float32Array | Int32Array | Uint8Array | BigInt64Array;

/** What one rank moved since its group began. */
export interface Traffic {
  readonly collectives: number;
  /** Bytes of this rank's that others were given, each counted once for each rank that got them. */
  readonly sent: number;
  /** Bytes that others gave to this rank. */
  readonly received: number;
}

/**
 * Ranks that work on one step, each on a part of it: threads of a process, or processes of a cluster. All of them run
 * the same program, and every rank makes the same calls in the same order: a call is a collective, which no rank leaves
 * before all have come.
 *
 * A rank that fails, that makes another call than the others, or that does not come in time ends the group: every rank
 * gets an error of code `group`, which names the first of them. Results never depend on which rank comes first, and
 * sums of floats are formed in rank order, so the same ranks give the same bits over any carrier.
 */
export interface Group {
  /** 0 … size − 1. */
  readonly rank: number;
  readonly size: number;
  /** What carries the bytes. */
  readonly carrier: "solo" | "threads" | "mpi";
  readonly traffic: Traffic;
  /**
   * The sum over all ranks, entry by entry: of float64 in rank order, of 64-bit integers exactly (modulo 2^64), such as
   * the limbs of exact sums.
   */
  allReduceSum(values: Float64Array): Promise<Float64Array>;
  allReduceSum(values: BigInt64Array): Promise<BigInt64Array>;
  /** The largest over all ranks, entry by entry; NaN where any rank has NaN. */
  allReduceMax(values: Float64Array): Promise<Float64Array>;
  /** What every rank gave, in rank order; lengths may differ. */
  allGather<Values extends Exchanged>(values: Values): Promise<Values[]>;
  /**
   * Sums over all ranks of which each rank gets its own part: `counts[r]` entries for rank r, in order. The sums are
   * formed in rank order.
   */
  reduceScatterSum(values: Float64Array, counts: readonly number[]): Promise<Float64Array>;
  /** Waits until every rank has come. */
  barrier(): Promise<void>;
  /**
   * Leaves the group; nothing can be called after it. Over MPI it waits for the others and ends MPI. A rank that ends
   * without it is taken for failed where others still wait for it.
   */
  close(): Promise<void>;
}
