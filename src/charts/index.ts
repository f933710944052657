/**
 * Charts as SVG that needs no script: readable in light, dark and on paper, with the facts in words for whoever hears
 * them. `chartPage` frames them in one HTML document that may load nothing.
 */
export { type Bar, type BarChart, barChart } from "./bar-chart.js";
export type { Axis, Chart, Picture } from "./frame.js";
export { type HeatMap, heatMap } from "./heat-map.js";
export { type LineChart, lineChart, type Mark, type Series } from "./line-chart.js";
export { type ChartPage, chartPage, type PageSection, type PageTable, type PageTile } from "./page.js";
export { shortNumber } from "./short-number.js";
export { chartStyle } from "./style.js";
