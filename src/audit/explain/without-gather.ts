import { LosswrightError } from "../../errors/index.js";
import type { AnyBatch, Objective } from "../../losses/index.js";
import { exp } from "../../numerics/index.js";
import { dataOf, isTensor, type Tensor, view } from "../../tensor/index.js";
import { referenceObjective } from "../reference.js";
import type { RowLossSums } from "./row-losses.js";

/**
 * A coupled loss over joined rows whose gather let no gradient through: each rank's queries see all keys, but only the
 * rank's own keys hear of it. The value is the right one, the gradient of keys a part of it.
 *
 * @param given - how many rows of the joined batch each rank owns
 * @param keepsOwn - whether a rank put its own keys back in with their gradient; without it no key has one
 * @throws `unsupported` for an objective it is not defined for
 */
export function withoutGather(
  objective: Objective,
  batch: AnyBatch,
  given: readonly number[],
  keepsOwn: boolean,
): RowLossSums {
  const rowsOfParts = { rows: given, keepsOwn };
  const fields = batch as Record<string, Tensor>;
  if (objective.name === "infoNce" && objective.contract.options.symmetric === false && !batch.excludeMask) {
    return direction(objective, fields.queries!, fields.keys!, rowsOfParts, { queries: "queries", keys: "keys" }, 1);
  }
  if (objective.name === "clip" && !batch.excludeMask) {
    const logScale = Number(isTensor(batch.logScale) ? batch.logScale.data[0] : batch.logScale);
    const options = { normalize: false, temperature: exp(-logScale) };
    const search = referenceObjective({ objective: "infoNce", options });
    const { images, texts } = fields as { images: Tensor; texts: Tensor };
    const both = [
      direction(search, images, texts, rowsOfParts, { queries: "images", keys: "texts" }, 0.5),
      direction(search, texts, images, rowsOfParts, { queries: "texts", keys: "images" }, 0.5),
    ];
    const slope = both.reduce((sum, { gradients }) => sum + Number(gradients.temperature!.data[0]), 0);
    return {
      numerator: both[0]!.numerator + both[1]!.numerator,
      gradients: {
        ...Object.fromEntries(
          ["images", "texts"].map((name) => [name, added(both[0]!.gradients[name]!, both[1]!.gradients[name]!)]),
        ),
        // τ = exp(−logScale), so d/dlogScale = −τ d/dτ.
        logScale: view(Float64Array.of(-options.temperature * slope), [], "unlabeled", "float64"),
      },
    };
  }
  throw new LosswrightError({
    code: "unsupported",
    where: objective.name,
    found: "a gather without gradient",
    expected: "infoNce in one direction, or clip, without excludeMask",
  });
}

/** One direction of the search, rank by rank; a rank keeps the gradient of its own keys alone. */
function direction(
  search: Objective,
  queries: Tensor,
  keys: Tensor,
  { rows: rowsOfParts, keepsOwn }: { readonly rows: readonly number[]; readonly keepsOwn: boolean },
  names: { readonly queries: string; readonly keys: string },
  share: number,
): RowLossSums {
  const rows = queries.shape[0]!;
  const queryGradient = dataOf("float64", queries.data.length);
  const keyGradient = dataOf("float64", keys.data.length);
  const [width, keyWidth] = [queries.data.length / rows, keys.data.length / rows];
  let [numerator, start, temperature] = [0, 0, 0];
  for (const count of rowsOfParts) {
    const end = start + count;
    const mask = view(
      Uint8Array.from({ length: rows }, (_, i) => (i >= start && i < end ? 1 : 0)),
      [rows],
      "mask",
      "bool",
    );
    const own = search.valueAndGradients({ queries, keys, mask }, { denominator: 1 });
    numerator += share * own.numerator;
    temperature += share * Number(own.gradients.temperature!.data[0]);
    const [q, k] = [own.gradients.queries!.data, own.gradients.keys!.data];
    for (let i = start * width; i < end * width; i++) queryGradient[i]! += share * q[i]!;
    for (let i = start * keyWidth; keepsOwn && i < end * keyWidth; i++) keyGradient[i]! += share * k[i]!;
    start = end;
  }
  return {
    numerator,
    gradients: {
      [names.queries]: view(queryGradient, queries.shape, "unlabeled", "float64"),
      [names.keys]: view(keyGradient, keys.shape, "unlabeled", "float64"),
      temperature: view(Float64Array.of(temperature), [], "unlabeled", "float64"),
    },
  };
}

function added(a: Tensor, b: Tensor): Tensor {
  const sum = Float64Array.from(a.data as Float64Array, (x, i) => x + Number(b.data[i]));
  return view(sum, a.shape, "unlabeled", "float64");
}
