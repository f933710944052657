import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../../test/instruments/random.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { infoNce } from "./info-nce.js";
import { ntXent } from "./nt-xent.js";
import { supervisedContrastive } from "./supervised-contrastive.js";

const list = (given: Tensor | undefined) => Array.from(given!.data as Float64Array);
const seeds = fc.integer({ min: 1, max: 1e6 });

function embeddings(seed: number, rows: number, width = 3): Tensor<"unlabeled"> {
  const random = new Random(seed);
  return tensor(
    Float64Array.from({ length: rows * width }, () => random.real(1)),
    [rows, width],
  );
}

describe("ntXent", () => {
  it("is infoNce of the rows against themselves, the diagonal excluded, the other view the label", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const rows = embeddings(seed, 6);
        const excludeMask = tensor(
          Uint8Array.from({ length: 36 }, (_, at) => Number(at % 7 === 0)),
          [6, 6],
        );
        const labels = tensor([3, 4, 5, 0, 1, 2]);
        const found = ntXent({ temperature: 0.2 }).valueAndGradients({ embeddings: rows });
        const same = infoNce({ temperature: 0.2 }).valueAndGradients({
          queries: rows,
          keys: rows,
          labels,
          excludeMask,
        });
        expect(found.value).toBe(same.value);
        for (const [i, slope] of list(found.gradients.embeddings).entries()) {
          expect(slope).toBeCloseTo(list(same.gradients.queries)[i]! + list(same.gradients.keys)[i]!, 12);
        }
      }),
    );
  });

  it("is supervised contrastive loss with a label for each pair of views, to the bit", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const batch = { embeddings: embeddings(seed, 6) };
        const labels = tensor([0, 1, 2, 0, 1, 2]);
        expect(list(ntXent({ temperature: 0.1 }).perUnit(batch))).toEqual(
          list(supervisedContrastive().perUnit({ ...batch, labels })),
        );
      }),
    );
  });

  it("does not change when a row is scaled, nor when the views change places", () => {
    const rows = list(embeddings(1, 4));
    const { value } = ntXent().evaluate({ embeddings: tensor(rows, [4, 3]) });
    const scaled = rows.map((x, at) => (at < 3 ? 8 * x : x));
    expect(ntXent().evaluate({ embeddings: tensor(scaled, [4, 3]) }).value).toBe(value);
    const swapped = [...rows.slice(6), ...rows.slice(0, 6)];
    expect(ntXent().evaluate({ embeddings: tensor(swapped, [4, 3]) }).value).toBeCloseTo(value, 14);
  });

  it("is 0 for one example, and log(2B − 1) where all rows are the same", () => {
    expect(ntXent().evaluate({ embeddings: embeddings(1, 2) }).value).toBe(0);
    const same = tensor(new Float64Array(18).fill(2), [6, 3]);
    expect(ntXent().evaluate({ embeddings: same }).value).toBeCloseTo(Math.log(5), 14);
  });

  it("keeps masked rows as negatives and positives of the others", () => {
    const batch = { embeddings: embeddings(3, 4) };
    const whole = list(ntXent().perUnit(batch));
    expect(list(ntXent().perUnit({ ...batch, mask: tensor([1, 0, 0, 1]) }))).toEqual([whole[0], 0, 0, whole[3]]);
  });

  it("refuses an odd number of rows", () => {
    expect(() => ntXent().evaluate({ embeddings: embeddings(1, 5) })).toThrow(
      expect.objectContaining({ code: "shape", field: "embeddings", fix: expect.stringContaining("i + B") }),
    );
  });

  it.each([0, -1, NaN, Infinity, "0.5", null])("refuses temperature %s", (temperature) => {
    expect(() => ntXent({ temperature: temperature as number })).toThrow(
      expect.objectContaining({ code: "option", field: "temperature" }),
    );
  });
});
