import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonical,
  canonicalText,
  choiceOption,
  constantOf,
  contractOf,
  eitherOption,
  flagOption,
  inWords,
  type Json,
  jsonNumber,
  nullableOption,
  numberOption,
  numbersOption,
  readContract,
  resolveOptions,
  resolveReduction,
} from "./index.js";

describe("canonical JSON", () => {
  it("has one text whatever the order of keys", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (given) => {
        const shuffled = Object.fromEntries(Object.entries(given).reverse());
        expect(canonicalText(shuffled as Json)).toBe(canonicalText(given as Json));
        expect(canonical(canonical(given as Json))).toEqual(canonical(given as Json));
      }),
    );
  });

  it("sorts the keys of objects inside lists and objects, and leaves lists in order", () => {
    expect(canonicalText({ b: [{ d: 1, c: 2 }, 3], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1},3]}');
  });

  it("writes as words what JSON lacks", () => {
    expect([1.5, Infinity, -Infinity, NaN].map(jsonNumber)).toEqual([1.5, "inf", "-inf", "nan"]);
  });
});

describe("options", () => {
  const specs = {
    delta: numberOption("where the line begins", 1, { above: 0 }),
    count: numberOption("how many", 2, { integer: true, atLeast: 0, atMost: 5 }),
    alpha: numberOption("a shape", 1, { infinite: true }),
    full: flagOption("whether all", false),
    kind: choiceOption("which", "a", ["a", "b"]),
    list: numbersOption("one a class", { atLeast: 0 }),
    scale: eitherOption(numberOption("a scale", 0.5, { below: 1 }), choiceOption<"field">("", "field", ["field"])),
    cap: nullableOption(numberOption("a bound", 1, { above: 0 })),
  };
  const resolve = (given: object) => resolveOptions("here", specs as never, given) as Record<string, unknown>;
  const defaults = { delta: 1, count: 2, alpha: 1, full: false, kind: "a", list: null, scale: 0.5, cap: null };

  it("are their defaults when nobody says, or says undefined", () => {
    expect(resolve({})).toEqual(defaults);
    expect(resolve({ delta: undefined, kind: undefined })).toEqual(defaults);
  });

  it.each([
    ["delta", [1e-300, 5]],
    ["count", [0, 5]],
    ["full", [true]],
    ["kind", ["b"]],
    ["list", [[0, 1], null]],
    ["scale", ["field", 0.25]],
    ["cap", [null, 3]],
  ])("of %s take what their spec accepts", (name, values) => {
    for (const value of values) expect(resolve({ [name]: value })[name]).toEqual(value);
  });

  it.each([
    ["delta", [0, -1, NaN, Infinity, "1", null, true, [1]]],
    ["count", [-1, 6, 1.5, 2 ** 60]],
    ["alpha", [NaN, "infinity"]],
    ["full", [0, "true", null]],
    ["kind", ["c", "", null, 0]],
    ["list", [[], [-1], ["1"], [NaN], 1, {}, Int32Array.of(1)]],
    ["scale", ["fields", 1, 2]],
    ["cap", [0, "3"]],
  ])("of %s refuse what it does not, and say what the default is", (name, values) => {
    for (const value of values) {
      expect(() => resolve({ [name]: value })).toThrow(
        expect.objectContaining({ code: "option", field: name, fix: expect.stringContaining("default is") }),
      );
    }
  });

  it("read ±∞ as JSON writes it, and −0 as 0", () => {
    expect(resolve({ alpha: "inf" }).alpha).toBe(Infinity);
    expect(resolve({ alpha: "-inf" }).alpha).toBe(-Infinity);
    expect(resolve({ alpha: -0 }).alpha).toBe(0);
  });

  it("read typed arrays of floats into plain lists", () => {
    expect(resolve({ list: Float64Array.of(0.5, 1) }).list).toEqual([0.5, 1]);
  });

  it("stand in the contract in one form, which reads back", () => {
    const contract = contractOf("here", resolve({ alpha: -Infinity, list: [1] }), resolveReduction("here", "row", {}));
    expect(contract).toEqual({
      objective: "here",
      options: { ...defaults, alpha: "-inf", list: [1] },
      reduction: { divideBy: "weight", onEmpty: "zero", per: "sample" },
      version: 1,
    });
    expect(Object.keys(contract.options)).toEqual(Object.keys(defaults).sort());
    expect(resolve(contract.options)).toEqual(resolve({ alpha: -Infinity, list: [1] }));
    expect(readContract(JSON.parse(JSON.stringify(contract)))).toEqual(contract);
  });

  it("say in words what was received, cut short where it is long", () => {
    expect([inWords(NaN), inWords("a"), inWords(undefined), inWords(Float32Array.of(1, 2))]).toEqual([
      "NaN",
      '"a"',
      "undefined",
      "[1,2]",
    ]);
    expect(inWords(new Array(100).fill(7))).toHaveLength(78);
    expect(inWords(() => 1)).toBe("a function");
  });
});

describe("reductions", () => {
  it.each([
    ["position", "token"],
    ["element", "element"],
    ["row", "sample"],
    ["pair", "sample"],
  ] as const)("of a %s average every %s alike by default", (unit, per) => {
    expect(resolveReduction("here", unit, {})).toEqual({ per, divideBy: "weight", onEmpty: "zero" });
  });

  it("know the constant that divides, if one does", () => {
    const of = (divideBy: object | string) => constantOf(resolveReduction("here", "row", { divideBy }));
    expect([of("weight"), of("count"), of({ constant: 0.5 })]).toEqual([null, null, 0.5]);
  });

  it.each([0, -1, NaN, Infinity, "3", null, undefined])("refuse the constant %s", (constant) => {
    expect(() => resolveReduction("here", "row", { divideBy: { constant } })).toThrow(
      expect.objectContaining({ code: "reduction", field: "divideBy" }),
    );
  });
});
