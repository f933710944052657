// losswright itself. `memory` says where the tensors lie: "allocated" in the memory of its kernels, or in "plain"
// arrays; `sums: "plain"` asks for sums that are not exact, to see what exactness costs.
import { readFileSync } from "node:fs";
import { read, serve } from "./serve.mjs";

const library = await import("../../dist/index.js");
const { ExactSum } = await import("../../dist/tally/index.js");

serve(async ({ work, inputs, threads, memory, sums, engine }) => {
  if (work.objective === "exactSum") return exactSum(read(inputs.terms));
  if (memory === "plain" && !library.allocate) throw new Error("this build has no allocate: the same as above");
  if (sums === "plain") await sumPlainly();
  library.setThreads?.(threads);
  const allocate = memory === "allocated" ? library.allocate : undefined;
  const batch = {};
  for (const [name, input] of Object.entries(inputs)) {
    batch[name] = library.tensor(read(input), input.shape);
    if (!allocate) continue;
    const held = allocate(input.shape, input.dtype);
    held.data.set(batch[name].data);
    batch[name] = held;
  }
  const gradients = {};
  for (const name of work.gradients) {
    const { shape, dtype, data } = batch[name];
    gradients[name] = allocate?.(shape, dtype) ?? library.tensor(new data.constructor(data.length), shape);
  }
  const objective = library[work.objective](work.options);
  const call = { into: { gradients }, ...(engine && { engine }) };
  return {
    about: { allocated: allocate !== undefined },
    run() {
      const { value, ranBy } = objective.valueAndGradients(batch, call);
      return { value, ranBy };
    },
    gradient: (field, from, count) => gradients[field].data.subarray(from, from + count),
  };
});

/** Puts kernels in place whose sums are plain float64: compiled here, since the package has none. */
async function sumPlainly() {
  const { compileKernels, modules } = await import("../../scripts/compile-kernels.mjs");
  const { session } = await import("../../dist/kernels/index.js");
  const replaced = { "sum.ts": readFileSync(new URL("../assembly/plain-sum.ts", import.meta.url), "utf8") };
  for (const name of modules.filter((each) => each === "pointwise" || each === "softmax")) {
    const bytes = await compileKernels(name, replaced);
    session().provide(name, bytes, new WebAssembly.Module(bytes));
  }
}

function exactSum(terms) {
  const sum = new ExactSum();
  return {
    run() {
      sum.clear();
      for (let i = 0; i < terms.length; i++) sum.add(terms[i]);
      return { value: sum.value };
    },
  };
}
