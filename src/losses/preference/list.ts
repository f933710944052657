import type { Tensor, Unlabeled } from "../../tensor/index.js";
import { defineLoss, type ObjectiveFactory } from "../define-loss.js";
import type { BatchView, Domain, FieldSpec, LossDefinition, UnitFields } from "../definition.js";

/** Lists of items with a score and a relevance each, `[..., N]`: a list is a unit. */
export interface RankingBatch extends Omit<UnitFields, "mask"> {
  readonly scores: Tensor<"scores" | "logits" | "predictions" | Unlabeled>;
  /** What is known of each item, of a floating dtype; a constant. */
  readonly relevance: Tensor<"targets" | "scores" | Unlabeled>;
  /** 1 where an item is in its list, `[..., N]`; or one entry a list, `[...]`. A list without items is no unit. */
  readonly mask?: Tensor<"mask" | Unlabeled>;
}

/** The items of one list that the mask leaves, packed to the front in the order given. */
export interface Items {
  /** How many there are, at least 1. */
  readonly count: number;
  /** Neither NaN nor +∞ among the items; −∞ beyond them, so that a softmax passes over the rest. */
  readonly scores: Float64Array;
  /** Inside the domain; 0 beyond the items. */
  readonly relevance: Float64Array;
  /** d loss / d score of each item. */
  readonly gradient: Float64Array;
}

/** The mathematics of one list. */
export interface ListMath {
  loss(items: Items): number;
  /** Fills `items.gradient`; follows a `loss` of the same items. */
  gradient(items: Items): void;
}

/** What a loss over lists says of itself: everything but fields, units and masks. */
export interface ListDefinition<Options extends object>
  extends Pick<LossDefinition<Options>, "name" | "documentation" | "options" | "describe"> {
  readonly relevance: { readonly meaning: string; readonly domain: Domain };
  /** @param length - the most items a list can have */
  open(options: Options, length: number): ListMath;
}

const scoresField = {
  meaning: "what the model says of each item; higher ranks first",
  holds: "reals",
  roles: ["scores", "logits", "predictions"],
  shape: ["...", "N"],
  read: "label",
  gradient: "row",
} as const satisfies FieldSpec;

const maskField = {
  meaning: "1 where an item is in its list, 0 where it is not even read; or one entry a list",
  holds: "flags",
  roles: ["mask"],
  shape: ["...", "N"],
  read: "label",
  gradient: "none",
  optional: true,
  orUnits: true,
} as const satisfies FieldSpec;

/**
 * A loss of whole lists. Masked items are packed away before it sees a list: their scores and relevance are not read
 * and their gradient is 0. A live score of NaN or +∞ makes loss and gradient of its list NaN.
 */
export function defineListLoss<Options extends object>(
  definition: ListDefinition<Options>,
): ObjectiveFactory<Options, RankingBatch, "scores"> {
  const { relevance, open, ...described } = definition;
  return defineLoss<Options, RankingBatch, "scores">({
    ...described,
    family: "preference",
    unit: "row",
    unitShape: ["..."],
    fields: {
      scores: scoresField,
      relevance: {
        ...relevance,
        holds: "reals",
        roles: ["targets", "scores"],
        shape: ["...", "N"],
        read: "label",
        gradient: "none",
      },
      mask: maskField,
    },
    units: (batch) => ({ present: hasItem(batch) }),
    open(batch, { rows, own }) {
      const length = batch.sizes.N!;
      const list = new MaskedList(rows.scores!, rows.relevance!, rows.mask);
      const math = open(batch.options, length);
      return {
        loss() {
          list.pack();
          return list.broken ? Number.NaN : math.loss(list);
        },
        gradient() {
          if (list.broken) list.gradient.fill(Number.NaN);
          else math.gradient(list);
          list.scatter(own.scores!);
        },
      };
    },
  });
}

function hasItem(batch: BatchView<object>): (unit: number) => boolean {
  const length = batch.sizes.N!;
  if (!batch.has("mask")) return () => length > 0;
  const flag = batch.flag("mask");
  return (unit) => {
    for (let k = unit * length; k < (unit + 1) * length; k++) if (flag(k)) return true;
    return false;
  };
}

class MaskedList implements Items {
  count = 0;
  /** Whether a score among the items is NaN or +∞. */
  broken = false;
  readonly scores: Float64Array;
  readonly relevance: Float64Array;
  readonly gradient: Float64Array;
  /** Where each packed item lies in its list. */
  private readonly places: Int32Array;

  constructor(
    private readonly allScores: Float64Array,
    private readonly allRelevance: Float64Array,
    private readonly mask: Float64Array | undefined,
  ) {
    const { length } = allScores;
    this.scores = new Float64Array(length);
    this.relevance = new Float64Array(length);
    this.gradient = new Float64Array(length);
    this.places = new Int32Array(length);
  }

  /** Takes the list whose rows are loaded. */
  pack(): void {
    const { scores, relevance, allScores, allRelevance, mask, places } = this;
    let count = 0;
    this.broken = false;
    for (let k = 0; k < allScores.length; k++) {
      if (mask && mask[k] === 0) continue;
      const score = allScores[k]!;
      if (!(score < Number.POSITIVE_INFINITY)) this.broken = true;
      scores[count] = score;
      relevance[count] = allRelevance[k]!;
      places[count++] = k;
    }
    scores.fill(Number.NEGATIVE_INFINITY, count);
    relevance.fill(0, count);
    this.count = count;
  }

  /** Writes the gradient of the items to their places, 0 elsewhere. */
  scatter(out: Float64Array): void {
    out.fill(0);
    for (let i = 0; i < this.count; i++) out[this.places[i]!] = this.gradient[i]!;
  }
}
