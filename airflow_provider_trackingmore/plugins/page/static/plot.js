// The plot of the last day: one bar for each quarter of an hour.

import { el, svg } from "./dom.js";
import { count, formatClock, formatMoment, formatNumber } from "./format.js";

const WIDTH = 960;
const HEIGHT = 96;
const GAP = 2;
const TICKS = 4;
const BUCKET_MS = 15 * 60_000;
const BUCKETS = 96;

/** A round number that is not below the value: 1, 2, 5, 10, 20, 50 ... */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

/** All buckets of the last day. The server leaves out those in which nothing happened. */
function lastDay(history, now) {
  const end = Math.floor(now / BUCKET_MS) * BUCKET_MS;
  const known = new Map(history.map((bucket) => [Math.floor(new Date(bucket.begin) / BUCKET_MS) * BUCKET_MS, bucket]));
  return Array.from({ length: BUCKETS }, (_, index) => {
    const at = end - (BUCKETS - 1 - index) * BUCKET_MS;
    return { begin: new Date(at).toISOString(), calls: 0, releases: 0, ...known.get(at) };
  });
}

function bars(buckets, name, noun, kind) {
  const total = buckets.reduce((sum, bucket) => sum + bucket[name], 0);
  const top = ceiling(Math.max(...buckets.map((bucket) => bucket[name])));
  const step = WIDTH / buckets.length;
  const drawn = buckets.map((bucket, index) => {
    const height = (bucket[name] / top) * HEIGHT;
    const x = index * step;
    return svg("g", {},
      svg("rect", { class: "slot", x, y: 0, width: step, height: HEIGHT },
        svg("title", {}, `${formatMoment(bucket.begin)}: ${count(bucket[name], noun)}`)),
      bucket[name] ? svg("rect", { class: kind, x: x + GAP / 2, y: HEIGHT - height, width: step - GAP, height }) : null);
  });
  return el("figure", { class: "plot" },
    el("figcaption", {}, `${noun[0].toUpperCase()}${noun.slice(1)}s`, el("span", { class: "muted" }, ` ${formatNumber(total)} in 24 hours`)),
    el("div", { class: "canvas" },
      el("span", { class: "scale", "aria-hidden": "true" }, formatNumber(top)),
      svg("svg", {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
        "aria-label": `${count(total, noun)} in the last 24 hours. The table below has the numbers.`,
      },
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: 0.5, y2: 0.5 }),
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2 }),
      drawn,
      svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }))));
}

function hours(buckets) {
  const rows = [];
  for (let first = 0; first < buckets.length; first += 4) {
    const hour = buckets.slice(first, first + 4);
    const sum = (name) => formatNumber(hour.reduce((total, bucket) => total + bucket[name], 0));
    rows.push(el("tr", {}, el("th", { scope: "row" }, formatMoment(hour[0].begin)), el("td", {}, sum("calls")), el("td", {}, sum("releases"))));
  }
  return el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, ["From", "Calls", "Releases"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows));
}

/** Calls and releases of the last day. */
export function dayPlot(history, key, now = Date.now()) {
  const buckets = lastDay(history, now);
  const ticks = Array.from({ length: TICKS }, (_, index) => formatClock(buckets[(index * BUCKETS) / TICKS].begin));
  return el("div", { class: "plots" },
    bars(buckets, "calls", "call", "calls"),
    bars(buckets, "releases", "release", "releases"),
    el("div", { class: "ticks", "aria-hidden": "true" }, [...ticks, "now"].map((words) => el("span", {}, words))),
    el("details", { "data-key": `table ${key}` }, el("summary", {}, "The same as a table"), hours(buckets)));
}
