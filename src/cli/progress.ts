import { hanging } from "../audit/index.js";

/** A line on standard error that says how far a run is; only where a person looks, and gone before anything is printed. */
export class Progress {
  readonly #total: number;
  readonly #isShown: boolean;
  #isOnScreen = false;

  constructor(total: number, isShown = process.stderr.isTTY === true && total > 1) {
    this.#total = total;
    this.#isShown = isShown;
  }

  /** The step that is read next, from 0. */
  show(place: number, path: string): void {
    if (!this.#isShown) return;
    const [line] = hanging("", `${place + 1} of ${this.#total}: ${path}`, 0);
    process.stderr.write(`\r\u001b[K${line}`);
    this.#isOnScreen = true;
  }

  clear(): void {
    if (this.#isOnScreen) process.stderr.write("\r\u001b[K");
    this.#isOnScreen = false;
  }
}
