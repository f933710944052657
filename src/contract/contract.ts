import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { canonical, type Json } from "./json.js";
import { inWords, optionsToJson } from "./options.js";
import type { Reduction } from "./reduction.js";

/** The version of the contracts this library writes. */
export const contractVersion = 1;

/** An objective as plain, canonical JSON: every default written, keys sorted. */
export interface Contract {
  readonly objective: string;
  readonly options: { readonly [name: string]: Json };
  readonly reduction: Reduction;
  readonly version: number;
}

/** A contract as a person may write it: what is left out is the default. */
export interface ContractInput {
  readonly objective: string;
  readonly options?: { readonly [name: string]: unknown };
  readonly reduction?: Partial<Reduction>;
  readonly version?: number;
  /** A weighted sum's contract has parts, and is no contract of one objective. */
  readonly parts?: never;
}

/** The canonical contract of resolved options and reduction. */
export function contractOf(objective: string, options: object, reduction: Reduction): Contract {
  const contract = canonical({
    objective,
    options: optionsToJson(options),
    reduction: reduction as unknown as Json,
    version: contractVersion,
  });
  // A contract that could be changed after the fact would be no contract.
  return freeze(contract) as unknown as Contract;
}

/**
 * Checks the outer form of a contract read from JSON; options and reduction are checked by the objective they name.
 *
 * @throws `contract` for what is no contract or of another version, `unknown` for a key it does not have
 */
export function readContract(given: unknown): Required<Omit<ContractInput, "parts">> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new LosswrightError({
      code: "contract",
      where: "contract",
      found: inWords(given),
      expected: '{ "objective": name, "options": { … }, "reduction": { … }, "version": 1 }',
      ...(typeof given === "string" && { fix: "parse the text first: objectiveFrom(JSON.parse(text))." }),
    });
  }
  rejectUnknown("contract", "key", given, ["objective", "options", "reduction", "version"]);
  const { objective, options = {}, reduction = {}, version = contractVersion } = given as Record<string, unknown>;
  const wrong = (field: string, value: unknown, expected: string) =>
    new LosswrightError({ code: "contract", where: "contract", field, found: inWords(value), expected });
  if (typeof objective !== "string") throw wrong("objective", objective, "the name of an objective");
  if (version !== contractVersion) throw wrong("version", version, `version ${contractVersion}`);
  if (!isPlainObject(options)) throw wrong("options", options, "an object of options");
  if (!isPlainObject(reduction)) throw wrong("reduction", reduction, "an object with per, divideBy, onEmpty");
  return { objective, options, reduction, version };
}

function freeze(value: Json): Json {
  if (typeof value === "object" && value !== null) for (const entry of Object.values(value)) freeze(entry);
  return Object.freeze(value);
}

function isPlainObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
