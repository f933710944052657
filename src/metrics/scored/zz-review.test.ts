import { it } from "vitest";
import { tensor } from "../../tensor/index.js";
import { auroc, averagePrecision, rocCurve, brierScore, maximumCalibrationError } from "../index.js";
let s = 1;
const rnd = () => ((s = (s * 1103515245 + 12345) % 2147483648) / 2147483648);
it("review", () => {
  const c = rocCurve({ dropIntermediate: true }).update({ scores: tensor([3, 2, 1]), labels: tensor([1, 1, 0]) }).compute();
  console.log("drop", c.thresholds!.data, c.falsePositiveRate!.data);
  for (const weighted of [false, true]) for (const [name, metric] of [["auroc", auroc], ["ap", averagePrecision]] as const) {
    let out = 0, over = 0, worst = 0, example = "";
    for (let t = 0; t < 4000; t++) {
      const n = 1 + Math.floor(rnd() * 12);
      const scores = Float64Array.from({ length: n }, () => (rnd() < 0.3 ? Math.floor(rnd() * 4) : (rnd() - 0.3) * 4));
      const labels = Uint8Array.from({ length: n }, () => (rnd() < 0.5 ? 1 : 0));
      const fields: any = { scores: tensor(scores), labels: tensor(labels) };
      if (weighted) fields.weights = tensor(Float64Array.from({ length: n }, () => rnd() * 3 + 0.01));
      const exact = metric().update(fields).compute() as number;
      if (exact > 1) over++;
      const b = metric({ resolutionBits: 1 + Math.floor(rnd() * 3) }).update(fields).compute() as any;
      if (Number.isNaN(exact)) continue;
      const bad = Math.max(b.lower - exact, exact - b.upper);
      if (bad > 0) { out++; if (bad > worst) { worst = bad; example = `${exact} in ${b.lower}..${b.upper} n=${n}`; } }
    }
    console.log(name, weighted ? "weighted" : "plain", "outside", out, "worst", worst, example, "exact>1:", over);
  }
  const two = { probabilities: tensor([[0.3, 0.7], [0.6, 0.4]]), labels: tensor([1, 1]) };
  console.log("brier K=2", brierScore({ part: "score" }).update(two as any).compute());
  console.log("multilabel K=1 none", auroc({ multilabel: true, average: "none" }).update({ scores: tensor([[0.2], [0.7]]), labels: tensor([[0], [1]]) }).compute());
  console.log("classes ignored under bits", auroc({ classes: 5, resolutionBits: 4 }).update({ scores: tensor([0.2, 0.7]), labels: tensor([0, 1]) }).compute());
  const big = 300000;
  try { console.log("mce", maximumCalibrationError({ bins: 100000, of: "classes" }).update({ probabilities: tensor(Float64Array.from({ length: 2 * big }, (_, i) => { const p = (Math.floor(i / 2) + 0.5) / big; return i % 2 ? 1 - p : p; }), [big, 2]), labels: tensor(new Int32Array(big)) }).compute()); } catch (e) { console.log("mce throws", (e as Error).message); }
  for (const m of [brierScore({ part: "score" })]) {
    m.update({ probabilities: tensor([0.3]), labels: tensor([1]) });
    m.update({ probabilities: tensor([[0.2, 0.3, 0.5]]), labels: tensor([1]) });
    console.log("brier mixed", m.compute());
  }
});
