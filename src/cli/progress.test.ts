import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Progress } from "./progress.js";

let written: string;
beforeEach(() => {
  written = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    written += String(text);
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

describe("progress", () => {
  it("writes one line over the one before, and takes it away before something else is printed", () => {
    const progress = new Progress(40, true);
    progress.show(0, "run/step-1");
    progress.show(1, "run/step-2");
    expect(written).toBe("\r\u001b[K1 of 40: run/step-1\r\u001b[K2 of 40: run/step-2");
    written = "";
    progress.clear();
    progress.clear();
    expect(written).toBe("\r\u001b[K");
  });

  it("keeps its line, and brings no control characters of a name to the terminal", () => {
    new Progress(2, true).show(0, `\u001b[2J\n${"x".repeat(300)}`);
    const line = written.slice("\r\u001b[K".length);
    expect(line).not.toMatch(/\p{Cc}/u);
    expect(line.length).toBeLessThanOrEqual(80);
  });

  it("writes nothing where nobody looks", () => {
    const progress = new Progress(40, false);
    progress.show(0, "run/step-1");
    progress.clear();
    expect(written).toBe("");
  });
});
