import { nodeBuiltin } from "../host/index.js";
import type { SharedCarrier } from "./shared-carrier.js";

/**
 * What rank 0 does when it hears that another rank ended: it tells all ranks through the memory, and sees to it that no
 * error is swallowed. Where rank 0 waits for the others it throws the failure itself. Elsewhere the error is printed, and
 * sets the exit code unless rank 0 throws it in a later call.
 */
export class RankWatch {
  /** Ranks that failed: what they threw, and the exit code for a process that threw nothing of it. */
  private readonly failures = new Map<number, { readonly error: unknown; readonly exitCode: number }>();

  constructor(private readonly carrier: SharedCarrier) {}

  /** A rank's script threw. */
  failed(rank: number, error: unknown): Promise<void> {
    return this.take(rank, error, 1);
  }

  /** A rank's script came to its end. */
  async ended(rank: number, exitCode: number): Promise<void> {
    if (exitCode !== 0 && !this.failures.has(rank)) {
      const why = exitCode === 13 ? ", since it awaits what nothing can settle any more" : "";
      await this.take(rank, `its script ended with exit code ${exitCode}${why}`, exitCode);
    }
    this.carrier.end(rank);
  }

  get hasFailures(): boolean {
    return this.failures.size > 0;
  }

  /** What the process is to end with for failures that rank 0 never threw; 0 where there is none. */
  get exitCode(): number {
    const untold = [...this.failures].find(([rank, { error }]) => !this.isTold(rank, error));
    return untold?.[1].exitCode ?? 0;
  }

  private async take(rank: number, error: unknown, exitCode: number): Promise<void> {
    const { carrier, failures } = this;
    const isRepeated = [...failures.values()].some((before) => String(before.error) === String(error));
    failures.set(rank, { error, exitCode });
    carrier.failFor(rank, String(error), error);
    // Also a rank that waits may yet come out of its call with what it wanted, and never make another.
    await carrier.awake();
    // Browsers write down by themselves what nobody caught in a worker.
    if (isRepeated || this.isTold(rank, error) || !nodeBuiltin("node:process")) return;
    console.error(`losswright: rank ${rank} failed:`, error);
  }

  /** Whether rank 0 threw what says as much: this very failure, or the group's, of which this one tells too. */
  private isTold(rank: number, error: unknown): boolean {
    const { thrown } = this.carrier;
    if (!thrown) return false;
    const isOfGroup = (error as { code?: unknown } | undefined)?.code === "group";
    return isOfGroup || rank === this.carrier.failedRank || String(error) === String(thrown.cause);
  }
}
