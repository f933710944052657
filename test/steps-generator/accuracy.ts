/** What the audit says of drawn steps, held against what is true of them: counts by check and a page of them. */
import { audit } from "../../src/audit/index.js";
import { type DrawnStep, defaultSeed, drawStep } from "./draw.js";
import { type CheckId, checkIds } from "./story.js";

/** A step that was judged wrongly. */
export interface Mistake {
  readonly index: number;
  readonly bug: string | undefined;
  readonly missed: boolean;
  /** Checks that found what is not there and may not be taken for it; `throws` where the audit itself failed. */
  readonly falseAlarms: readonly string[];
  readonly story: string;
}

/** How many steps the page speaks of. */
export const pageSteps = 1000;

/** What the audit may not fall short of. */
export const promises = { falseAlarmRate: 0.01, recall: 0.95, precision: 0.98 };

/** Checks with something to say that is more than a note. */
function findingsOf({ record }: DrawnStep): string[] {
  const { findings } = audit(record);
  return [...new Set(findings.filter(({ severity }) => severity !== "note").map(({ check }) => check))].sort();
}

/** Audits a step; undefined where it was judged rightly. */
export function judge(step: DrawnStep): Mistake | undefined {
  let found: string[];
  try {
    found = findingsOf(step);
  } catch {
    found = ["throws"];
  }
  const { index, bug, story } = step;
  const missed = bug !== undefined && !found.includes(bug);
  const allowed: readonly (string | undefined)[] = [bug, ...step.tolerated];
  const falseAlarms = found.filter((check) => !allowed.includes(check));
  return missed || falseAlarms.length ? { index, bug, missed, falseAlarms, story } : undefined;
}

/** How often each bug was drawn in the first steps of a seed. */
export function drawnCounts(steps: number, seed = defaultSeed): ReadonlyMap<CheckId, number> {
  const counts = new Map<CheckId, number>(checkIds.map((id) => [id, 0]));
  for (let index = 0; index < steps; index++) {
    const { bug } = drawStep(index, seed);
    if (bug) counts.set(bug, counts.get(bug)! + 1);
  }
  return counts;
}

export interface Accuracy {
  readonly clean: number;
  readonly buggy: number;
  readonly found: number;
  readonly falseAlarms: number;
  readonly cleanFlagged: number;
  readonly recall: number;
  readonly precision: number;
  readonly falseAlarmRate: number;
}

/** Recall, precision and false alarms of so many steps with these mistakes. */
export function accuracyOf(steps: number, mistakes: readonly Mistake[]): Accuracy {
  const clean = Math.ceil(steps / 2);
  const buggy = steps - clean;
  const found = buggy - mistakes.filter(({ missed }) => missed).length;
  const falseAlarms = mistakes.reduce((sum, mistake) => sum + mistake.falseAlarms.length, 0);
  const cleanFlagged = mistakes.filter(({ bug }) => bug === undefined).length;
  return {
    clean,
    buggy,
    found,
    falseAlarms,
    cleanFlagged,
    recall: found / Math.max(buggy, 1),
    precision: found / Math.max(found + falseAlarms, 1),
    falseAlarmRate: cleanFlagged / Math.max(clean, 1),
  };
}

/** Whether an audit keeps what is promised of it. */
export function keepsPromises({ recall, precision, falseAlarmRate }: Accuracy): boolean {
  return recall >= promises.recall && precision >= promises.precision && falseAlarmRate <= promises.falseAlarmRate;
}

/** The table by check. */
export function table(steps: number, drawn: ReadonlyMap<CheckId, number>, mistakes: readonly Mistake[]): string {
  const rows = checkIds.map((id) => {
    const missed = mistakes.filter((mistake) => mistake.missed && mistake.bug === id).length;
    const alarms = mistakes.filter(({ falseAlarms }) => falseAlarms.includes(id));
    const onClean = alarms.filter(({ bug }) => bug === undefined).length;
    const all = drawn.get(id)!;
    return [`\`${id}\``, all, all - missed, missed, onClean, alarms.length - onClean];
  });
  const isListed = (id: string) => checkIds.some((own) => own === id);
  const count = (of: readonly Mistake[], counts: (id: string) => boolean) =>
    of.reduce((sum, mistake) => sum + mistake.falseAlarms.filter(counts).length, 0);
  const onRight = mistakes.filter(({ bug }) => bug === undefined);
  const onWrong = mistakes.filter(({ bug }) => bug !== undefined);
  const others = [onRight, onWrong].map((of) => count(of, (id) => !isListed(id)));
  const { buggy, found } = accuracyOf(steps, mistakes);
  const lines = [
    ["check", "drawn", "found", "missed", "false on right steps", "false beside another bug"],
    ["---", "---:", "---:", "---:", "---:", "---:"],
    ...rows,
    ...(others.some((n) => n > 0) ? [["other", "", "", "", ...others]] : []),
    ["**all**", buggy, found, buggy - found, count(onRight, () => true), count(onWrong, () => true)],
  ];
  return lines.map((row) => `| ${row.join(" | ")} |`).join("\n");
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** Recall, precision and false alarms in one sentence. */
export function summary(steps: number, mistakes: readonly Mistake[]): string {
  const accuracy = accuracyOf(steps, mistakes);
  return [
    `Recall ${percent(accuracy.recall)} (${accuracy.found} of ${accuracy.buggy} bugs),`,
    `precision ${percent(accuracy.precision)} (${accuracy.found} of ${accuracy.found + accuracy.falseAlarms} findings),`,
    `false alarms on ${percent(accuracy.falseAlarmRate)} of right steps (${accuracy.cleanFlagged} of ${accuracy.clean}).`,
  ].join("\n");
}

/** A mistake as a row of the page. */
export function mistakeRow({ index, bug, missed, falseAlarms, story }: Mistake): string {
  const cells = [index, bug ?? "none", missed ? "missed" : "", falseAlarms.join(", "), story];
  return `| ${cells.join(" | ")} |`;
}

/** The mistakes that a page lists. */
export function mistakesOf(page: string): Mistake[] {
  return [...page.matchAll(/^\| (\d+) \| ([\w-]+) \| (missed)? ?\| ([\w, -]*?) ?\| (.*) \|$/gm)].map((match) => ({
    index: Number(match[1]),
    bug: match[2] === "none" ? undefined : match[2],
    missed: match[3] === "missed",
    falseAlarms: match[4] ? match[4].split(", ") : [],
    story: match[5],
  }));
}

/** The page of the documentation. */
export function page(drawn: ReadonlyMap<CheckId, number>, mistakes: readonly Mistake[]): string {
  const listed = mistakes.length
    ? [
        "| step | bug | | false alarms | what was done |",
        "| ---: | --- | --- | --- | --- |",
        ...mistakes.map(mistakeRow),
      ].join("\n")
    : "None.";
  return `# How well the audit finds what is wrong

Written by \`npm run bench:audit\`, which draws ${pageSteps} steps and audits them. Half of them are right, many of these in a
way that looks wrong at first sight; each of the others has one bug, check after check in turn. Objectives, shapes, splits
into micro-batches and ranks, number formats and rounding are drawn too. The steps are computed by loops of their own
(\`test/steps-generator\`), which share no code with the library's losses.

A finding counts when it is more than a note. Beside some bugs a second finding is tolerated, as in the truth of the
recorded steps: a wrong mask also makes a wrong denominator. A finding that is neither the bug's nor tolerated is false.

${summary(pageSteps, mistakes)}

${table(pageSteps, drawn, mistakes)}

## Steps that were judged wrongly

\`npm run bench:audit -- --only STEP\` prints what the audit says of one of them; \`--write FOLDER\` keeps its record.

${listed}
`;
}
