// What was measured, beside what was promised: as a table for the terminal and as a page with charts.

/** The machine on which the published figures of PyTorch were measured copied this much, GB/s. */
const publishedBandwidth = 34;
const publishedName = "PyTorch 2.13, published";
/** TensorFlow.js and jax-js are to be beaten by this much everywhere. */
const javascriptTarget = { promised: 5, aim: 5 };

const states = { aim: "aim reached", reached: "reached", missed: "missed" };

/** Writes into a result what follows from its numbers: bandwidth, published peers, and a verdict on every target. */
export function judge(result, { bandwidth, machine }) {
  if (result.median === undefined) return;
  const { moved, targets, peers, sumCost } = result;
  if (!result.small && !result.terms) result.share = moved / result.median / 1e6 / bandwidth;
  for (const [variant, milliseconds] of Object.entries(result.published ?? {})) {
    const median = (milliseconds * publishedBandwidth) / bandwidth;
    const name = `${publishedName} ${variant}, scaled`;
    peers.push({ key: `published-${variant}`, name, median, ratio: median / result.median, published: true });
  }
  result.verdicts = [];
  const verdict = (on, measured, { promised, aim }) => {
    const state = measured >= aim ? "aim" : measured >= promised ? "reached" : "missed";
    const judged = { on, measured, promised, aim, state };
    result.verdicts.push(judged);
    return judged;
  };
  const byKey = (key) => peers.find((peer) => peer.key === key && peer.ratio !== undefined);
  for (const key of ["tfjs", "jaxjs"]) {
    const peer = byKey(key);
    if (peer && !result.terms) peer.verdict = verdict(key, peer.ratio, javascriptTarget);
  }
  if (targets.pytorch) {
    // Published figures stand in only where no PyTorch runs.
    const published = machine.pytorch ? undefined : (byKey("published-warm") ?? byKey("published-eager"));
    const peer = byKey("torchWarm") ?? published;
    if (peer) peer.verdict = verdict("pytorch", peer.ratio, targets.pytorch);
  }
  if (targets.bandwidth) result.shareVerdict = verdict("bandwidth", result.share, targets.bandwidth);
  const plainSums = byKey("plainSums");
  if (plainSums) {
    plainSums.sumCost = 1 / plainSums.ratio - 1;
    const state = plainSums.sumCost <= sumCost ? "reached" : "missed";
    plainSums.verdict = { on: "exact sums", measured: plainSums.sumCost, promised: sumCost, aim: sumCost, state };
    result.verdicts.push(plainSums.verdict);
  }
}

/** "81.2 ms", "3.42 µs". */
function duration(milliseconds) {
  const [number, unit] =
    milliseconds >= 1000
      ? [milliseconds / 1000, "s"]
      : milliseconds >= 0.1
        ? [milliseconds, "ms"]
        : [milliseconds * 1000, "µs"];
  return `${number.toPrecision(3)} ${unit}`;
}

function byteCount(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const times = (ratio) => `${ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3)}x`;

function errorText(error) {
  if (error === undefined || error === null) return "";
  return error === 0 ? "0" : error.toExponential(0);
}

function aimText(verdict, show) {
  if (!verdict) return "";
  const { promised, aim, state } = verdict;
  const wanted = aim === promised ? show(promised) : `${show(promised)}, aim ${show(aim)}`;
  return `${wanted}: ${states[state]}`;
}

function sumText({ sumCost, verdict }) {
  return `exact sums cost ${percent(Math.max(0, sumCost))} of it; at most ${percent(verdict.promised)}: ${states[verdict.state]}`;
}

/** "Warm" means that no step pays for fresh memory: the table says so where it did. */
function faults({ key, pageFaults, median }) {
  // A fault costs about half a microsecond.
  return key === "torchWarm" && pageFaults * 0.0005 > 0.05 * median
    ? `not warm: ${Math.round(pageFaults)} page faults in a call`
    : "";
}

/** The rows of a work's table: ours first. Each is a record of texts. */
function rowsOf(result) {
  const perTerm = (milliseconds) => (result.terms ? `${((milliseconds * 1e6) / result.terms).toFixed(2)} ns/term` : "");
  const gradient = (error) => (error ? `${errorText(error.ofEntry)} / ${errorText(error.ofLargest)}` : "");
  const rows = [];
  if (result.median !== undefined) {
    rows.push({
      who: `losswright (${result.ranBy ?? "one exact add a term"}${result.allocated ? ", allocated" : ""})`,
      median: duration(result.median),
      best: duration(result.best),
      ratio: "",
      target: perTerm(result.median),
      value: errorText(result.valueError),
      gradient: gradient(result.gradientError),
    });
  }
  for (const peer of result.peers) {
    if (peer.median === undefined) rows.push({ who: peer.name, cannot: peer.cannot ?? "not measured" });
    else {
      const wanted = peer.sumCost === undefined ? aimText(peer.verdict, times) : sumText(peer);
      const few = peer.rounds !== undefined && peer.rounds < 4 && peer.median > 1000 ? `${peer.rounds} rounds` : "";
      rows.push({
        who: peer.name,
        median: duration(peer.median),
        best: peer.best === undefined ? "" : duration(peer.best),
        ratio: times(peer.ratio),
        target: [wanted, perTerm(peer.median), few, faults(peer)].filter(Boolean).join("; "),
        value: errorText(peer.valueError),
        gradient: gradient(peer.gradientError),
      });
    }
  }
  return rows;
}

const columns = [
  ["who", ""],
  ["median", "median"],
  ["best", "best"],
  ["ratio", "ratio"],
  ["value", "value off"],
  ["gradient", "gradient off"],
  ["target", "at least"],
];

/** What stands under a work's name. */
function headline({ moved, share, shareVerdict, small, terms }) {
  if (terms) return `one at a time, ${byteCount(moved)} read`;
  if (small) return "one call";
  const aim = aimText(shareVerdict, percent);
  return `${byteCount(moved)} must move: ${percent(share)} of the copy bandwidth${aim && ` (at least ${aim})`}`;
}

function machineText({ machine, date, threads, bandwidth, rounds, quick }) {
  const { processor, cores, memory, system, node, pytorch, pytorchBlas } = machine;
  const peer = pytorch ? `PyTorch ${pytorch}${pytorchBlas ? ` (BLAS: ${pytorchBlas})` : ""}` : "no PyTorch";
  return [
    `${processor}, ${cores} cores, ${(memory / 2 ** 30).toFixed(0)} GiB, ${system}; Node ${node}, ${peer}; ${date}`,
    `${threads} threads copy ${bandwidth.toFixed(1)} GB/s (read and written)`,
    `float32, forward and gradient; median of ${rounds} interleaved rounds; ratio: peer / losswright${quick ? "; QUICK: small sizes, no figure to quote" : ""}`,
  ];
}

const legend =
  "off: against a float64 reference; of the gradient the largest error of an entry by its own size / by the largest entry.";

/** How many targets are reached, in a line. */
function score({ works }) {
  const verdicts = works.flatMap(({ verdicts = [] }) => verdicts);
  const missed = verdicts.filter(({ state }) => state === "missed");
  return `${verdicts.length - missed.length} of ${verdicts.length} targets reached`;
}

/** Which targets are missed, by work. */
function missedText({ works }) {
  const verdicts = works.flatMap(({ name, verdicts = [] }) => verdicts.map((verdict) => ({ name, ...verdict })));
  const missed = verdicts.filter(({ state }) => state === "missed");
  const names = [...new Set(missed.map(({ name }) => name))].map((work) => {
    const on = missed.filter(({ name }) => name === work).map((verdict) => verdict.on);
    return `${work} (${on.join(", ")})`;
  });
  return names.map((name) => `  missed: ${name}`);
}

/** The report for a terminal. */
export function text(report) {
  const lines = [...machineText(report), legend];
  const all = report.works.map((result) => ({ result, rows: rowsOf(result) }));
  const widths = columns.map(([key, title]) =>
    Math.max(title.length, ...all.flatMap(({ rows }) => rows.map((row) => row[key]?.length ?? 0))),
  );
  const line = (cells) =>
    `  ${cells.map((cell, i) => (i === 0 || i === columns.length - 1 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ")}`.trimEnd();
  for (const { result, rows } of all) {
    lines.push("", result.cannot ? `${result.name}: ${result.cannot}` : `${result.name}: ${headline(result)}`);
    if (rows.length) lines.push(line(columns.map(([, title]) => title)));
    for (const row of rows) {
      if (row.cannot) lines.push(`  ${row.who.padEnd(widths[0])}  – ${row.cannot}`);
      else lines.push(line(columns.map(([key]) => row[key])));
    }
  }
  lines.push("", score(report), ...missedText(report), ...report.notes.map((note) => `Note: ${note}`), "");
  return lines.join("\n");
}

const colors = {
  "naive loop": "#8c8c8c",
  "TensorFlow.js": "#e8862d",
  "jax-js": "#7a5bc4",
  "PyTorch eager": "#e0a3a0",
  "PyTorch warm": "#c8443c",
  "PyTorch published": "#4d8fc4",
};
const colorOfKey = {
  naive: "naive loop",
  tfjs: "TensorFlow.js",
  jaxjs: "jax-js",
  torchEager: "PyTorch eager",
  torchWarm: "PyTorch warm",
  "published-warm": "PyTorch published",
};

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (words) => String(words).replace(/[&<>"']/g, (character) => escapes[character]);

/** The report as a page: charts, then the tables. Without the drawing packages the tables alone. */
export async function page(report) {
  let charts;
  try {
    charts = await drawn(report);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    charts = "<p>The charts are missing: their packages are not installed.</p>";
  }
  const [machine, memory, how] = machineText(report);
  const tables = report.works.map(
    (result) => `<h3>${escaped(result.name)}</h3>
<p>${escaped(result.cannot ?? headline(result))}</p>
<table><thead><tr>${columns.map(([, title]) => `<th>${escaped(title)}</th>`).join("")}</tr></thead><tbody>
${rowsOf(result).map(tableRow).join("\n")}
</tbody></table>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>losswright: how fast</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328; background: #fff; }
  h1 { margin-bottom: 0; } h3 { margin: 2rem 0 0; } p { margin: .3rem 0; color: #57606a; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e4e7eb; white-space: nowrap; }
  th { font-weight: 600; color: #57606a; }
  th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
  tbody tr:first-child { font-weight: 600; }
  .missed { color: #c8443c; } .reached { color: #1a7f37; } .cannot { color: #8c959f; }
  .score { font-size: 1.1rem; color: #1f2328; margin: 1rem 0; }
  figure { margin: 1rem 0; overflow-x: auto; } svg { max-width: none; }
  .key span { margin-right: 1.2em; white-space: nowrap; } .key i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
</style>
<h1>losswright: how fast</h1>
<p>${escaped(machine)}</p><p>${escaped(memory)}; ${escaped(how)}.</p>
<p class="score">${escaped(score(report))}.</p>
${report.notes.map((note) => `<p class="missed">${escaped(note)}</p>`).join("\n")}
${charts}
<h2>All numbers</h2>
<p>${escaped(legend)}</p>
${tables.join("\n")}
</html>
`;
}

function tableRow(row) {
  if (row.cannot) {
    const rest = `<td class="cannot" colspan="${columns.length - 1}">${escaped(row.cannot)}</td>`;
    return `<tr><td>${escaped(row.who)}</td>${rest}</tr>`;
  }
  const state = /missed/.test(row.target) ? "missed" : /reached/.test(row.target) ? "reached" : "";
  const cells = columns.map(
    ([key]) => `<td${key === "target" && state ? ` class="${state}"` : ""}>${escaped(row[key])}</td>`,
  );
  return `<tr>${cells.join("")}</tr>`;
}

/** Two figures: how many times faster than each peer, and how much of the bandwidth. */
async function drawn({ works, quick }) {
  const Plot = await import("@observablehq/plot");
  const { parseHTML } = await import("linkedom");
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const names = works.map(({ name }) => name);
  const widest = Math.max(...names.map((name) => name.length));
  const common = {
    document,
    width: 1000,
    marginBottom: 45,
    marginLeft: 24 + 6.2 * widest,
    style: { fontSize: "12px", overflow: "visible" },
  };
  const ratios = works.flatMap(({ name, peers }) =>
    peers
      .filter(({ key, ratio }) => ratio > 0 && colorOfKey[key])
      .map(({ key, ratio, verdict }) => ({ work: name, peer: colorOfKey[key], ratio, verdict })),
  );
  const figure = (title, plot) => `<h2>${escaped(title)}</h2>\n<figure>${plot.outerHTML}</figure>`;
  const parts = [];
  if (ratios.length) {
    const peers = Object.keys(colors).filter((peer) => ratios.some((row) => row.peer === peer));
    const drawnWorks = names.filter((name) => ratios.some(({ work }) => work === name));
    const wanted = ratios.filter(({ verdict }) => verdict);
    const plot = Plot.plot({
      ...common,
      height: 60 + drawnWorks.length * (13 * peers.length + 14),
      marginRight: 60,
      x: {
        type: "log",
        labelOffset: 38,
        label: "times as long as losswright",
        grid: true,
        tickFormat: (value) => `${value}×`,
      },
      y: { domain: peers, axis: null, padding: 0.1 },
      fy: { domain: drawnWorks, label: null, padding: 0.15 },
      color: { domain: peers, range: peers.map((peer) => colors[peer]) },
      marks: [
        Plot.barX(ratios, { x1: 1, x2: "ratio", y: "peer", fy: "work", fill: "peer" }),
        Plot.tickX(wanted, {
          x: (row) => row.verdict.promised,
          y: "peer",
          fy: "work",
          stroke: "#1f2328",
          strokeWidth: 2,
        }),
        Plot.text(ratios, {
          x: (row) => Math.max(1, row.ratio),
          y: "peer",
          fy: "work",
          text: (row) => times(row.ratio).replace("x", "×"),
          fill: (row) => (row.verdict?.state === "missed" ? "#c8443c" : "#57606a"),
          textAnchor: "start",
          dx: 5,
          fontSize: 10,
        }),
        Plot.ruleX([1]),
      ],
    });
    const key = peers.map((peer) => `<span><i style="background:${colors[peer]}"></i>${escaped(peer)}</span>`).join("");
    parts.push(
      figure("Time of the others, ours is 1", plot).replace(
        "<figure>",
        `<p class="key">${key}<span>black tick: promised; red number: missed</span></p><figure>`,
      ),
    );
  }
  const shares = works.filter(({ share, targets }) => share !== undefined && targets);
  if (shares.length) {
    const aims = shares.filter(({ targets }) => targets.bandwidth);
    const fill = ({ shareVerdict }) =>
      !shareVerdict ? "#a8b3bd" : shareVerdict.state === "missed" ? "#c8443c" : "#1a7f37";
    const plot = Plot.plot({
      ...common,
      height: 60 + shares.length * 24,
      marginRight: 60,
      x: {
        labelOffset: 38,
        label: "share of the measured copy bandwidth",
        grid: true,
        percent: true,
        domain: [0, Math.max(100, ...shares.map(({ share }) => 100 * share))],
      },
      y: { domain: shares.map(({ name }) => name), label: null },
      marks: [
        Plot.barX(shares, { x: "share", y: "name", fill }),
        Plot.tickX(aims, {
          x: (work) => work.targets.bandwidth.promised,
          y: "name",
          stroke: "#1f2328",
          strokeWidth: 2,
        }),
        Plot.tickX(aims, {
          x: (work) => work.targets.bandwidth.aim,
          y: "name",
          stroke: "#1f2328",
          strokeWidth: 2,
          strokeDasharray: "3,2",
        }),
        Plot.text(shares, { x: "share", y: "name", text: (work) => percent(work.share), textAnchor: "start", dx: 5 }),
        Plot.ruleX([0]),
      ],
    });
    parts.push(figure(`How much of the bandwidth${quick ? " (small sizes lie in caches)" : ""}`, plot));
    parts.push("<p>Black tick: promised; dashed: aimed at. Works without ticks compute more than they move.</p>");
  }
  return parts.join("\n");
}
