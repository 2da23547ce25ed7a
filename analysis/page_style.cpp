#include "analysis/page_style.h"

namespace flashblock {

const char* const kPageStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #faf9f5; --card: #ffffff; --ink: #1c1c1e; --soft: #65645f; --line: #dfdcd3; --grid: #ebe8e0;
  --good: #1a7a4f; --bad: #b3372f; --pale: #eef1f2; --deep: #0b5c73; --on-deep: #ffffff;
  --c1: #0d68b8; --c2: #c2540f; --c3: #12806a; --c4: #7d46b5; --c5: #b02a63; --c6: #6f6a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131416; --card: #1b1c1f; --ink: #ecebe6; --soft: #a3a19a; --line: #313237; --grid: #27282c;
    --good: #57c991; --bad: #f2837b; --pale: #25282b; --deep: #6fd3e8; --on-deep: #0c1a1d;
    --c1: #62aeee; --c2: #f29a5f; --c3: #4fcbb0; --c4: #bd93f2; --c5: #f283ac; --c6: #cdc750;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: clamp(20px, 5vw, 56px) clamp(16px, 4vw, 40px) 80px; }
h1 { font-size: clamp(1.7rem, 1.2rem + 2.4vw, 2.6rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .35em; text-wrap: balance; }
h2 { font-size: 1.3rem; letter-spacing: -.01em; margin: 3.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
p { margin: .5rem 0 .9rem; max-width: 68ch; }
a { color: var(--c1); }
.kicker { color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; margin: 0 0 .6rem; }
.lead { font-size: 1.12rem; max-width: 62ch; }
.soft, figcaption small { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; padding: 0; margin: 1.2rem 0 0; list-style: none; color: var(--soft); font-size: .9rem; }
.facts b { color: var(--ink); font-weight: 600; }
.cards { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); margin: 1.4rem 0; }
.card, figure.chart, figure.map { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px; margin: 0; min-width: 0; }
.card h3 { margin: 0 0 .6rem; font-size: 1.02rem; overflow-wrap: anywhere; }
.card h3 i { display: inline-block; width: .75em; height: .75em; border-radius: 3px; margin-right: .5em; background: currentColor; }
.card ul { list-style: none; margin: 0; padding: 0; }
.card li { display: grid; grid-template-columns: 1.3em 1fr auto; gap: .4em; padding: .38rem 0; border-top: 1px solid var(--grid); align-items: baseline; }
.card li b { font-variant-numeric: tabular-nums; font-weight: 600; text-align: right; }
.yes { color: var(--good); } .no { color: var(--bad); }
.scroll { overflow-x: auto; margin: 1rem 0; border: 1px solid var(--line); border-radius: 12px; background: var(--card); }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .8rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--grid); }
.tight th, .tight td { padding: .5rem .4rem; font-size: .84rem; }
.tight th[colspan] { text-align: center; }
.tight th:first-child { padding-left: .8rem; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
tbody th { font-weight: 600; }
.charts { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); margin: 1.2rem 0; }
figcaption { font-weight: 600; margin-bottom: .8rem; line-height: 1.35; }
figcaption small { display: block; font-weight: 400; font-size: .84rem; }
.plot { position: relative; height: 210px; margin: 6px 6px 26px 46px; touch-action: pan-y; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot path { fill: none; stroke: currentColor; stroke-width: 1.8; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
.plot .rule { stroke: var(--grid); stroke-width: 1; }
.plot .band { fill: currentColor; stroke: none; opacity: .12; }
.plot span { position: absolute; font-size: 12px; line-height: 1; color: var(--soft); font-variant-numeric: tabular-nums; pointer-events: none; }
.plot .y { right: calc(100% + 8px); transform: translateY(50%); white-space: nowrap; }
.plot .x { top: calc(100% + 9px); transform: translateX(-50%); white-space: nowrap; }
.plot .cursor { top: 0; bottom: 0; width: 1px; background: var(--soft); opacity: .6; }
.tip { position: absolute; top: 4px; z-index: 2; padding: 6px 9px; border-radius: 8px; border: 1px solid var(--line); background: var(--card); box-shadow: 0 4px 18px #0002; font-size: 12px; line-height: 1.5; pointer-events: none; white-space: nowrap; }
.tip b { float: right; margin-left: 1em; font-variant-numeric: tabular-nums; }
.k0 { color: var(--ink); } .k1 { color: var(--c1); } .k2 { color: var(--c2); } .k3 { color: var(--c3); } .k4 { color: var(--c4); } .k5 { color: var(--c5); } .k6 { color: var(--c6); }
.floor, .ceiling { color: var(--soft); }
.plot path.floor { stroke-dasharray: 6 4; } .plot path.ceiling { stroke-dasharray: 1.5 4; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; list-style: none; padding: 0; margin: 1rem 0 0; font-size: .88rem; }
.legend li { display: flex; align-items: center; gap: .5em; }
.legend i { width: 22px; border-top: 2.5px solid currentColor; }
.legend .floor i { border-top-style: dashed; } .legend .ceiling i { border-top-style: dotted; }
.legend span { color: var(--ink); }
.stills { display: grid; gap: 10px 8px; min-width: min-content; padding: 14px; }
.stills b { font-size: .85rem; font-weight: 600; align-self: end; overflow-wrap: anywhere; }
.stills em { font-style: normal; font-size: .82rem; color: var(--soft); align-self: center; font-variant-numeric: tabular-nums; }
.stills img { display: block; width: 100%; height: auto; border-radius: 5px; background: var(--grid); }
video { display: block; width: 100%; height: auto; border-radius: 12px; background: #18181a; margin: 1rem 0; }
.map .cells { display: grid; gap: 2px; font-size: 11px; }
.map .cells > * { display: grid; place-items: center; min-width: 0; aspect-ratio: 1; max-height: 44px; width: 100%; border-radius: 3px; color: var(--soft); font-variant-numeric: tabular-nums; overflow: hidden; font-style: normal; }
.map .cells > b { font-weight: 500; aspect-ratio: auto; min-height: 22px; }
.map .cells > i { aspect-ratio: auto; height: 30px; border: 1px solid var(--grid); }
.map .cells > i.pale, .map .cells > i.deep { border: 0; background: color-mix(in oklab, var(--deep) var(--d), var(--pale)); }
.map .cells > i.pale { color: var(--ink); } .map .cells > i.deep { color: var(--on-deep); }
.scale { display: flex; align-items: center; gap: .6em; font-size: 12px; color: var(--soft); margin-top: .8rem; }
.scale i { flex: 1; max-width: 160px; height: 8px; border-radius: 4px; background: linear-gradient(in oklab to right, var(--pale), var(--deep)); }
details { border-top: 1px solid var(--line); padding: .7rem 0; }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; font-weight: 600; }
dt { font-weight: 600; margin-top: .7rem; } dd { margin: 0; max-width: 72ch; color: var(--soft); }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; font-size: .85rem; line-height: 1.5; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em; }
footer { margin-top: 4rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 640px) { body { font-size: 15px; } .card, figure.chart, figure.map { padding: 14px; } .map .cells { gap: 1px; font-size: 8px; } }
@media print { .card, figure.chart, figure.map { break-inside: avoid; } }
)css";

const char* const kChartScript = R"js(
"use strict";
// Under the pointer, a chart tells its values there. They are read from the drawn paths.
for (const plot of document.querySelectorAll(".plot")) {
  const [low, high, end, digits] = ["low", "high", "end", "digits"].map(name => Number(plot.dataset[name]));
  const lines = [...plot.querySelectorAll("path[data-name]")].map(path => ({
    name: path.dataset.name, kind: path.getAttribute("class"),
    points: path.getAttribute("d").match(/[\d.]+ [\d.]+/g)?.map(pair => pair.split(" ").map(Number)) ?? [],
  }));
  let cursor, tip;
  const leave = () => { cursor?.remove(); tip?.remove(); cursor = tip = undefined; };
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect();
    const x = 1000 * (event.clientX - box.left) / box.width;
    const all = lines.flatMap(line => line.points.map(point => point[0]));
    if (x < 0 || x > 1000 || !all.length) return leave();
    const at = all.reduce((best, value) => Math.abs(value - x) < Math.abs(best - x) ? value : best);
    if (!cursor) {
      plot.append(cursor = Object.assign(document.createElement("span"), {className: "cursor"}));
      plot.append(tip = Object.assign(document.createElement("div"), {className: "tip"}));
    }
    cursor.style.left = at / 10 + "%";
    tip.style.left = at < 500 ? `calc(${at / 10}% + 10px)` : "";
    tip.style.right = at < 500 ? "" : `calc(${100 - at / 10}% + 10px)`;
    tip.replaceChildren(`${(at / 1000 * end).toFixed(1)} ${plot.dataset.unit}`);
    for (const line of lines) {
      const point = line.points.find(point => point[0] === at);
      if (!point) continue;
      const row = Object.assign(document.createElement("div"), {className: line.kind, textContent: line.name});
      const value = low + (1000 - point[1]) / 1000 * (high - low);
      row.append(Object.assign(document.createElement("b"), {textContent: value.toFixed(digits)}));
      tip.append(row);
    }
  });
}
)js";

}  // namespace flashblock
