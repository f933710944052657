import type { Inspection } from "../inspection.js";
import type { ViewOptions } from "../words.js";
export function inspectionPage(_i: Inspection, _o: ViewOptions): string {
  return "";
}
