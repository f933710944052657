import { type ErrorDetails, LosswrightError } from "../errors/index.js";

/** The error of this room: everything here speaks for `chatTemplate` unless it says otherwise. */
export function refusal(details: Omit<ErrorDetails, "where"> & { where?: string }, cause?: unknown): LosswrightError {
  return new LosswrightError({ where: "chatTemplate", ...details }, cause === undefined ? undefined : { cause });
}

/** A text on one line, short enough for a message; of a long one its end or its beginning. */
export function excerpt(text: string, keep: "start" | "end" = "start"): string {
  const shown = text.length <= 40 ? text : keep === "start" ? `${text.slice(0, 40)}…` : `…${text.slice(-40)}`;
  return JSON.stringify(shown);
}

/** What the other side threw, as one line. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
