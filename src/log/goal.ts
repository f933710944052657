import { checkObject, closest, LosswrightError, rejectUnknown } from "../errors/index.js";
import { metricByForeignName, metricDefinition, metricNames } from "../metrics/index.js";

/** What is wanted of a metric. */
export interface MetricGoal {
  readonly goal: "maximize" | "minimize";
  /** The best value that it can have, where there is one: a metric that has reached it cannot rise. */
  readonly best?: number;
}

/** Names, for metrics of this library; or each name with its goal. */
export type MetricGoals = readonly string[] | Readonly<Record<string, MetricGoal>>;

/**
 * The goal of each metric, by name.
 *
 * @throws `argument` for a goal that is none, and for a name without a goal that is no metric of this library
 */
export function metricGoals(metrics: MetricGoals): Readonly<Record<string, MetricGoal>> {
  if (Array.isArray(metrics)) {
    return Object.fromEntries((metrics as readonly string[]).map((name) => [name, knownGoal(name)]));
  }
  checkObject("ObjectiveLog", "metrics", metrics);
  return Object.fromEntries(
    Object.entries(metrics as Readonly<Record<string, MetricGoal>>).map(([name, given]) => {
      checkObject("ObjectiveLog", `metrics.${name}`, given);
      rejectUnknown("ObjectiveLog", `key of the metric ${name}`, given, ["goal", "best"]);
      const { goal, best } = given;
      if (goal !== "maximize" && goal !== "minimize") throw noGoal(name, JSON.stringify(goal) ?? "no goal");
      if (best !== undefined && !Number.isFinite(best)) throw noGoal(name, `best: ${best}`);
      return [name, { goal, ...(best !== undefined && { best }) }];
    }),
  );
}

/** Least values of metrics that are the better the smaller, where it is not 0. */
const leastOther: Readonly<Record<string, number>> = { perplexity: 1 };

function knownGoal(name: string): MetricGoal {
  if (typeof name !== "string" || !metricNames().includes(name)) throw noGoal(String(name), "a name alone");
  const { goal } = metricDefinition(name).documentation;
  if (goal === undefined) throw noGoal(name, "a metric that is neither better more nor better less");
  // Of the library's metrics those to be maximized are shares and correlations, at most 1.
  return { goal, best: goal === "maximize" ? 1 : (leastOther[name] ?? 0) };
}

function noGoal(name: string, found: string): LosswrightError {
  const meant = metricNames().includes(name) ? undefined : (metricByForeignName(name) ?? closest(name, metricNames()));
  return new LosswrightError({
    code: "argument",
    where: "ObjectiveLog",
    field: `metrics.${name}`,
    found,
    expected: "a metric of this library, or a name with its goal",
    fix: meant
      ? `write "${meant}".`
      : `write metrics: { ${/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)}: { goal: "maximize" } }, or "minimize".`,
  });
}
