import { describe, expect, it } from "vitest";
import { closest, LosswrightError, rejectUnknown } from "./index.js";

const details = {
  code: "value",
  where: "crossEntropy",
  field: "labels",
  found: "5 at [1]",
  expected: "an index in 0..2",
  fix: "mask it.",
  index: [1],
} as const;

describe("LosswrightError", () => {
  it("is an Error whose data is the truth and whose sentence is made from it", () => {
    const error = new LosswrightError(details);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe("LosswrightError");
    expect(error.message).toBe("crossEntropy: labels: found 5 at [1]; expected an index in 0..2. Fix: mask it.");
    expect(error).toMatchObject(details);
  });

  it("leaves out what there is not", () => {
    const error = new LosswrightError({ code: "empty", found: "nothing", expected: "something" });
    expect(error.message).toBe("found nothing; expected something.");
    expect(error.where ?? error.field ?? error.fix ?? error.index).toBeUndefined();
    expect(Object.keys(error.toJSON()).sort()).toEqual(["code", "expected", "found", "message"]);
  });

  it("goes through JSON with its sentence", () => {
    const error = new LosswrightError(details);
    expect(JSON.parse(JSON.stringify(error))).toEqual({ ...details, message: error.message });
  });

  it("keeps its cause", () => {
    const cause = new Error("disk");
    expect(new LosswrightError(details, { cause }).cause).toBe(cause);
  });
});

describe("near misses", () => {
  it.each([
    ["wieghts", "weights"],
    ["Labels", "labels"],
    ["divideby", "divideBy"],
    ["mask1", "mask"],
  ])("of %s find %s", (given, meant) => {
    expect(closest(given, ["labels", "weights", "divideBy", "mask"])).toBe(meant);
  });

  it("find nothing far away", () => {
    expect(closest("temperature", ["labels", "weights"])).toBeUndefined();
    expect(closest("x", [])).toBeUndefined();
  });

  it("stand in the error for an unknown name, with all that is known", () => {
    const act = () => rejectUnknown("huber", "option", { delta: 1, deltaa: 2 }, ["delta"]);
    expect(act).toThrow(expect.objectContaining({ code: "unknown", field: "deltaa", fix: 'write "delta".' }));
    expect(() => rejectUnknown("squaredError", "option", { a: 1 }, [])).toThrow(/no option at all/);
    expect(() => rejectUnknown("huber", "option", { delta: 1 }, ["delta"])).not.toThrow();
  });
});
