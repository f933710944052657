import { isTensor } from "../../tensor/index.js";
import type { Hypothesis } from "../explain/hypothesis.js";
import type { Check } from "../finding.js";
import { findingOfExplanation } from "./explained.js";

/**
 * A gather over ranks whose gradient is cut, or counted once a rank.
 *
 * `all_gather` returns copies without a gradient: encoders of other ranks' keys learn nothing from this rank's queries.
 * A gather with a gradient, and the same whole loss on every rank, adds the gradient once a rank instead.
 */
export const gatherGradient: Check = {
  id: "gather-gradient",
  hypotheses(step): readonly Hypothesis[] {
    const about = "gather-gradient";
    if (!step.objective.couples || !step.reported) return [];
    const [part] = step.searched;
    const ranks = part!.rowsOfParts?.length ?? part!.context.ranks ?? 1;
    const out: Hypothesis[] = [];
    if (ranks > 1) {
      const times = (value: number, words: string) =>
        out.push({ about, words, transform: [{ apply: "scaleGradient", value }] });
      times(
        ranks,
        "the gradient added up once a rank: every rank has the whole loss, and the gather's backward pass sums over ranks",
      );
      times(
        1 / ranks,
        "the gradient divided by the number of ranks once more: each rank's share was averaged as if it were the whole",
      );
      const embedded = Object.keys(part!.reported).filter((name) => (part!.reported[name]?.shape.length ?? 0) > 1);
      for (const value of [ranks, 1 / ranks]) {
        out.push({
          about,
          words: `gradients of ${embedded.join(" and ")} that are ${value > 1 ? "multiplied" : "divided"} by the number of ranks, beside a right one of the scale`,
          transform: embedded.map((field) => ({ apply: "scaleField", field, value })),
          cost: 1.1,
        });
      }
      if (part!.rowsOfParts) {
        out.push({ about, words: "each rank's own rows alone: nothing was gathered", transform: [{ apply: "local" }] });
        if (withoutGather.has(step.objective.name)) {
          const loss = { apply: "loss", value: "gatherWithoutGradient" };
          out.push({
            about,
            words: "rows gathered without their gradient: other ranks' queries do not reach a rank's keys",
            transform: [loss],
          });
          const whole = { apply: "loss", value: "gatherDetached" };
          out.push({
            about,
            words: "rows gathered without their gradient, the rank's own among them",
            transform: [whole],
          });
          const scale = { apply: "scaleGradient", value: ranks };
          out.push({
            about,
            words: "rows gathered without their gradient, and gradients added over ranks",
            transform: [loss, scale],
            cost: 1.3,
          });
        }
      }
    }
    for (const name of Object.keys(part!.reported)) {
      const field = part!.batch[name];
      if (!isTensor(field) || field.shape.length < 2) continue;
      out.push({
        about,
        words: `no gradient for ${name}: they were gathered, or made, without one`,
        transform: [{ apply: "detach", field: name, value: "all" }],
        cost: 1.1,
      });
      if (ranks > 1 && !part!.rowsOfParts) {
        out.push({
          about,
          words: `no gradient for the ${name} of other ranks: the gather cut it`,
          transform: [{ apply: "detach", field: name, value: "others" }],
        });
        for (const value of [ranks, 1 / ranks]) {
          out.push({
            about,
            words: `a gradient of ${name} that is ${value > 1 ? "multiplied" : "divided"} by the number of ranks`,
            transform: [{ apply: "scaleField", field: name, value }],
            cost: 1.2,
          });
        }
      }
    }
    return out;
  },
  inspect(step) {
    return findingOfExplanation("gather-gradient", step, ({ transform }) => {
      const multiplied = transform.some(({ apply, value }) => apply === "scaleGradient" && Number(value) > 1);
      return {
        cause: multiplied
          ? "The backward pass of a gather sums what every rank hands back; where all ranks have the same loss, that is the same gradient once a rank."
          : "all_gather gives copies: what other ranks' rows do to the loss of this rank never reaches their encoder.",
        fix: "gather with a gradient, and divide by the ranks where every rank has the whole loss:\nfrom torch.distributed.nn.functional import all_gather\nk_all = torch.cat(all_gather(k))          # carries the gradient back\nlabels = rank * q.size(0) + torch.arange(q.size(0), device=q.device)\n# own queries only: DDP averages over ranks\nloss = F.cross_entropy(q @ k_all.T / temperature, labels)",
      };
    });
  },
};

/** Objectives whose gradient without a gather's the search can form. */
const withoutGather = new Set(["clip", "infoNce"]);
