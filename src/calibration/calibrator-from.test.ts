import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Refusal, refuses, wrong } from "../../test/instruments/refusals.js";
import { calibratorFrom, isotonicCalibration, plattScaling, temperatureScaling, vectorScaling } from "./index.js";
import { drawnSamples, fieldsOf, numbers, scoredFieldsOf } from "./samples.test-helper.js";

const fits = {
  temperatureScaling: { classes: 3, fitOf: (samples: never) => temperatureScaling(fieldsOf(samples)) },
  vectorScaling: { classes: 3, fitOf: (samples: never) => vectorScaling(fieldsOf(samples)) },
  plattScaling: { classes: 1, fitOf: (samples: never) => plattScaling(scoredFieldsOf(samples)) },
  isotonicCalibration: { classes: 1, fitOf: (samples: never) => isotonicCalibration(scoredFieldsOf(samples)) },
};

describe("calibratorFrom", () => {
  it.each(Object.entries(fits))("reads back %s to the bit", (method, { classes, fitOf }) => {
    fc.assert(
      fc.property(drawnSamples(classes), (samples) => {
        const fitted = fitOf(samples as never);
        const read = calibratorFrom(JSON.parse(JSON.stringify(fitted)));
        expect(read.method).toBe(method);
        expect(read.toJSON()).toEqual(fitted.toJSON());
        const { logits } = fieldsOf(samples);
        expect(numbers(read.apply(logits))).toEqual(numbers(fitted.apply(logits)));
      }),
      { numRuns: 20 },
    );
  });

  const scored = { scores: [1, -1, 2, -2], labels: [1, 0, 0, 1] };
  const rows = {
    logits: [
      [2, 0],
      [0, 1],
      [1, 2],
    ],
    labels: [0, 1, 0],
  };
  const json = {
    temperature: temperatureScaling(rows).toJSON(),
    vector: vectorScaling(rows).toJSON(),
    platt: plattScaling(scored).toJSON(),
    isotonic: isotonicCalibration({ scores: [1, 2, 3], labels: [0, 1, 1] }).toJSON(),
  };
  const isotonicOf = (x: unknown, y: unknown) => ({ ...json.isotonic, thresholds: { x, y } });

  it("tells the calibrator's type by its method", () => {
    const platt = calibratorFrom(json.platt);
    expect(platt.slope).toBe(json.platt.slope);
    const any = calibratorFrom(JSON.parse(JSON.stringify(json.temperature)));
    expect(any.method === "temperatureScaling" && any.temperature).toBe(json.temperature.temperature);
  });

  const damage: readonly Refusal[] = [
    ["a text", () => calibratorFrom(JSON.stringify(json.platt)), "argument", "json", /a string.*toJSON/],
    ["nothing", () => calibratorFrom(null), "argument", "json", /an object/],
    ["a list", () => calibratorFrom([json.platt]), "argument", "json", /an object/],
    [
      "another format",
      () => calibratorFrom({ ...json.platt, format: "losswright metric" }),
      "argument",
      "format",
      /losswright calibrator/,
    ],
    ["a later version", () => calibratorFrom({ ...json.platt, version: 2 }), "argument", "version", /version 1/],
    [
      "an unknown method",
      () => calibratorFrom({ ...json.platt, method: "plattscaling" }),
      "unknown",
      "method",
      /write "plattScaling"/,
    ],
    [
      "no method",
      () => calibratorFrom({ ...json.platt, method: undefined }),
      "unknown",
      "method",
      /temperatureScaling/,
    ],
    [
      "a method of every object",
      () => calibratorFrom({ ...json.platt, method: "toString" }),
      "unknown",
      "method",
      /one of/,
    ],
    ["a key too many", () => calibratorFrom({ ...json.platt, bias: 1 }), "unknown", "bias", /remove/],
    [
      "a slope missing",
      () => calibratorFrom({ ...json.platt, slope: undefined }),
      "argument",
      "slope",
      /finite number/,
    ],
    ["a slope as text", () => calibratorFrom({ ...json.platt, slope: "1" }), "argument", "slope", /finite number/],
    ["a null for NaN", () => calibratorFrom({ ...json.platt, intercept: null }), "argument", "intercept", /null/],
    [
      "a temperature of 0",
      () => calibratorFrom({ ...json.temperature, temperature: 0 }),
      "argument",
      "temperature",
      /between 0\.001 and 1000/,
    ],
    [
      "half a class",
      () => calibratorFrom({ ...json.temperature, classes: 1.5 }),
      "argument",
      "classes",
      /whole number/,
    ],
    [
      "scales of no class",
      () => calibratorFrom({ ...json.vector, scale: [], bias: [] }),
      "argument",
      "scale",
      /at least one/,
    ],
    ["a bias too few", () => calibratorFrom({ ...json.vector, bias: [1] }), "argument", "bias", /list of 2/],
    ["a bias of null", () => calibratorFrom({ ...json.vector, bias: [null, 1] }), "argument", "bias", /null at \[0\]/],
    [
      "thresholds missing",
      () => calibratorFrom({ ...json.isotonic, thresholds: null }),
      "argument",
      "thresholds",
      /x, y/,
    ],
    [
      "thresholds with more",
      () => calibratorFrom({ ...json.isotonic, thresholds: wrong({ x: [1], y: [1], extra: [1] }) }),
      "unknown",
      "extra",
      /remove/,
    ],
    ["thresholds of two lengths", () => calibratorFrom(isotonicOf([1, 2], [0])), "argument", "y", /list of 2/],
    ["thresholds that do not rise", () => calibratorFrom(isotonicOf([1, 1], [0, 1])), "argument", "x", /rise/],
    [
      "probabilities that fall",
      () => calibratorFrom(isotonicOf([1, 2], [0.5, 0.4])),
      "argument",
      "y",
      /do not fall, at \[1\]/,
    ],
    ["probabilities above 1", () => calibratorFrom(isotonicOf([1, 2], [0.5, 1.5])), "argument", "y", /\[0, 1\]/],
    ["probabilities below 0", () => calibratorFrom(isotonicOf([1, 2], [-0.5, 1])), "argument", "y", /\[0, 1\]/],
  ];
  refuses(damage);
});
