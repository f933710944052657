import { jsonNumber } from "../contract/index.js";
import type { Diagnosis, DiagnosisOptions } from "./diagnose.js";
import type { LogEntry } from "./entry.js";
import type { NamedLog } from "./page.js";
import type { Trend } from "./trend.js";

/** A log as JSON for programs: its header, its evaluations, the last training step and the diagnosis. */
export function logToJson({ name, log, notes = [] }: NamedLog, options: DiagnosisOptions = {}): object {
  const training = log.entries.filter(({ kind }) => kind === "train");
  const last = training.at(-1);
  return {
    run: name,
    contract: log.header.contract,
    metrics: log.header.metrics,
    steps: training.length,
    ...(last && { last: entryJson(last) }),
    evaluations: log.evaluations.map(entryJson),
    diagnosis: diagnosisJson(log.diagnose(options)),
    notes,
  };
}

function entryJson({ step, objective, metrics }: LogEntry): object {
  return {
    step,
    objective: jsonNumber(objective.value),
    metrics: Object.fromEntries(Object.entries(metrics).map(([metric, value]) => [metric, jsonNumber(value)])),
  };
}

const trendJson = ({ tau, pRise, pFall, slope }: Trend) => ({ tau, pRise, pFall, slope: jsonNumber(slope) });

function diagnosisJson({ level, isAlarm, metrics }: Diagnosis): object {
  return {
    level,
    isAlarm,
    metrics: metrics.map(({ objective, better, objectiveChange, metricChange, ...rest }) => ({
      ...rest,
      objective: trendJson(objective),
      better: trendJson(better),
      objectiveChange: jsonNumber(objectiveChange),
      metricChange: jsonNumber(metricChange),
    })),
  };
}
