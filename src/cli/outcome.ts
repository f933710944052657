import { jsonNumber } from "../contract/index.js";
import type { Note } from "../tally/index.js";
import type { Agreed } from "./agreed.js";
import { print } from "./exit.js";

/** One division. */
export interface Division {
  readonly numerator: number;
  readonly denominator: number;
  /** Null where there is none: nothing counts, and the contract calls that an error. */
  readonly value: number | null;
}

/** What a contract comes to, on a batch or on merged tallies. */
export interface Outcome {
  readonly description: string;
  readonly contract: Agreed["contract"] | null;
  /** Null where it is not known, which a note explains. */
  readonly value: number | null;
  /** Of one objective. */
  readonly division?: Division;
  /** Of a weighted sum: the division of each part, with its weight where that is known. */
  readonly parts?: ReadonlyMap<string, Division & { readonly weight?: number }>;
  readonly notes: readonly Note[];
  /** As JSON. */
  readonly tallies: readonly unknown[];
}

const unknown = "no value";

/** Prints what a contract says, each division, the notes. */
export function printOutcome({ description, value, division, parts, notes }: Outcome, more: readonly string[] = []) {
  print(description);
  if (division) print(divided(division));
  if (parts) {
    const [width, named] = [Math.max(...[...parts.keys()].map((name) => name.length)), [...parts]];
    for (const [name, part] of named) print(`${`${name}:`.padEnd(width + 1)} ${divided(part)}`);
    if (named.every(([, { weight }]) => weight !== undefined)) {
      const terms = named.map(([, part]) => `${part.weight} x ${part.value ?? unknown}`);
      print(`${terms.join(" + ")} = ${value ?? unknown}`);
    }
  }
  for (const line of more) print(line);
  for (const note of notes) print(`note: ${note.message}`);
}

function divided({ numerator, denominator, value }: Division): string {
  return `${numerator} / ${denominator} = ${value ?? unknown}`;
}

/** The same as one JSON document; `more` stands behind it. */
export function outcomeToJson({ value, division, parts, contract, notes, tallies }: Outcome, more: object = {}) {
  return {
    value: numberOrNull(value),
    ...(division && {
      numerator: jsonNumber(division.numerator),
      denominator: jsonNumber(division.denominator),
    }),
    ...(parts && {
      parts: Object.fromEntries(
        [...parts].map(([name, part]) => [
          name,
          {
            ...(part.weight !== undefined && { weight: part.weight }),
            value: numberOrNull(part.value),
            numerator: jsonNumber(part.numerator),
            denominator: jsonNumber(part.denominator),
          },
        ]),
      ),
    }),
    contract,
    notes,
    tallies,
    ...more,
  };
}

function numberOrNull(value: number | null) {
  return value === null ? null : jsonNumber(value);
}
