// The other end of contestant.mjs: reads questions from standard input, answers on standard output.
//   {"do":"prepare", work, inputs, threads, …}  →  {…}            makes the inputs of a work ready
//   {"do":"run"}                                →  {ms, value, …} one timed forward and backward pass
//   {"do":"gradient", field, from, count, file} →  {}             writes elements of the last gradient as float32
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const arrayOf = { float32: Float32Array, float64: Float64Array, int32: Int32Array };
/** A sample of a small work is this long: enough calls for the clock and the compiler. */
const sampleMilliseconds = 20;

/** The numbers of a field, from its file. */
export function read({ path, dtype }) {
  const bytes = readFileSync(path);
  return new arrayOf[dtype](bytes.buffer, bytes.byteOffset, bytes.byteLength / arrayOf[dtype].BYTES_PER_ELEMENT);
}

/**
 * Answers until standard input ends.
 *
 * `prepare(question)` gives `{ run, gradient?, about? }`: `run` does one pass and gives its value (or an object with
 * it), a promise of it where the library needs one; `gradient(field)` gives the last gradient's numbers.
 */
export async function serve(prepare) {
  console.log = console.error;
  console.warn = () => {};
  let ready;
  for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
      const question = JSON.parse(line);
      if (question.do === "prepare") {
        ready = undefined;
        ready = { calls: 1, ...(await prepare(question)) };
        if (question.work.small) ready.calls = await enoughCalls(ready.run);
        answer = ready.about ?? {};
      } else if (question.do === "run") answer = await timed(ready.run, ready.calls);
      else if (question.do === "gradient") answer = await writeGradient(ready, question);
      else answer = await ready[question.do](question);
    } catch (error) {
      answer = {
        cannot: String(error?.message ?? error)
          .split("\n")[0]
          .slice(0, 200),
      };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit();
}

async function timed(run, calls) {
  const start = process.hrtime.bigint();
  let result = run();
  if (result instanceof Promise) result = await result;
  for (let call = 1; call < calls; call++) {
    result = run();
    if (result instanceof Promise) result = await result;
  }
  const ms = Number(process.hrtime.bigint() - start) / 1e6 / calls;
  return typeof result === "number" ? { ms, value: result } : { ms, ...result };
}

/** How many calls make a sample: doubled until one is long enough, twice, since the first calls run slowly. */
async function enoughCalls(run) {
  let calls = 16;
  for (let warm = 0; warm < 2; warm++) {
    while ((await timed(run, calls)).ms * calls < sampleMilliseconds) calls *= 2;
  }
  return calls;
}

async function writeGradient({ gradient }, { field, from, count, file }) {
  if (!gradient) throw new Error("its gradient cannot be read");
  const numbers = await gradient(field, from, count);
  writeFileSync(file, Float32Array.from(numbers.subarray(0, count)));
  return {};
}
