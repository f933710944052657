// The main job: audits the two recorded fine-tuning steps that ship with the project.
import { spawnSync } from "node:child_process";
import { build, install, root } from "./prepare.mjs";

install();
build();
const steps = ["examples/steps/sft-mean-of-means", "examples/steps/sft-global-mean"];
const { status } = spawnSync(process.execPath, ["dist/cli/main.js", "audit", ...steps], {
  cwd: root,
  stdio: "inherit",
});
// One of the two steps is wrong on purpose: finding that out (exit code 1) is what should happen here.
process.exit(status === 1 ? 0 : status || 1);
