import { batchStyle } from "../../inspect/index.js";

/** The style sheet of an audit's page: light, dark and paper. */
export const style = `${batchStyle}
:root {
  --wrong: #b3261e; --wrong-paper: #fdf1f0; --doubt: #8a5a00; --doubt-paper: #fdf6e6; --clean: #1d7a3e;
  --clean-paper: #eff9f2; --open: #3c5680; --open-paper: #f0f4fa; --card: #f7f8fa;
  --same: #4f9d6b; --weaker: #2b7bba; --stronger: #d9730d; --turned: #8a4fc0; --missing: #b3261e; --extra: #b3261e;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --wrong: #ff8a80; --wrong-paper: #2c1917; --doubt: #f0b84d; --doubt-paper: #2a2213; --clean: #6fd08f;
    --clean-paper: #14261a; --open: #a9c0e6; --open-paper: #18212e; --card: #1b2025;
    --same: #4f9d6b; --weaker: #5aa9e6; --stronger: #f29a4a; --turned: #c79bec; --missing: #ff8a80; --extra: #ff8a80;
  }
}
html { background: var(--paper); }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif; }
main { margin: 0 auto; max-width: 66rem; padding: 2rem 1.5rem 5rem; }
h1, h2 { margin: 0; font-size: 1.6rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; }
h3 { margin: 2.2rem 0 .7rem; font-size: 1.1rem; }
h4 { margin: 1.1rem 0 .3rem; font-size: .95rem; }
h5 { margin: .9rem 0 .25rem; font-size: .85rem; }
code, pre { font: .92em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
a:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--open); outline-offset: 2px; }
.step + .step, .overview + .step { margin-top: 3.2rem; }
.mark { display: inline-flex; align-items: center; gap: .35em; padding: .1em .55em; border: 2px solid currentColor; border-radius: 7px;
  font-size: .72em; font-weight: 700; letter-spacing: .03em; vertical-align: .12em; white-space: nowrap; }
.mark.wrong { color: var(--wrong); } .mark.doubt { color: var(--doubt); }
.mark.clean { color: var(--clean); } .mark.note { color: var(--open); }
.mark .sign { display: inline-block; min-width: 1em; text-align: center; }
td .mark, th .mark { padding: 0 .4em; border-width: 1px; }
.verdict { padding: 1.1rem 1.3rem; border-radius: 10px; border-left: 6px solid currentColor; }
.verdict > * { color: var(--ink); }
.verdict.wrong { color: var(--wrong); background: var(--wrong-paper); }
.verdict.doubt { color: var(--doubt); background: var(--doubt-paper); }
.verdict.clean { color: var(--clean); background: var(--clean-paper); }
.verdict.note { color: var(--open); background: var(--open-paper); }
.verdict .note::before, header.note::before { content: none; }
.sentence { margin-top: .5rem; font-size: 1.1rem; overflow-wrap: anywhere; }
.facts, .fields { margin-top: .4rem; color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
.fact + .fact::before { content: " · "; }
.contract { margin-top: 1.2rem; font-size: 1.02rem; overflow-wrap: anywhere; }
.contract b { font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem; margin: 1.1rem 0; }
.tile { padding: .7rem 1rem .8rem; border: 1px solid var(--line); border-radius: 9px; background: var(--card); }
.tile.wrong { border-color: var(--wrong); }
.tile dt { color: var(--soft); font-size: .85rem; }
.tile dd { margin: 0; }
.tile dd b { display: block; font-size: 1.65rem; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile dd span { color: var(--soft); font-size: .9rem; }
.tile i { font-style: normal; font-weight: 700; }
.tile.right i { color: var(--clean); } .tile.wrong i { color: var(--wrong); }
.scroll { overflow-x: auto; }
.scroll.tall { max-height: 34rem; overflow-y: auto; border-bottom: 1px solid var(--line); }
.tall thead th { position: sticky; top: 0; background: var(--paper); }
.tall .whole > * { position: sticky; bottom: 0; background: var(--paper); }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
table + *, .scroll + .scroll { margin-top: 1rem; }
th, td { padding: .28rem 1.1rem .28rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: middle; }
thead th { font-weight: 500; color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
.parts .pull, .parts thead th:nth-child(6) { text-align: left; white-space: nowrap; }
.whole th, .whole td { border-bottom: 0; font-weight: 600; }
.pull .lines { vertical-align: -2px; }
.pull .times { display: inline-block; min-width: 5.6em; padding: 0 .7em; }
.pull .said { color: var(--soft); }
.steps, .history { width: 100%; }
.steps tr > :nth-child(2), .steps tr > :last-child, .history th, .history td { text-align: left; }
.steps td:last-child { overflow-wrap: anywhere; }
.overview .scroll { margin-top: 1.4rem; }
svg.over .error { fill: var(--wrong); } svg.over .warning { fill: var(--stronger); } svg.over .note { fill: var(--weaker); }
svg.over .ground { stroke: var(--line); fill: none; }
.finding { margin: .8rem 0; padding: .8rem 1.1rem .9rem; border: 1px solid var(--line); border-left: 4px solid var(--soft); border-radius: 8px; }
.finding.wrong { border-left-color: var(--wrong); }
.finding.doubt { border-left-color: var(--doubt); }
.finding.note { border-left-color: var(--open); font-size: 1em; color: var(--ink); }
.finding.note::before, .mark.note::before { content: none; }
.finding h4 { margin: 0 0 .4rem; }
.finding p { margin: .35rem 0; max-width: 56rem; overflow-wrap: anywhere; }
.finding .what { font-weight: 600; }
.label { display: inline-block; min-width: 3.1em; color: var(--soft); font-weight: 600; }
pre { margin: .5rem 0; padding: .6rem .9rem; border-radius: 7px; background: var(--card); border: 1px solid var(--line); overflow-x: auto; }
pre code { overflow-wrap: normal; white-space: pre; }
.evidence { display: flex; flex-wrap: wrap; gap: .5rem 1.6rem; margin: .7rem 0 .3rem; font-size: .85rem; }
.evidence dt { color: var(--soft); }
.evidence dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.docs { color: var(--soft); font-size: .85rem; }
.explanations { margin: .4rem 0; padding-left: 1.3rem; }
.explanations li { margin: .5rem 0 1rem; }
.changes th { text-align: left; font-weight: 500; color: var(--soft); }
.changes td { text-align: left; }
.changes .arrow { color: var(--soft); }
.residual { color: var(--soft); font-size: .9rem; }
.field + .field { margin-top: 1.6rem; }
.hatches { position: absolute; }
.lines .same { fill: var(--same); } .lines .weaker { fill: var(--weaker); } .lines .stronger { fill: var(--stronger); }
.lines .turned { fill: url(#turned); } .lines .extra { fill: url(#extra); }
.lines .missing { fill: none; stroke: var(--missing); stroke-width: 1.5; stroke-dasharray: 3 2; vector-effect: non-scaling-stroke; }
.lines .broken { fill: none; stroke: var(--missing); stroke-width: 2; vector-effect: non-scaling-stroke; }
.lines .ticks { fill: none; stroke: var(--ink); stroke-width: 2; vector-effect: non-scaling-stroke; }
.lines rect { fill: transparent; }
#turned rect { fill: var(--turned); fill-opacity: .3; } #turned path { stroke: var(--turned); stroke-width: 2; }
#extra rect { fill: var(--extra); fill-opacity: .3; } #extra path { stroke: var(--extra); stroke-width: 1.6; }
ul.legend { list-style: none; margin: .4rem 0 .8rem; }
.pattern .words { color: var(--soft); font-size: .9rem; max-width: 56rem; }
.nameless .name { display: none; }
ul.legend b { font-weight: 600; color: var(--ink); }
svg.lines.key { width: 13px; height: 30px; border-bottom: 1px solid var(--soft); }
.roles { color: var(--soft); font-size: .9rem; }
.line { display: flex; gap: .7rem; align-items: flex-end; margin: .3rem 0 0; }
.line .name { flex: 0 0 6.2rem; text-align: right; color: var(--soft); font-size: .8rem; white-space: nowrap; }
.line .factor { flex: 0 0 4.6rem; font-size: .8rem; font-variant-numeric: tabular-nums; }
.strip { flex: 1 1 auto; min-width: 0; }
.strip .lines { display: block; width: 100%; height: 34px; border-bottom: 1px solid var(--soft); background: var(--card); }
.band { display: flex; height: 6px; }
.band:has(b) { height: 19px; }
.band span { height: 6px; }
.band span { flex-basis: 0; min-width: 0; }
.band .trained { background: var(--same); opacity: .5; }
.band .prompt { opacity: .7; background: repeating-linear-gradient(90deg, var(--prompt-ink) 0 3px, transparent 3px 6px); }
.band .padding { background: repeating-linear-gradient(135deg, var(--padding-ink) 0 1px, transparent 1px 4px); }
.band .mixed, .band .ignored { background: var(--line); }
.band b { display: block; margin-top: 5px; color: var(--odd); font: 700 11px/1 system-ui, sans-serif; text-align: center; border-top: 2px solid var(--odd); }
.axis { flex: 1 1 auto; position: relative; height: 1.1em; color: var(--soft); font-size: .72rem; }
.axis span { position: absolute; transform: translateX(-50%); }
.batch .part + .part { margin-top: 1.6rem; }
.batch .legend, .pattern .legend { margin-bottom: .8rem; }
.roles { margin-bottom: .7rem; }
.batch .sum { color: var(--soft); }
@media (max-width: 40rem) {
  main { padding: 1rem .8rem 4rem; }
  .line .name { flex-basis: 3.4rem; white-space: normal; }
}
@media print {
  @page { margin: 14mm; }
  :root { color-scheme: light; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .finding, .tile, .verdict, .line, .row, tr { break-inside: avoid; }
  h3, h4, h5 { break-after: avoid; }
  .step { break-before: page; }
  .step:first-child { break-before: auto; }
  .scroll, .scroll.tall { overflow: visible; max-height: none; }
  pre code { white-space: pre-wrap; }
}
`;
