// Every check of the project, in the order in which a mistake shows soonest. Ends with "N passed, N failed".
import { build, install, run, tool } from "./prepare.mjs";

install();
run(tool("biome"), ["check", "."], { quiet: true });
build();
run(tool("tsc"), ["--noEmit", "-p", "tsconfig.test.json"]);
run(tool("publint"), ["--strict"], { quiet: true });
run(tool("attw"), ["--pack", ".", "--profile", "esm-only"], { quiet: true });
run(process.execPath, ["scripts/docs.mjs", "--check"]);
run(process.execPath, ["scripts/schema.mjs", "--check"]);
run(process.execPath, ["scripts/kernels.mjs", "--check"]);
run(process.execPath, ["scripts/size.mjs"]);
run(tool("vitest"), ["run", ...process.argv.slice(2)]);
