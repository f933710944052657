import { describe, expect, it } from "vitest";
import { binaryCrossEntropy, crossEntropy, infoNce, type Objective, type Tensor, tensor } from "../index.js";
import type { RowSource, StepRecord } from "../io/index.js";
import { view } from "../tensor/index.js";
import { audit, hasFindings } from "./audit.js";
import { sampledByRows } from "./large.js";

/** Rows of a tensor in memory, as a file would give them. */
function rowsOf({ data, shape, dtype }: Tensor): RowSource {
  const inner = shape.slice(1).reduce((size, length) => size * length, 1);
  return {
    dtype,
    shape,
    rows: async (from, to) =>
      view(
        data.slice(from * inner, to * inner) as Float64Array,
        [to - from, ...shape.slice(1)],
        "unlabeled",
        dtype as "float64",
      ),
  };
}

function draw(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** What any objective does on fields whose types were lost. */
interface Computes {
  valueAndGradients(batch: never): ReturnType<Objective["valueAndGradients"]>;
}

/** A step whose logits and their gradient stay where they are. */
function recordOf(
  declared: Pick<Objective, "contract">,
  computed: Computes,
  fields: Record<string, Tensor>,
): StepRecord<Tensor | RowSource> {
  const { value, gradients } = computed.valueAndGradients(fields as never);
  return {
    format: 1,
    name: "large",
    intended: JSON.parse(JSON.stringify(declared.contract)),
    fields: { ...fields, logits: rowsOf(fields.logits!) },
    reported: { loss: Math.fround(value), gradients: { logits: rowsOf(gradients.logits!) } },
    context: {},
    parts: [],
  };
}

const [rows, length, classes] = [40, 30, 17];
const logits = tensor(
  draw(rows * length * classes, 1).map((x) => 3 * x),
  [rows, length, classes],
);
const labels = tensor(
  Int32Array.from(draw(rows * length, 2), (x, i) => (i % 7 === 0 ? -100 : Math.floor(((x + 1) / 2) * classes))),
  [rows, length],
);
const nextToken = (options = {}) => crossEntropy({ labelShift: 1, ...options });

describe("a record whose logits do not fit into memory", () => {
  it("is clean where its numbers are those of the contract, over every row", async () => {
    const record = await sampledByRows(recordOf(nextToken(), nextToken(), { logits, labels }));
    const { numerator, denominator } = nextToken().withEngine("reference").evaluate({ logits, labels });
    expect(record.context.sampled!.tally).toEqual({ numerator, denominator });
    const result = audit(record);
    expect(result.findings).toEqual([]);
    expect(result.step.gradientError).toBeLessThan(1e-6);
  });

  it("keeps units spread over all rows when not all of them fit", async () => {
    const many = tensor(draw(3000 * 1000, 3), [3000, 1000]);
    const classIds = tensor(
      Int32Array.from(draw(3000, 4), (x) => Math.floor((x + 1) * 500)),
      [3000],
    );
    const record = await sampledByRows(recordOf(crossEntropy(), crossEntropy(), { logits: many, labels: classIds }));
    const { units, shape } = record.context.sampled!;
    expect(shape).toEqual([3000]);
    expect(units.data.length).toBeLessThan(3000);
    expect(Number(units.data.at(-1))).toBeGreaterThan(2900);
    expect(hasFindings(audit(record))).toBe(false);
  });

  it.each([
    ["label-shift", nextToken({ labelShift: 2 })],
    ["smoothing", nextToken({ labelSmoothing: 0.1 })],
    ["denominator", nextToken({ divideBy: { constant: rows * length } })],
  ])("has its %s found", async (check, computed) => {
    const record = await sampledByRows(recordOf(nextToken(), computed, { logits, labels }));
    expect(audit(record).findings.filter(({ severity }) => severity === "error")).toMatchObject([{ check }]);
  });

  it("may be of elements, whose targets are then a sample too", async () => {
    const targets = tensor(
      draw(rows * 50, 5).map((x) => (x > 0 ? 1 : 0)),
      [rows, 50],
    );
    const scores = tensor(draw(rows * 50, 6), [rows, 50]);
    const record = await sampledByRows(
      recordOf(binaryCrossEntropy(), binaryCrossEntropy(), { logits: scores, targets }),
    );
    expect(audit(record).findings).toEqual([]);
  });

  it("is read part by part where it has parts", async () => {
    const objective = nextToken();
    const half = (tensor: Tensor, from: number) => {
      const inner = tensor.data.length / 2;
      const data = tensor.data.slice(from * inner, (from + 1) * inner);
      return view(data as Float64Array, [rows / 2, ...tensor.shape.slice(1)], "unlabeled", tensor.dtype as "float64");
    };
    const { value, denominator } = objective.evaluate({ logits, labels });
    const parts = [0, 1].map((from) => {
      const fields = { logits: half(logits, from), labels: half(labels, from) };
      const own = objective.valueAndGradients(fields, { denominator });
      return {
        fields: { ...fields, logits: rowsOf(fields.logits) },
        reported: { loss: own.value, gradients: { logits: rowsOf(own.gradients.logits!) } },
        context: { microBatch: from },
      };
    });
    const record = {
      ...recordOf(objective, objective, { logits, labels }),
      parts,
      reported: { loss: value, gradients: {} },
    };
    const { fields: _, ...outer } = record;
    expect(audit(await sampledByRows(outer)).findings).toEqual([]);
  });

  it.each([
    ["a mean inside sequences", crossEntropy({ per: "sequence" }), { logits, labels }],
    [
      "classes on another axis",
      crossEntropy({ classAxis: 1 }),
      { logits, labels: tensor(new Int32Array(rows * classes), [rows, classes]) },
    ],
  ] as const)("is refused under %s, with what to do", async (_, objective, fields) => {
    await expect(sampledByRows(recordOf(objective, objective, fields))).rejects.toMatchObject({
      code: "unsupported",
      fix: expect.stringContaining("first rows"),
    });
  });

  it("is refused where rows depend on each other", async () => {
    const embeddings = tensor(draw(40, 7), [10, 4]);
    const record: StepRecord<Tensor | RowSource> = {
      format: 1,
      name: "coupled",
      intended: JSON.parse(JSON.stringify(infoNce().contract)),
      fields: { queries: rowsOf(embeddings), keys: embeddings },
      reported: { loss: 1, gradients: {} },
      context: {},
      parts: [],
    };
    await expect(sampledByRows(record)).rejects.toMatchObject({ code: "unsupported" });
  });
});
