import { describe, expect, it } from "vitest";
import { normals } from "../../sequence/every-path.test-helper.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { rnnTransducer } from "./rnn-transducer.js";

const ids = (...numbers: number[]) => tensor(Int32Array.from(numbers));
const numbers = ({ data }: Tensor) => Array.from(data as Float64Array);
const [T, C] = [3, 4];

/** Two sequences: three frames of two labels, two frames of one. */
const small = () => ({
  logits: tensor(normals(3, 2 * T * 3 * C), [2, T, 3, C]),
  labels: tensor(Int32Array.of(1, 1, 3, 0), [2, 2]),
  inputLengths: ids(3, 2),
  labelLengths: ids(2, 1),
});

describe("rnnTransducer", () => {
  it("never reads nodes past inputLengths and labelLengths, not even to blame them", () => {
    const batch = small();
    const data = Float64Array.from(batch.logits.data as Float64Array);
    const isDead = (at: number) => {
      const [node, second] = [Math.floor(at / C) % (T * 3), at >= T * 3 * C];
      return second && (node >= 6 || node % 3 === 2);
    };
    const poisoned = data.map((entry, at) => (isDead(at) ? Number.NaN : entry));
    const labels = tensor(Int32Array.of(1, 1, 3, -5), [2, 2]);
    const wanted = rnnTransducer().valueAndGradients(batch);
    const found = rnnTransducer().valueAndGradients({ ...batch, logits: tensor(poisoned, [2, T, 3, C]), labels });
    expect(found.value).toBe(wanted.value);
    expect(found.notes).toEqual([]);
    const gradient = numbers(found.gradients.logits!);
    expect(gradient).toEqual(numbers(wanted.gradients.logits!));
    expect(gradient.filter((_, at) => isDead(at)).every((entry) => Object.is(entry, 0))).toBe(true);
  });

  it("of a live node with NaN is NaN, and says where", () => {
    const batch = small();
    const data = Float64Array.from(batch.logits.data as Float64Array);
    data[C] = Number.NaN;
    const { value, notes, gradients } = rnnTransducer().valueAndGradients({
      ...batch,
      logits: tensor(data, [2, T, 3, C]),
    });
    expect(value).toBeNaN();
    expect(notes).toEqual([expect.objectContaining({ code: "non-finite-input", field: "logits", unit: [0] })]);
    expect(numbers(gradients.logits!).map(Number.isNaN)).toEqual(
      Array.from({ length: 2 * T * 3 * C }, (_, at) => at < T * 3 * C),
    );
  });

  it("of labels without frames is +∞ with gradient 0 and a note; of neither it is 0", () => {
    const none = { ...small(), inputLengths: ids(0, 0), labelLengths: ids(2, 0) };
    expect(numbers(rnnTransducer().perUnit(none))).toEqual([Number.POSITIVE_INFINITY, 0]);
    const { notes, gradients } = rnnTransducer().valueAndGradients(none);
    expect(notes[0]).toMatchObject({ code: "impossible-alignment", unit: [0] });
    expect(notes[0]!.message).toContain(
      "sequence 0 has 2 labels and 0 frames, and its alignments need 1 frame or more",
    );
    expect(numbers(gradients.logits!).every((entry) => entry === 0)).toBe(true);
  });

  it("keeps the digits of a gradient where the model is sure", () => {
    const batch = {
      logits: tensor(Float64Array.of(40, 0, -3, 40, 0, -3), [1, 2, 1, 3]),
      labels: tensor(new Int32Array(0), [1, 0]),
      inputLengths: ids(2),
      labelLengths: ids(0),
    };
    const { value, gradients } = rnnTransducer().valueAndGradients(batch);
    const rest = Math.exp(-40) + Math.exp(-43);
    expect(value / (2 * rest)).toBeCloseTo(1, 12);
    expect((gradients.logits!.data[0] as number) / -rest).toBeCloseTo(1, 12);
  });

  it.each([
    ["as many positions as labels", [2, 3, 2, 4], "start symbol"],
    ["more positions than labels and one", [2, 3, 4, 4], "cut labels to the longest"],
  ])("refuses %s, with the fix", (_what, shape, fix) => {
    const logits = tensor(new Float64Array(shape.reduce((a, b) => a * b)), shape);
    expect(() => rnnTransducer().evaluate({ ...small(), logits })).toThrow(
      expect.objectContaining({ code: "shape", field: "logits", fix: expect.stringContaining(fix) }),
    );
  });

  it.each([
    [
      "a blank among the labels",
      { labels: tensor(Int32Array.of(1, 0, 3, 0), [2, 2]) },
      "labels",
      "0, the blank, at [0, 1]",
    ],
    ["a label out of range", { labels: tensor(Int32Array.of(1, 4, 3, 0), [2, 2]) }, "labels", "4 at [0, 1]"],
    ["more frames than there are", { inputLengths: ids(3, 4) }, "inputLengths", "4 at [1]"],
    ["a negative label length", { labelLengths: ids(-1, 1) }, "labelLengths", "-1 at [0]"],
  ])("refuses %s, with the fix", (_what, change, field, found) => {
    expect(() => rnnTransducer().evaluate({ ...small(), ...change })).toThrow(
      expect.objectContaining({ code: "value", field, found, fix: expect.any(String) }),
    );
  });
});
