// Strong and weak scaling of objectives over groups: the same step on one rank and on several, over threads and over the MPI
// libraries that are there. Every rank computes on one core.
//   npm run bench:groups                       up to as many ranks as there are cores, 15 rounds
//   npm run bench:groups -- --ranks 4 --rounds 5 --json FILE --no-build
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build, install } from "../scripts/prepare.mjs";

const { values: flags } = parseArgs({
  options: {
    ranks: { type: "string", default: String(availableParallelism()) },
    rounds: { type: "string", default: "15" },
    json: { type: "string" },
    "no-build": { type: "boolean", default: false },
  },
});
const [most, rounds] = [Number(flags.ranks), Number(flags.rounds)];
for (const [name, value] of Object.entries({ ranks: most, rounds })) {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} ${flags[name]}: expected a whole number from 1`);
}
if (!flags["no-build"]) {
  install();
  build();
}

const program = fileURLToPath(new URL("groups/rank.mjs", import.meta.url));
const isRoot = process.getuid?.() === 0;
const launchers = {
  "Open MPI": { command: "mpirun.openmpi", flags: [...(isRoot ? ["--allow-run-as-root"] : []), "--oversubscribe"] },
  MPICH: { command: "mpirun.mpich", flags: [] },
};

/** What rank 0 of so many ranks printed. */
function run(carrier, ranks) {
  const launcher = launchers[carrier];
  const [command, args] = launcher
    ? [launcher.command, [...launcher.flags, "-n", ranks, process.execPath, program, "mpi", ranks, rounds]]
    : [process.execPath, [program, "threads", ranks, rounds]];
  const { status, stdout, stderr, error } = spawnSync(command, args.map(String), { encoding: "utf8" });
  if (error?.code === "ENOENT") return undefined;
  if (status !== 0) throw new Error(`${carrier}, ${ranks} ranks:\n${stdout}${stderr}`);
  return JSON.parse(stdout);
}

const counts = [1, 2, 4, 8, 16, 32, 64].filter((count) => count <= most);
const found = {};
for (const carrier of ["threads", ...Object.keys(launchers)]) {
  for (const ranks of counts) {
    const results = run(carrier, ranks);
    if (!results) {
      console.log(
        `${carrier}: left out, there is no ${launchers[carrier].command}; scripts/install-mpi.sh installs it`,
      );
      break;
    }
    found[carrier] = { ...found[carrier], [ranks]: results };
  }
}

console.log(
  `Node ${process.versions.node}, ${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores; medians of ${rounds} rounds, in ms`,
);
const row = (cells) => console.log(`| ${cells.join(" | ")} |`);
row(["work", "carrier", ...counts.map((count) => `${count} rank${count > 1 ? "s" : ""}`), "calls", "sent by a rank"]);
row(["---", "---", ...counts.map(() => "---"), "---", "---"]);
const names = Object.keys(Object.values(found)[0][1]);
for (const name of names) {
  for (const [carrier, byRanks] of Object.entries(found)) {
    const alone = byRanks[1][name];
    const cells = counts.map((count) => {
      const { median } = byRanks[count][name];
      const gain = name.endsWith("strong")
        ? `, ${(alone.median / median).toFixed(2)}x`
        : name.endsWith("weak")
          ? `, ${Math.round((100 * alone.median) / median)} %`
          : "";
      return `${median.toFixed(median < 10 ? 3 : 1)}${count > 1 ? gain : ""}`;
    });
    const { collectives, sent } = byRanks[counts.at(-1)][name];
    row([
      name,
      carrier,
      ...cells,
      collectives,
      sent >= 1e5 ? `${(sent / 1e6).toFixed(2)} MB` : `${Math.round(sent)} B`,
    ]);
  }
}
if (flags.json) writeFileSync(flags.json, `${JSON.stringify(found, null, 2)}\n`);
