import colors from "picocolors";
import type { Paint } from "../audit/index.js";
import type { TokenPaint } from "../inspect/index.js";

/** Colors where standard output is a terminal, or FORCE_COLOR asks for them; never where NO_COLOR is set. */
export function paintFor(enabled = isWanted()): Paint & TokenPaint {
  const { bold, dim, red, yellow, green, cyan, magenta, underline } = colors.createColors(enabled);
  return { bold, dim, red, yellow, green, cyan, magenta, underline };
}

/** A pipe gets no colors, not even where picocolors would give them: in continuous integration and on Windows. */
function isWanted(): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return !["", "0", "false"].includes(FORCE_COLOR);
  return process.stdout.isTTY === true && colors.isColorSupported;
}
