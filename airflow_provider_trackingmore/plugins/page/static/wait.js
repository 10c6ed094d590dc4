// One wait: what it waits for, and the timeline of each of its shipments.

import { getJson } from "./api.js";
import { el, replaceContent } from "./dom.js";
import { count, formatAlternatives, formatNumber, formatSeconds, fullTime, placeTime } from "./format.js";
import { errorNotice, figures, lateLabel, nextCheck, notice, pager, statusBar, statusLabel, statusWords } from "./parts.js";
import { isFramed, leaveFrame, taskAddress } from "./routes.js";
import { taskName, waitNames } from "./waits.js";

const PAGE_SIZE = 40;
const REFRESH_SECONDS = 60;
const OVER_SECONDS = 300;
const OPEN_TIMELINES = 3;

/** "All shipments: delivered" */
function goal({ wait_for: needed, statuses_wanted: wanted = ["delivered"], shipments, order_count: orders }) {
  const statuses = formatAlternatives(wanted.map((status) => statusWords(status).toLowerCase()));
  const each = orders > 1 ? " of each order" : "";
  if (needed === "any") return `Any shipment${each}: ${statuses}`;
  if (typeof needed === "number") return `${formatNumber(needed)} shipments${each}: ${statuses}`;
  return `${shipments === 1 && !each ? "The shipment" : `All shipments${each}`}: ${statuses}`;
}

function checkpoint({ time, place, text, status }, previousDay) {
  const { day, clock } = placeTime(time);
  return el("li", { class: status ? `status-${status}` : null },
    el("span", { class: "when" },
      el("span", { class: day === previousDay ? "unseen" : "day" }, day), " ",
      clock ? el("span", { class: "clock" }, clock) : null),
    el("span", { class: "what" },
      el("span", { class: "text" }, text || statusWords(status)),
      place ? el("span", { class: "second" }, place) : null));
}

function timeline(checkpoints) {
  if (!checkpoints.length) return el("p", { class: "muted" }, "The carrier has reported no checkpoint yet.");
  const newestFirst = [...checkpoints].sort((first, second) => String(second.time ?? "").localeCompare(String(first.time ?? "")));
  let previous = null;
  return el("ol", { class: "timeline" }, newestFirst.map((event) => {
    const item = checkpoint(event, previous);
    previous = placeTime(event.time).day;
    return item;
  }));
}

function copyButton(address, refresher) {
  return el("button", {
    type: "button", class: "link", "data-key": `copy ${address}`,
    onclick: async (event) => {
      const button = event.currentTarget;
      try {
        await navigator.clipboard.writeText(address);
      } catch { // not on https, or not allowed
        const field = el("textarea", { class: "unseen" });
        field.value = address;
        document.body.append(field);
        field.select();
        document.execCommand("copy");
        field.remove();
        button.focus();
      }
      button.textContent = "Copied";
      refresher.announce("The address of the tracking page is copied.");
    },
  }, "Copy tracking link");
}

function parcel(shipment, isOpen, refresher) {
  const { carrier_code: carrier, tracking_number: number, checkpoints = [] } = shipment;
  const delivered = shipment.delivered_at ? placeTime(shipment.delivered_at) : null;
  const link = !shipment.tracking_url ? null
    : isFramed() ? copyButton(shipment.tracking_url, refresher)
      : el("a", { href: shipment.tracking_url, target: "_blank", rel: "noopener noreferrer" }, "Tracking page");
  return el("li", { class: "parcel" },
    el("div", { class: "parcel-head" },
      el("div", { class: "name" },
        el("h4", {}, el("span", { class: "muted" }, carrier), " ", number),
        shipment.order || link ? el("span", { class: "second links" }, shipment.order ? `Order ${shipment.order}` : null, link) : null),
      el("div", { class: "state" },
        statusLabel(shipment.status),
        delivered ? el("span", { class: "second" }, `${delivered.day} ${delivered.clock}`) : null)),
    shipment.status || checkpoints.length ? el("details", { "data-key": `${carrier} ${number}`, open: isOpen },
      el("summary", {}, checkpoints.length ? count(checkpoints.length, "checkpoint") : "No checkpoints"),
      timeline(checkpoints)) : null);
}

function source(answer) {
  if (answer.parcels_from === "not_due" && !answer.parcels_read_at) {
    return ["The checkpoints follow in a moment: this page reads each account once a minute at most. ",
      answer.next_read_at ? `Next at ${formatSeconds(answer.next_read_at)}.` : ""];
  }
  if (!answer.parcels_read_at) return [];
  return [`Read from TrackingMore at ${formatSeconds(answer.parcels_read_at)}. Times are local times of each place.`];
}

function parcels(answer, offset, refresher, link) {
  const { parcels: shown = [], parcel_total: total = answer.wait.shipments } = answer;
  return el("section", { "aria-labelledby": "parcels" },
    el("div", { class: "heading" },
      el("h3", { id: "parcels" }, count(total, "shipment")), el("p", { class: "summary" }, source(answer))),
    answer.parcels_error ? notice({ kind: "error", title: answer.parcels_error.message, text: answer.parcels_error.hint ?? "" }) : null,
    el("ul", { class: "parcels" }, shown.map((item) => parcel(item, shown.length <= OPEN_TIMELINES, refresher))),
    pager({ offset, size: PAGE_SIZE, total, noun: "shipment", link }));
}

function details(wait) {
  return figures([
    ["Waits for", goal(wait)],
    ["Waiting since", fullTime(wait.waiting_since)],
    ["Next check", nextCheck(wait, fullTime)],
    ["Deadline", fullTime(wait.deadline, "None")],
    ["Shipments", el("span", { class: "statuses" }, statusBar(wait.statuses, wait.shipments))],
    ["Connection", wait.conn_id],
  ]);
}

/**
 * Show one wait in an element.
 *
 * @param heading  the <h2>; its text becomes the name of the wait.
 * @param link     from an offset to the address of that page of shipments.
 */
export function createDetail({ refresher, heading, target, link, taskLink = true, notWaiting }) {
  let wasWait = null;
  let last = null;

  function where(wait) {
    return el("p", { class: "where-line" },
      wait.is_late ? lateLabel(wait.late_reason) : null,
      el("span", {}, wait.dag_id), el("span", { class: "clip", title: wait.run_id }, wait.run_id), el("span", {}, taskName(wait)),
      taskLink ? el("a", { href: taskAddress(wait), onclick: leaveFrame, "data-key": "task" }, "Task in Airflow") : null);
  }

  function showOver(answer) {
    if (wasWait) {
      const { name } = waitNames(wasWait);
      refresher.announce(`${name}: this wait is over.`);
      return [where(wasWait), notice({
        kind: "success", title: "This wait is over.",
        text: "The task is no longer deferred. Its log and its XCom have the result.",
      })];
    }
    return [notice(notWaiting(answer.reason))];
  }

  async function load(task, offset, signal) {
    target.setAttribute("aria-busy", "true");
    try {
      const answer = await getJson("wait", { ...task, offset }, signal);
      const seen = JSON.stringify(answer);
      if (!answer.is_wait) {
        refresher.shows(new Date().toISOString());
        if (seen !== last) replaceContent(target, showOver(answer));
        last = seen;
        return OVER_SECONDS;
      }
      wasWait = answer.wait;
      refresher.shows(new Date().toISOString());
      if (seen !== last) {
        last = seen;
        const { name, orders } = waitNames(answer.wait);
        heading.textContent = name;
        replaceContent(target,
          where(answer.wait),
          orders ? el("p", { class: "muted" }, orders) : null,
          details(answer.wait),
          parcels(answer, offset, refresher, link));
      }
      const next = answer.next_read_at ? (new Date(answer.next_read_at) - Date.now()) / 1_000 + 1 : REFRESH_SECONDS;
      return Math.min(REFRESH_SECONDS, Math.max(2, next));
    } catch (error) {
      if (signal.aborted || error.status === undefined) throw error;
      last = null;
      replaceContent(target, errorNotice(error, error.status === 404 ? null : () => refresher.now()));
      error.retrySeconds = REFRESH_SECONDS / 4;
      throw error;
    } finally {
      if (!signal.aborted) target.removeAttribute("aria-busy");
    }
  }

  return {
    /** Show the wait of a task instance, with its shipments from the offset on. */
    show(task, offset = 0) {
      return refresher.follow((signal) => load(task, offset, signal));
    },
  };
}
