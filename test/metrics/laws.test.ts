/** What holds for every metric, run on the data of its golden cases. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LosswrightError } from "../../src/errors/index.js";
import { metricDefinition, metricFrom, metricNames } from "../../src/metrics/index.js";
import { isTensor, type Tensor, tensor } from "../../src/tensor/index.js";
import { errorOf } from "../instruments/refusals.js";
import { bitsOf, computedCases, type Fields, type MetricCase, rows, rowsOf, seen } from "./cases.js";

/** Metrics without golden cases, on the data of others that read the same fields. */
const borrowed: readonly (readonly [metric: string, from: string, options: object])[] = [
  ["hammingLoss", "accuracy/weighted", {}],
  ["hammingLoss", "precision/multilabel-micro", { multilabel: true }],
  ["jaccard", "precision/macro-weights", {}],
  ["jaccard", "precision/multilabel-samples", { multilabel: true, average: "samples" }],
  ["zeroOneLoss", "accuracy/weighted", {}],
  ["zeroOneLoss", "precision/multilabel-micro", { multilabel: true }],
  ["maxError", "meanSquaredError/weights", {}],
  ["meanAbsolutePercentageError", "meanSquaredError/weights", {}],
  ["medianAbsoluteError", "meanSquaredError/weights", {}],
  ["rocCurve", "auroc/ovo-macro", {}],
  ["reliabilityCurve", "expectedCalibrationError/class-wise-10", { of: "classes" }],
  ["auroc", "auroc/weights", { resolutionBits: 4 }],
  ["averagePrecision", "averagePrecision/weights", { resolutionBits: 4 }],
];

const golden = computedCases();
const cases = [
  ...golden,
  ...borrowed.map(([metric, from, options]) => {
    const found = golden.find(({ id }) => id === from);
    if (!found) throw new Error(`no golden case ${from}`);
    return { ...found, id: `${metric} on ${from} ${JSON.stringify(options)}`, metric, options };
  }),
];
const withRows = cases.filter((found) => (rowsOf(found) ?? 0) > 1);
const named = (list: readonly MetricCase[]) => list.map((found) => [found.id, found] as const);

/** Rows in a random order, cut in up to five pieces. */
const splitOf = (count: number) =>
  fc
    .tuple(
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, row) => row),
        { minLength: count, maxLength: count },
      ),
      fc.array(fc.nat(count), { maxLength: 4 }),
    )
    .map(([order, cuts]) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), count];
      return edges.slice(1).map((edge, i) => order.slice(edges[i], edge));
    });

describe("every metric", () => {
  it("has a case", () => {
    const covered = new Set(cases.map(({ metric }) => metric));
    expect(metricNames().filter((name) => !covered.has(name))).toEqual([]);
  });

  it("documents itself, and names every field of its forms", () => {
    for (const name of metricNames()) {
      const { documentation, options, fields, forms } = metricDefinition(name);
      expect(documentation.summary, name).toMatch(/^[A-Z].*\.$/);
      expect(documentation.source.length, name).toBeGreaterThan(3);
      const resolved = metricFrom({ metric: name }).options;
      const known = Object.keys(fields(resolved as never));
      for (const form of forms(resolved as never)) for (const field of form) expect(known, name).toContain(field);
      for (const [option, { meaning }] of Object.entries(options) as [string, { meaning: string }][]) {
        expect(meaning, `${name}.${option}`).not.toMatch(/\.$/);
      }
    }
  });

  it.each(named(withRows))("gives the same bits for any order and any split into updates: %s", (_, found) => {
    const whole = bitsOf(seen(found, found.fields).compute());
    fc.assert(
      fc.property(splitOf(rowsOf(found)!), (pieces) => {
        const updates = pieces.map((order) => rows(found.fields, order));
        expect(bitsOf(seen(found, ...updates).compute())).toBe(whole);
      }),
      { numRuns: 8 },
    );
  });

  it.each(named(withRows))("merges in any tree to the same bits: %s", (_, found) => {
    const whole = bitsOf(seen(found, found.fields).compute());
    fc.assert(
      fc.property(splitOf(rowsOf(found)!), fc.infiniteStream(fc.nat()), (pieces, choices) => {
        let parts = pieces.map((order) => seen(found, rows(found.fields, order)));
        while (parts.length > 1) {
          const at = choices.next().value % (parts.length - 1);
          parts = [...parts.slice(0, at), parts[at]!.merge(parts[at + 1]!), ...parts.slice(at + 2)];
        }
        expect(bitsOf(parts[0]!.compute())).toBe(whole);
      }),
      { numRuns: 8 },
    );
  });

  it.each(named(cases))("comes back from JSON and goes on from there: %s", (_, found) => {
    const through = metricFrom(JSON.parse(JSON.stringify(seen(found, found.fields))));
    expect(bitsOf(through.compute())).toBe(bitsOf(seen(found, found.fields).compute()));
    expect(bitsOf(through.update(found.fields).compute())).toBe(
      bitsOf(seen(found, found.fields, found.fields).compute()),
    );
  });

  it.each(named(withRows))("does not read samples of weight 0: %s", (_, found) => {
    const poisoned = beside(found.fields, poison(found.fields), 0);
    expect(bitsOf(seen(found, poisoned).compute())).toBe(
      bitsOf(seen(found, beside(found.fields, found.fields, 0)).compute()),
    );
  });

  it.each(named(withRows.filter(({ metric }) => !("mask" in fieldsOf(metric)))))(
    "does not read masked samples: %s",
    (_, found) => {
      const { fields } = found;
      const both = joined(fields, poison(fields));
      const half = rowsOf(found)!;
      const mask = tensor(
        Uint8Array.from({ length: 2 * half }, (__, i) => (i < half ? 1 : 0)),
        [2 * half],
      );
      expect(bitsOf(seen(found, { ...both, mask }).compute())).toBe(bitsOf(seen(found, fields).compute()));
    },
  );

  it.each(named(withRows))("is what it was after an update that throws: %s", (_, found) => {
    const bad = joined(found.fields, poison(found.fields));
    if (Object.values(bad).every((value) => !isTensor(value))) return;
    const made = seen(found, found.fields);
    const [before, count] = [bitsOf(made.compute()), made.samples];
    expect(errorOf(() => made.update(bad))).toBeInstanceOf(LosswrightError);
    expect(bitsOf(made.compute())).toBe(before);
    expect(made.samples).toBe(count);
  });

  it.each(metricNames())("refuses what has other options, fields it does not know, and damaged JSON: %s", (name) => {
    const metric = metricFrom({ metric: name });
    const other = metricFrom({ metric: name, options: { undefined: "zero" } });
    expect(errorOf(() => metric.merge(other))).toMatchObject({ code: "merge" });
    expect(errorOf(() => metric.update({ prediction: tensor([1]) }))).toMatchObject({ code: "unknown" });
    expect(errorOf(() => metric.update({}))).toMatchObject({ code: "missing-field" });
    expect(errorOf(() => metricFrom({ metric: name, options: { undefine: "zero" } }))).toMatchObject({
      code: "unknown",
    });
    const json = metric.toJSON();
    const broken = { ...json, state: Object.fromEntries(Object.keys(json.state).map((key) => [key, 7])) };
    if (Object.values(json.state).some((held) => typeof held === "object")) {
      expect(errorOf(() => metricFrom(broken as never))).toMatchObject({ code: "argument" });
    }
    expect(errorOf(() => metricFrom({ ...json, version: 2 } as never))).toMatchObject({ code: "argument" });
  });

  it.each(metricNames())("says in one way that nothing was seen: %s", (name) => {
    const results = (["nan", "zero", "throw"] as const).map((choice) => {
      const empty = metricFrom({ metric: name, options: { undefined: choice } });
      return errorOf(() => empty.compute()) ?? empty.compute();
    });
    const isUndefined = bitsOf(results[0]).includes("7ff8");
    if (!isUndefined) return;
    expect(bitsOf(results[1])).not.toContain("7ff8");
    expect(results[2]).toMatchObject({ code: "undefined" });
  });
});

/** The fields of a metric by default. */
function fieldsOf(metric: string): object {
  const { options } = metricFrom({ metric });
  return metricDefinition(metric).fields(options as never);
}

/** The same fields with numbers that no metric accepts; texts become others. */
function poison(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => name !== "weights" && name !== "mask")
      .map(([name, value]) => {
        if (!isTensor(value)) return [name, value.map((text) => `${text} poison`)];
        const data = value.data.slice() as Float64Array;
        data.fill(
          value.data instanceof Float64Array || value.data instanceof Float32Array
            ? Number.NaN
            : ((value.data instanceof BigInt64Array ? -7n : value.data instanceof Uint8Array ? 255 : -7) as number),
        );
        return [name, { ...value, data }];
      }),
  );
}

/** Fields one below the other along axis 0; weights and mask of the first stand for both. */
function joined(first: Fields, second: Fields): Fields {
  return Object.fromEntries(
    Object.entries(first).map(([name, above]) => {
      const below = second[name] ?? above;
      if (!isTensor(above) || !isTensor(below)) return [name, [...(above as string[]), ...(below as string[])]];
      const data = new (above.data.constructor as Float64ArrayConstructor)(above.data.length + below.data.length);
      data.set(above.data as Float64Array);
      data.set(below.data as Float64Array, above.data.length);
      return [name, { ...above, data, shape: [above.shape[0]! + below.shape[0]!, ...above.shape.slice(1)] }];
    }),
  );
}

/** Fields with further rows of another weight. */
function beside(fields: Fields, further: Fields, weight: number): Fields {
  const both = joined(fields, further);
  const { weights } = fields;
  const count = (tensorOf(both).shape[0] ?? 0) / 2;
  const own = isTensor(weights) ? Array.from(weights.data as Float64Array) : new Array<number>(count).fill(1);
  return {
    ...both,
    weights: tensor(Float64Array.from([...own, ...new Array<number>(count).fill(weight)]), [2 * count]),
  };
}

function tensorOf(fields: Fields): Pick<Tensor, "shape"> {
  const first = Object.values(fields)[0]!;
  return isTensor(first) ? first : { shape: [first.length] };
}
