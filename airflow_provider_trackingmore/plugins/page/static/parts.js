// Parts that several views share.

import { el, widthOf } from "./dom.js";
import { count, formatNumber } from "./format.js";

const STATUSES = {
  exception: "Exception",
  undelivered: "Delivery failed",
  expired: "Expired",
  pickup: "Out for delivery or pickup",
  transit: "In transit",
  delivered: "Delivered",
  pending: "Pending",
  notfound: "Not found yet",
  not_registered: "Not registered",
};

/** The words for a status; an unknown one is shown as it is. */
export const statusWords = (status) => STATUSES[status] ?? status ?? "Not known yet";
const statusClass = (status) => `status-${status in STATUSES ? status : "other"}`;

/** A status as a coloured label with its words. */
export function statusLabel(status) {
  return el("span", { class: `label ${statusClass(status)}` }, statusWords(status));
}

/** The number of shipments by status: a bar, and the same in words. */
export function statusBar(statuses, total) {
  const known = [...Object.keys(STATUSES), ...Object.keys(statuses ?? {}).filter((status) => !(status in STATUSES))]
    .map((status) => [status, statuses?.[status] ?? 0])
    .filter(([, number]) => number > 0);
  if (!known.length) return el("span", { class: "muted" }, `${count(total, "shipment")}, statuses not known yet`);
  const checked = known.reduce((sum, [, number]) => sum + number, 0);
  const all = Math.max(total, checked);
  const words = known.map(([status, number]) => `${formatNumber(number)} ${statusWords(status).toLowerCase()}`);
  if (all > checked) words.push(`${formatNumber(all - checked)} not known yet`);
  return [
    el("span", { class: "bar", "aria-hidden": "true" },
      known.map(([status, number]) => widthOf(el("span", { class: statusClass(status) }), (100 * number) / all))),
    el("span", { class: "muted words" }, words.join(", ")),
  ];
}

const LATE = {
  deadline: ["Past deadline", "The deadline of this wait has passed, but it has not ended."],
  check: ["Check overdue", "The check of this wait is overdue by more than two intervals."],
};

/** Why a wait is late. */
export function lateLabel(reason) {
  const [words, title] = LATE[reason] ?? ["Late", ""];
  return el("span", { class: "label late", title }, words);
}

/** The next check of a wait. Reports may be a minute old, so a time that has just passed means that it is due. */
export function nextCheck({ next_check: at, is_late: isLate }, format) {
  return at && !isLate && new Date(at) < Date.now() ? "Due now" : format(at, "Not known yet");
}

/** A message in place of content. */
export function notice({ title, text = "", more = null, kind = "plain" }) {
  return el("section", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null },
    el("p", { class: "title" }, title), text ? el("p", {}, text) : null, more);
}

/** An error message, with a button to retry or reload. */
export function errorNotice(error, retry = null) {
  const reload = error.status === 401 && window.top === window; // in a frame, people reload Airflow's window
  const act = reload ? () => window.location.reload() : error.status === 401 ? null : retry;
  return notice({
    kind: "error",
    title: error.message,
    text: error.hint,
    more: act ? el("button", { type: "button", "data-key": "retry", onclick: act }, reload ? "Reload" : "Try again") : null,
  });
}

/** Names with their values below. */
export function figures(pairs) {
  return el("dl", { class: "figures" },
    pairs.filter(Boolean).map(([name, ...value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A table that becomes a list of cards on a phone. `columns` are [header, class]. */
export function table(caption, columns, rows) {
  const head = columns.map(([header, kind]) => el("th", { role: "columnheader", scope: "col", class: kind }, header));
  return el("table", { role: "table", class: "cards" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
    el("tbody", { role: "rowgroup" }, rows));
}

/** A cell. On a phone, its name is shown before it. */
export function cell(name, kind, ...content) {
  return el("td", { role: "cell", class: kind, "data-name": name }, content);
}

/** "1 to 100 of 300", with links to the pages before and after. */
export function pager({ offset, size, total, noun, link }) {
  if (total <= size && offset === 0) return null;
  const last = Math.min(offset + size, total);
  const step = (to, words, key) => el("a", { class: "button", href: link(to), "data-key": key }, words);
  return el("nav", { class: "pager", "aria-label": `Pages of ${noun}` },
    offset > 0 ? step(Math.max(0, offset - size), "Previous", "previous") : null,
    el("span", {}, `${formatNumber(Math.min(offset + 1, last))} to ${formatNumber(last)} of ${count(total, noun)}`),
    last < total ? step(offset + size, "Next", "next") : null);
}
