/** A WebAssembly module of kernels, as the build wrote it: base64, so that nothing is fetched. */
export interface KernelModule {
  readonly name: string;
  readonly base64: string;
}

/** A row kernel: computes rows `from`..`to` − 1 of a record; returns how many it left to the reference. */
export type Kernel = (record: number, from: number, to: number, scratch: number) => number;

export function bytesOf({ base64 }: KernelModule): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
