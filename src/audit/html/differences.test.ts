import { describe, expect, it } from "vitest";
import { differencesOf } from "./differences.js";

describe("differencesOf", () => {
  it("names the entries in which two contracts differ, and no others", () => {
    const declared = { objective: "crossEntropy", options: { labelShift: 1, classWeights: [1, 2] }, version: 1 };
    const other = { objective: "crossEntropy", options: { labelShift: 2, classWeights: [1, 2], temperature: 2 } };
    expect(differencesOf(declared, other)).toEqual([
      { entry: "options.labelShift", declared: "1", other: "2" },
      { entry: "options.temperature", declared: undefined, other: "2" },
      { entry: "version", declared: "1", other: undefined },
    ]);
    expect(differencesOf(declared, declared)).toEqual([]);
  });

  it("sets a name against an object, and lists against lists as wholes", () => {
    const [divisor] = differencesOf({ divideBy: "weight" }, { divideBy: { constant: 264 } });
    expect(divisor).toEqual({ entry: "divideBy", declared: '"weight"', other: '{"constant":264}' });
    expect(differencesOf({ classWeights: [1, 2] }, { classWeights: [1, 3] })[0]!.other).toBe("[1,3]");
  });

  it("takes no entry from the prototype of an object", () => {
    expect(differencesOf({ constructor: 1 }, {})).toEqual([{ entry: "constructor", declared: "1", other: undefined }]);
  });
});
