// How well the audit finds what is wrong: draws steps (test/steps-generator), audits them, prints recall, precision and
// false alarms by check. Without options it also rewrites docs/audit-accuracy.md.
//   npm run bench:audit                            1,000 steps and the page
//   npm run bench:audit -- --steps 200 --seed 7    others, printed only
//   npm run bench:audit -- --only 17               what the audit says of one step; --write FOLDER keeps its record
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { rolldown } from "rolldown";
import { install, root } from "../scripts/prepare.mjs";

install();

const { values: flags } = parseArgs({
  options: {
    steps: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" },
    write: { type: "string" },
  },
});

/** A whole number of an option. */
function wholeNumber(name, fallback) {
  if (flags[name] === undefined) return fallback;
  const value = Number(flags[name]);
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`--${name} ${flags[name]}: expected a whole number from 0`);
  return value;
}

for (const name of flags.only === undefined ? ["write"] : ["steps"]) {
  if (flags[name] !== undefined) {
    throw new Error(`--${name} ${flags[name]}: expected ${name === "write" ? "beside" : "without"} --only`);
  }
}

/** The generator, the audit and the files of records from their TypeScript sources, in one module. */
async function load() {
  const folder = join(root, ".cache", `bench-audit-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    const from = (file) => JSON.stringify(join(root, file));
    const entry = join(folder, "entry.ts");
    writeFileSync(
      entry,
      [
        `export * from ${from("test/steps-generator/accuracy.ts")};`,
        `export { defaultSeed, drawStep } from ${from("test/steps-generator/draw.ts")};`,
        `export { audit, report } from ${from("src/audit/index.ts")};`,
        `export { writeStep } from ${from("src/io/files.ts")};`,
      ].join("\n"),
    );
    const bundle = await rolldown({ input: entry, platform: "node", logLevel: "silent" });
    const { output } = await bundle.generate({ format: "es", codeSplitting: false });
    const file = join(folder, "bundle.mjs");
    writeFileSync(file, output[0].code);
    return await import(pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const generator = await load();
const seed = wholeNumber("seed", generator.defaultSeed);
const only = wholeNumber("only");
if (only === undefined) measure();
else await show(only);

/** Prints one step: what is true of it, and what the audit says. */
async function show(index) {
  const step = generator.drawStep(index, seed);
  const { bug, tolerated, shows, story } = step;
  const plain = (text) => text;
  const paint = { bold: plain, dim: plain, red: plain, yellow: plain, green: plain };
  console.log(`step ${index} of seed ${seed}: ${bug ?? "nothing is wrong"}${bug ? `, shows in ${shows}` : ""}`);
  console.log(story);
  if (tolerated.length) console.log(`tolerated: ${tolerated.join(", ")}`);
  if (flags.write !== undefined) {
    await generator.writeStep(flags.write, step.record);
    console.log(`written to ${flags.write}`);
  }
  console.log(`\n${generator.report(generator.audit(step.record), paint)}`);
}

function measure() {
  const steps = wholeNumber("steps", generator.pageSteps);
  const mistakes = [];
  const start = process.hrtime.bigint();
  for (let index = 0; index < steps; index++) {
    const mistake = generator.judge(generator.drawStep(index, seed));
    if (mistake) mistakes.push(mistake);
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const drawn = generator.drawnCounts(steps, seed);
  console.log(`${steps} steps of seed ${seed} drawn and audited in ${seconds.toFixed(1)} s.\n`);
  console.log(`${generator.summary(steps, mistakes)}\n\n${generator.table(steps, drawn, mistakes)}`);
  if (mistakes.length) console.log(`\n${mistakes.map(generator.mistakeRow).join("\n")}`);
  if (steps === generator.pageSteps && seed === generator.defaultSeed) {
    writeFileSync(join(root, "docs", "audit-accuracy.md"), generator.page(drawn, mistakes));
    console.log("\ndocs/audit-accuracy.md is written.");
  }
  if (generator.keepsPromises(generator.accuracyOf(steps, mistakes))) return;
  const { recall, precision, falseAlarmRate } = generator.promises;
  console.error(`\nPromised were recall ${recall}, precision ${precision}, false alarms ${falseAlarmRate} at most.`);
  process.exitCode = 1;
}
