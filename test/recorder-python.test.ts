/**
 * The Python recorder as a training script uses it: a process that imports it, trains a little, and leaves records that
 * are read and audited here. Losses and gradients of the scripts are NumPy's or PyTorch's, never the library's.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { audit, hasFindings, report } from "../src/audit/index.js";
import { objectiveFrom, objectiveNames } from "../src/index.js";
import { readStep, writeStep } from "../src/io/files.js";
import { encodeStep } from "../src/io/index.js";
import { definitionOf } from "../src/losses/index.js";
import type { Tensor } from "../src/tensor/index.js";

const root = join(import.meta.dirname, "..");
const recorders = join(root, "recorders");
const scratch = mkdtempSync(join(tmpdir(), "losswright-recorder-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The first interpreter that has a module. */
function interpreterWith(module: string): string | undefined {
  const candidates = [process.env.PYTHON, "/usr/bin/python3", "python3"].filter((path) => path !== undefined);
  return candidates.find((path) => spawnSync(path, ["-c", `import ${module}`], { stdio: "ignore" }).status === 0);
}

const numpy = interpreterWith("numpy");
const torch = interpreterWith("numpy, torch");
if (!numpy) console.warn("Skipped: tests of the Python recorder, since no Python imports numpy (python3-numpy).");
if (!torch) console.warn("Skipped: tests of the Python recorder with PyTorch, since no Python imports torch.");

const prelude = `
import hashlib, json, os, sys, warnings
sys.dont_write_bytecode = True
sys.path.insert(0, ${JSON.stringify(recorders)})
import numpy as np
from losswright_recorder import Recorder, RecorderWarning

def cross_entropy(logits, labels, shift=0, ignored=-100):
    """The sum of the losses, how many there are, and the gradient of the sum."""
    scores, wanted = logits[:, : logits.shape[1] - shift], labels[:, shift:]
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    p = powers / powers.sum(-1, keepdims=True)
    kept = wanted != ignored
    classes = np.where(kept, wanted, 0)[..., None]
    losses = -np.log(np.take_along_axis(p, classes, -1))[..., 0]
    slope = p.copy()
    np.put_along_axis(slope, classes, np.take_along_axis(slope, classes, -1) - 1, -1)
    gradient = np.zeros_like(logits)
    gradient[:, : logits.shape[1] - shift] = slope * kept[..., None]
    return (losses * kept).sum(), kept.sum(), gradient

def tokens(seed, kept, classes=7, rows=2, length=12, dtype=np.float32):
    """Logits, and labels of which so many are not ignored; none of them is the first of its row."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, length, classes)).astype(dtype)
    labels = np.full((rows, length), -100)
    places = random.choice(rows * (length - 1), kept, replace=False)
    labels[places // (length - 1), 1 + places % (length - 1)] = random.integers(0, classes, kept)
    return logits, labels

def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()

causal = {"objective": "crossEntropy", "options": {"labelShift": 1}}
`;

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
}

/** Writes a script into a folder of its own. */
function scriptOf(code: string): { folder: string; script: string } {
  const folder = mkdtempSync(join(scratch, "run-"));
  const script = join(folder, "train.py");
  writeFileSync(script, prelude + code);
  return { folder, script };
}

/** Runs a script to its end, in a folder of its own; it must succeed. */
function train(interpreter: string, code: string, args: readonly string[] = []): Ran & { folder: string } {
  const { folder, script } = scriptOf(code);
  const { stdout, stderr, status } = spawnSync(interpreter, [script, ...args], { cwd: folder, encoding: "utf8" });
  expect(stderr, "what the script says of its failure").not.toMatch(/^Traceback/m);
  expect(status, stderr).toBe(0);
  return { folder, out: stdout, err: stderr, code: status };
}

/** Runs a script in several processes at once, each with its rank as argument. */
async function trainRanks(interpreter: string, ranks: number, code: string): Promise<Ran[] & { folder: string }> {
  const { folder, script } = scriptOf(code);
  const runs = Array.from({ length: ranks }, (_, rank) => {
    const child = spawn(interpreter, [script, String(rank)], {
      cwd: folder,
      env: { ...process.env, GLOO_SOCKET_IFNAME: "lo", OMP_NUM_THREADS: "1" },
    });
    return new Promise<Ran>((resolve, reject) => {
      let [out, err] = ["", ""];
      child.stdout.on("data", (text) => {
        out += text;
      });
      child.stderr.on("data", (text) => {
        err += text;
      });
      child.on("error", reject);
      child.on("close", (exit) => resolve({ out, err, code: exit }));
    });
  });
  return Object.assign(await Promise.all(runs), { folder });
}

const warningsOf = ({ err }: Ran) => err.split("\n").filter((line) => line.includes("RecorderWarning"));

/** Reads a record and audits it; nothing but notes may be found, and loss and gradients must be the contract's. */
async function expectClean(directory: string): Promise<Awaited<ReturnType<typeof readStep>>> {
  const record = await readStep(directory);
  const result = audit(record);
  expect(result.findings.filter(({ severity }) => severity !== "note")).toEqual([]);
  expect(hasFindings(result)).toBe(false);
  expect(result.step.contradiction).toBeUndefined();
  expect(result.step.lossError).toBeLessThan(2e-5);
  expect(result.step.gradientError).toBeLessThan(2e-3);
  return record;
}

const findingsOf = async (directory: string) => audit(await readStep(directory)).findings.map(({ check }) => check);

/** The numbers of some rows of a tensor whose last axis is the row. */
function rowsOf({ data, shape }: Tensor, rows: readonly number[]): number[] {
  const length = shape.at(-1)!;
  return rows.flatMap((row) => Array.from(data.subarray(row * length, (row + 1) * length) as Float64Array, Number));
}

describe.skipIf(!numpy)("the Python recorder", () => {
  const python = numpy!;

  it("records a NumPy step in two lines, and the audit finds it clean", async () => {
    const { folder, err } = train(
      python,
      `
recorder = Recorder("run", causal, every=500)
for step in (499, 500, 501):
    logits, labels = tokens(step, 9)
    total, count, gradient = cross_entropy(logits, labels, shift=1)
    recorder.record(step, total / count, gradients={"logits": gradient / count}, logits=logits, labels=labels)
`,
    );
    expect(err).toBe("");
    expect(readdirSync(join(folder, "run"))).toEqual(["step-00000500"]);
    const record = await expectClean(join(folder, "run", "step-00000500"));
    expect(record.context).toEqual({ computation: { dtype: "float32" }, run: "run", step: 500 });
    expect(record.fields!.logits!.shape).toEqual([2, 12, 7]);
    expect(record.reported.gradients.logits!.dtype).toBe("float32");
  });

  it("writes the files and the JSON that losswright writes for the same record", async () => {
    const { folder } = train(
      python,
      `
with Recorder("run", causal, every=1, combine={"microBatches": "sum"}) as recorder:
    for seed in (1, 2):
        logits, labels = tokens(seed, 5)
        total, count, gradient = cross_entropy(logits, labels, shift=1)
        recorder.record(0, total / count, gradients={"logits": gradient / 10}, logits=logits, labels=labels,
                        context={"sequence": {"inputIds": labels, "padId": 0}, "outputs": {"logits": logits}})
`,
    );
    const directory = join(folder, "run", "step-00000000");
    const record = await readStep(directory);
    await writeStep(join(folder, "again"), record);
    expect(readdirSync(join(folder, "again")).sort()).toEqual(readdirSync(directory).sort());
    for (const file of readdirSync(directory).filter((name) => name.endsWith(".npy"))) {
      expect(readFileSync(join(folder, "again", file)).equals(readFileSync(join(directory, file))), file).toBe(true);
    }
    const own = JSON.parse(readFileSync(join(directory, "step.json"), "utf8"));
    expect(own).toEqual(JSON.parse(encodeStep(record).json));
  });

  it("takes the calls of one step for its micro-batches, and the audit tells how they were put together", async () => {
    const { folder } = train(
      python,
      `
import itertools
counts = [3, 20, 11, 6]
with Recorder("right", causal, every=1) as right, Recorder("wrong", causal, every=1) as wrong:
    for recorder in (right, wrong):
        reported = []
        for seed, kept in enumerate(counts):
            logits, labels = tokens(seed, kept)
            total, count, gradient = cross_entropy(logits, labels, shift=1)
            factor = 1 / sum(counts) if recorder is right else 1 / count / len(counts)
            recorder.record(0, total / count, gradients={"logits": gradient * factor}, logits=logits, labels=labels)
            reported.append((total, count))
        sums = sum(total for total, _ in reported) / sum(counts)
        recorder.report(0, sums if recorder is right else np.mean([total / count for total, count in reported]))
`,
    );
    const record = await expectClean(join(folder, "right", "step-00000000"));
    expect(record.context.microBatches).toBe(4);
    expect(record.parts.map(({ context }) => context.microBatch)).toEqual([0, 1, 2, 3]);
    expect(record.parts.every(({ reported }) => Number.isFinite(reported.loss))).toBe(true);
    expect(await findingsOf(join(folder, "wrong", "step-00000000"))).toContain("accumulation");
  });

  it("writes a step when the next one comes, at flush, and when the interpreter ends", () => {
    const { out, folder } = train(
      python,
      `
def step(recorder, number):
    recorder.record(number, 1.0, predictions=np.zeros(3), targets=np.ones(3))
    print(sorted(os.listdir("run")) if os.path.isdir("run") else [])
recorder = Recorder("run", {"objective": "squaredError"}, every=2)
step(recorder, 0)
step(recorder, 1)
step(recorder, 2)
recorder.flush()
print(sorted(os.listdir("run")))
step(recorder, 4)
if os.fork() == 0:
    recorder.flush()  # a loader's worker writes nothing
    os._exit(0)
os.wait()
print(sorted(os.listdir("run")))
raise SystemExit
`,
    );
    const [zero, two] = ["'step-00000000'", "'step-00000002'"];
    expect(out).toBe(`[]\n[${zero}]\n[${zero}]\n${`[${zero}, ${two}]\n`.repeat(3)}`);
    expect(readdirSync(join(folder, "run")).sort()).toEqual(["step-00000000", "step-00000002", "step-00000004"]);
  });

  it("takes arrays of other frameworks by what they can do, and imports none", async () => {
    const { folder, out } = train(
      python,
      `
class Jax:
    """As a jax.Array: it becomes a NumPy array when asked, and cannot be written to."""
    def __init__(self, array):
        self._array = array
        self._array.flags.writeable = False
        self.shape, self.dtype = array.shape, array.dtype
    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)
    def __bool__(self):
        raise TypeError("the truth of an array")
Jax.__module__ = "jaxlib.xla_extension"

class Exchanged:
    """Known by dlpack alone."""
    def __init__(self, array):
        self._array = array
    def __dlpack__(self, **rest):
        return self._array.__dlpack__(**rest)
    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

class Eager:
    """As a tensor of TensorFlow."""
    def __init__(self, array):
        self._array = array
        self.dtype = array.dtype
    def numpy(self):
        return self._array

for name, kind in {"jax": Jax, "dlpack": Exchanged, "eager": Eager}.items():
    logits, labels = tokens(5, 9)
    total, count, gradient = cross_entropy(logits, labels, shift=1)
    with Recorder(name, causal, every=1, strict=True) as recorder:
        recorder.record(0, kind(np.asarray(total / count)), gradients={"logits": kind(gradient / count)},
                        logits=kind(logits), labels=kind(labels), mask=None)
print([name for name in ("torch", "jax", "tensorflow", "keras", "ml_dtypes") if name in sys.modules])
`,
    );
    expect(out).toBe("[]\n");
    for (const name of ["jax", "dlpack", "eager"]) await expectClean(join(folder, name, "step-00000000"));
    const record = await readStep(join(folder, "jax", "step-00000000"));
    expect(record.context).toMatchObject({ framework: "jax", computation: { dtype: "float32" } });
  });

  it("says of a tensor without numbers that it is to be recorded outside of the compiled function", () => {
    const { err } = train(
      python,
      `
class Tracer:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("traced")
with Recorder("run", causal, every=1) as recorder:
    recorder.record(0, 1.0, logits=Tracer(), labels=np.zeros((1, 2), int))
print(os.path.exists("run"))
`,
    );
    expect(err).toMatch(/logits: found a __main__.Tracer that gives no array \(traced\).*record outside/);
  });

  it("keeps what was computed: copies, whole numbers, halves, booleans, scalars, numbers that JSON lacks", async () => {
    const { folder } = train(
      python,
      `
contract = {"objective": "infoNce", "options": {"temperature": "field"}}
queries = np.arange(6, dtype=np.float16).reshape(2, 3)
with Recorder("run", contract, every=1) as recorder:
    recorder.record(0, float("nan"), queries=queries, keys=queries[::-1], temperature=0.5,
                    positiveMask=np.eye(2, dtype=bool), gradients={"temperature": np.float32([0.25])})
    queries += 100
    recorder.report(0, metric={"name": "recall", "value": float("-inf"), "of": "step",
                               "updates": [{"value": float("nan"), "count": np.int64(4)}]})
`,
    );
    const directory = join(folder, "run", "step-00000000");
    const record = await readStep(directory);
    expect(record.reported.loss).toBeNaN();
    expect(readFileSync(join(directory, "step.json"), "utf8")).toContain('"loss": "nan"');
    expect(Array.from(record.fields!.queries!.data, Number)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(Array.from(record.fields!.keys!.data, Number)).toEqual([3, 4, 5, 0, 1, 2]);
    expect(record.fields!.positiveMask!.dtype).toBe("bool");
    expect(record.fields!.temperature!.shape).toEqual([]);
    expect(record.reported.gradients.temperature).toMatchObject({ shape: [], dtype: "float32" });
    expect(record.context.metric).toEqual({
      name: "recall",
      value: Number.NEGATIVE_INFINITY,
      of: "step",
      updates: [{ value: Number.NaN, count: 4 }],
    });
  });

  it("writes every entry of a context where it belongs", async () => {
    const { folder } = train(
      python,
      `
contract = {"objective": "crossEntropy"}
logits, labels = tokens(3, 4)
ids = np.arange(24).reshape(2, 12)
recorder = Recorder("run", contract, every=1, strict=True, metric=None, run="named", task="sums", phase="tuning",
                    framework="jax", classCounts=np.array([5, 6, 7]), batches=9, splitAxis="rows",
                    decision={"threshold": 0.5, "tuned": np.bool_(True)}, computation={"dtype": "bfloat16"},
                    combine={"microBatches": "mean"},
                    sequence={"padId": 0, "eosId": 2, "intended": {"labelShift": 0, "lossOn": ["assistant"],
                              "endOfSequence": True, "acrossSegments": False}})
for batch in range(2):
    recorder.record(7, 1.5, loss_scale=1024, logits=logits, labels=labels, context={
        "sequence": {"inputIds": ids, "roles": ids, "attentionMask": ids > 0, "segmentIds": ids,
                     "decoderInputIds": ids, "padId": batch},
        "scores": {"logits": {"logProbs": logits[..., 0], "mask": ids > 0}},
        "outputs": {"logits": logits * 2},
        "gathered": {"logits": {"ranks": np.array([0, 1]), "ids": np.array([4, 5])}},
        "alignment": {"featureLengths": np.array([3, 4]), "stride": 4, "symbols": ["a", "b"]},
        "terms": [{"name": "own", "coefficient": 1, "value": np.float32(2), "intended": True},
                  {"name": "norm", "coefficient": 0.1, "value": float("inf"), "fields": ["logits"]}]})
recorder.flush()
`,
    );
    const { context, parts } = await readStep(join(folder, "run", "step-00000007"));
    expect(context).toEqual({
      metric: null,
      run: "named",
      step: 7,
      task: "sums",
      phase: "tuning",
      framework: "jax",
      classCounts: [5, 6, 7],
      batches: 9,
      splitAxis: "rows",
      decision: { threshold: 0.5, tuned: true },
      computation: { dtype: "bfloat16", lossScale: 1024 },
      combine: { microBatches: "mean" },
      microBatches: 2,
      sequence: {
        padId: 0,
        eosId: 2,
        intended: { labelShift: 0, lossOn: ["assistant"], endOfSequence: true, acrossSegments: false },
      },
    });
    const [, own] = parts.map((part) => part.context);
    expect(Object.keys(own!).sort()).toEqual(
      ["alignment", "gathered", "microBatch", "outputs", "scores", "sequence", "terms"].sort(),
    );
    expect(own!.sequence).toMatchObject({ padId: 1, eosId: 2, intended: { lossOn: ["assistant"] } });
    for (const key of ["inputIds", "roles", "attentionMask", "segmentIds", "decoderInputIds"] as const) {
      expect(own!.sequence![key]!.shape, key).toEqual([2, 12]);
    }
    expect(own!.scores!.logits!.logProbs.shape).toEqual([2, 12]);
    expect(own!.outputs!.logits!.shape).toEqual([2, 12, 7]);
    expect(Array.from(own!.gathered!.logits!.ids!.data, Number)).toEqual([4, 5]);
    expect(own!.alignment).toMatchObject({ stride: 4, symbols: ["a", "b"] });
    expect(own!.terms).toEqual([
      { name: "own", coefficient: 1, value: 2, intended: true },
      { name: "norm", coefficient: 0.1, value: Number.POSITIVE_INFINITY, fields: ["logits"] },
    ]);
  });

  it("gives parameters of the same bits on and off", () => {
    const { out, err } = train(
      python,
      `
def run(every):
    random = np.random.default_rng(0)
    weights = random.normal(size=(4, 3)).astype(np.float32)
    recorder = Recorder(f"run-{every}", {"objective": "crossEntropy"}, every=every)
    for step in range(20):
        x = random.normal(size=(8, 1, 4)).astype(np.float32)
        labels = random.integers(0, 3, (8, 1))
        logits = x @ weights
        total, count, gradient = cross_entropy(logits, labels)
        recorder.record(step, total / count, gradients={"logits": gradient / count}, logits=logits, labels=labels)
        gradient /= count  # in place, after it was recorded
        weights -= 0.1 * np.einsum("btd,btk->dk", x, gradient)
    recorder.flush()
    return digest(weights, random.normal(size=4))
print(len({run(0), run(1), run(7)}))
print(len(os.listdir("run-1")), len(os.listdir("run-7")), os.path.exists("run-0"))
`,
    );
    expect(err).toBe("");
    expect(out).toBe("1\n20 3 False\n");
  });

  it("costs one call without a further one, and keeps no memory, at a step that is not recorded", () => {
    const { out } = train(
      python,
      `
import gc, tracemalloc
logits, labels = tokens(0, 4)
gradients = {"logits": logits}
class Loss:
    """Nothing may be asked of it."""
    def __getattr__(self, name):
        raise AssertionError(name)
loss = Loss()
def cost(recorder):
    for step in (0, 1, 2):
        recorder.record(step, 1.0, logits=logits, labels=labels)
    events = []
    sys.setprofile(lambda frame, event, argument: events.append((event, frame.f_code.co_name)))
    for step in (3, 4, 5, 499):
        recorder.record(step, loss, gradients=gradients, loss_scale=loss, context=loss, logits=loss, labels=loss)
    sys.setprofile(None)
    calls = [name for event, name in events if event == "call"]
    others = [event for event, name in events if event == "c_call" and name == "record"]
    def memory(steps):
        gc.collect(); tracemalloc.start()
        for step in range(1001, 1001 + steps):
            recorder.record(step, loss, gradients=gradients, loss_scale=loss, context=loss, logits=loss, labels=loss)
        taken = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken
    memory(10)
    print(calls, others, memory(10) == memory(400))
cost(Recorder("run", causal, every=500))
cost(Recorder("off", causal, every=0))
`,
    );
    expect(out).toBe("['record', 'record', 'record', 'record'] [] True\n".repeat(2));
  });

  it("knows the fields of every objective", () => {
    const { out } = train(
      python,
      "import losswright_recorder as r; print(json.dumps([r.OBJECTIVES, r.COMMON_FIELDS]))",
    );
    const [objectives, common] = JSON.parse(out);
    const expected = objectiveNames().map((name) => [name, Object.keys(definitionOf(name).fields).sort()]);
    const known = Object.entries<string[]>(objectives).map(([name, fields]) => [name, [...fields].sort()]);
    expect(Object.fromEntries(known)).toEqual(Object.fromEntries(expected));
    expect(common).toEqual(["weights", "mask", "segmentIds", "groupKeys"]);
  });

  describe("with wrong names and values", () => {
    it("raises at once what is wrong in a contract or an entry for the run, naming the near miss", () => {
      const { out } = train(
        python,
        `
cases = [
    lambda: Recorder("r", {"objective": "crossEntrpy"}),
    lambda: Recorder("r", {"options": {}}),
    lambda: Recorder("r", '{"objective": "huber"}'),
    lambda: Recorder("r", {"objective": "huber", "option": {}}),
    lambda: Recorder("r", {"objective": "huber", "options": [1]}),
    lambda: Recorder("r", {"objective": "huber", "reduction": {"divide_by": "count"}}),
    lambda: Recorder("r", {"objective": "huber", "version": 2}),
    lambda: Recorder("r", {"objective": "huber", "options": {"__proto__": 1}}),
    lambda: Recorder("r", {"objective": "huber", "options": {"delta\\n": 1}}),
    lambda: Recorder("r", causal, metrics=None),
    lambda: Recorder("r", causal, micro_batches=4),
    lambda: Recorder("r", causal, sampled={}),
    lambda: Recorder("r", causal, metric={"name": "accuracy", "value": "high"}),
    lambda: Recorder("r", causal, metric={"value": 1}),
    lambda: Recorder("r", causal, combine={"ranks": "average"}),
    lambda: Recorder("r", causal, classCounts=[]),
    lambda: Recorder("r", causal, classCounts=[1, 2.5]),
    lambda: Recorder("r", causal, rank=1),
    lambda: Recorder("r", causal, sequence={"inputIds": np.zeros((1, 2))}),
    lambda: Recorder("r", causal, every=-1),
    lambda: Recorder("r", causal, terms=[{"name": "a", "coefficient": 1}]),
]
for case in cases:
    try:
        case()
        print("nothing raised")
    except ValueError as error:
        print(error)
`,
      );
      expect(out.trimEnd().split("\n")).toEqual([
        expect.stringContaining('unknown name "crossEntrpy"; write "crossEntropy"'),
        expect.stringContaining("found no objective"),
        expect.stringContaining("json.loads"),
        expect.stringContaining('unknown name "option"; write "options"'),
        expect.stringContaining("found list as options"),
        expect.stringContaining('unknown name "divide_by"; write "divideBy"'),
        expect.stringContaining("found version 2"),
        expect.stringContaining("JavaScript does not reserve"),
        expect.stringContaining("control characters"),
        expect.stringContaining('unknown name "metrics"; write "metric"'),
        expect.stringContaining('unknown name "micro_batches"; write "microBatches"'),
        expect.stringContaining("written by the recorder"),
        expect.stringContaining("metric.value: found 'high', expected a number"),
        expect.stringContaining('found no "name"'),
        expect.stringContaining('combine.ranks: found \'average\', expected "mean" or "sum"'),
        expect.stringContaining("a count for each class"),
        expect.stringContaining("classCounts[1]: found 2.5, expected a whole number"),
        expect.stringContaining("expected ranks= beside it"),
        expect.stringContaining("give it to record(context=...)"),
        expect.stringContaining("every: found -1"),
        expect.stringContaining('"intended": True'),
      ]);
    });

    it("raises a wrong name at the first call, recorded or not, and warns of it later", () => {
      const { out, err, folder } = train(
        python,
        `
def attempt(recorder, step, **named):
    try:
        recorder.record(step, 1.0, **named)
        print("no error")
    except ValueError as error:
        print(error)
zeros = np.zeros((1, 2, 3)), np.zeros((1, 2), int)
attempt(Recorder("a", causal), 1, logit=zeros[0], labels=zeros[1])
attempt(Recorder("b", causal), 1, logits=zeros[0], segment_ids=zeros[1])
attempt(Recorder("c", causal), 1, logits=zeros[0], context={"sequences": {}})
attempt(Recorder("d", causal), 1, logits=zeros[0], gradients={"logit": zeros[0]})
recorder = Recorder("e", causal, every=1)
attempt(recorder, 1, logits=zeros[0], labels=zeros[1])
for step in (2, 3, 4):
    attempt(recorder, step, logit=zeros[0], labels=zeros[1])
attempt(recorder, 5, logits=zeros[0], labels=zeros[1])
strict = Recorder("f", causal, every=1, strict=True)
attempt(strict, 1, logits=zeros[0], labels=zeros[1])
attempt(strict, 2, logit=zeros[0], labels=zeros[1])
`,
      );
      expect(out.trimEnd().split("\n")).toEqual([
        expect.stringContaining('field of crossEntropy: unknown name "logit"; write "logits"'),
        expect.stringContaining('unknown name "segment_ids"; write "segmentIds"'),
        expect.stringContaining('context: unknown name "sequences"; write "sequence"'),
        expect.stringContaining('gradients of crossEntropy: unknown name "logit"; write "logits"'),
        ...Array(5).fill("no error"),
        "no error",
        expect.stringContaining('unknown name "logit"'),
      ]);
      expect(warningsOf({ err } as Ran)).toHaveLength(1);
      expect(err).toContain("step 2 is not recorded");
      expect(readdirSync(join(folder, "e")).sort()).toEqual(["step-00000001", "step-00000005"]);
    });

    it("makes a warning of tensors that no record can hold, one for each reason, and leaves nothing", () => {
      const { out, err } = train(
        python,
        `
logits, labels = tokens(1, 4)
bad = [
    dict(logits=np.array([object()]), labels=labels),
    dict(logits=logits + 1j, labels=labels),
    dict(logits="logits", labels=labels),
    dict(logits=np.ma.masked_array(logits, logits > 0), labels=labels),
    dict(logits=None, labels=None),
    dict(logits=logits, labels=labels, gradients={"logits": logits[:1]}),
    dict(logits=logits, labels=labels, gradients={"logits": np.zeros(logits.shape, int)}),
    dict(logits=logits, labels=labels, gradients={"temperature": np.zeros(3)}),
    dict(logits=logits, labels=labels, context={"outputs": {"logits": logits[:1]}}),
    dict(logits=logits, labels=labels, context={"outputs": {"targets": logits}}),
    dict(logits=logits, labels=labels, context={"gathered": {"logits": {"ids": np.zeros(5)}}}),
    dict(logits=logits, labels=labels, loss_scale=0),
    dict(logits=logits, labels=labels, loss=np.zeros(2)),
    dict(logits=logits, labels=labels, loss="2.5"),
]
recorder = Recorder("run", causal, every=1)
recorder.record(1000, 1.0, logits=logits, labels=labels)
recorder.flush()
for again in range(2):
    for step, case in enumerate(bad):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            recorder.record(1001 + step + 100 * again, **{"loss": 1.0, **case})
            recorder.flush()
        print(again, *(warning.message for warning in caught))
print(os.listdir("run"))
`,
      );
      const lines = out.trimEnd().split("\n");
      expect(lines.slice(0, 14).filter((line) => !/^0 losswright: step \d+ is not recorded: /.test(line))).toEqual([]);
      expect(lines.slice(14, 28)).toEqual(Array(14).fill("1"));
      expect(lines.at(-1)).toBe("['step-00001000']");
      expect(err).toBe("");
    });

    it("says that steps are numbered over the run when numbers begin anew", () => {
      const { err, folder } = train(
        python,
        `
recorder = Recorder("run", {"objective": "squaredError"}, every=2)
for epoch in range(2):
    for step in range(4):
        recorder.record(step, float(epoch), predictions=np.zeros(3), targets=np.ones(3))
`,
      );
      expect(warningsOf({ err } as Ran)).toHaveLength(1);
      expect(err).toContain("number the steps over the whole run");
      const text = readFileSync(join(folder, "run", "step-00000002", "step.json"), "utf8");
      expect(JSON.parse(text).reported.loss).toBe(1);
    });
  });

  describe("on a disk that fails", () => {
    it("warns once and leaves no half-written record", () => {
      const { out, err, folder } = train(
        python,
        `
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
recorder = Recorder("run", causal, every=1)
for step in range(3):
    logits, labels = tokens(step, 4, rows=1 if step == 1 else 40)
    recorder.record(step, 1.0, logits=logits, labels=labels, gradients={"logits": logits})
recorder.flush()
print(sorted(os.listdir("run")))
`,
      );
      expect(out).toBe("['step-00000001']\n");
      expect(warningsOf({ err } as Ran)).toHaveLength(1);
      expect(err).toMatch(/step 0 is not recorded: .*; |step 0 is not recorded/);
      expect(readdirSync(join(folder, "run", "step-00000001")).sort()).toEqual([
        "labels.npy",
        "logits-gradient.npy",
        "logits.npy",
        "step.json",
      ]);
    });

    it("trains on where the directory cannot be made, and raises where it is to be strict", () => {
      const { out, err } = train(
        python,
        `
open("file", "w").close()
arrays = dict(predictions=np.zeros(3), targets=np.ones(3))
recorder = Recorder("file/run", {"objective": "squaredError"}, every=1)
for step in range(3):
    recorder.record(step, 1.0, **arrays)
recorder.flush()
strict = Recorder("file/strict", {"objective": "squaredError"}, every=1, strict=True)
strict.record(0, 1.0, **arrays)
try:
    strict.flush()
except OSError as error:
    print("raised")
print(sorted(os.listdir(".")))
`,
      );
      expect(out).toBe("raised\n['file', 'train.py']\n");
      expect(warningsOf({ err } as Ran)).toHaveLength(1);
    });

    it("replaces a record of the same step, and nothing that is not one", async () => {
      const { err, folder } = train(
        python,
        `
os.makedirs("run/step-00000001")
open("run/step-00000001/weights.bin", "w").close()
for loss in (1.0, 2.0):
    recorder = Recorder("run", {"objective": "squaredError"}, every=1)
    for step in (0, 1):
        recorder.record(step, loss, predictions=np.zeros(3), targets=np.ones(3))
    recorder.flush()
`,
      );
      expect(readdirSync(join(folder, "run")).sort()).toEqual(["step-00000000", "step-00000001"]);
      expect(readdirSync(join(folder, "run", "step-00000001"))).toEqual(["weights.bin"]);
      expect((await readStep(join(folder, "run", "step-00000000"))).reported.loss).toBe(2);
      expect(err).toContain("is no record");
    });

    it("stands names of every kind", async () => {
      const name = `a b'"\u{1f642}é$(x);-- %2e`;
      const { folder } = train(
        python,
        `
name = ${JSON.stringify(name)}
recorder = Recorder(os.path.join("..runs", name), {"objective": "squaredError"}, every=1, task="\\ud800\\n\\0</script>")
recorder.record(10**12, 0.5, predictions=np.zeros(3), targets=np.ones(3))
`,
      );
      const record = await readStep(join(folder, "..runs", name, "step-1000000000000"));
      expect(record.context).toMatchObject({ run: name, step: 1e12, task: "\ud800\n\0</script>" });
    });
  });

  describe("with several ranks", () => {
    const ranked = `
rank = int(sys.argv[1])
counts = [5, 17]
logits, labels = tokens(rank, counts[rank])
total, count, gradient = cross_entropy(logits, labels, shift=1)
`;

    it("puts the parts of all ranks into one record, and applies the mean over ranks", async () => {
      // Each rank divides by the mean of the counts, so that their mean is the whole: 22 / 2.
      const runs = await trainRanks(
        python,
        2,
        `${ranked}
recorder = Recorder("run", causal, every=1, rank=rank, ranks=2, wait=60)
for step in range(2):
    recorder.record(step, total / count, gradients={"logits": gradient / 11}, logits=logits, labels=labels,
                    context={"sequence": {"inputIds": labels}})
recorder.report(1, 0.0 if rank else None)
`,
      );
      expect(runs.map(({ err }) => err)).toEqual(["", ""]);
      expect(readdirSync(join(runs.folder, "run")).sort()).toEqual(["step-00000000", "step-00000001"]);
      const directory = join(runs.folder, "run", "step-00000001");
      expect(readdirSync(directory).sort()).toEqual(["rank-0", "rank-1", "step.json"]);
      const record = await expectClean(directory);
      expect(record.context).toMatchObject({ ranks: 2, microBatches: 1, combine: { ranks: "mean" } });
      expect(record.context.rank).toBeUndefined();
      expect(record.parts.map(({ context }) => context.rank)).toEqual([0, 1]);
      expect(record.reported.loss).toBeNull();
      const names = readdirSync(join(directory, "rank-1")).sort();
      expect(names).toEqual(["labels.npy", "logits-gradient.npy", "logits.npy", "sequence-input-ids.npy"]);
    });

    it("lets the audit see ranks that divide by their own counts", async () => {
      const runs = await trainRanks(
        python,
        2,
        `${ranked}
with Recorder("run", causal, every=1, rank=rank, ranks=2, wait=60) as recorder:
    recorder.record(0, total / count, gradients={"logits": gradient / count}, logits=logits, labels=labels)
    if rank == 0:
        recorder.report(0, np.mean([cross_entropy(*tokens(r, counts[r]), shift=1)[0] / counts[r] for r in (0, 1)]))
`,
      );
      expect(await findingsOf(join(runs.folder, "run", "step-00000000"))).toContain("distributed-denominator");
    });

    it("gives a step up when a rank dies, within the time that was given, and leaves nothing of it", async () => {
      const runs = await trainRanks(
        python,
        2,
        `${ranked}
if rank == 1:
    os._exit(1)
recorder = Recorder("run", causal, every=1, rank=rank, ranks=2, wait=0.2)
for step in range(3):
    recorder.record(step, total / count, logits=logits, labels=labels)
recorder.flush()
print(os.listdir("run"))
`,
      );
      expect(runs[0]!.out).toBe("[]\n");
      expect(warningsOf(runs[0]!)).toHaveLength(1);
      expect(runs[0]!.err).toMatch(/rank 1 of 2 wrote no part of it within 0.2 s/);
    });

    it("does not take what a run that broke off left behind for its own", async () => {
      const runs = await trainRanks(
        python,
        2,
        `${ranked}
import time
if rank == 0:
    os.makedirs("run/.step-00000000.partial/rank-1")
    open("run/.step-00000000.partial/rank-1/part.json", "w").write("[]")
    open("ready", "w").close()
def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)
wait_for("ready")
recorder = Recorder("run", causal, every=2, rank=rank, ranks=2, wait=60)
recorder.record(0, total / count, logits=logits, labels=labels)
open(f"called-{rank}", "w").close()
wait_for(f"called-{1 - rank}")  # as a backward pass does
if rank == 1:
    wait_for("looked")
recorder.record(1)
open("looked", "w").close()
`,
      );
      expect(runs.map(({ err }) => err)).toEqual(["", ""]);
      const record = await readStep(join(runs.folder, "run", "step-00000000"));
      expect(record.parts).toHaveLength(2);
    });
  });

  describe("where a step is large", () => {
    /** Records each case whole and sampled. */
    const both = `
def both(name, contract, fields, gradients, limit, context=None):
    for kind, above in (("whole", 1 << 40), ("sampled", limit)):
        with Recorder(f"{name}/{kind}", contract, every=1, sample_above=above, strict=True) as recorder:
            recorder.record(0, 1.0, gradients=gradients, context=context, **fields)
`;

    it("keeps rows that are spread over the units, most of them counted, and the tally of the whole", async () => {
      const { folder, err } = train(
        python,
        `${both}
logits, labels = tokens(1, 90, classes=50, rows=8, length=32)
total, count, gradient = cross_entropy(logits, labels, shift=1)
both("case", causal, dict(logits=logits, labels=labels), {"logits": gradient}, 40_000,
     {"outputs": {"logits": logits * 3}, "sequence": {"inputIds": labels}})
`,
      );
      expect(err).toBe("");
      const whole = await readStep(join(folder, "case", "whole", "step-00000000"));
      const record = await readStep(join(folder, "case", "sampled", "step-00000000"));
      const { units, shape, fields, tally } = record.context.sampled!;
      const places = Array.from(units.data, Number);
      expect(shape).toEqual([8, 32]);
      expect(fields).toEqual(["logits"]);
      expect(record.fields!.labels!.shape).toEqual([8, 32]);
      expect(record.context.sequence!.inputIds!.shape).toEqual([8, 32]);
      // 40,000 bytes less 4,096 of labels and ids; a row is three times 200 bytes, and 8 for its place.
      expect(places).toHaveLength(Math.floor((40_000 - 4096) / 608));
      for (const of of [
        (r: typeof record) => r.fields!.logits!,
        (r: typeof record) => r.reported.gradients.logits!,
        (r: typeof record) => r.context.outputs!.logits!,
      ]) {
        expect(of(record).shape).toEqual([places.length, 50]);
        expect(Array.from(of(record).data, Number)).toEqual(rowsOf(of(whole), places));
      }
      const labels = whole.fields!.labels!.data;
      const counted = places.filter((place) => place % 32 !== 31 && Number(labels[place + 1]) !== -100);
      expect(counted.length / places.length).toBeGreaterThan(0.7);
      expect(counted.length).toBeLessThan(places.length);
      expect(new Set(places.map((place) => Math.floor(place / 32))).size).toBe(8);
      const own = objectiveFrom(whole.intended as never)
        .withEngine("reference")
        .tally(whole.fields!);
      expect(tally.denominator).toBe(own.denominator.value);
      expect(Math.abs(tally.numerator! / own.numerator - 1)).toBeLessThan(1e-13);
    });

    it("gives the same sample for the same step", () => {
      const { out } = train(
        python,
        `
logits, labels = tokens(1, 90, classes=50, rows=8, length=32)
for name in ("a", "b"):
    with Recorder(name, causal, every=1, sample_above=30_000) as recorder:
        recorder.record(0, 1.0, logits=logits, labels=labels)
files = sorted(os.listdir("a/step-00000000"))
print(all(open(f"a/step-00000000/{f}", "rb").read() == open(f"b/step-00000000/{f}", "rb").read()
          for f in files if f.endswith(".npy")), files)
`,
      );
      expect(out).toBe("True ['labels.npy', 'logits.npy', 'sampled-units.npy', 'step.json']\n");
    });

    it("counts and sums as losswright does, under every option that it samples", async () => {
      const { folder, out } = train(
        python,
        `${both}
random = np.random.default_rng(7)
K, shape = 9, (6, 20)
logits = (random.normal(size=(*shape, K)) * 4).astype(np.float32)
labels = random.integers(0, K, shape)
labels[random.random(shape) < 0.3] = -100
targets = random.dirichlet(np.ones(K), shape)
weights = random.random(shape)
weights[random.random(shape) < 0.2] = 0
mask = random.random(shape) < 0.7
segments = np.cumsum(random.random(shape) < 0.2, axis=1)
classes = [float(w) for w in random.random(K)]
priors = [float(p) for p in random.dirichlet(np.ones(K))]
forbidden = logits.copy()
forbidden[..., K - 1] = -np.inf
broken = logits.copy()
broken[0, 0, 0] = np.nan
hard = dict(logits=logits, labels=labels)
soft = dict(logits=logits, targets=targets)
cases = []
def cross(fields, reduction={}, **options):
    cases.append(({"objective": "crossEntropy", "options": options, "reduction": reduction}, fields))
cross(hard)
cross(hard, labelShift=1)
cross(dict(hard, segmentIds=segments), labelShift=1)
cross(dict(hard, segmentIds=segments, mask=mask, weights=weights), labelShift=2)
cross(dict(hard, segmentIds=np.arange(6)), labelShift=1)
cross(dict(logits=logits.reshape(-1, K), labels=labels.reshape(-1), segmentIds=segments.reshape(-1)), labelShift=1)
cross(dict(hard, mask=mask[:, :1], weights=weights[:, :1]))
cross(dict(hard, weights=weights), {"divideBy": "count"})
cross(dict(hard, weights=weights), {"divideBy": {"constant": 12.5}})
cross(dict(logits=logits, labels=np.where(labels < 0, 3, labels)), ignoreIndex=3, classWeights=classes)
cross(hard, classWeights=classes)
cross(dict(hard, weights=weights), {"divideBy": "count"}, classWeights=classes)
cross(hard, classWeights=classes, labelSmoothing=0.1)
cross(hard, labelSmoothing=0.1, zLoss=0.01)
cross(hard, classWeights=classes, zLoss=0.01)
cross(hard, classWeights=classes, labelSmoothing=0.2, zLoss=0.01)
cross(hard, temperature=0.7, logitSoftCap=5.0, priors=priors)
cross(hard, priors=priors, logitAdjustment=0.5)
cross(soft)
cross(dict(soft, mask=mask, weights=weights), classWeights=classes, labelSmoothing=0.1, zLoss=0.02)
cross(dict(logits=np.moveaxis(logits, -1, 1), labels=labels), classAxis=1)
cross(dict(logits=np.moveaxis(logits.reshape(6, 4, 5, K), -1, 1), labels=labels.reshape(6, 4, 5)), classAxis=1)
cross(dict(logits=np.moveaxis(logits, -1, 1), targets=np.moveaxis(targets, -1, 1)), classAxis=1)
cross(dict(logits=forbidden, labels=np.where(labels == K - 1, 0, labels)), logitSoftCap=8.0)
cross(dict(logits=forbidden, labels=labels))
cross(dict(logits=broken, labels=np.abs(labels) % K))
cross(dict(hard, mask=np.zeros(shape, bool)))
flat = dict(predictions=logits[..., 0], targets=logits[..., 1])
binary = dict(logits=logits[..., 0], targets=targets[..., 0])
for more in ({}, dict(mask=mask), dict(weights=weights), dict(mask=mask[:, :1], weights=weights)):
    for name, options in (("squaredError", {}), ("absoluteError", {}), ("huber", {}), ("huber", {"delta": 0.5})):
        cases.append(({"objective": name, "options": options}, dict(flat, **more)))
    for options in ({}, {"posWeight": 3.0}, {"labelSmoothing": 0.1, "posWeight": 0.5}, {"posWeight": None}):
        cases.append(({"objective": "binaryCrossEntropy", "options": options}, dict(binary, **more)))
cases.append(({"objective": "binaryCrossEntropy"},
              dict(logits=np.where(mask, -np.inf, logits[..., 0]), targets=np.where(mask, 0.0, 1.0))))
for index, (contract, fields) in enumerate(cases):
    score = "logits" if "logits" in fields else "predictions"
    size = sum(array.nbytes for array in fields.values()) + fields[score].nbytes
    both(f"case-{index}", contract, fields, {score: fields[score] * 2}, int(size * 0.6))
print(len(cases))
`,
      );
      const count = Number(out);
      expect(count).toBeGreaterThan(55);
      for (let index = 0; index < count; index++) {
        const whole = await readStep(join(folder, `case-${index}`, "whole", "step-00000000"));
        const record = await readStep(join(folder, `case-${index}`, "sampled", "step-00000000"));
        const objective = objectiveFrom(whole.intended as never).withEngine("reference");
        const said = `${index}: ${JSON.stringify(whole.intended)} of ${Object.keys(whole.fields!).join(", ")}`;
        const { sampled } = record.context;
        expect(sampled, said).toBeDefined();
        const own = objective.tally(whole.fields!);
        expect(Math.abs(sampled!.tally.denominator - own.denominator.value), said).toBeLessThan(1e-12 * 120);
        const { numerator } = sampled!.tally;
        if (Number.isFinite(own.numerator)) {
          expect(Math.abs(numerator! - own.numerator), said).toBeLessThanOrEqual(1e-12 * Math.abs(own.numerator));
        } else expect(numerator, said).toBe(own.numerator);
        const size = sampled!.shape.reduce((product, length) => product * length, 1);
        expect(sampled!.units.data.length, said).toBeLessThan(size);
        expect(size).toBe(120);
      }
    });

    it("keeps no numerator where it would read too much, or where a label is no class", async () => {
      const { folder } = train(
        python,
        `
logits, labels = tokens(1, 90, classes=50, rows=8, length=32)
odd = np.where(labels == 3, 50, labels)
for name, within, own in (("budget", 100, labels), ("odd", 1 << 28, odd)):
    with Recorder(name, causal, every=1, sample_above=30_000, tally_within=within, strict=True) as recorder:
        recorder.record(0, 1.0, logits=logits, labels=own)
`,
      );
      for (const name of ["budget", "odd"]) {
        const record = await readStep(join(folder, name, "step-00000000"));
        expect(record.context.sampled!.tally, name).toEqual({ denominator: 90 });
      }
      expect(await findingsOf(join(folder, "odd", "step-00000000"))).toContain("label-dtype");
    });

    it("keeps whole what means nothing in parts, says so once, and refuses it where it is too large", () => {
      const { folder, err } = train(
        python,
        `
logits, labels = tokens(1, 90, classes=50, rows=8, length=32)
perSequence = {"objective": "crossEntropy", "reduction": {"per": "sequence"}}
with Recorder("whole", perSequence, every=1, sample_above=30_000) as recorder:
    for step in range(3):
        recorder.record(step, 1.0, logits=logits, labels=labels)
with Recorder("other", {"objective": "focal"}, every=1, sample_above=30_000, refuse_above=40_000) as recorder:
    for step in range(3):
        recorder.record(step, 1.0, logits=logits, labels=labels)
`,
      );
      expect(readdirSync(join(folder, "whole"))).toHaveLength(3);
      expect(existsSync(join(folder, "other"))).toBe(false);
      expect(warningsOf({ err } as Ran)).toHaveLength(2);
      expect(err).toMatch(/records are kept whole, its tensors take 0\.1 MiB: the reduction per sequence/);
      expect(err).toMatch(/above refuse_above \(0\.0 MiB for each part\).*units of focal are not sampled/);
    });

    it("shares the limit among micro-batches whose number was said", () => {
      const { folder } = train(
        python,
        `
logits, labels = tokens(1, 90, classes=50, rows=8, length=32)
with Recorder("run", causal, every=1, sample_above=200_000, microBatches=4) as recorder:
    for batch in range(4):
        recorder.record(0, 1.0, gradients={"logits": logits}, logits=logits, labels=labels)
`,
      );
      const directory = join(folder, "run", "step-00000000");
      const sizes = readdirSync(directory).map((name) => statSync(join(directory, name)).size);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      expect(total).toBeLessThan(210_000);
      expect(total).toBeGreaterThan(180_000);
    });

    const divided = `
logits, labels = tokens(1, 90, classes=50, rows=8, length=32)
total, count, gradient = cross_entropy(logits, labels, shift=1)
for name, divisor in (("right", count), ("wrong", labels.size)):
    with Recorder(name, causal, every=1, sample_above=40_000) as recorder:
        recorder.record(0, total / divisor, gradients={"logits": gradient / divisor}, logits=logits, labels=labels)
`;

    it("is audited as the whole would be: clean where it is right, not where its divisor is wrong", async () => {
      const { folder } = train(python, divided);
      const record = await expectClean(join(folder, "right", "step-00000000"));
      expect(record.context.sampled).toBeDefined();
      const wrong = audit(await readStep(join(folder, "wrong", "step-00000000")));
      expect(hasFindings(wrong)).toBe(true);
      // 256 labels where 90 count: declared / reported - 1, of the loss and, unit for unit, of the gradient.
      expect(wrong.step.lossError).toBeCloseTo(256 / 90 - 1, 4);
      expect(wrong.step.gradientError).toBeCloseTo(256 / 90 - 1, 4);
    });

    // What a sampled step divides by otherwise is not searched for yet: the audit says "unexplained" where, of the
    // step kept whole, it says "denominator: all tokens, those left out included".
    it("has its wrong divisor found from the shape of all units", async () => {
      const { folder } = train(python, divided);
      expect(await findingsOf(join(folder, "wrong", "step-00000000"))).toContain("denominator");
    });
  });

  describe("as a package", () => {
    it("is written in Python 3.8", () => {
      const { out } = train(
        python,
        `
import ast, losswright_recorder
tree = ast.parse(open(losswright_recorder.__file__, encoding="utf-8").read(), feature_version=(3, 8))
print(sorted({name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
             - set(sys.stdlib_module_names)))
`,
      );
      expect(out).toBe("['numpy']\n");
    });

    const builds = spawnSync(python ?? "python3", ["-c", "import setuptools, wheel, pip"], { stdio: "ignore" });
    if (builds.status !== 0)
      console.warn("Skipped: the installation of the recorder, since pip or setuptools is missing.");
    it.skipIf(builds.status !== 0)("installs with pip from its folder, without a network", () => {
      const copy = join(scratch, "package");
      cpSync(recorders, copy, { recursive: true });
      const site = join(scratch, "site");
      const flags = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q"];
      const installed = spawnSync(python, ["-m", "pip", "install", ...flags, "--target", site, copy], {
        encoding: "utf8",
      });
      expect(installed.status, installed.stderr).toBe(0);
      const code = "import losswright_recorder as r; print(r.__version__, r.__file__)";
      const { stdout } = spawnSync(python, ["-c", code], {
        env: { ...process.env, PYTHONPATH: site },
        cwd: scratch,
        encoding: "utf8",
      });
      const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
      expect(stdout).toBe(`${version} ${join(site, "losswright_recorder.py")}\n`);
    });
  });

  describe("in the docs", () => {
    const page = readFileSync(join(root, "docs", "recording.md"), "utf8");
    const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ language, text }));

    it("shows what its example is and prints, and what the audit says of it", async () => {
      const example = readFileSync(join(root, "examples", "record-step.py"), "utf8");
      const shown = blocks.findIndex(({ text }) => text === example);
      expect(shown).toBeGreaterThanOrEqual(0);
      const folder = mkdtempSync(join(scratch, "example-"));
      const script = join(root, "examples", "record-step.py");
      const { stdout, stderr } = spawnSync(python, ["-B", script], { cwd: folder, encoding: "utf8" });
      expect(stderr).toBe("");
      expect(blocks[shown + 1]).toEqual({ language: "text", text: stdout });
      const step = "runs/record-step/step-00000020";
      expect(blocks[shown + 2]).toEqual({ language: "sh", text: `losswright audit ${step}\n` });
      const plain = (text: string) => text;
      const paint = { bold: plain, dim: plain, red: plain, yellow: plain, green: plain };
      const said = report(audit(await readStep(join(folder, step))), paint);
      expect(blocks[shown + 3]).toEqual({ language: "text", text: `${said}\n` });
    });

    it("has no Python that does not compile, and calls the recorder only as it can be called", () => {
      const snippets = blocks.filter(({ language }) => language === "python").map(({ text }) => text);
      expect(snippets.length).toBeGreaterThan(5);
      const { out } = train(
        python,
        `
import ast, inspect
calls = 0
for snippet in json.loads(sys.argv[1]):
    for node in ast.walk(ast.parse(snippet)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "recorder":
            signature = inspect.signature(getattr(Recorder, node.func.attr))
        elif getattr(node.func, "id", "") == "Recorder":
            signature = inspect.signature(Recorder.__init__)
        else:
            continue
        signature.bind(None, *node.args, **{keyword.arg: None for keyword in node.keywords})
        calls += 1
print(calls > 12)
`,
        [JSON.stringify(snippets)],
      );
      expect(out).toBe("True\n");
    });
  });
});

describe.skipIf(!torch)("the Python recorder with PyTorch", () => {
  const python = torch!;
  const prelude = `
import torch, torch.nn.functional as F
torch.manual_seed(0)
torch.set_num_threads(1)
`;

  it("records a step by one call before the backward pass", async () => {
    const { folder, err } = train(
      python,
      `${prelude}
model = torch.nn.Linear(6, 9)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
recorder = Recorder("run", {"objective": "crossEntropy"}, every=2)
for step in range(4):
    x, labels = torch.randn(8, 6), torch.randint(0, 9, (8,))
    logits = model(x)
    loss = F.cross_entropy(logits, labels)
    recorder.record(step, loss, logits=logits, labels=labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
`,
    );
    expect(err).toBe("");
    expect(readdirSync(join(folder, "run")).sort()).toEqual(["step-00000000", "step-00000002"]);
    const record = await expectClean(join(folder, "run", "step-00000002"));
    expect(record.context.framework).toMatch(/^pytorch \d+\.\d+$/);
    expect(record.context.computation).toEqual({ dtype: "float32" });
  });

  it("takes micro-batches, their losses before and their gradients after the trainer's scaling", async () => {
    const { folder, err } = train(
      python,
      `${prelude}
model = torch.nn.Linear(6, 9)
lengths = [3, 17, 8, 12]
for name in ("right", "wrong"):
    with Recorder(name, {"objective": "crossEntropy"}, every=1) as recorder:
        losses = []
        for n in lengths:
            logits, labels = model(torch.randn(20, 6)), torch.randint(0, 9, (20,))
            labels[n:] = -100
            loss = F.cross_entropy(logits, labels)
            recorder.record(0, loss, logits=logits, labels=labels)
            (loss * n / sum(lengths) if name == "right" else loss / len(lengths)).backward()
            losses.append(loss.item())
        weights = lengths if name == "right" else [1] * 4
        recorder.report(0, np.average(losses, weights=weights))
`,
    );
    expect(err).toBe("");
    const record = await expectClean(join(folder, "right", "step-00000000"));
    expect(record.parts).toHaveLength(4);
    expect(await findingsOf(join(folder, "wrong", "step-00000000"))).toContain("accumulation");
  });

  it("records two gloo ranks under DistributedDataParallel, each its own parts", async () => {
    const code = `${prelude}
import torch.distributed as dist
rank, kind = int(sys.argv[1]), "KIND"
dist.init_process_group("gloo", init_method="file://" + os.path.abspath("rendezvous"), rank=rank, world_size=2)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(6, 9))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
recorder = Recorder("run", {"objective": "crossEntropy"}, every=0 if kind == "off" else 2, wait=60)
generator = torch.Generator().manual_seed(rank)
for step in range(3):
    optimizer.zero_grad()
    for batch in range(2):
        x = torch.randn(20, 6, generator=generator)
        labels = torch.randint(0, 9, (20,), generator=generator)
        labels[4 + 11 * rank + batch:] = -100
        count = (labels != -100).sum()
        counts = count.clone()
        dist.all_reduce(counts)
        total = torch.tensor([4 + 5, 15 + 16]).sum() if kind != "own" else None
        logits = model(x)
        loss = F.cross_entropy(logits, labels, reduction="sum")
        recorder.record(step, loss / count, logits=logits, labels=labels)
        (loss / count / 2 if kind == "own" else loss * 2 / total).backward()
        counted = (loss / count / 4 if kind == "own" else loss / total).detach()
        dist.all_reduce(counted)
        reported = counted if batch == 0 else reported + counted
    recorder.report(step, reported.item())
    optimizer.step()
recorder.flush()
print(digest(*[p.detach().numpy() for p in model.parameters()]))
dist.barrier()
dist.destroy_process_group()
`;
    const [right, own, off] = await Promise.all(
      ["right", "own", "off"].map((kind) => trainRanks(python, 2, code.replace("KIND", kind))),
    );
    for (const runs of [right!, own!, off!]) {
      expect(runs.map(({ err }) => err.split("\n").filter((line) => /Warning|Error/.test(line)))).toEqual([[], []]);
    }
    const record = await expectClean(join(right!.folder, "run", "step-00000002"));
    expect(record.context).toMatchObject({ ranks: 2, microBatches: 2, combine: { ranks: "mean" } });
    expect(record.parts.map(({ context: { rank, microBatch } }) => [rank, microBatch])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    expect(readdirSync(join(right!.folder, "run")).sort()).toEqual(["step-00000000", "step-00000002"]);
    expect(hasFindings(audit(await readStep(join(own!.folder, "run", "step-00000002"))))).toBe(true);
    const digests = new Set([...right!, ...off!].map(({ out }) => out));
    expect(digests.size).toBe(1);
    expect([...digests][0]).toMatch(/^[0-9a-f]{64}\n$/);
  }, 120_000);

  it("gives parameters of the same bits on and off, random numbers included", () => {
    const { out } = train(
      python,
      `${prelude}
def run(every, **options):
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Dropout(0.3), torch.nn.ReLU(), torch.nn.Linear(16, 40))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    recorder = Recorder(f"run-{every}", {"objective": "crossEntropy"}, every=every, **options)
    for step in range(12):
        x, labels = torch.randn(32, 6), torch.randint(0, 40, (32,))
        logits = model(x)
        loss = F.cross_entropy(logits, labels)
        recorder.record(step, loss, logits=logits, labels=labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    recorder.flush()
    return digest(*[p.detach().numpy() for p in model.parameters()], torch.randn(3).numpy())
print(len({run(0), run(1), run(3), run(1, sample_above=3000)}), len(os.listdir("run-1")))
`,
    );
    expect(out).toBe("1 12\n");
  });

  it("holds neither tensors nor graph after the backward pass, and leaves no hook on a parameter", () => {
    const { out } = train(
      python,
      `${prelude}
import gc, weakref
scale = torch.nn.Parameter(torch.tensor(1.0))
with Recorder("run", {"objective": "clip"}, every=1, strict=True) as recorder:
    images, texts = (torch.randn(4, 3, requires_grad=True) * 1.0 for _ in range(2))
    p = images @ texts.T * scale.exp()
    loss = F.cross_entropy(p, torch.arange(4))
    recorder.record(0, loss, images=images, texts=texts, logScale=scale)
    loss.backward()
    held = weakref.ref(images), weakref.ref(p), weakref.ref(loss)
    del images, texts, p, loss
    gc.collect()
    print([ref() for ref in held])
print(len(scale._backward_hooks or {}), scale.grad is not None)
print(sorted(os.listdir("run/step-00000000")))
`,
    );
    expect(out).toBe(
      "[None, None, None]\n0 True\n['images-gradient.npy', 'images.npy', 'log-scale-gradient.npy', " +
        "'log-scale.npy', 'step.json', 'texts-gradient.npy', 'texts.npy']\n",
    );
  });

  it("gives each micro-batch its own share of the gradient of a parameter that all have", async () => {
    const { folder, out } = train(
      python,
      `${prelude}
scale = torch.nn.Parameter(torch.tensor(1.5))
shares = []
with Recorder("run", {"objective": "clip"}, every=1, strict=True) as recorder:
    for step in (0, 1):
        for batch in range(3):
            images, texts = (torch.randn(4, 3, requires_grad=True) * 1.0 for _ in range(2))
            loss = F.cross_entropy(images @ texts.T * scale.exp(), torch.arange(4))
            recorder.record(step, loss, images=images, texts=texts, logScale=scale)
            scale.grad = None
            loss.backward()
            shares.append(scale.grad.item())
print([np.load(f"run/step-0000000{step}/part{batch}-log-scale-gradient.npy").item() for step in (0, 1)
       for batch in range(3)] == shares, len(scale._backward_hooks))
`,
    );
    expect(out).toBe("True 0\n");
    expect((await readStep(join(folder, "run", "step-00000001"))).parts).toHaveLength(3);
  });

  it("decodes bfloat16 exactly, keeps float16, and says the least precise dtype", async () => {
    const { folder } = train(
      python,
      `${prelude}
for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
    with Recorder(name, {"objective": "crossEntropy"}, every=1, strict=True) as recorder:
        logits = (torch.randn(64, 9) * 3).to(dtype).requires_grad_()
        labels = torch.randint(0, 9, (64,))
        loss = F.cross_entropy(logits.float(), labels)
        recorder.record(0, loss, logits=logits, labels=labels)
        loss.backward()
    stored = np.load(f"{name}/step-00000000/logits.npy")
    assert (torch.from_numpy(stored).to(dtype) == logits).all() and (stored == logits.detach().float().numpy()).all()
`,
    );
    for (const name of ["bfloat16", "float16"]) {
      const record = await readStep(join(folder, name, "step-00000000"));
      expect(record.context.computation).toEqual({ dtype: name });
      const result = audit(record);
      expect(result.findings).toEqual([]);
      expect(hasFindings(result)).toBe(false);
    }
  });

  it("asks a scaler for its loss scale only when the step is recorded, and leaves it in the gradients", async () => {
    const { folder, out } = train(
      python,
      `${prelude}
class Scaler:
    asked = 0
    def get_scale(self):
        self.asked += 1
        return 4096.0
scaler = Scaler()
with Recorder("run", {"objective": "squaredError"}, every=5) as recorder:
    for step in range(5):
        predictions = torch.randn(8, requires_grad=True)
        targets = torch.randn(8)
        loss = F.mse_loss(predictions, targets)
        recorder.record(step, loss, loss_scale=scaler, predictions=predictions, targets=targets)
        (loss * 4096.0).backward()
        if step == 0:
            gradient = predictions.grad.clone()
print(scaler.asked, (torch.from_numpy(np.load("run/step-00000000/predictions-gradient.npy")) == gradient).all().item())
`,
    );
    expect(out).toBe("1 True\n");
    const record = await expectClean(join(folder, "run", "step-00000000"));
    expect(record.context.computation).toEqual({ dtype: "float32", lossScale: 4096 });
  });

  it("adds up the gradients of several backward passes, and knows a step without one", async () => {
    const { folder, err } = train(
      python,
      `${prelude}
with Recorder("run", {"objective": "squaredError"}, every=1) as recorder:
    predictions, targets = torch.randn(8, requires_grad=True), torch.randn(8)
    loss = F.mse_loss(predictions * 1.0, targets)
    recorder.record(0, loss, predictions=predictions, targets=targets)
    (loss / 2).backward(retain_graph=True)
    (loss / 2).backward()
    with torch.no_grad():
        recorder.record(1, loss, predictions=predictions * 1.0, targets=targets)
`,
    );
    expect(err).toBe("");
    await expectClean(join(folder, "run", "step-00000000"));
    expect((await readStep(join(folder, "run", "step-00000001"))).reported.gradients).toEqual({});
  });

  it("says when no gradient comes, since another tensor made the loss", () => {
    const { err } = train(
      python,
      `${prelude}
with Recorder("run", {"objective": "crossEntropy"}, every=1) as recorder:
    for step in range(2):
        logits, labels = torch.randn(2, 4, 5, requires_grad=True), torch.randint(0, 5, (2, 4))
        loss = F.cross_entropy(logits.view(-1, 5), labels.view(-1))
        recorder.record(step, loss, logits=logits.view(-1, 5), labels=labels.view(-1))
        loss.backward()
`,
    );
    expect(warningsOf({ err } as Ran)).toHaveLength(1);
    expect(err).toContain("no gradient of logits arrived in step 0");
  });

  it("lets a backward pass go on when the hook fails", () => {
    const { out, err } = train(
      python,
      `${prelude}
import losswright_recorder
def fail(*_):
    raise RuntimeError("disk on fire")
losswright_recorder._Part.arrive = fail
with Recorder("run", {"objective": "squaredError"}, every=1) as recorder:
    predictions, targets = torch.randn(8, requires_grad=True), torch.randn(8)
    loss = F.mse_loss(predictions * 1.0, targets)
    recorder.record(0, loss, predictions=predictions, targets=targets)
    loss.backward()
print(predictions.grad is not None, os.path.exists("run"))
`,
    );
    expect(out).toBe("True False\n");
    expect(err).toContain("step 0 is not recorded: disk on fire");
  });

  it("samples the rows of a large tensor as they were, with their gradients", async () => {
    const { folder, out } = train(
      python,
      `${prelude}
logits = torch.randn(4, 64, 100).to(torch.bfloat16).float().requires_grad_()
labels = torch.randint(0, 100, (4, 64))
labels[:, :20] = -100
loss = F.cross_entropy(logits[:, :-1].reshape(-1, 100), labels[:, 1:].reshape(-1))
images = torch.randn(2, 5, 8, 8, requires_grad=True)
classes = torch.randint(0, 5, (2, 8, 8))
segmentation = F.cross_entropy(images, classes)
with Recorder("tokens", causal, every=1, sample_above=40_000, strict=True) as a, \\
     Recorder("pixels", {"objective": "crossEntropy", "options": {"classAxis": 1}}, every=1, sample_above=4_000) as b:
    a.record(0, loss, logits=logits, labels=labels)
    b.record(0, segmentation, logits=images, labels=classes)
    (loss + segmentation).backward()
units = np.load("tokens/step-00000000/sampled-units.npy")
kept = np.load("tokens/step-00000000/logits-gradient.npy")
print((kept == logits.grad.reshape(-1, 100).numpy()[units]).all(), 0 < len(units) < 256)
units = np.load("pixels/step-00000000/sampled-units.npy")
kept = np.load("pixels/step-00000000/logits-gradient.npy")
print((kept == images.grad.permute(0, 2, 3, 1).reshape(-1, 5).numpy()[units]).all(), 0 < len(units) < 128)
`,
    );
    expect(out).toBe("True True\nTrue True\n");
    for (const name of ["tokens", "pixels"]) {
      const record = await expectClean(join(folder, name, "step-00000000"));
      expect(record.context.sampled).toBeDefined();
    }
  });
});
