import type { SharedCarrier } from "./shared-carrier.js";

/** How a rank that was started finds what it shares with the others. */
export interface Invitation {
  readonly rank: number;
  /** The memory, when the rank has made itself known. */
  accept(timeoutSeconds: number): Promise<ArrayBufferLike>;
  /** Sees to it that the others hear of this rank's end, as far as they would not by themselves. */
  tellOfFailures(carrier: SharedCarrier): void;
}
