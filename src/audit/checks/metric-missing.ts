import { definitionOf } from "../../losses/index.js";
import type { AuditedStep } from "../audited-step.js";
import type { Check, Finding } from "../finding.js";

/** What a metric is called that is the objective itself. */
const lossNames = /^(.*[\s_./-])?(loss|objective|cost|criterion)$/i;

/**
 * A run that logs its objective and nothing else.
 *
 * The loss is a surrogate: it can fall while what is cared for does not move, or gets worse. Only the metric tells.
 */
export const metricMissing: Check = {
  id: "metric-missing",
  inspect(step) {
    const { metric } = step.record.context;
    if (metric === undefined) return [];
    if (metric === null) return [found(step, "The run logs its objective and no metric.", "metric-missing")];
    if (lossNames.test(metric.name) || metric.name === step.objective.name) {
      return [
        found(
          step,
          `The only metric that the run logs, ${JSON.stringify(metric.name)}, is the objective again.`,
          metric.name,
        ),
      ];
    }
    return [];
  },
};

function found({ objective }: AuditedStep, message: string, metric: string): Finding {
  const { metric: usual } = definitionOf(objective.name).documentation;
  return {
    check: "metric-missing",
    severity: "warning",
    message,
    why: "A loss is a surrogate that can be differentiated; what it is for is something else, and the two can part.",
    harm: "A falling loss is easily read as progress that nobody measured.",
    evidence: { metric: metric === "metric-missing" ? "none" : metric, usual },
    fix: `log a task metric on validation data beside the loss; for this objective: ${usual}.`,
  };
}
