import { LosswrightError, rejectUnknown } from "../errors/index.js";
import { session } from "./session.js";

/** The modules of the package, each a file `NAME.wasm`, with a function by which one is known. */
const functions = { pointwise: "huber", softmax: "crossEntropy", similarity: "multiply", ctc: "ctc" } as const;

/** Where {@link loadKernels} finds the modules. */
export interface KernelSource {
  /** The folder that holds `pointwise.wasm` and its neighbors: the package's `dist/kernels/wasm`, as you serve it. */
  readonly url: string | URL;
}

/**
 * Fetches the kernels' WebAssembly and compiles it beside the page's own work, in place of what the package embeds.
 *
 * Without it nothing is fetched: modules are compiled from the bundle when a first batch needs them, a few milliseconds
 * each. Call it before the first batch; a module that runs already stays.
 *
 * @throws `argument` for no URL, `engine` where a file cannot be fetched or is no module of this version
 */
export async function loadKernels(source: KernelSource): Promise<void> {
  const isObject = typeof source === "object" && source !== null && !(source instanceof URL);
  if (isObject) rejectUnknown("loadKernels", "key", source, ["url"]);
  const url = isObject ? source.url : undefined;
  if (typeof url !== "string" && !(url instanceof URL)) {
    throw new LosswrightError({
      code: "argument",
      where: "loadKernels",
      field: "url",
      found: isObject ? typeof url : `${typeof source} in place of { url }`,
      expected: "the URL of a folder",
      fix: 'write loadKernels({ url: "/losswright/kernels/" }); outside of a page the URL is absolute.',
    });
  }
  const live = session();
  if (typeof live === "string") return;
  const folder = String(url).replace(/\/?$/, "/");
  await Promise.all(
    Object.entries(functions).map(async ([name, known]) => {
      const place = `${folder}${name}.wasm`;
      try {
        const response = await fetch(place);
        if (!response.ok) throw new Error(`the answer is ${response.status}`);
        const bytes = new Uint8Array(await response.arrayBuffer());
        const module = await WebAssembly.compile(bytes);
        const exported = WebAssembly.Module.exports(module).map((each) => each.name);
        if (!exported.includes(known)) throw new Error(`it has no function ${known}`);
        live.provide(name, bytes, module);
      } catch (error) {
        throw new LosswrightError({
          code: "engine",
          where: "loadKernels",
          field: "url",
          found: `${place}: ${(error as Error).message}`,
          expected: "a module of this version of losswright",
          fix: "serve the folder dist/kernels/wasm of the package under an http(s) URL, or leave loadKernels out: the modules are embedded.",
        });
      }
    }),
  );
}
