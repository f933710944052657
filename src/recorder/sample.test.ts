import { describe, expect, it } from "vitest";
import { Random } from "../../test/instruments/random.js";
import { softmaxLoss } from "../../test/instruments/steps.js";
import { audit } from "../audit/index.js";
import { objectiveFrom } from "../losses/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { createRecorder, memorySink, type RecorderOptions, type StepValues } from "./index.js";

const [rows, time, classes] = [16, 24, 12];
const shift = 1;
const contract = { objective: "crossEntropy", options: { labelShift: shift } };

/** A step of a causal model in float32 plain loops: a third of the labels are ignored. */
function causalStep({
  divisor = "labels",
  wrongShift = shift,
}: {
  divisor?: "labels" | "all";
  wrongShift?: number;
} = {}) {
  const random = new Random(3);
  const logits = Float32Array.from({ length: rows * time * classes }, () => random.real(2));
  const labels = Int32Array.from({ length: rows * time }, () =>
    random.chance(0.33) ? -100 : random.integer(0, classes - 1),
  );
  const gradient = new Float32Array(logits.length);
  let [sum, count] = [0, 0];
  for (let unit = 0; unit < labels.length; unit++) {
    if (unit % time < wrongShift || labels[unit]! < 0) continue;
    const at = (unit - wrongShift) * classes;
    const { loss, slope } = softmaxLoss(logits.subarray(at, at + classes), labels[unit]!);
    gradient.set(slope, at);
    sum += loss;
    count++;
  }
  const dividedBy = divisor === "labels" ? count : labels.length;
  for (let i = 0; i < gradient.length; i++) gradient[i] = gradient[i]! / dividedBy;
  const values: StepValues = {
    loss: sum / dividedBy,
    fields: { logits: tensor(logits, [rows, time, classes]), labels: tensor(labels, [rows, time]) },
    gradients: { logits: tensor(gradient, [rows, time, classes]) },
  };
  return { values, sum, count, logits, gradient };
}

async function recordOf(options: Partial<RecorderOptions>, ...batches: StepValues[]) {
  const [sink, warnings]: [ReturnType<typeof memorySink>, string[]] = [memorySink(), []];
  const warn = (message: string) => void warnings.push(message);
  const recorder = createRecorder({ contract, sink, warn, ...options });
  for (const batch of batches) recorder.record(0, batch);
  await recorder.flush();
  return { record: sink.records()[0], warnings };
}

describe("a step above the limit", () => {
  it("is kept by some of its units, with the tally of the whole, and audits clean", async () => {
    const { values, sum, count, logits, gradient } = causalStep();
    const { record, warnings } = await recordOf({ sampleAbove: 12_000 }, values);
    const { sampled } = record!.context;
    expect(warnings).toEqual([]);
    expect(sampled!.shape).toEqual([rows, time]);
    expect(sampled!.fields).toEqual(["logits"]);
    expect(sampled!.tally.denominator).toBe(count);
    expect(sampled!.tally.numerator).toBeCloseTo(sum, 3);
    const places = Array.from(sampled!.units.data, Number);
    expect(places.length).toBeGreaterThan(50);
    expect(places.length).toBeLessThan(200);
    for (const [whole, kept] of [
      [logits, record!.fields!.logits!],
      [gradient, record!.reported.gradients.logits!],
    ] as const) {
      expect(kept.shape).toEqual([places.length, classes]);
      const expected = places.flatMap((place) => Array.from(whole.subarray(place * classes, (place + 1) * classes)));
      expect(Array.from(kept.data, Number)).toEqual(expected);
    }
    const bytes = [...Object.values(record!.fields!), record!.reported.gradients.logits!, sampled!.units];
    expect(bytes.reduce((all, { data }) => all + data.byteLength, 0)).toBeLessThanOrEqual(12_000);
    expect(audit(record!).findings).toEqual([]);
  });

  it.each([
    ["a divisor that counts ignored labels", { divisor: "all" }, "denominator"],
    ["labels shifted twice", { wrongShift: 2 }, "label-shift"],
  ] as const)("is found wrong where it is: %s", async (_, wrong, check) => {
    const { record } = await recordOf({ sampleAbove: 12_000 }, causalStep(wrong).values);
    expect(record!.context.sampled).toBeDefined();
    expect(audit(record!).findings.map((finding) => finding.check)).toContain(check);
  });

  it("shares the limit among micro-batches and ranks", async () => {
    const { values } = causalStep();
    const alone = await recordOf({ sampleAbove: 40_000 }, values);
    const shared = await recordOf({ sampleAbove: 40_000, microBatches: 2 }, values, values);
    const kept = (context: { sampled?: { units: Tensor } }) => context.sampled?.units.data.length ?? rows * time;
    expect(shared.record!.parts.map(({ context }) => kept(context))).toEqual([
      expect.any(Number),
      kept(shared.record!.parts[0]!.context),
    ]);
    expect(kept(shared.record!.parts[0]!.context)).toBeLessThan(kept(alone.record!.context) * 0.6);
  });

  it("gives the same units for the same step", async () => {
    const both = [
      await recordOf({ sampleAbove: 9000 }, causalStep().values),
      await recordOf({ sampleAbove: 9000 }, causalStep().values),
    ];
    expect(both[0]!.record).toEqual(both[1]!.record);
  });

  it("keeps its denominator alone where the numerator would be too much to read", async () => {
    const { values, count } = causalStep();
    const { record } = await recordOf({ sampleAbove: 12_000, tallyWithin: 100 }, values);
    expect(record!.context.sampled!.tally).toEqual({ denominator: count });
    expect(audit(record!).findings).toEqual([]);
  });

  it("has its classes on axis 1 picked alike", async () => {
    const length = 40;
    const logits = Float32Array.from({ length: 8 * classes * length }, (_, i) => i);
    const labels = new Int32Array(8 * length);
    const fields = { logits: tensor(logits, [8, classes, length]), labels: tensor(labels, [8, length]) };
    const options = { contract: { objective: "crossEntropy", options: { classAxis: 1 } }, sampleAbove: 4000 };
    const { record } = await recordOf(options, { fields });
    const places = Array.from(record!.context.sampled!.units.data, Number);
    const expected = places.flatMap((place) => {
      const [row, at] = [Math.floor(place / length), place % length];
      return Array.from({ length: classes }, (_, k) => logits[(row * classes + k) * length + at]!);
    });
    expect(Array.from(record!.fields!.logits!.data, Number)).toEqual(expected);
  });

  it("may be one of elements, with a mask and weights that stay whole", async () => {
    const random = new Random(5);
    const n = 4000;
    const draw = () => Float32Array.from({ length: n }, () => random.real(1));
    const [predictions, targets, weights] = [draw(), draw(), draw().map(Math.abs)];
    const mask = Uint8Array.from({ length: n }, () => (random.chance(0.5) ? 1 : 0));
    let [sum, weight] = [0, 0];
    for (let i = 0; i < n; i++) if (mask[i]) weight += weights[i]!;
    const gradient = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      if (!mask[i]) continue;
      const residual = predictions[i]! - targets[i]!;
      sum += weights[i]! * residual * residual;
      gradient[i] = (2 * residual * weights[i]!) / weight;
    }
    const shape = [40, 100];
    const fields = {
      predictions: tensor(predictions, shape),
      targets: tensor(targets, shape),
      weights: tensor(weights, shape),
      mask: tensor(mask, shape),
    };
    const { record } = await recordOf(
      { contract: { objective: "squaredError" }, sampleAbove: 30_000 },
      { loss: sum / weight, fields, gradients: { predictions: tensor(gradient, shape) } },
    );
    expect(record!.context.sampled!.fields).toEqual(["predictions", "targets"]);
    expect(record!.fields!.mask!.shape).toEqual(shape);
    expect(audit(record!).findings).toEqual([]);
  });

  it("keeps the outputs behind a field by the same units", async () => {
    const { values } = causalStep();
    const { record } = await recordOf(
      { sampleAbove: 12_000 },
      { ...values, outputs: { logits: values.fields.logits! } },
    );
    expect(record!.context.outputs!.logits).toEqual(record!.fields!.logits);
  });

  it("is kept whole where units mean nothing alone, and not at all above the limit for that", async () => {
    const queries = tensor(new Float32Array(64 * 8).fill(0.1), [64, 8]);
    const contrastive = { contract: { objective: "infoNce" }, sampleAbove: 1000 };
    const fields = { queries, keys: queries };
    const whole = await recordOf(contrastive, { fields });
    expect(whole.record!.fields!.queries!.shape).toEqual([64, 8]);
    expect(whole.warnings.join()).toMatch(/kept whole.*units of infoNce are not sampled/);
    const refused = await recordOf({ ...contrastive, refuseAbove: 2000 }, { fields });
    expect(refused.record).toBeUndefined();
    expect(refused.warnings.join()).toMatch(/not recorded.*refuseAbove/);
    const { values } = causalStep();
    const perRow = { contract: { ...contract, reduction: { per: "sequence" as const } }, sampleAbove: 12_000 };
    const grouped = await recordOf(perRow, values);
    expect(grouped.record!.context.sampled).toBeUndefined();
    expect(grouped.warnings.join()).toMatch(/the reduction per sequence is over groups/);
  });

  it("is recorded, too, where its labels are not those of its contract", async () => {
    const { values } = causalStep();
    const labels = tensor(new Int32Array(rows * time).fill(classes + 5), [rows, time]);
    const { record, warnings } = await recordOf(
      { sampleAbove: 12_000 },
      { ...values, fields: { ...values.fields, labels } },
    );
    expect(warnings).toEqual([]);
    expect(record!.context.sampled!.tally).toEqual({ denominator: rows * (time - 1) });
  });

  it("gives a mean that the sample alone stands for", async () => {
    const { values } = causalStep();
    const { record } = await recordOf({ sampleAbove: 12_000 }, values);
    const { numerator, denominator } = record!.context.sampled!.tally;
    const objective = objectiveFrom(contract).withEngine("reference");
    const whole = objective.evaluate(values.fields as Record<string, Tensor>);
    expect([numerator, denominator]).toEqual([whole.numerator, whole.denominator]);
  });
});
