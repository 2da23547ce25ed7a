"use strict";
// What all reports are drawn with. A report's data is JSON in the element with the id "data"; null in it: not measured.
// Seeds have 64 bits, which a JavaScript number has not: here they are text.
const data = JSON.parse(
  document.getElementById("data").textContent.replace(/"seed":\s*(\d+)/g, '"seed":"$1"') || "null");

// ---- elements ----

/**
 * An element. `properties` are its own, attributes where they are style, role, aria-* or data-*. Text is never markup.
 */
function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (/^(style|role|aria-.*|data-.*)$/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}

function put(id, ...children) {
  document.getElementById(id).replaceChildren(...children.flat());
}

// ---- text ----

/** A number for reading: `absent` for null, no minus before what is rounded to zero. */
function number(value, decimals, absent = "–") {
  if (value === null || value === undefined) return absent;
  const text = Math.abs(value).toFixed(decimals);
  return (value < 0 && /[1-9]/.test(text) ? "−" : "") + text;
}

function percent(part, decimals = 1) {
  return part === null || part === undefined ? "–" : number(100 * part, decimals) + " %";
}

/** 0:07, 1:05, 1:01:05. */
function clock(seconds) {
  const all = Math.round(seconds), two = value => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(all / 3600), Math.floor(all / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

/** A time in a video of `length` seconds: in tenths where whole seconds would not tell frames apart. */
function moment(seconds, length) {
  return length < 10 ? number(seconds, 1) + " s" : clock(Math.floor(seconds));
}

/** What a refresh policy does, as half a sentence; "" for what is no policy. */
function policyInWords(name) {
  const words = (data.policies_in_words ?? {})[name.split(/[^a-z_]/)[0]];
  return words ? "refreshes " + words.replaceAll("`", "") : "";
}

/** A list of names with values; entries without a value are left out. */
function facts(entries) {
  const given = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("ul", {className: "facts"},
    given.map(([name, value]) => h("li", null, name + " ", h("b", null, String(value)))));
}

/**
 * A table. `head` is a list of rows; a cell is text, with line breaks, or {text, columns}. Rows begin with their names.
 */
function table(head, rows, className = "") {
  const cell = (tag, content) => {
    const {text, columns} = typeof content === "string" ? {text: content, columns: 1} : content;
    return h(tag, {colSpan: columns}, text.split("\n").flatMap((line, i) => i ? [h("br"), line] : [line]));
  };
  return h("div", {className: "scroll"}, h("table", {className},
    h("thead", null, head.map(row => h("tr", null, row.map(content => cell("th", content))))),
    h("tbody", null, rows.map(row => h("tr", null, row.map((content, i) => cell(i ? "td" : "th", content)))))));
}

// ---- numbers ----

const isMeasured = value => Number.isFinite(value);

/** Mean of what was measured in a list; null if nothing was. */
function mean(values) {
  const measured = values.filter(isMeasured);
  return measured.length ? measured.reduce((sum, value) => sum + value, 0) / measured.length : null;
}

const lowest = values => values.filter(isMeasured).reduce((a, b) => Math.min(a, b), Infinity);
const highest = values => values.filter(isMeasured).reduce((a, b) => Math.max(a, b), -Infinity);

/** A Map from what `keyOf` says of an entry to the list of such entries, in the order of the first of each. */
function groupBy(entries, keyOf) {
  const groups = new Map();
  for (const entry of entries) groups.set(keyOf(entry), [...groups.get(keyOf(entry)) ?? [], entry]);
  return groups;
}

/** Round numbers (1, 2 or 5 times a power of ten apart) that cover `low` to `high`, about `wanted` of them. */
function axisTicks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(step => step >= rough * (1 - 1e-9));
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  return Array.from({length: last - first + 1}, (_, i) => (first + i) * step);
}

/** Decimals that tell ticks apart. */
function tickDecimals(ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  return Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
}

/** Ticks from below the lowest to above the highest value; a level line goes through the middle. */
function valueTicks(values) {
  let [low, high] = [lowest(values), highest(values)];
  if (low > high) return [0, 1];
  if (high - low < 1e-9 * Math.max(1, Math.abs(high))) {
    const room = Math.max(Math.abs(high) * 0.05, 1e-6);
    [low, high] = [low - room, high + room];
  }
  return axisTicks(low, high, 5);
}

/** Ticks of a logarithmic axis: 1, 2 and 5 times powers of ten, from below the lowest to above the highest value. */
function logTicks(values) {
  const low = lowest(values), high = highest(values);
  if (low > high) return [1, 10];
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power)
    all.push(...[1, 2, 5].map(factor => Number(`${factor}e${power}`)));
  const first = all.findLastIndex(tick => tick <= low), last = all.findIndex(tick => tick >= high);
  return all.slice(first, Math.max(last, first + 1) + 1);
}

// ---- curves ----

/** The d of a path through points [x, y]; a gap where y was not measured. */
function pathThrough(points) {
  let drawing = false;
  return points.map(([x, y]) => {
    if (!isMeasured(y)) {
      drawing = false;
      return "";
    }
    const command = drawing ? "L" : "M";
    drawing = true;
    return `${command}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

/**
 * Curves as inline SVG. `series`: a list of {name, kind, values} with `kind` a class of the style sheet (k0 to k6,
 * floor, ceiling); `x`: one for each value, from 0; a series may have its own. `marks`: a dot at each point. `log`: of
 * the values' axis; values that are not above 0 are left out. The plot stretches, its labels keep their size.
 */
function lineChart({title, note, series, x, xEnd = 1, unit = "s", decimals = 1, marks = false, log = false}) {
  const shown = value => isMeasured(value) && (!log || value > 0) ? value : null;
  const curves = series.map(one => ({...one, points: one.values.map((value, i) => [(one.x ?? x)[i], shown(value)])}));
  const values = series.flatMap(one => one.values.map(shown)), scale = log ? Math.log : value => value;
  const ticks = log ? logTicks(values) : valueTicks(values), low = scale(ticks[0]), high = scale(ticks.at(-1));
  const place = value => 1000 * (high - scale(value)) / (high - low);
  const rule = tick => `<path class="rule" d="M0 ${place(tick).toFixed(1)}L1000 ${place(tick).toFixed(1)}"/>`;
  const path = ({kind, points}) => {
    const placed = points.map(([at, value]) => [1000 * at / xEnd, isMeasured(value) ? place(value) : null]);
    const dots = marks
      ? placed.filter(point => isMeasured(point[1])).map(([at, y]) => `M${at.toFixed(1)} ${y.toFixed(1)}h0`).join("")
      : "";
    return `<path class="curve ${kind}" d="${pathThrough(placed)}"/>`
      + (dots && `<path class="dots ${kind}" d="${dots}"/>`);
  };
  // Exact attention and the yardsticks first, so that policies are drawn over them.
  const isPolicy = one => /^k[1-9]$/.test(one.kind);
  const ordered = [...curves.filter(one => !isPolicy(one)), ...curves.filter(isPolicy)];
  const plot = h("div", {className: "plot"});
  plot.innerHTML = `<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img">${
    ticks.map(rule).join("")}${ordered.map(path).join("")}</svg>`;
  plot.firstChild.setAttribute("aria-label", title);
  const xTicks = axisTicks(0, xEnd, 6);
  plot.append(
    ...ticks.map(tick => h("span", {className: "y", style: `bottom:${(100 - place(tick) / 10).toFixed(2)}%`},
      log ? String(tick) : number(tick, tickDecimals(ticks)))),
    ...xTicks.filter(tick => tick <= xEnd * (1 + 1e-9)).map(tick =>
      h("span", {className: "x", style: `left:${(100 * tick / xEnd).toFixed(2)}%`},
        `${number(tick, tickDecimals(xTicks))} ${unit}`.trim())));
  showReadings(plot, curves, xEnd, unit, decimals);
  return h("figure", {className: "chart"}, h("figcaption", null, title, h("small", null, note)), plot);
}

/** Under the pointer, a chart shows the values of its curves. */
function showReadings(plot, curves, xEnd, unit, decimals) {
  let cursor, tip;
  const leave = () => {
    cursor?.remove();
    tip?.remove();
    cursor = tip = undefined;
  };
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect(), pointer = xEnd * (event.clientX - box.left) / box.width;
    const all = curves.flatMap(curve => curve.points.filter(point => isMeasured(point[1])).map(point => point[0]));
    if (pointer < 0 || pointer > xEnd || !all.length) return leave();
    const at = all.reduce((best, value) => Math.abs(value - pointer) < Math.abs(best - pointer) ? value : best);
    if (!cursor) plot.append(cursor = h("span", {className: "cursor"}), tip = h("div", {className: "tip"}));
    const part = 100 * at / xEnd;
    cursor.style.left = part + "%";
    tip.style.left = part < 50 ? `calc(${part}% + 10px)` : "";
    tip.style.right = part < 50 ? "" : `calc(${100 - part}% + 10px)`;
    tip.replaceChildren(`${Number(at.toFixed(1))} ${unit}`, ...curves.flatMap(curve => curve.points
      .filter(([x, value]) => x === at && isMeasured(value))
      .map(([, value]) => h("div", {className: curve.kind}, curve.name, h("b", null, number(value, decimals))))));
  });
}

/** Names and lines of the series. */
function legend(series) {
  return h("ul", {className: "legend"},
    series.map(one => h("li", {className: one.kind}, h("i"), h("span", null, one.name))));
}

// ---- tables of numbers as colors ----

/**
 * A cell for each number of `values`, a list of rows; it shows its value under the pointer, and where there is room for
 * it. `low`, `high`: values of the palest and of the deepest color. `columns`: their names; without them, numbers
 * from 0.
 */
function heatMap({title, note, rowName, columnName, columns, values, low = 0, high = 1, decimals = 2}) {
  const kPrintedColumns = 12;  // more would leave no room for numbers
  const count = values.length ? values[0].length : 0, span = high > low ? high - low : 1;
  const nameOf = i => columns?.[i] ?? String(i);
  const cell = (value, row, i) => {
    const place = `${rowName} ${row}, ${columnName} ${nameOf(i)}`;
    if (!isMeasured(value)) return h("i", {title: place + ": nothing to compute"});
    const depth = Math.round(100 * Math.min(1, Math.max(0, (value - low) / span))), text = number(value, decimals);
    return h("i", {className: depth > 55 ? "deep" : "pale", style: `--d:${depth}%`, title: `${place}: ${text}`},
      count <= kPrintedColumns ? text : "");
  };
  const cells = h("div", {className: "cells", style: `grid-template-columns:2.6rem repeat(${count},minmax(0,1fr))`},
    h("b", null, rowName), Array.from({length: count}, (_, i) => h("b", null, nameOf(i))),
    values.map((row, index) => [h("b", null, String(index)), ...row.map((value, i) => cell(value, index, i))]).flat());
  return h("figure", {className: "map"}, h("figcaption", null, title, h("small", null, note)), cells,
    h("div", {className: "scale"}, h("span", null, number(low, decimals)), h("i"),
      h("span", null, number(high, decimals)), h("span", null, "columns: " + columnName)));
}

// ---- what goes on at the right ----

/** The style sheet fades the edge of a box behind which there is more to see. */
function markOverflow(box) {
  const update = () => box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  box.addEventListener("scroll", update, {passive: true});
  const sizes = new ResizeObserver(update);
  for (const element of [box, ...box.children]) sizes.observe(element);
}

addEventListener("load", () => document.querySelectorAll(".scroll").forEach(markOverflow));
