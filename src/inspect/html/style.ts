/**
 * What every page that shows a batch shares: its colors, light and dark, and the look of positions and alignments. Every
 * kind of position differs in more than its hue.
 */
export const batchStyle = `
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1d2329; --soft: #5c6670; --line: #dfe3e8; --bar: #1d2329; --bar-ink: #fff;
  --trained: #e4f4e8; --fill: #2f8f4e; --trained-ink: #0d4a20; --trained-line: #2f8f4e;
  --prompt: #e6edf8; --prompt-ink: #3c5680; --padding: #f1f2f4; --padding-ink: #8a929b;
  --ignored: #f8f1e3; --ignored-ink: #7a6438; --odd: #c8281e; --segment: #7a3fa8;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14181c; --ink: #e4e8ec; --soft: #98a2ac; --line: #2b3238; --bar: #e4e8ec; --bar-ink: #14181c;
    --trained: #17301f; --fill: #58b877; --trained-ink: #c8f0d4; --trained-line: #58b877;
    --prompt: #1c2738; --prompt-ink: #a9c0e6; --padding: #1c2024; --padding-ink: #6f7882;
    --ignored: #2c2718; --ignored-ink: #d3bd8c; --odd: #ff7a6e; --segment: #c79bec;
  }
}
* { box-sizing: border-box; }
small { margin-left: .7em; font-weight: 400; color: var(--soft); font-size: .9em; }
p { margin: .2rem 0; }
a { color: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: .5rem 1.4rem; align-items: center; margin: 1.2rem 0 0; padding: .6rem .9rem;
  border: 1px solid var(--line); border-radius: 8px; font-size: .85rem; color: var(--soft); }
svg.key { width: 74px; height: 16px; }
.key .path { fill: none; stroke: var(--odd); stroke-width: 2; }
.key rect { fill: var(--trained-line); }
.sample { display: inline-flex; gap: .5em; align-items: center; }
.look { color: var(--odd); font-weight: 500; }
.look::before { content: "! "; font-weight: 700; }
.note, .more { color: var(--soft); font-size: .9rem; }
.note::before { content: "note: "; }
.row { margin: 1rem 0 1.3rem; }
.row h3 { margin: 0 0 .3rem; font-size: .85rem; }
.tokens { display: flex; flex-wrap: wrap; gap: 3px 2px; }
.t { position: relative; display: inline-flex; flex-direction: column; align-items: center; justify-content: center;
  min-width: 1.7em; padding: .14em .34em; border-radius: 4px; border-bottom: 2px solid transparent;
  font: 13px/1.3 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; cursor: default; }
.t b { font-weight: 500; }
.t i { font-style: normal; font-size: 10.5px; opacity: .75; }
.t.trained { padding-left: calc(.34em + 3px); color: var(--trained-ink); border-bottom-color: var(--trained-line);
  background: linear-gradient(to top, var(--fill) calc(var(--l, 0) * 100%), transparent 0) left / 4px 100% no-repeat var(--trained); }
.t.prompt { background: var(--prompt); color: var(--prompt-ink); }
.t.ignored { background: var(--ignored); color: var(--ignored-ink); border-bottom: 2px dotted currentColor; }
.t.padding { color: var(--padding-ink); background: repeating-linear-gradient(135deg, var(--padding) 0 5px, transparent 5px 8px); }
.t.odd { outline: 2px solid var(--odd); outline-offset: -1px; }
.t.odd::before { content: "!"; position: absolute; top: -.7em; right: -.35em; width: 1.15em; border-radius: 1em; z-index: 1;
  background: var(--odd); color: var(--paper); font: 700 10px/1.15em system-ui, sans-serif; text-align: center; }
.t.other { border-top: 2px solid var(--segment); }
.segment { display: inline-flex; align-items: center; padding: 0 .35em; border-left: 3px solid var(--segment);
  color: var(--segment); font: 600 11px/1.2 system-ui, sans-serif; }
.t:hover { box-shadow: 0 0 0 2px var(--ink); z-index: 2; }
footer, [aria-label]:hover::after { position: fixed; left: 0; right: 0; bottom: 0; z-index: 3; padding: .55rem 1.5rem;
  font: 14px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; white-space: normal; text-align: left; }
footer { z-index: 1; border-top: 1px solid var(--line); background: var(--paper); color: var(--soft); }
[aria-label]:hover::after { content: attr(aria-label); background: var(--bar); color: var(--bar-ink); }
.alignment { margin: .4rem 0 0; overflow-x: auto; }
.alignment svg { display: block; font: 11px ui-monospace, "DejaVu Sans Mono", monospace; }
.alignment .cell { fill: var(--trained-line); }
.alignment .ground { fill: var(--padding); }
.alignment .path { fill: none; stroke: var(--odd); stroke-width: 2; stroke-linejoin: round; }
.alignment .dot { fill: var(--odd); }
.alignment text { fill: var(--soft); }
.alignment text.label { fill: var(--ink); font-weight: 600; }
.best { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media print { footer { display: none; } }
`;

/** The style sheet of an inspection's page. */
export const style = `${batchStyle}
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.5rem 5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 0; font-size: 1.15rem; }
.task, .rule, .sum { color: var(--soft); }
.task { font-size: 1.05rem; color: var(--ink); }
.rule { max-width: 58rem; }
.overview { margin-top: 1.4rem; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.overview th, .overview td { padding: .25rem .9rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); }
.overview th { font-weight: 500; color: var(--soft); }
.overview th:first-child, .overview td:first-child { text-align: left; }
.share { display: flex; height: 7px; margin: .5rem 0 .6rem; border-radius: 4px; overflow: hidden; background: var(--line); }
.share span { flex-basis: 0; }
.share .trained { background: var(--trained-line); }
.share .prompt { background: var(--prompt-ink); opacity: .55; }
.share .padding { background: var(--padding-ink); opacity: .35; }
.share .ignored { background: var(--ignored-ink); opacity: .6; }
`;
