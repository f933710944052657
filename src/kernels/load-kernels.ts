import { checkObject, LosswrightError, rejectUnknown } from "../errors/index.js";
import { session } from "./session.js";

/** The modules of the package, each a file `NAME.wasm` in its folder `kernels`. */
const names = ["pointwise", "softmax", "similarity", "ctc"] as const;

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
  checkObject("loadKernels", "source", source);
  rejectUnknown("loadKernels", "key", source, ["url"]);
  const { url } = source;
  if (typeof url !== "string" && !(url instanceof URL)) {
    throw new LosswrightError({
      code: "argument",
      where: "loadKernels",
      field: "url",
      found: typeof url,
      expected: "the URL of a folder",
      fix: 'write loadKernels({ url: "/losswright/kernels/" }).',
    });
  }
  const live = session();
  if (typeof live === "string") return;
  const folder = String(url).replace(/\/?$/, "/");
  await Promise.all(
    names.map(async (name) => {
      const place = `${folder}${name}.wasm`;
      try {
        const response = await fetch(place);
        if (!response.ok) throw new Error(`the answer is ${response.status}`);
        const bytes = new Uint8Array(await response.arrayBuffer());
        live.provide(name, bytes, await WebAssembly.compile(bytes));
      } catch (error) {
        throw new LosswrightError({
          code: "engine",
          where: "loadKernels",
          field: "url",
          found: `${place}: ${(error as Error).message}`,
          expected: "a module of this version of losswright",
          fix: "serve the folder dist/kernels/wasm of the package, or leave loadKernels out: the modules are embedded.",
        });
      }
    }),
  );
}
