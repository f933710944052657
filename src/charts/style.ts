/** Colors of series that differ in lightness too, so that they part in gray; the same order in light and dark. */
export const seriesColors = 8;

/**
 * The style sheet of every chart: colors of light and dark, lines and texts. It stands alone, and a page that holds
 * charts puts it beside its own.
 */
export const chartStyle = `
:root {
  color-scheme: light dark;
  --chart-paper: #fff; --chart-ink: #1d2329; --chart-soft: #5c6670; --chart-grid: #e6e9ed; --chart-axis: #98a2ac;
  --chart-heat: #1f6fb4; --chart-band: #b3261e;
  --chart-0: #1f6fb4; --chart-1: #c2570c; --chart-2: #1d7a3e; --chart-3: #a3217a;
  --chart-4: #6b4fc8; --chart-5: #8a6d00; --chart-6: #0b7a85; --chart-7: #5c6670;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --chart-paper: #14181c; --chart-ink: #e4e8ec; --chart-soft: #98a2ac; --chart-grid: #262d33; --chart-axis: #5c6670;
    --chart-heat: #5aa9e6; --chart-band: #ff8a80;
    --chart-0: #5aa9e6; --chart-1: #f29a4a; --chart-2: #6fd08f; --chart-3: #f08bc8;
    --chart-4: #b39bf5; --chart-5: #dcc04a; --chart-6: #55c9d4; --chart-7: #a8b2bc;
  }
}
svg.chart { display: block; width: 100%; height: auto; max-width: 45rem; color: var(--chart-ink);
  font: 11.5px/1 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif; }
.chart text { fill: currentColor; font-variant-numeric: tabular-nums; }
.chart .title { font-size: 14px; font-weight: 600; }
.chart .soft { fill: var(--chart-soft); }
.chart .grid { stroke: var(--chart-grid); }
.chart .axis { stroke: var(--chart-axis); }
.chart .reference { stroke: var(--chart-axis); stroke-dasharray: 2 4; stroke-width: 1.5; fill: none; }
.chart .band { fill: var(--chart-band); opacity: .1; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.chart .dashed { stroke-dasharray: 7 4; }
.chart .dotted { stroke-dasharray: 1.5 4; }
.chart .point { stroke: var(--chart-paper); stroke-width: 1; }
.chart .whisker { stroke: var(--chart-ink); stroke-width: 1.5; }
.chart .cell { fill: var(--chart-heat); stroke: var(--chart-paper); stroke-width: 1; }
.chart .blank { fill: none; stroke: var(--chart-axis); stroke-dasharray: 2 3; }
.chart .strong { fill: var(--chart-paper); }
${Array.from(
  { length: seriesColors },
  (_, i) =>
    `.chart .line.series-${i} { stroke: var(--chart-${i}); } .chart .fill.series-${i} { fill: var(--chart-${i}); }`,
).join("\n")}
`;
