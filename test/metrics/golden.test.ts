import { describe, expect, it } from "vitest";
import { differenceOf, metricCases, refuses, seen } from "./cases.js";

const cases = metricCases();

describe("golden cases of metrics", () => {
  it("are there", () => expect(cases.length).toBeGreaterThan(250));

  it.each(cases.filter(({ expected }) => !refuses(expected)).map((found) => [found.id, found] as const))(
    "agree with the reference: %s",
    (_, found) => {
      expect(differenceOf(seen(found, found.fields).compute(), found)).toBeUndefined();
    },
  );

  const refused = cases.filter(({ expected }) => refuses(expected));
  it.each(refused.map((found) => [found.id, found] as const))("are refused as by the reference: %s", (_, found) => {
    expect(() => seen(found, found.fields).compute()).toThrow();
  });
});
