// Who takes part: installs what the peers need into this folder alone, finds a Python that has PyTorch, and starts
// contestants.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Contestant } from "./contestant.mjs";

const folder = fileURLToPath(new URL("..", import.meta.url));
const inFolder = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Installs the packages of benchmarks/package.json where one is missing; gives a note when that fails. */
export function installPeers() {
  const { dependencies } = JSON.parse(readFileSync(inFolder("package.json"), "utf8"));
  const installed = ([name, version]) => {
    const file = inFolder(`node_modules/${name}/package.json`);
    return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version === version;
  };
  if (Object.entries(dependencies).every(installed)) return undefined;
  const options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status, stderr, error } = spawnSync("npm", ["install", ...options], { cwd: folder, encoding: "utf8" });
  if (status === 0) return undefined;
  const reason = error?.message ?? stderr.trim().split("\n")[0];
  return `TensorFlow.js, jax-js and the charts are missing, npm install failed: ${reason}`;
}

/** The first Python that imports PyTorch, with the version and the BLAS it was built with; `undefined` without one. */
export function findPyTorch(python) {
  for (const command of python ? [python] : ["/usr/bin/python3", "python3"]) {
    const { status, stdout } = spawnSync(
      command,
      ["-c", "import torch; print(torch.__version__, torch.__config__.show())"],
      {
        encoding: "utf8",
      },
    );
    if (status !== 0) continue;
    const blas = /BLAS_INFO=(\w+)/.exec(stdout)?.[1];
    return { command, version: stdout.split(" ", 1)[0], blas };
  }
  return undefined;
}

/**
 * glibc gives every large block back to the system and pays for its pages again at the next step; told so, it keeps
 * its heap. No block may be mapped on its own, and none is given back.
 */
const keepsItsHeap = {
  MALLOC_MMAP_MAX_: "0",
  MALLOC_TRIM_THRESHOLD_: "68719476736",
  MALLOC_TOP_PAD_: "16777216",
};

const nodeModule = (name) => ({ args: [inFolder(`peers/${name}.mjs`)] });

/** All peers in the order of the table. `question` goes into what they are asked to prepare. */
export function allPeers({ pytorch }) {
  const python = (env) => pytorch && { command: pytorch.command, args: [inFolder("peers/pytorch.py")], env };
  const without = "no Python here imports torch";
  const { dependencies } = JSON.parse(readFileSync(inFolder("package.json"), "utf8"));
  const named = (title, name) => `${title} ${dependencies[name]}`;
  const torch = `PyTorch${pytorch ? ` ${pytorch.version}` : ""}`;
  return [
    { key: "plain", name: "losswright, plain arrays", start: nodeModule("losswright"), question: { memory: "plain" } },
    {
      key: "plainSums",
      name: "losswright, sums not exact",
      start: nodeModule("losswright"),
      question: { memory: "allocated", sums: "plain" },
      only: ({ sumCost }) => sumCost !== undefined,
    },
    { key: "naive", name: "naive loop", start: nodeModule("naive") },
    { key: "tfjs", name: named("TensorFlow.js wasm", "@tensorflow/tfjs-core"), start: nodeModule("tfjs") },
    { key: "jaxjs", name: named("jax-js wasm", "@jax-js/jax"), start: nodeModule("jax-js") },
    { key: "torchEager", name: `${torch} eager`, start: python({}), without, stays: true },
    { key: "torchWarm", name: `${torch} warm`, start: python(keepsItsHeap), without, stays: true, untilWarm: true },
  ];
}

/** Ours, and the float64 reference that says what is true. */
export const ours = () => new Contestant(nodeModule("losswright"));
export const truth = () => new Contestant(nodeModule("truth"));
