// Measures what a bundler keeps of one imported loss, and checks that nothing of Node is in it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { root } from "./prepare.mjs";

const imports = {
  huber: "huber",
  crossEntropy: "crossEntropy",
  infoNce: "infoNce",
  "every objective": "objectiveFrom",
};
const folder = mkdtempSync(join(tmpdir(), "losswright-size-"));
try {
  for (const [label, name] of Object.entries(imports)) {
    const entry = join(folder, `${name}.js`);
    writeFileSync(entry, `export { ${name} } from ${JSON.stringify(join(root, "dist/index.js"))};`);
    const bundle = await rolldown({ input: entry, platform: "browser", logLevel: "silent" });
    const { output } = await bundle.generate({ format: "es", minify: true });
    const code = output[0].code;
    if (/from\s*"node:|require\(/.test(code)) throw new Error(`the browser bundle of ${name} needs Node`);
    const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
    console.log(
      `size  ${label.padEnd(16)} ${kilobytes(code.length)} minified, ${kilobytes(gzipSync(code).length)} gzipped`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
