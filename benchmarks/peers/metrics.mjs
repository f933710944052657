// One metric over the inputs of bench-metrics.mjs: prints seconds, bytes at the peak above the inputs, and the value.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { auroc, averagePrecision, confusionMatrix, expectedCalibrationError, tensor } from "../../dist/index.js";

const [work, folder] = process.argv.slice(2);
const read = (name, Kind) => new Kind(readFileSync(join(folder, `${name}.bin`)).buffer);
const scored = () => ({
  scores: tensor(read("probabilities", Float64Array)),
  labels: tensor(read("labels", Int32Array)),
});

const works = {
  auroc: () => [auroc(), scored()],
  "auroc-bounded": () => [auroc({ resolutionBits: 12 }), scored()],
  "average-precision": () => [averagePrecision(), scored()],
  calibration: () => {
    const { scores: probabilities, labels } = scored();
    return [expectedCalibrationError(), { probabilities, labels }];
  },
  confusion: () => [
    confusionMatrix({ classes: 10 }),
    { predictions: tensor(read("predictions", Int32Array)), labels: tensor(read("classes", Int32Array)) },
  ],
};

const [metric, fields] = works[work]();
const held = process.memoryUsage().rss;
const start = performance.now();
const result = metric.update(fields).compute();
const seconds = (performance.now() - start) / 1000;
const bytes = process.resourceUsage().maxRSS * 1024 - held;
const value =
  typeof result === "number"
    ? result
    : (result.value ?? result.data.reduce((sum, x, i) => sum + (i % 11 === 0 ? x : 0), 0));
console.log(
  JSON.stringify({
    seconds,
    bytes,
    value,
    ...(result.lower !== undefined && { bounds: [result.lower, result.upper] }),
  }),
);
