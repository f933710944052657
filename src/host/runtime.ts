/** The parts of Node's modules that are used, as they are in Node 20. */
interface NodeModules {
  "node:module": { createRequire(path: string): { (name: string): unknown; resolve(name: string): string } };
  "node:fs": { writeSync(file: number, text: string): number };
  "node:os": { availableParallelism(): number };
  "node:process": NodeProcess;
  "node:url": { fileURLToPath(url: URL): string; pathToFileURL(path: string): URL };
  "node:worker_threads": {
    readonly Worker: new (source: string | URL, options: object) => NodeWorker;
    readonly isMainThread: boolean;
    readonly workerData: unknown;
  };
}

export interface NodeProcess {
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly env: Record<string, string | undefined>;
  exitCode: number | string | null | undefined;
  exit(code: number): never;
  on(event: "beforeExit", listener: () => void): unknown;
  on(event: "exit", listener: (code: number) => void): unknown;
  on(event: "uncaughtExceptionMonitor", listener: (error: unknown) => void): unknown;
  on(event: "SIGTERM", listener: () => void): unknown;
  off(event: string, listener: (...given: never[]) => void): unknown;
  listenerCount(event: string): number;
}

export interface NodeWorker {
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
  on(event: "online", listener: () => void): void;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "exit", listener: (code: number) => void): void;
}

/** A module of Node, or undefined elsewhere. */
export function nodeBuiltin<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  const host = (globalThis as { process?: { getBuiltinModule?(name: string): unknown } }).process;
  return host?.getBuiltinModule?.(name) as NodeModules[Name] | undefined;
}

declare const navigator: { readonly hardwareConcurrency?: number } | undefined;

/** How many threads the machine runs at once. */
export function coreCount(): number {
  const cores = nodeBuiltin("node:os")?.availableParallelism();
  return cores ?? (typeof navigator === "undefined" ? undefined : navigator.hardwareConcurrency) ?? 1;
}

/** Why no thread can share memory here, or undefined. */
export function whyNoThreads(): string | undefined {
  if (nodeBuiltin("node:worker_threads")) return undefined;
  if (typeof (globalThis as { Worker?: unknown }).Worker !== "function") return "this runtime has no workers";
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated) return undefined;
  return "the page is not cross-origin isolated (headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)";
}
