// Lanes and carriers, from the database of a load.

import { getJson } from "./api.js";
import { el, replaceContent, widthOf } from "./dom.js";
import { count, formatDays, formatNumber, formatShare, placeTime } from "./format.js";
import { cell, errorNotice, notice, statusLabel, table } from "./parts.js";

const REFRESH_SECONDS = 300;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200];

/** The length of the axis in days, and its marks. */
function axis(lanes) {
  const longest = Math.max(1, ...lanes.map((lane) => lane.p90_days ?? 0));
  const step = STEPS.find((days) => longest / days <= 5) ?? STEPS.at(-1);
  const end = Math.ceil(longest / step) * step;
  return { end, marks: Array.from({ length: end / step + 1 }, (_, index) => index * step) };
}

function range({ p10_days: fast, p50_days: median, p90_days: slow }, end) {
  const at = (days) => (100 * days) / end;
  const first = fast ?? median;
  return el("span", { class: "range", "aria-hidden": "true" },
    first !== null && slow !== null ? widthOf(el("span", { class: "span" }), at(slow - first), at(first)) : null,
    median !== null ? widthOf(el("span", { class: "middle" }), 0, at(median)) : null);
}

function laneTable(lanes) {
  const { end, marks } = axis(lanes);
  const scale = el("span", { class: "marks", "aria-hidden": "true" },
    marks.map((days) => widthOf(el("span", {}, formatNumber(days)), 0, (100 * days) / end)));
  return table("Days from the first to the last event, by lane", [
    ["Lane", "short"], ["Carrier", "carrier"], [["Days in transit", scale], "plot-column"],
    ["10 %", "amount"], ["Median", "amount"], ["90 %", "amount"], ["Delivered", "amount"],
  ], lanes.map((lane) => el("tr", { role: "row" },
    cell("Lane", "main short", lane.lane), cell("Carrier", "carrier", lane.carrier_code),
    cell("", "plot-column", range(lane, end)),
    cell("10 %", "amount", formatDays(lane.p10_days)), cell("Median", "amount strong", formatDays(lane.p50_days)),
    cell("90 %", "amount", formatDays(lane.p90_days)), cell("Delivered", "amount", formatNumber(lane.delivered)))));
}

function carrierTable(carriers) {
  const highest = Math.max(0.01, ...carriers.map((carrier) => carrier.rate ?? 0));
  return table("Exceptions by carrier", [
    ["Carrier", "main"], ["Share with an exception", "plot-column"], ["Rate", "amount"], ["Exceptions", "amount"], ["Shipments", "amount"],
  ], carriers.map((carrier) => el("tr", { role: "row" },
    cell("Carrier", "main", carrier.carrier_code),
    cell("", "plot-column", el("span", { class: "bar wide", "aria-hidden": "true" }, widthOf(el("span", { class: "status-exception" }), (100 * carrier.rate) / highest))),
    cell("Rate", "amount strong", formatShare(carrier.rate)),
    cell("Exceptions", "amount", formatNumber(carrier.exceptions)), cell("Shipments", "amount", formatNumber(carrier.shipments)))));
}

function stuckTable(stuck) {
  return table("Stuck shipments", [
    ["Shipment", "main"], ["Order", "short"], ["Status", "state"], ["Last event", "time"], ["Days since", "amount"],
  ], stuck.map((shipment) => {
    const { day } = placeTime(shipment.last_update);
    return el("tr", { role: "row" },
      cell("Shipment", "main", el("span", { class: "muted" }, shipment.carrier_code), " ", shipment.tracking_number),
      cell("Order", "short", shipment.order_id ?? "–"), cell("Status", "state", statusLabel(shipment.status)),
      cell("Last event", "time", day), cell("Days since", "amount strong", formatNumber(Math.floor(shipment.days))));
  }));
}

function part(title, text, content, empty) {
  return el("section", { "aria-label": title },
    el("div", { class: "heading" }, el("h3", {}, title), el("p", { class: "summary" }, text)),
    content ?? el("p", { class: "muted" }, empty));
}

const HOW_TO = [
  "[trackingmore]",
  "page_sql_conn_id = warehouse",
].join("\n");

function notConfigured() {
  return notice({
    title: "No database is configured for this page.",
    text: "TrackingMoreToSqlOperator loads shipments and events into a database. Name its connection in Airflow's configuration, and restart the API server:",
    more: el("pre", {}, HOW_TO),
  });
}

/** The view. */
export function createLanes(refresher) {
  let last = null;
  const content = el("div", { class: "results" });
  const element = el("section", { "aria-labelledby": "title" },
    el("div", { class: "heading" }, el("h2", { id: "title", tabindex: "-1" }, "Lanes and carriers")), content);

  function parts(answer) {
    if (!answer.configured) return notConfigured();
    if (answer.error) return notice({ kind: "error", title: answer.error.message, text: answer.error.hint ?? "" });
    const { lanes = [], carriers = [], stuck = [] } = answer;
    return [
      part("Transit times by lane", "Days from the first event to delivery: the fastest 10 %, the median, and 90 %", lanes.length ? laneTable(lanes) : null,
        "No delivery has been loaded yet."),
      part("Carriers", "Share of shipments that had an exception", carriers.length ? carrierTable(carriers) : null, "No shipment has been loaded yet."),
      part("Stuck shipments", stuck.length ? count(stuck.length, "shipment") : "", stuck.length ? stuckTable(stuck) : null,
        "No shipment is stuck: all those in transit have had a recent event."),
    ];
  }

  async function load(signal) {
    try {
      const answer = await getJson("lanes", {}, signal);
      refresher.shows(answer.read_at ?? new Date().toISOString());
      const seen = JSON.stringify({ ...answer, read_at: null });
      if (seen !== last) replaceContent(content, parts(answer));
      last = seen;
      return REFRESH_SECONDS;
    } catch (error) {
      if (signal.aborted || error.status === undefined) throw error;
      last = null;
      replaceContent(content, errorNotice(error, () => refresher.now()));
      error.retrySeconds = 30;
      throw error;
    }
  }

  return { element, title: "Lanes and carriers", show: () => refresher.follow(load) };
}
