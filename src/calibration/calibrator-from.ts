import { closest, LosswrightError, rejectUnknown } from "../errors/index.js";
import { type CalibratorJson, damaged, jsonFormat, jsonVersion } from "./calibrator.js";
import { type IsotonicCalibrator, isotonicKeys, readIsotonic } from "./isotonic-calibration.js";
import { type PlattCalibrator, plattKeys, readPlatt } from "./platt-scaling.js";
import { readTemperature, type TemperatureCalibrator, temperatureKeys } from "./temperature-scaling.js";
import { readVector, type VectorCalibrator, vectorKeys } from "./vector-scaling.js";

/** Any calibrator; `method` says which. */
export type AnyCalibrator = TemperatureCalibrator | VectorCalibrator | PlattCalibrator | IsotonicCalibrator;

const readers = {
  temperatureScaling: { keys: temperatureKeys, read: readTemperature },
  vectorScaling: { keys: vectorKeys, read: readVector },
  plattScaling: { keys: plattKeys, read: readPlatt },
  isotonicCalibration: { keys: isotonicKeys, read: readIsotonic },
} as const;

const where = "calibratorFrom";

/**
 * The calibrator that `toJSON` wrote, to the bit: `apply` gives the same probabilities on every machine.
 *
 * @param json - what `JSON.parse` gives of it
 * @throws `argument` for another format or version, and for parameters that are damaged; `unknown` for a method or key
 * that nothing answers to
 *
 * @example
 * calibratorFrom(JSON.parse(text)).apply(logits);
 */
export function calibratorFrom<Method extends AnyCalibrator["method"]>(
  json: CalibratorJson<Method>,
): Extract<AnyCalibrator, { readonly method: Method }>;
export function calibratorFrom(json: unknown): AnyCalibrator;
export function calibratorFrom(json: unknown): AnyCalibrator {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    const found = typeof json === "string" ? "a string" : json;
    throw damaged("json", found, `an object: { "format": "${jsonFormat}", … }`);
  }
  const { format, version, method, ...parameters } = json as Readonly<Record<string, unknown>>;
  if (format !== jsonFormat) throw damaged("format", format, `"${jsonFormat}"`);
  if (version !== jsonVersion) throw damaged("version", version, `version ${jsonVersion}`);
  if (typeof method !== "string" || !Object.hasOwn(readers, method)) {
    const names = Object.keys(readers);
    const meant = closest(String(method), names);
    throw new LosswrightError({
      code: "unknown",
      where,
      field: "method",
      found: JSON.stringify(method) ?? String(method),
      expected: `one of ${names.join(", ")}`,
      ...(meant && { fix: `write "${meant}".` }),
    });
  }
  const { keys, read } = readers[method as keyof typeof readers];
  rejectUnknown(where, "key", parameters, keys);
  return read(parameters);
}
