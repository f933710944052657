import { describe, expect, it } from "vitest";
import { objectiveFrom } from "../../losses/index.js";
import { tensor } from "../../tensor/index.js";
import { inspectAlignments } from "../inspect-alignments.js";
import { packedChat, textOf } from "../views.test-helper.js";
import { inspectionPage } from "./page.js";

const all = { rows: { first: 0, count: 99 } };
const page = inspectionPage(packedChat(), { ...all, textOf });

/** What stands at the foot of the window for each cell. */
const tips = (html: string) => [...html.matchAll(/aria-label="([^"]*)"/g)].map(([, tip]) => tip!);

describe("inspectionPage", () => {
  it("is one document that runs no script and may load nothing", () => {
    expect(page.startsWith("<!doctype html>\n<html")).toBe(true);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<script|\bon\w+=|https?:|url\(|@import|<link|<img/i);
  });

  it("escapes all that a record brings", () => {
    const hostile = '</style><script>alert(1)</script>"x';
    const html = inspectionPage(
      { ...packedChat(hostile), task: hostile, rule: hostile },
      { ...all, textOf: () => hostile },
    );
    expect(html).not.toContain("<script");
    expect(html.match(/<\/style>/g)).toHaveLength(1);
    expect(html).toContain("&lt;/style>&lt;script>");
  });

  it("says of each position its label, loss and place, padding in one", () => {
    const said = tips(page);
    expect(said).toHaveLength(7);
    expect(said[1]).toBe(
      "row 0 · position 1 · token 4 “·a” · label 4 “·a” · prompt · segment 1 · in the loss · scored by the logits at 0 · loss 2.079 · look: prompt in the loss",
    );
    expect(said[4]).toContain("left out: its label is the ignored one");
    expect(said[6]).toBe("row 0 · positions 6..9 · padding, left out");
  });

  it("marks kinds, oddities and segments, and fills cells by their loss", () => {
    expect(page).toContain('class="t trained odd" style="--l:1"');
    expect(page).toContain('class="t trained other"');
    expect(page.match(/<span class="segment">\d/g)).toEqual(expect.arrayContaining(['<span class="segment">1']));
  });

  it("shows signs in the legend that the page uses, and no others", () => {
    const legend = page.slice(page.indexOf('class="legend"'), page.indexOf("<section"));
    expect(legend).toContain("look here");
    expect(legend).not.toContain("left out");
  });

  it("leads from an overview to the parts where there are several", () => {
    const [batch] = packedChat().batches;
    const parts = [1, 2].map((part) => ({ ...batch!, title: `micro-batch ${part}` }));
    const html = inspectionPage({ ...packedChat(), batches: parts }, all);
    expect(html).toContain('<a href="#part-1">micro-batch 2</a>');
    expect(html).toContain('<section id="part-1">');
  });

  it("draws an alignment: a cell for every posterior that can be seen, and the path over them", () => {
    const logits = tensor(Float64Array.from([9, 0, 0, 9, 9, 0]), [3, 1, 2]);
    const lengths = { inputLengths: tensor([3]), labelLengths: tensor([1]) };
    const batch = inspectAlignments(objectiveFrom({ objective: "ctc" }), { logits, labels: tensor([[1]]), ...lengths });
    const html = inspectionPage({ ...packedChat(), batches: [batch] }, { ...all, textOf: () => "<a>" });
    expect(html.match(/class="dot"/g)).toHaveLength(3);
    expect(html).toContain('points="17,10 51,30 85,50"');
    expect(html.match(/class="cell"/g)).toHaveLength(3);
    expect(html).toContain("frame 1, &lt;a>: 1<");
    expect(html).toContain("best:   &lt;a>");
  });
});
