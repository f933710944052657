import colors from "picocolors";
import type { Paint } from "../audit/index.js";

/** Colors where standard output is a terminal and neither NO_COLOR nor --no-color says otherwise. */
export function paintFor(enabled = process.stdout.isTTY === true && colors.isColorSupported): Paint {
  const { bold, dim, red, yellow, green } = colors.createColors(enabled);
  return { bold, dim, red, yellow, green };
}
