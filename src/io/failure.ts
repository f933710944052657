import { LosswrightError } from "../errors/index.js";

/** The error of a file that is not what it should be; `cause` is what the system said, where it said something. */
export function broken(
  where: string,
  field: string | undefined,
  found: string,
  expected: string,
  fix: string,
  cause?: unknown,
): LosswrightError {
  const details = { code: "file", where, ...(field !== undefined && { field }), found, expected, fix } as const;
  return new LosswrightError(details, cause === undefined ? undefined : { cause });
}

/**
 * What `make` gives, where it allocates as much as a file asks for: the engine's limits on typed arrays and memory
 * become an error that names the file.
 *
 * @throws `file` where the engine cannot allocate it; whatever else `make` throws passes through
 */
export function allocating<T>(where: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const found = "more numbers than this engine can hold in one array";
    throw broken(where, undefined, found, "an array that fits into memory", "split it into several files.", error);
  }
}
