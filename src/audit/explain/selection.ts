import { LosswrightError } from "../../errors/index.js";
import { unitsOf } from "../../losses/index.js";
import type { Tensor } from "../../tensor/index.js";
import { lacking, type Setting } from "./setting.js";

/** The units that a name stands for: `"attended"`, `"assistant"`, … */
export function selection(setting: Setting, name: string): (unit: number) => boolean {
  const { context, batch } = setting;
  const sequence = context.sequence ?? {};
  const at = (tensor: Tensor | undefined, what: string) => {
    if (!tensor) throw lacking(setting, `context.sequence.${what}`);
    return (unit: number) => Number(tensor.data[unit]);
  };
  const roles = () => at(sequence.roles, "roles");
  const attention = () => at(sequence.attentionMask, "attentionMask");
  const ids = () => at(sequence.inputIds ?? (batch.labels as Tensor | undefined), "inputIds");
  const length = Number(unitsOf(setting.objective, batch).shape[1] ?? 0);
  const neighbor = (of: (unit: number) => number, by: number) => (unit: number) => {
    const place = (unit % length) + by;
    return place < 0 || place >= length ? 0 : of(unit + by);
  };
  switch (name) {
    case "attended": {
      const attended = attention();
      return (unit) => attended(unit) === 1;
    }
    case "assistant": {
      const role = roles();
      return (unit) => role(unit) === 2;
    }
    case "not padding": {
      const role = roles();
      return (unit) => role(unit) !== 0;
    }
    case "not the end of sequence": {
      const id = ids();
      return (unit) => id(unit) !== sequence.eosId;
    }
    case "not the padding id": {
      const id = ids();
      return (unit) => id(unit) !== sequence.padId;
    }
    case "attended one earlier": {
      const attended = neighbor(attention(), -1);
      return (unit) => attended(unit) === 1;
    }
    case "attended one later": {
      const attended = neighbor(attention(), 1);
      return (unit) => attended(unit) === 1;
    }
    case "counted one earlier":
    case "counted one later": {
      const units = unitsOf(setting.objective, batch);
      const by = name.endsWith("earlier") ? -1 : 1;
      const counted = neighbor((unit) => (isLabeled(setting, unit) ? 1 : 0), by);
      return (unit) => units.counts(unit) && counted(unit) === 1;
    }
    case "scored inside its piece": {
      const { pieces } = setting;
      if (!pieces) throw lacking(setting, "pieces of the same rows");
      const pieceOf = pieces.flatMap((piece, i) => Array.from({ length: piece }, () => i));
      const units = unitsOf(setting.objective, batch);
      return (unit) => pieceOf[unit % length] === pieceOf[Math.max(0, units.source(unit)) % length];
    }
    case "pulled":
      return pulledUnits(setting);
    default:
      throw new LosswrightError({
        code: "unknown",
        where: "transform",
        field: "mask.value",
        found: JSON.stringify(name),
        expected: "a selection of units",
      });
  }
}

/** Whether mask and ignored label leave a unit, whatever the shift leaves. */
function isLabeled({ batch, objective }: Setting, unit: number): boolean {
  const { labels, mask } = batch as Record<string, Tensor | undefined>;
  const ignored = Number((objective.contract.options as { ignoreIndex?: number }).ignoreIndex ?? -100);
  if (mask && mask.data.length > unit && !Number(mask.data[unit])) return false;
  return !labels || Number(labels.data[unit]) !== ignored;
}

/** The units whose own row of the reported gradient is not zero. */
function pulledUnits(setting: Setting): (unit: number) => boolean {
  const { objective, batch, reported } = setting;
  const { fields } = objective.definition;
  const name = Object.keys(reported).find((field) => fields[field]?.gradient === "row");
  if (name === undefined) throw lacking(setting, "a reported gradient");
  const { data } = reported[name]!;
  const units = unitsOf(objective, batch);
  const width = data.length / units.count;
  return (unit) => {
    const source = units.source(unit);
    if (source < 0) return false;
    for (let k = source * width; k < (source + 1) * width; k++) if (data[k] !== 0) return true;
    return false;
  };
}
