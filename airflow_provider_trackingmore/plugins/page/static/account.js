// Accounts: calls against the rate limit, quota, and the processes that share both.

import { getJson } from "./api.js";
import { el, replaceContent, widthOf } from "./dom.js";
import { count, formatDate, formatNumber, formatShare, fullTime, relativeTime } from "./format.js";
import { cell, errorNotice, figures, notice, table } from "./parts.js";
import { dayPlot } from "./plot.js";

const REFRESH_SECONDS = 60;

function meter({ calls_last_hour: calls, max_calls_last_hour: limit }) {
  if (calls === null || calls === undefined) return el("span", { class: "muted" }, "Nothing reported yet");
  if (!limit) return el("span", { class: "big" }, formatNumber(calls));
  const share = Math.min(1, calls / limit);
  return [
    el("span", { class: "big" }, formatNumber(calls)), ` of ${formatNumber(limit)} possible`,
    el("span", { class: `bar${share > 0.9 ? " full" : ""}`, "aria-hidden": "true" }, widthOf(el("span", { class: "status-transit" }), 100 * share)),
    el("span", { class: "second" }, `${formatShare(share)} of the rate limit`),
  ];
}

function quota({ quota_left: left, quota_ends_on: end }) {
  if (left === null || left === undefined) return [el("span", { class: "muted" }, "Not known"), el("span", { class: "second" }, "A triggerer reads it once an hour while there are waits.")];
  return [
    el("span", { class: "big" }, formatNumber(left)), " left",
    el("span", { class: "second" }, end ? `At the current rate it lasts until ${formatDate(end)}.` : "Too little is known to estimate how long it lasts."),
  ];
}

function rateLimit({ cool_down_until: until, last_429_at: last }) {
  const isCoolingDown = until && new Date(until) > Date.now();
  return [
    isCoolingDown ? [el("span", { class: "label late" }, "Cooling down until"), " ", fullTime(until)] : el("span", { class: "big" }, "Open"),
    el("span", { class: "second" }, "Last 429: ", relativeTime(last, "none known")),
  ];
}

/** One row for each process, with its report and its calls. */
function processes({ reporters: reports, users }) {
  const name = ({ component, host }) => `${component} ${host}`;
  const calls = new Map(users.map((user) => [name(user), user.last_call_at]));
  const known = new Set(reports.map(name));
  return [
    ...reports.map((report) => ({ ...report, last_call_at: calls.get(name(report)) ?? null })),
    ...users.filter((user) => !known.has(name(user))).map((user) => ({ ...user, written_at: null, waits: null, is_stale: false })),
  ];
}

function processRow(process) {
  return el("tr", { role: "row", class: process.is_stale ? "late" : null },
    cell("Process", "main", process.component, process.is_stale ? [" ", el("span", { class: "label late" }, "No longer reports")] : null),
    cell("Host", "where", el("span", { class: "clip", title: process.host }, process.host)),
    cell("Waits", "amount", process.waits === null ? "–" : formatNumber(process.waits)),
    cell("Last call", "time", relativeTime(process.last_call_at)), cell("Last report", "time", relativeTime(process.written_at)));
}

function reporters(account) {
  const { reporters: reports, waits } = account;
  const triggerers = reports.filter((report) => report.component === "triggerer");
  const all = processes(account);
  return [
    waits && !triggerers.length ? notice({
      title: "No triggerer has reported yet.", text: "It does within a minute after its first check. Is one running?",
    }) : null,
    triggerers.length && triggerers.every((report) => report.is_stale) ? notice({
      kind: "warning", title: "No triggerer reports any more.",
      text: "Waits are not checked until one runs again: start it with “airflow triggerer”. Nothing is lost meanwhile.",
    }) : null,
    all.length ? table("Processes that share the rate limit", [
      ["Process", "main"], ["Host", "where"], ["Waits", "amount"], ["Last call", "time"], ["Last report", "time"],
    ], all.map(processRow)) : el("p", { class: "muted" }, "No process has made a call yet."),
  ];
}

function card(account) {
  const { conn_ids: connections, account: fingerprint, requests_per_second: rate } = account;
  const name = connections.join(", ") || "Connections that you may not see";
  return el("section", { class: "account", "aria-label": `Account of ${name}${fingerprint ? `, ${fingerprint}` : ""}` },
    el("div", { class: "heading" },
      el("h3", {}, name), fingerprint ? el("p", { class: "summary" }, `Account ${fingerprint}`) : null),
    account.error ? notice({ kind: "error", title: account.error.message, text: account.error.hint ?? "" }) : null,
    figures([
      ["Calls in the last hour", meter(account)],
      ["Quota", quota(account)],
      ["Rate limit", rateLimit(account)],
      ["Open waits", el("span", { class: "big" }, formatNumber(account.waits)), rate ? el("span", { class: "second" }, `${count(rate, "request")} per second allowed`) : null],
    ]),
    dayPlot(account.history, fingerprint ?? name),
    el("h4", {}, "Processes that share this rate limit"),
    reporters(account));
}

/** The view. */
export function createAccount(refresher) {
  let last = null;
  const summary = el("p", { class: "summary" });
  const content = el("div", { class: "results" });
  const element = el("section", { "aria-labelledby": "title" },
    el("div", { class: "heading" }, el("h2", { id: "title", tabindex: "-1" }, "Account"), summary), content);

  async function load(signal) {
    try {
      const { accounts } = await getJson("accounts", {}, signal);
      refresher.shows(new Date().toISOString());
      accounts.sort((first, second) => second.waits - first.waits);
      const seen = JSON.stringify(accounts);
      if (seen === last) return REFRESH_SECONDS;
      last = seen;
      summary.textContent = accounts.length > 1 ? count(accounts.length, "account") : "";
      replaceContent(content, accounts.length ? accounts.map(card) : notice({
        title: "No account is known yet.",
        text: "An account appears here once a deferred wait uses its connection. “Connections” in Airflow's menu “Admin” creates one of type TrackingMore.",
      }));
      return REFRESH_SECONDS;
    } catch (error) {
      if (signal.aborted || error.status === undefined) throw error;
      last = null;
      replaceContent(content, errorNotice(error, () => refresher.now()));
      error.retrySeconds = error.status === 503 ? 2 : REFRESH_SECONDS / 2;
      throw error;
    }
  }

  return { element, title: "Account", show: () => refresher.follow(load) };
}
