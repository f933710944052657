import { choiceOption, eitherOption, flagOption, numberOption } from "../../contract/index.js";
import { LosswrightError } from "../../errors/index.js";
import { similarityModule } from "../../kernels/binaries/similarity.js";
import { runSimilarities } from "../../kernels/index.js";
import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss } from "../define-loss.js";
import type { BatchView, KernelPlan, UnitFields } from "../definition.js";
import { Embeddings } from "./embeddings.js";
import { checkIncluded, excludeMaskField, includedPairs } from "./exclusion.js";
import { KeySearch, MutualSearch, type Positives } from "./key-search.js";

/** Options of {@link infoNce}. */
export interface InfoNceOptions {
  /** τ > 0: similarities are divided by it. `"field"` reads a learned one from the batch. Default 0.07. */
  readonly temperature: number | "field";
  /** Whether rows are divided by their Euclidean norm, so that similarities are cosines. Default true. */
  readonly normalize: boolean;
  /** Whether keys look for their query too; the loss is half of each direction. Default false. */
  readonly symmetric: boolean;
}

/** What {@link infoNce} reads. */
export interface InfoNceBatch extends UnitFields {
  /** `[B, D]`. */
  readonly queries: Tensor<"embeddings" | Unlabeled>;
  /** `[M, D]`: every key that is not a row's positive is its negative. */
  readonly keys: Tensor<"embeddings" | Unlabeled>;
  /** `[B]`: the key of each query; row i ↔ key i without it. With keys gathered over ranks, add the rank's offset. */
  readonly labels?: Tensor<"classIndices" | Unlabeled>;
  /** `[B, M]`: several positives a row; the loss is the mean over them. */
  readonly positiveMask?: Tensor<"mask" | Unlabeled>;
  /** `[B, M]`: 1 where a key is no negative of a row (a false negative): the pair is not read. */
  readonly excludeMask?: Tensor<"mask" | Unlabeled>;
  /** `[]`: a learned temperature, for `temperature: "field"`. */
  readonly temperature?: Tensor | number;
}

/**
 * InfoNCE of queries q_i and keys k_j: cross entropy over which key belongs to a query.
 *   s_ij        = q_i · k_j / τ                (rows divided by their norm first, unless `normalize: false`)
 *   loss_i      = −log (exp s_iy / Σ_j exp s_ij);  the mean over the positives of a row where there are several
 *   g_ij        = p_ij − 1[j positive] / n⁺_i
 *   d/dq_i      = Σ_j g_ij k_j / τ,   d/dk_j = Σ_i g_ij q_i / τ,   then through the norm: (g − x̂ (x̂·g)) / ‖x‖
 *   d/dτ        = −Σ_ij g_ij s_ij / τ
 * The unit is a row of queries; every other key of the batch is a negative, so the loss depends on the whole batch.
 * A masked row's key stays a negative of the others; `excludeMask` removes it. `symmetric` needs as many keys as
 * queries and pairs row i with key i. A row without a positive is no unit.
 * van den Oord et al. 2018, eq. 4; Chen et al. 2020 (in-batch negatives).
 */
export const infoNce = /*#__PURE__*/ defineLoss<InfoNceOptions, InfoNceBatch, "queries" | "keys" | "temperature">({
  name: "infoNce",
  family: "contrastive",
  unit: "row",
  unitShape: ["B"],
  couples: true,
  documentation: {
    summary: "Cross entropy over which key of the batch belongs to a query.",
    formula: "−log (exp s_iy / Σ_j exp s_ij),  s_ij = q_i·k_j / τ",
    gradient:
      "d/ds_ij = p_ij − 1[j = y]; d/dq_i = Σ_j (d/ds_ij) k_j / τ, d/dk_j likewise; d/dτ = −Σ (d/ds_ij) s_ij / τ",
    likelihood: { target: "embedding match", distribution: "categorical over the negatives" },
    pitfalls: [
      "With keys gathered by hand over ranks, labels need the rank's offset, and the gather must carry the gradient back; a group does both.",
      "Other rows are negatives even when they mean the same: remove them with excludeMask.",
      "The temperature scales the gradient by 1/τ too: too small is unstable, too large cannot tell negatives apart.",
      "Micro-batches have fewer negatives: accumulation(objective).gathered takes the embeddings of all of them.",
    ],
    metric: "recallAtK, meanReciprocalRank",
    source: "van den Oord et al. 2018",
  },
  options: {
    temperature: eitherOption(
      numberOption("divides the similarities", 0.07, { above: 0 }),
      choiceOption<"field">("", "field", ["field"]),
    ),
    normalize: flagOption("divides rows by their norm, so that similarities are cosines", true),
    symmetric: flagOption("adds the direction from keys to queries, half of each", false),
  },
  fields: {
    queries: {
      meaning: "one embedding a row",
      holds: "reals",
      roles: ["embeddings"],
      shape: ["B", "D"],
      read: "whole",
      gradient: "shared",
    },
    keys: {
      meaning: "the embeddings to find among",
      holds: "reals",
      roles: ["embeddings"],
      shape: ["M", "D"],
      read: "whole",
      gradient: "shared",
    },
    labels: {
      meaning: "the key of each query; row i ↔ key i without it; with keys gathered over ranks i + rank · B",
      holds: "indices",
      indexes: "M",
      roles: ["classIndices"],
      shape: ["B"],
      read: "whole",
      gradient: "none",
      optional: true,
      pairsRowsUnless: ["positiveMask"],
    },
    positiveMask: {
      meaning: "1 where a key is a positive of a row",
      holds: "flags",
      roles: ["mask"],
      shape: ["B", "M"],
      read: "whole",
      gradient: "none",
      optional: true,
    },
    excludeMask: excludeMaskField("B", "M"),
    temperature: {
      meaning: 'a learned temperature, for temperature: "field"',
      holds: "reals",
      roles: [],
      shape: [],
      read: "whole",
      gradient: "shared",
      optional: true,
      scalarOption: true,
    },
  },
  describe: ({ temperature, normalize, symmetric }) =>
    [
      "InfoNCE of each query against every key of its batch",
      normalize ? "on cosines" : "on dot products",
      temperature === "field" ? "at a learned temperature" : `at temperature ${temperature}`,
      symmetric && "both directions, half of each",
    ]
      .filter(Boolean)
      .join(", "),
  // Keys look for their query among all queries too where the search is symmetric.
  gathers: ({ symmetric }) => (symmetric ? ["B", "M"] : ["M"]),
  units(batch) {
    checkPairing(batch);
    const positives = positivesOf(batch);
    return { present: (unit) => positives.count(unit) > 0 };
  },
  kernel: infoNceKernel,
  open(batch, work) {
    const { normalize, symmetric } = batch.options;
    const { B: rows, M: columns, D: width } = batch.sizes as { B: number; M: number; D: number };
    const temperature = batch.scalar("temperature");
    if (!(temperature > 0 && temperature < Number.POSITIVE_INFINITY)) throw badTemperature(batch, temperature);
    const queries = new Embeddings(batch.reals("queries"), rows, width, normalize);
    const keys = new Embeddings(batch.reals("keys"), columns, width, normalize);
    const reads = includedPairs(batch, columns);
    const scale = (similarity: number) => similarity / temperature;
    const positives = positivesOf(batch);
    const search = symmetric
      ? new MutualSearch({ queries, keys, reads, scale })
      : new KeySearch({ queries, keys, positives, reads, scale });
    const label = batch.has("labels") ? batch.index("labels") : (unit: number) => unit;
    const checkPositives = (unit: number) => {
      if (!batch.has("positiveMask")) checkIncluded(batch, reads, unit, label(unit));
      else for (let j = 0; j < columns; j++) if (positives.has(unit, j)) checkIncluded(batch, reads, unit, j);
    };
    if (isPairedByRow(batch)) {
      const message = `row i is paired with key i of ${columns} keys for ${rows} queries; on rank r of a gather give labels i + r · ${rows}`;
      work.note("paired-by-row", 0, message, "labels");
    }
    return {
      loss(unit) {
        checkPositives(unit);
        return search.loss(unit);
      },
      addShared(unit, factor) {
        // The scale is 1/τ, so d/dτ = −(d/d log scale) / τ.
        work.sums.temperature![0]! -= search.addGradients(unit, factor) / temperature;
      },
      finish() {
        queries.writeGradient(work.sums.queries!);
        keys.writeGradient(work.sums.keys!);
      },
    };
  },
});

/** Whether rows are paired with keys of their own number where there are several keys a row. */
function isPairedByRow(batch: BatchView<InfoNceOptions>): boolean {
  const { B: rows, M: columns } = batch.sizes as { B: number; M: number };
  return !batch.has("labels") && !batch.has("positiveMask") && columns > rows && columns % rows === 0;
}

function infoNceKernel(batch: BatchView<InfoNceOptions>): KernelPlan | string {
  if (batch.has("positiveMask")) return "positiveMask gives a row several positives";
  const { normalize, symmetric } = batch.options;
  return {
    module: similarityModule,
    kernel: "searchRows",
    label: "labels",
    outputs: ["queries", "keys", "temperature"],
    nanoseconds: 0,
    run(call) {
      if (isPairedByRow(batch)) call.open();
      const found = runSimilarities(call, {
        kind: "softmax",
        queries: batch.data("queries") as Float32Array,
        keys: batch.data("keys") as Float32Array,
        width: batch.sizes.D!,
        normalize,
        isMutual: symmetric,
        scale: 1 / batch.scalar("temperature"),
        labels: call.labels,
        excluded: batch.has("excludeMask") ? batch.data("excludeMask") : undefined,
      });
      if (!found) call.leaveAll();
      // The scale is 1/τ, so d/dτ = −(d/d log scale) / τ.
      else call.outputs[2]?.fill(-found.ofLogScale / batch.scalar("temperature"));
    },
  };
}

/** The positives of a row, as the fields give them; labels are not checked here. */
function positivesOf(batch: BatchView<InfoNceOptions>): Positives {
  if (batch.has("positiveMask")) {
    const { B: rows, M: columns } = batch.sizes as { B: number; M: number };
    const positive = batch.flag("positiveMask");
    const counts = new Int32Array(rows);
    for (let at = 0; at < rows * columns; at++) if (positive(at)) counts[Math.floor(at / columns)]!++;
    return { count: (row) => counts[row]!, has: (row, key) => positive(row * columns + key) };
  }
  const label = batch.has("labels") ? batch.integer("labels") : (row: number) => row;
  return { count: () => 1, has: (row, key) => label(row) === key };
}

function checkPairing(batch: BatchView<InfoNceOptions>): void {
  const { B: rows, M: columns } = batch.sizes as { B: number; M: number };
  const wrong = (field: string, found: string, expected: string, fix: string) =>
    new LosswrightError({ code: "argument", where: batch.where, field, found, expected, fix });
  const given = ["labels", "positiveMask"].filter((name) => batch.has(name));
  if (given.length > 1) throw wrong("positiveMask", "labels beside it", "one of the two", "keep positiveMask alone.");
  if (batch.options.symmetric) {
    if (given[0]) {
      throw wrong(
        given[0],
        `${given[0]} under symmetric: true`,
        "row i paired with key i",
        "reorder the keys, or use symmetric: false.",
      );
    }
    if (rows !== columns) {
      throw wrong(
        "keys",
        `${columns} keys for ${rows} queries`,
        "as many under symmetric: true",
        "use symmetric: false, or gather both sides.",
      );
    }
  }
  if (!given.length && columns < rows) {
    throw wrong(
      "keys",
      `${columns} keys for ${rows} queries`,
      "at least one key a row",
      "say which key belongs to a row: labels.",
    );
  }
}

function badTemperature(batch: BatchView<InfoNceOptions>, found: number): LosswrightError {
  return new LosswrightError({
    code: "value",
    where: batch.where,
    field: "temperature",
    found: String(found),
    expected: "a finite number above 0",
    fix: "learn its logarithm: clip takes logScale.",
  });
}
