// A contestant as the suite sees it: a child process that speaks one line of JSON a question. One protocol for all,
// ours too: nobody shares a heap with another, a call that never ends can be stopped, and memory goes with the process.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Why a contestant gave no number; the message stands in the table. */
export class NotMeasured extends Error {}

export class Contestant {
  #child;
  #waiting;
  #told = "";

  /** `node` runs a module of this folder, anything else is a command. */
  constructor({ command = process.execPath, args, env = {} }) {
    // In a group of its own where there are groups: Ctrl-C is the suite's to answer.
    const detached = process.platform !== "win32";
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"], detached });
    this.#child.on("error", (error) => this.#end(error.message));
    this.#child.on("exit", (code, signal) => this.#end(endedWith(code, signal, this.#told)));
    this.#child.stdin.on("error", () => {});
    this.#child.stderr.on("data", (chunk) => {
      this.#told = `${this.#told}${chunk}`.slice(-2000);
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#answer(line));
  }

  /** Whether the process still answers. */
  get alive() {
    return this.#child !== undefined;
  }

  /**
   * Sends a question and waits for its answer.
   *
   * @throws NotMeasured when it takes longer than `seconds`, the process ends, or it says why it cannot
   */
  ask(question, seconds) {
    if (!this.#child) throw new NotMeasured("its process has ended");
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle()?.reject(new NotMeasured(`took longer than ${seconds} s`));
        this.stop();
      }, seconds * 1000);
      this.#waiting = { resolve, reject, timer };
      this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    });
  }

  /** Ends the process at once, whatever it is doing. */
  stop() {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
  }

  #answer(line) {
    if (!line.startsWith("{")) return;
    const answer = JSON.parse(line);
    const waiting = this.#settle();
    if (answer.cannot === undefined) waiting?.resolve(answer);
    else waiting?.reject(new NotMeasured(answer.cannot));
  }

  #end(reason) {
    this.#child = undefined;
    this.#settle()?.reject(new NotMeasured(reason));
  }

  #settle() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    clearTimeout(waiting?.timer);
    return waiting;
  }
}

function endedWith(code, signal, told) {
  if (signal === "SIGKILL") return "killed, most likely for want of memory";
  const lines = told.trim().split("\n");
  const lastWords = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1);
  return `ended with ${signal ?? `code ${code}`}${lastWords ? `: ${lastWords}` : ""}`;
}
