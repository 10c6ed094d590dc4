// The list of open waits.

import { getJson } from "./api.js";
import { el, replaceContent } from "./dom.js";
import { count, formatNumber, relativeTime } from "./format.js";
import { cell, errorNotice, lateLabel, nextCheck, notice, pager, statusBar, table } from "./parts.js";
import { replaceHash, toHash } from "./routes.js";

const PAGE_SIZE = 100;
const REFRESH_SECONDS = 30;
const FIRST_READ_SECONDS = 2;
const TYPING_MS = 250;
const SHOWN_ORDERS = 3;
const SORTS = {
  "": "Late, then oldest",
  deadline: "Deadline",
  next_check: "Next check",
  waiting_since: "Waiting since",
  dag_id: "DAG",
  shipments: "Shipments",
};

const NOTE = "Only deferred waits are listed. For sensors in poke or reschedule mode, Airflow does not store what they wait for.";

/** Identifies a wait. */
export const waitKey = ({ dag_id, run_id, task_id, map_index }) => [dag_id, run_id, task_id, map_index].join("|");

/** The task of a wait: "order.wait [12]". */
export function taskName({ task_id, map_index }) {
  return map_index >= 0 ? `${task_id} [${map_index}]` : task_id;
}

function orderWords({ orders, order_count: total }) {
  const shown = orders.slice(0, SHOWN_ORDERS);
  const more = total - shown.length;
  return `${total === 1 ? "Order" : "Orders"} ${shown.join(", ")}${more > 0 ? ` and ${formatNumber(more)} more` : ""}`;
}

/** The name of a wait, and the orders to show after it. */
export function waitNames(wait) {
  const orders = wait.order_count ? orderWords(wait) : null;
  const name = wait.label ?? orders ?? taskName(wait);
  return { name, orders: wait.label && orders && orders.toLowerCase() !== wait.label.toLowerCase() ? orders : null };
}

function row(wait) {
  const { name, orders } = waitNames(wait);
  const { dag_id, run_id, task_id, map_index } = wait;
  const link = toHash("wait", { dag_id, run_id, task_id, map_index });
  return el("tr", { role: "row", class: wait.is_late ? "late" : null },
    cell("Wait", "main",
      el("a", { href: link, class: "row-link", "data-key": waitKey(wait) }, name),
      wait.is_late ? [" ", lateLabel(wait.late_reason)] : null,
      orders ? el("span", { class: "second" }, orders) : null,
      name === taskName(wait) ? null : el("span", { class: "second clip" }, taskName(wait))),
    cell("DAG and run", "where",
      el("span", { class: "first" }, dag_id),
      el("span", { class: "second clip", title: run_id }, run_id)),
    cell("Shipments", "statuses", statusBar(wait.statuses, wait.shipments)),
    cell("Waiting since", "time", relativeTime(wait.waiting_since)),
    cell("Next check", "time", nextCheck(wait, relativeTime)),
    cell("Deadline", "time", relativeTime(wait.deadline, "None")));
}

const COLUMNS = [
  ["Wait", "main"], ["DAG and run", "where"], ["Shipments", "statuses"],
  ["Waiting since", "time"], ["Next check", "time"], ["Deadline", "time"],
];

/** The view: `show` takes search, sort, descending, late and offset. */
export function createWaits(refresher) {
  let parameters = {};
  let last = null;
  let typing = 0;

  const go = (changes) => replaceHash(toHash("waits", { ...parameters, offset: "", ...changes }));
  const search = el("input", {
    type: "search", id: "search", maxlength: 200, autocomplete: "off", spellcheck: "false",
    placeholder: "Tracking number, order or DAG",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => go({ search: search.value.trim() }), TYPING_MS);
    },
  });
  const sort = el("select", { id: "sort", onchange: () => go({ sort: sort.value }) },
    Object.entries(SORTS).map(([value, words]) => el("option", { value }, words)));
  const direction = el("button", {
    type: "button", class: "quiet", onclick: () => go({ descending: parameters.descending ? "" : "true" }),
  });
  const late = el("button", {
    type: "button", "aria-pressed": "false", onclick: () => go({ late: parameters.late ? "" : "true" }),
  }, "Late only");
  const summary = el("p", { class: "summary" });
  const note = el("p", { class: "note" }, NOTE);
  const results = el("div", { class: "results" });
  const element = el("section", { "aria-labelledby": "title" },
    el("div", { class: "heading" }, el("h2", { id: "title", tabindex: "-1" }, "Open waits"), summary),
    el("form", { role: "search", class: "tools", onsubmit: (event) => { event.preventDefault(); go({ search: search.value.trim() }); } },
      el("label", { class: "unseen", for: "search" }, "Search open waits"), search,
      el("label", { for: "sort" }, "Sort by"), sort, direction, late),
    results, note);

  function showEmpty(answer) {
    if (!answer.all) {
      return notice({
        title: "Nothing is waiting.",
        text: "A wait appears here while a shipment sensor with deferrable=True is deferred, if you may read its DAG.",
      });
    }
    const isSearch = Boolean(parameters.search);
    return notice({
      title: isSearch ? `No open wait matches “${parameters.search}”.` : "No wait is late.",
      text: isSearch
        ? "Waits that have ended are not listed. The result of a wait is in the XCom of its task."
        : "",
      more: el("button", { type: "button", "data-key": "all", onclick: () => go({ search: "", late: "" }) }, "Show all open waits"),
    });
  }

  function showAnswer(answer) {
    const { waits, total, all, offset } = answer;
    const open = total === all ? count(all, "open wait") : `${formatNumber(total)} of ${count(all, "open wait")}`;
    summary.textContent = `${open}, ${answer.late ? `${formatNumber(answer.late)} late` : "none late"}`;
    refresher.shows(answer.read_at);
    const others = answer.poke_waits ?? 0;
    note.textContent = others ? `${NOTE} There ${others === 1 ? "is one" : `are ${formatNumber(others)}`} now.` : NOTE;
    const seen = JSON.stringify([waits, total, all, parameters]);
    if (seen === last) return;
    last = seen;
    const overdue = waits.filter((wait) => wait.late_reason === "check").length;
    replaceContent(results,
      overdue ? notice({
        kind: "warning",
        title: overdue === 1 ? "The check of one of these waits is overdue." : `The checks of ${formatNumber(overdue)} of these waits are overdue.`,
        text: "Is a triggerer running? “Account” shows which ones have reported, and when.",
      }) : null,
      waits.length ? table("Open waits", COLUMNS, waits.map(row)) : showEmpty(answer),
      pager({
        offset, size: PAGE_SIZE, total, noun: "wait", link: (to) => toHash("waits", { ...parameters, offset: to || "" }),
      }));
  }

  async function load(signal) {
    const asked = parameters;
    const offset = Math.max(0, Number.parseInt(asked.offset ?? "0", 10) || 0);
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await getJson("waits", {
        search: asked.search ?? "", descending: asked.descending === "true", late: asked.late === "true",
        offset, limit: PAGE_SIZE, ...(asked.sort in SORTS && asked.sort ? { sort: asked.sort } : {}),
      }, signal);
      if (!answer.waits.length && offset > 0 && answer.total > 0) { // waits have ended, so this page no longer exists
        go({ offset: Math.floor((answer.total - 1) / PAGE_SIZE) * PAGE_SIZE || "" });
        return REFRESH_SECONDS;
      }
      showAnswer({ ...answer, offset });
      return REFRESH_SECONDS;
    } catch (error) {
      if (signal.aborted || error.status === undefined) throw error;
      last = null;
      summary.textContent = "";
      const isReading = error.status === 503;
      replaceContent(results, isReading ? notice({ title: error.message, text: error.hint }) : errorNotice(error, () => refresher.now()));
      error.retrySeconds = isReading ? FIRST_READ_SECONDS : REFRESH_SECONDS;
      throw error;
    } finally {
      if (!signal.aborted) results.removeAttribute("aria-busy");
    }
  }

  return {
    element,
    title: "Open waits",
    async show(shown) {
      parameters = shown;
      if (document.activeElement !== search) search.value = shown.search ?? "";
      sort.value = shown.sort in SORTS ? shown.sort : "";
      const descends = shown.descending === "true";
      direction.textContent = descends ? "↓" : "↑";
      direction.setAttribute("aria-label", descends ? "Descending; sort ascending" : "Ascending; sort descending");
      direction.title = descends ? "Descending" : "Ascending";
      late.setAttribute("aria-pressed", String(shown.late === "true"));
      if (await refresher.follow(load)) refresher.announce(summary.textContent);
    },
  };
}
