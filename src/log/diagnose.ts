import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import type { LogEntry } from "./entry.js";
import type { MetricGoal } from "./goal.js";
import { type Mismatch, mismatchOf } from "./mismatches.js";
import type { LogHeader } from "./objective-log.js";
import { type Trend, trendOf } from "./trend.js";

export interface DiagnosisOptions {
  /** How many of the last evaluations are looked at (20), at most 60. */
  readonly window?: number;
  /** The chance of an alarm where the objective is noise alone: the level of its test (0.01). */
  readonly level?: number;
}

/**
 * - `too-few`    fewer than six evaluations with finite numbers
 * - `no-fall`    the objective shows no fall, so that nothing parts from it
 * - `together`   the objective falls and the metric gets better
 * - `unclear`    the objective falls; the metric's trend may be better or noise
 * - `stalled`    the objective falls and the metric shows no sign of getting better: an alarm
 * - `apart`      the objective falls and the metric gets worse: an alarm
 * - `at-best`    the metric has the best value that it can have
 */
export type Verdict = "too-few" | "no-fall" | "together" | "unclear" | "stalled" | "apart" | "at-best";

export interface MetricDiagnosis {
  readonly metric: string;
  readonly goal: MetricGoal["goal"];
  readonly verdict: Verdict;
  readonly isAlarm: boolean;
  /** The steps looked at. */
  readonly from: number;
  readonly to: number;
  readonly evaluations: number;
  /** Of the objective; `pFall` is the p-value of its fall. */
  readonly objective: Trend;
  /** Of the metric in the direction of its goal: `pRise` is the p-value of getting better, `pFall` of getting worse. */
  readonly better: Trend;
  /** Theil–Sen change over the window, in the objective's and in the metric's own unit. */
  readonly objectiveChange: number;
  readonly metricChange: number;
  /** Of an alarm: the mismatch of the table, where the pair is in it. */
  readonly mismatch?: Mismatch;
  /** The verdict in a sentence or two. */
  readonly message: string;
  /** Of an alarm: what to try. */
  readonly advice: readonly string[];
}

export interface Diagnosis {
  readonly level: number;
  readonly metrics: readonly MetricDiagnosis[];
  readonly isAlarm: boolean;
}

const fewest = 6;
const most = 60;
/** A metric whose rise would come of pure noise this often or more shows no sign of rising. */
const noSign = 0.25;
/** The level at which a metric is said to get better or worse. */
const sign = 0.05;

const general = [
  "the objective is a surrogate: choose checkpoints by the metric, and stop where it stops",
  "look for what differs between training and evaluation: data, masks, decoding, thresholds",
];

/**
 * Over the last evaluations, whether the objective falls while a metric does not rise.
 *
 * The objective falls where Kendall's exact one-sided test says so at `level`: on noise without a trend that happens with
 * a chance of at most `level`, and without it there is no alarm. A metric gets worse at p ≤ 0.05, better at p ≤ 0.05, and
 * shows no sign of getting better at p ≥ 0.25. The tests take evaluations as independent; strong correlation between
 * neighbors, and looking after every evaluation, make false alarms more frequent than `level`.
 *
 * @throws `option` for a window or a level out of range
 */
export function diagnose(header: LogHeader, evaluations: readonly LogEntry[], options: DiagnosisOptions): Diagnosis {
  checkObject("diagnose", "options", options);
  rejectUnknown("diagnose", "option", options, ["window", "level"]);
  const { window = 20, level = 0.01 } = options;
  checkRange("window", window, fewest, most, Number.isInteger(window));
  checkRange("level", level, 1e-9, 0.5, true);
  const metrics = Object.entries(header.metrics).map(([name, goal]) =>
    diagnoseMetric(header.contract.objective, name, goal, evaluations, window, level),
  );
  return { level, metrics, isAlarm: metrics.some(({ isAlarm }) => isAlarm) };
}

function diagnoseMetric(
  objective: string,
  metric: string,
  { goal, best }: MetricGoal,
  all: readonly LogEntry[],
  window: number,
  level: number,
): MetricDiagnosis {
  const seen = all
    .filter((entry) => Number.isFinite(entry.objective.value) && Number.isFinite(entry.metrics[metric]))
    .slice(-window);
  const steps = seen.map(({ step }) => step);
  const values = seen.map((entry) => entry.metrics[metric]!);
  const direction = goal === "maximize" ? 1 : -1;
  const fall = trendOf(
    steps,
    seen.map((entry) => entry.objective.value),
  );
  const better = trendOf(
    steps,
    values.map((value) => direction * value),
  );
  const [from, to] = [steps[0] ?? 0, steps.at(-1) ?? 0];
  const verdict = verdictOf(seen.length, fall, better, level, best !== undefined && values.every((v) => v === best));
  const isAlarm = verdict === "stalled" || verdict === "apart";
  const mismatch = isAlarm ? mismatchOf(objective, metric) : undefined;
  const [objectiveChange, metricChange] = [fall.slope * (to - from), direction * better.slope * (to - from)];
  const where = `over the last ${seen.length} evaluations (steps ${from} to ${to})`;
  const falls = `${objective} falls ${where} by about ${brief(-objectiveChange)} (p = ${brief(fall.pFall)})`;
  const changes = `${metric} changes by about ${signed(metricChange)}`;
  const messages: Record<Verdict, string> = {
    "too-few": `${seen.length} evaluations with finite numbers are too few to tell a trend from noise; ${fewest} are needed.`,
    "no-fall": `${objective} shows no fall ${where} (p = ${brief(fall.pFall)}).`,
    together: `${falls}, and ${metric} gets better with it by about ${brief(Math.abs(metricChange))} (p = ${brief(better.pRise)}).`,
    unclear: `${falls}; ${changes}, which may be a rise or noise (p = ${brief(better.pRise)}).`,
    stalled: `${falls}, while ${metric} does not get better: ${changes} (p of getting better = ${brief(better.pRise)}).`,
    apart: `${falls}, while ${metric} gets worse: ${changes} (p of getting worse = ${brief(better.pFall)}).`,
    "at-best": `${metric} has its best value, ${best}, ${where}: it cannot get better.`,
  };
  return {
    metric,
    goal,
    verdict,
    isAlarm,
    from,
    to,
    evaluations: seen.length,
    objective: fall,
    better,
    objectiveChange,
    metricChange,
    ...(mismatch && { mismatch }),
    message: messages[verdict],
    advice: isAlarm ? (mismatch?.mitigations ?? general) : [],
  };
}

function verdictOf(count: number, fall: Trend, better: Trend, level: number, isAtBest: boolean): Verdict {
  if (count < fewest) return "too-few";
  if (isAtBest) return "at-best";
  if (fall.pFall > level) return "no-fall";
  if (better.pFall <= sign && better.tau < 0) return "apart";
  if (better.pRise >= noSign) return "stalled";
  return better.pRise <= sign ? "together" : "unclear";
}

const brief = (value: number) => String(Number(value.toPrecision(3)));
const signed = (value: number) => (value > 0 ? `+${brief(value)}` : brief(value));

function checkRange(field: string, value: number, least: number, greatest: number, isKind: boolean): void {
  if (isKind && value >= least && value <= greatest) return;
  throw new LosswrightError({
    code: "option",
    where: "diagnose",
    field,
    found: String(value),
    expected: `${field === "window" ? "a whole number" : "a number"} from ${least} to ${greatest}`,
  });
}
