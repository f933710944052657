/**
 * Laws of every objective, on batches drawn from its definition: a loss that is added to the registry is held to them
 * at once. The laws of splits and merges are in `split-laws.test.ts`.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  type AnyBatch,
  Denominator,
  LosswrightError,
  type Objective,
  objectiveFrom,
  objectiveNames,
} from "../src/index.js";
import { commonFields, definitionOf, domainOf } from "../src/losses/index.js";
import { placeOf, sizeOf, type Tensor, view } from "../src/tensor/index.js";
import {
  type Case,
  drawn,
  entryOf,
  fieldAxis,
  ofDtype,
  placesOfUnit,
  takeAlong,
  type Wishes,
} from "./instruments/batches.js";
import { bits, resultBits, tensorBits } from "./instruments/bits.js";
import { slopeAt } from "./instruments/differences.js";
import { hints } from "./instruments/hints.js";

const names = objectiveNames();

function forAll(name: string, check: (found: Case) => void, wishes: Wishes = {}, numRuns = 200): void {
  fc.assert(
    fc.property(drawn(name, wishes), (found) => {
      check(found);
    }),
    { numRuns },
  );
}

describe.each(names)("%s: gradients", (name) => {
  const seen = { compared: 0, skipped: 0 };
  afterAll(() => console.log(`${name}: ${seen.compared} derivatives compared, ${seen.skipped} skipped at kinks`));

  it("are the slopes of the value, to 1e-6", () => {
    forAll(
      name,
      (found) => {
        const { gradients } = found.objective.valueAndGradients(found.batch);
        for (const [field, gradient] of Object.entries(gradients)) {
          const largest = Math.max(...Array.from(gradient.data as Float64Array, Math.abs), 0);
          for (let at = 0; at < gradient.data.length; at++) {
            const { value, x } = alongField(found, field, at);
            const { slope, noise, kink } = slopeAt(value, x);
            if (kink > 2e-7 * largest + noise) {
              seen.skipped++;
              continue;
            }
            seen.compared++;
            const error = Math.abs(Number(gradient.data[at]) - slope);
            if (error > 1e-6 * largest + noise) {
              expect.fail(`d/d${field}[${placeOf(at, gradient.shape)}] is ${gradient.data[at]}, the slope is ${slope}`);
            }
          }
        }
      },
      { dtype: "float64" },
      400,
    );
    expect(seen.skipped).toBeLessThan(0.1 * seen.compared);
  });
});

/** The value as a function of one entry of a field, or of the option that stands for a scalar. */
function alongField({ objective, batch, options }: Case, field: string, at: number) {
  const given = batch[field];
  if (given === undefined) {
    const { contract } = objective;
    const changed = (x: number) => objectiveFrom({ ...contract, options: { ...contract.options, [field]: x } });
    return { x: Number(options[field]), value: (x: number) => changed(x).evaluate(batch).value };
  }
  if (typeof given === "number") {
    return { x: given, value: (x: number) => objective.evaluate({ ...batch, [field]: x }).value };
  }
  const data = Float64Array.from(given.data as Float64Array);
  const moved = { ...batch, [field]: view(data, given.shape, given.role, "float64") };
  const x = data[at]!;
  const value = (there: number) => {
    data[at] = there;
    const result = objective.evaluate(moved).value;
    data[at] = x;
    return result;
  };
  return { x, value };
}

describe.each(names)("%s: units that do not count", (name) => {
  it("leave no trace when they hold NaN, 1e300 and labels out of range", () => {
    forAll(
      name,
      (found) => {
        const { objective, batch } = found;
        const { poisoned, places } = poison(found);
        const clean = objective.valueAndGradients(batch);
        const result = objective.valueAndGradients(poisoned);
        expect(resultBits(result)).toEqual(resultBits(clean));
        expect(bits(objective.evaluate(poisoned).value)).toBe(bits(clean.value));
        expect(result.notes).toEqual(clean.notes);
        for (const [field, gradient] of Object.entries(result.gradients)) {
          const rowGradient = objective.definition.fields[field]!.gradient === "row";
          for (const at of rowGradient ? (places[field] ?? []) : []) {
            if (result.denominator !== 0 && gradient.data[at] !== 0) {
              expect.fail(`d/d${field}[${placeOf(at, gradient.shape)}] of a dead unit is ${gradient.data[at]}`);
            }
          }
        }
      },
      {},
      400,
    );
  });
});

/** What the units of a batch that do not count may hold instead, and where that was written. */
function poison(found: Case): { poisoned: AnyBatch; places: Record<string, number[]> } {
  const { objective, batch, unitShape, options, random } = found;
  const { definition, reduction } = objective;
  const isPrivate = definition.couples ? (hints[objective.name]?.privateFields?.(options) ?? []) : undefined;
  const shift = Number(options.labelShift ?? 0);
  const dead = Array.from({ length: sizeOf(unitShape) }, (_, unit) => whyDead(found, unit));
  const poisoned: Record<string, AnyBatch[string]> = { ...batch };
  const places: Record<string, number[]> = {};
  for (const [field, value] of Object.entries(batch)) {
    const spec = definition.fields[field];
    if (typeof value !== "object" || field === "mask" || field === "segmentIds" || fieldAxis(found, field, 0) < 0)
      continue;
    if (isPrivate && field !== "weights" && !isPrivate.includes(field)) continue;
    if (spec?.holds === "flags") continue;
    const numbers = Array.from(value.data as ArrayLike<number | bigint>, Number);
    places[field] = [];
    for (const [unit, reason] of dead.entries()) {
      // A row read at the source of a shift belongs to the label that it scores, if it scores one.
      const reader = spec?.read === "source" ? scoredBy(unitShape, unit, shift) : unit;
      const why = reader === undefined ? "unread" : dead[reader];
      if (!why || !reason) continue;
      if (field === "weights" && (why === "weight" || value.data.length !== dead.length)) continue;
      if (spec?.holds === "indices" && (why === "ignored" || (why === "weight" && reduction.divideBy === "count")))
        continue;
      for (const at of placesOfUnit(found, field, unit)) {
        numbers[at] = spec?.holds === "indices" ? random.pick([999, -7]) : random.pick([Number.NaN, 1e300, -1e300]);
        places[field].push(at);
      }
    }
    poisoned[field] = ofDtype(value.dtype, numbers, value.shape);
  }
  return { poisoned, places };
}

/** Why a unit is not live, as far as the fields say it. */
function whyDead(found: Case, unit: number): "mask" | "ignored" | "weight" | undefined {
  const labels = found.batch.labels as Tensor | undefined;
  if (found.batch.mask && entryOf(found, "mask", unit) === 0) return "mask";
  const ignored = found.options.ignoreIndex !== undefined && labels?.data.length === sizeOf(found.unitShape);
  if (ignored && Number(labels.data[unit]) === found.options.ignoreIndex) return "ignored";
  return found.batch.weights && entryOf(found, "weights", unit) === 0 ? "weight" : undefined;
}

/** The unit whose label the logits of this unit score under a shift. */
function scoredBy(unitShape: readonly number[], unit: number, shift: number): number | undefined {
  const length = unitShape.at(-1)!;
  return (unit % length) + shift < length ? unit + shift : undefined;
}

describe.each(names)("%s: the contract", (name) => {
  it("comes back from its JSON text, keys sorted and every default written", () => {
    forAll(name, ({ objective }) => {
      const text = JSON.stringify(objective.contract);
      const again = objectiveFrom(JSON.parse(text));
      expect(JSON.stringify(again.contract)).toBe(text);
      expect(again.describe()).toBe(objective.describe());
      expect(Object.keys(objective.contract.options)).toEqual(Object.keys(definitionOf(name).options).sort());
      expect(Object.keys(objective.contract)).toEqual(["objective", "options", "reduction", "version"]);
      expect(Object.keys(objective.contract.reduction)).toEqual(["divideBy", "onEmpty", "per"]);
    });
  });

  it("is the same for defaults written and left out", () => {
    const { contract } = objectiveFrom({ objective: name });
    expect(objectiveFrom({ objective: name, options: {}, reduction: {}, version: 1 }).contract).toEqual(contract);
    expect(objectiveFrom(contract).contract).toEqual(contract);
  });

  it("is refused with an unknown option, naming the near miss", () => {
    for (const option of [...Object.keys(definitionOf(name).options), "optionOfNobody"]) {
      const options = { [`${option}x`]: 1 };
      const error = thrown(() => objectiveFrom({ objective: name, options }));
      expect(error).toMatchObject({ code: "unknown", field: `${option}x` });
      if (option !== "optionOfNobody") expect(error.fix).toContain(`"${option}"`);
    }
  });

  it("is described in words, and so is everything in it", () => {
    forAll(name, ({ objective }) => expect(objective.describe().length).toBeGreaterThan(20));
    const { documentation, fields, options } = definitionOf(name);
    for (const [key, text] of Object.entries(documentation))
      expect({ key, empty: text.length === 0 }).toEqual({ key, empty: false });
    for (const spec of Object.values(fields)) expect(spec.meaning).not.toBe("");
    for (const spec of Object.values(options) as { meaning: string; accepts: string }[]) {
      expect(spec.meaning).not.toBe("");
      expect(spec.accepts).not.toBe("");
    }
  });
});

function thrown(act: () => unknown): LosswrightError {
  try {
    act();
  } catch (error) {
    if (error instanceof LosswrightError) return error;
    throw error;
  }
  return expect.fail("nothing was thrown");
}

describe.each(names)("%s: fields", (name) => {
  it("are refused when unknown, naming the near miss", () => {
    forAll(
      name,
      ({ objective, batch }) => {
        const fields = [...Object.keys(objective.definition.fields), ...Object.keys(commonFields)];
        for (const field of fields) {
          const { [field]: value = 1, ...rest } = batch;
          const error = thrown(() => objective.evaluate({ ...rest, [`${field}x`]: value }));
          expect(error).toMatchObject({ code: "unknown", field: `${field}x` });
          expect(error.fix).toContain(`"${field}"`);
        }
      },
      {},
      5,
    );
  });

  it("are named when they are missing", () => {
    forAll(name, ({ objective, batch }) => {
      const { fields, oneOf = [] } = objective.definition;
      for (const [field, { optional }] of Object.entries(fields)) {
        if (batch[field] === undefined || (optional && !oneOf.flat().includes(field))) continue;
        const error = thrown(() => objective.evaluate({ ...batch, [field]: undefined }));
        expect(error).toMatchObject({ code: "missing-field", field: expect.stringContaining(field) });
      }
    });
  });
});

describe.each(names)("%s: nothing counted", (name) => {
  const check = (objective: Objective, batch: AnyBatch) => {
    const { onEmpty } = objective.reduction;
    expect(objective.tally(batch).numerator).toBe(0);
    expect(objective.tally(batch).denominator).toMatchObject({ isEmpty: true, value: 0 });
    if (onEmpty === "throw") {
      for (const act of [() => objective.evaluate(batch), () => objective.valueAndGradients(batch)]) {
        expect(thrown(act).code).toBe("empty");
      }
      expect(thrown(() => objective.value(objective.tally(batch))).code).toBe("empty");
      return;
    }
    const empty = onEmpty === "nan" ? Number.NaN : 0;
    const { value, gradients } = objective.valueAndGradients(batch);
    expect([value, objective.evaluate(batch).value, objective.value(objective.tally(batch))]).toEqual([
      empty,
      empty,
      empty,
    ]);
    for (const gradient of Object.values(gradients)) {
      expect([...(gradient.data as Float64Array)]).toEqual(new Array(gradient.data.length).fill(empty));
    }
  };

  describe.each(["zero", "nan", "throw"] as const)("onEmpty: %s", (onEmpty) => {
    const withOnEmpty = ({ objective }: Case) =>
      objectiveFrom({ ...objective.contract, reduction: { ...objective.reduction, onEmpty } });

    it("decides over a batch whose units are all masked", () => {
      forAll(name, (found) => {
        const mask = ofDtype("bool", new Float64Array(sizeOf(found.unitShape)), found.unitShape);
        check(withOnEmpty(found), { ...found.batch, mask });
      });
    });

    // Fields of a coupled objective that are no rows of units (its keys) would not shrink with them.
    if (!definitionOf(name).couples) {
      it("decides over a batch of no rows", () => {
        forAll(name, (found) => check(withOnEmpty(found), takeAlong(found, 0, [])));
      });
    }
  });
});

describe.each(names)("%s: dtypes", (name) => {
  it("widen exactly: float32 gives the reference the value of float64, and its gradient rounded once", () => {
    forAll(
      name,
      ({ objective: either, batch }) => {
        const objective = either.withEngine("reference");
        const wide = objective.valueAndGradients(batch);
        const narrow = objective.valueAndGradients(inFloat32(batch));
        const { gradients: _, ...values } = narrow;
        expect(resultBits({ ...wide, gradients: {} })).toEqual(resultBits(values));
        for (const [field, gradient] of Object.entries(narrow.gradients)) {
          const given = batch[field];
          if (typeof given !== "object") continue;
          const rounded = Float32Array.from(wide.gradients[field]!.data as Float64Array);
          expect(tensorBits(gradient)).toBe(tensorBits(view(rounded, gradient.shape, "unlabeled", "float32")));
        }
      },
      { dtype: "float64" },
    );
  });
});

function inFloat32(batch: AnyBatch): AnyBatch {
  return Object.fromEntries(
    Object.entries(batch).map(([name, value]) => {
      const narrows = typeof value === "object" && value.dtype === "float64";
      return [name, narrows ? ofDtype("float32", value.data as Float64Array, value.shape) : value];
    }),
  );
}

describe.each(names)("%s: huge and tiny inputs", (name) => {
  it.each([hints[name]?.huge ?? 1e4, 1e-300])("give finite values and gradients at ±%d", (size) => {
    forAll(
      name,
      ({ objective, batch, options, random }) => {
        const scaled: Record<string, AnyBatch[string]> = { ...batch };
        for (const [field, spec] of Object.entries(objective.definition.fields)) {
          const value = scaled[field];
          if (typeof value !== "object" || spec.holds !== "reals" || spec.scalarOption || domainOf(spec, options))
            continue;
          const extreme = () => random.pick([size, -size, 0, random.real(1) * size]);
          scaled[field] = ofDtype("float64", Array.from({ length: value.data.length }, extreme), value.shape);
        }
        const { value, gradients } = objective.valueAndGradients(scaled);
        expect(value).toSatisfy((found: number) => Number.isFinite(found));
        for (const gradient of Object.values(gradients)) {
          expect(gradient.data as Float64Array).toSatisfy((all: Float64Array) => all.every(Number.isFinite));
        }
      },
      { reduction: {} },
    );
  });
});

describe.each(names)("%s: calls", (name) => {
  it("give the same bits twice, and in buffers of the caller the same bits in the same objects", () => {
    forAll(name, ({ objective, batch }) => {
      const first = objective.valueAndGradients(batch);
      expect(resultBits(objective.valueAndGradients(batch))).toEqual(resultBits(first));
      const buffers = Object.fromEntries(
        Object.entries(first.gradients).map(([field, { dtype, shape, data }]) => [
          field,
          ofDtype(dtype, new Float64Array(data.length).fill(7), shape),
        ]),
      );
      const again = objective.valueAndGradients(batch, { into: { gradients: buffers } });
      expect(resultBits(again)).toEqual(resultBits(first));
      for (const [field, buffer] of Object.entries(buffers)) expect(again.gradients[field]).toBe(buffer);
    });
  });

  it("refuse a buffer that shares memory with an input, of another dtype or shape, or for no gradient", () => {
    forAll(
      name,
      ({ objective, batch }) => {
        const { gradients } = objective.valueAndGradients(batch);
        const refused = (buffers: Record<string, unknown>) =>
          thrown(() => objective.valueAndGradients(batch, { into: { gradients: buffers as never } }));
        expect(refused({ gradientOfNobody: 1 })).toMatchObject({ code: "unknown", field: "gradientOfNobody" });
        for (const [field, { dtype, shape, data }] of Object.entries(gradients)) {
          const where = { code: "argument", field: `into.gradients.${field}` };
          const other = dtype === "float64" ? "float32" : "float64";
          expect(refused({ [field]: ofDtype(other, new Float64Array(data.length), shape) })).toMatchObject(where);
          expect(refused({ [field]: ofDtype(dtype, new Float64Array(data.length), [...shape, 1]) })).toMatchObject(
            where,
          );
          expect(refused({ [field]: data })).toMatchObject(where);
          const input = batch[field];
          if (typeof input !== "object") continue;
          const error = refused({ [field]: input });
          expect(error).toMatchObject({ ...where, found: expect.stringContaining("input") });
        }
      },
      {},
      20,
    );
  });

  // Powers of two scale without rounding, but for float32 gradients that are subnormal: hence float64.
  it("multiply gradients, and nothing else, by scale", () => {
    const check = ({ objective, batch }: Case) => {
      const plain = objective.valueAndGradients(batch);
      const scaled = objective.valueAndGradients(batch, { scale: 4 });
      const { gradients: _, ...values } = plain;
      expect(resultBits({ ...scaled, gradients: {} })).toEqual(resultBits(values));
      for (const [field, gradient] of Object.entries(scaled.gradients)) {
        const quadrupled = Float64Array.from(plain.gradients[field]!.data as Float64Array, (entry) => 4 * entry);
        expect(tensorBits(gradient)).toBe(tensorBits(ofDtype(gradient.dtype, quadrupled, gradient.shape)));
      }
    };
    forAll(name, check, { dtype: "float64" });
  });

  it("divide value and gradients by a denominator that is given, and leave the tally alone", () => {
    const check = ({ objective, batch }: Case) => {
      const own = objective.valueAndGradients(batch);
      const denominator = objective.denominator(batch);
      expect(resultBits(objective.valueAndGradients(batch, { denominator }))).toEqual(resultBits(own));
      const parsed = Denominator.fromJSON(JSON.parse(JSON.stringify(denominator)));
      expect(resultBits(objective.valueAndGradients(batch, { denominator: parsed }))).toEqual(resultBits(own));
      expect(resultBits(objective.valueAndGradients(batch, { denominator: denominator.value }))).toEqual(
        resultBits(own),
      );
      const halved = objective.valueAndGradients(batch, { denominator: 2 * own.denominator });
      expect(bits(halved.value)).toBe(bits(own.value / 2));
      for (const [field, gradient] of Object.entries(halved.gradients)) {
        // Halving is exact but for subnormals, which were rounded to a multiple of the smallest number before.
        const whole = own.gradients[field]!.data;
        const halves = Float64Array.from(gradient.data, (half, i) =>
          Math.abs(half) < 1e-300 && Math.abs(half - whole[i]! / 2) <= Number.MIN_VALUE ? half : whole[i]! / 2,
        );
        expect(tensorBits(gradient)).toBe(tensorBits(ofDtype(gradient.dtype, halves, gradient.shape)));
      }
      expect(halved.tally.toJSON()).toEqual(own.tally.toJSON());
    };
    forAll(name, check, { dtype: "float64" });
  });

  it("agree with each other: evaluate, tally, denominator and perUnit say what valueAndGradients says", () => {
    forAll(name, ({ objective, batch, unitShape }) => {
      const { value, numerator, denominator, tally } = objective.valueAndGradients(batch);
      const evaluated = objective.evaluate(batch);
      expect(resultBits(evaluated)).toEqual(resultBits({ value, numerator, denominator }));
      expect(objective.tally(batch).toJSON()).toEqual(tally.toJSON());
      expect(bits(objective.value(tally))).toBe(bits(value));
      expect(objective.denominator(batch).toJSON()).toEqual(tally.denominator.toJSON());
      expect(objective.perUnit(batch)).toMatchObject({ dtype: "float64", shape: unitShape });
    });
  });
});
