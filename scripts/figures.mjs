// Draws the figures of docs/mismatches.md by running the examples: npm run figures.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderToString } from "preact-render-to-string";
import { build, install, root } from "./prepare.mjs";

install();
build();
const { chartStyle, lineChart } = await import("../dist/charts/index.js");

const examples = [
  "cross-entropy-and-f1",
  "token-likelihood-and-answers",
  "squared-error-and-ranks",
  "info-nce-and-recall",
  "reward-and-preference",
];

const folder = join(root, "docs", "figures");
mkdirSync(folder, { recursive: true });

/** A chart as a file of its own, with the style sheet that a page would give it. */
function write(name, chart) {
  const svg = renderToString(lineChart({ width: 480, height: 300, ...chart }))
    .replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')
    .replace(/>/, `><style>${chartStyle}svg.chart { background: var(--chart-paper); }</style>`);
  writeFileSync(join(folder, `${name}.svg`), `${svg}\n`);
}

for (const example of examples) {
  const { runs } = (await import(`../examples/mismatches/${example}.mjs`)).default();
  const [{ log }] = runs;
  const [metric] = Object.keys(log.header.metrics);
  const steps = log.evaluations.map(({ step }) => step);
  const series = (name, of) => ({ name, x: steps, y: log.evaluations.map(of), points: true });
  write(`${example}-objective`, {
    title: `objective: ${log.header.contract.objective}`,
    x: { label: "step" },
    y: { label: "held-out loss" },
    series: [series(runs[0].name, ({ objective }) => objective.value)],
  });
  write(`${example}-metric`, {
    title: `metric: ${metric}`,
    x: { label: "step" },
    y: { label: metric, domain: [0, 1] },
    series: runs.map(({ name, log: own }) => ({
      name,
      x: own.evaluations.map(({ step }) => step / (own.lastStep / log.lastStep)),
      y: own.evaluations.map(({ metrics }) => metrics[metric]),
      points: true,
    })),
  });
}

const { curves } = (await import("../examples/mismatches/pos-weight-and-calibration.mjs")).default();
write("pos-weight-and-calibration", {
  title: "reliability of held-out probabilities",
  x: { label: "predicted", domain: [0, 1] },
  y: { label: "observed", domain: [0, 1] },
  reference: "diagonal",
  series: Object.entries(curves).map(([name, { predicted, observed }]) => ({
    name,
    x: predicted.data,
    y: observed.data,
    points: true,
  })),
});
