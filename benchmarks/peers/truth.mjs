// What is true: the float64 reference. The value of the whole work, and the gradient of a piece of it that is small
// enough, divided by the denominator of the whole.
//   {"do":"value"}                →  {value}
//   {"do":"truth", file, limit}   →  {field, from, count}   gradient elements as float64 in the file
import { writeFileSync } from "node:fs";
import { read, serve } from "./serve.mjs";

const { ExactSum } = await import("../../dist/tally/index.js");
const library = await import("../../dist/index.js");
const reference = { engine: "reference" };

serve(({ work, inputs }) => {
  if (work.objective === "exactSum") return sums(read(inputs.terms));
  const data = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, read(input)]));
  const objective = library[work.objective](work.options);
  const batchOf = (arrays, shapes) =>
    Object.fromEntries(Object.keys(arrays).map((name) => [name, library.tensor(arrays[name], shapes[name])]));
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, shape]));
  const whole = batchOf(data, shapes);
  const field = work.gradients[0];
  return {
    run: () => 0,
    // Inputs widen exactly: the value of float32 tensors is that of their float64 copies.
    value: () => ({ value: objective.valueAndGradients(whole, reference).value }),
    truth({ file, limit }) {
      const rowLength = data[field].length / (work.rows ?? 1);
      const rows = work.rows && Math.min(work.rows, Math.max(1, Math.floor(limit / rowLength)));
      // Rows out of the middle, away from both ends that loops treat apart.
      const first = work.rows ? (work.rows - rows) >> 1 : 0;
      const pieces = {};
      const pieceShapes = { ...shapes };
      for (const name of Object.keys(data)) {
        let numbers = data[name];
        if (work.rows && !work.shared?.includes(name)) {
          const length = numbers.length / work.rows;
          numbers = numbers.subarray(first * length, (first + rows) * length);
          pieceShapes[name] = [rows, ...shapes[name].slice(1)];
        }
        pieces[name] = numbers instanceof Float32Array ? Float64Array.from(numbers) : numbers;
      }
      const denominator = objective.denominator(whole);
      const { gradients } = objective.valueAndGradients(batchOf(pieces, pieceShapes), { ...reference, denominator });
      const truth = gradients[field].data.subarray(0, work.rows ? undefined : limit);
      writeFileSync(file, truth);
      return { field, from: first * rowLength, count: truth.length };
    },
  };
});

function sums(terms) {
  return {
    run: () => 0,
    value() {
      const sum = new ExactSum();
      for (let i = terms.length - 1; i >= 0; i--) sum.add(terms[i]);
      return { value: sum.value };
    },
    truth: () => ({ count: 0 }),
  };
}
