// The page "Shipments": shows the section that the address names.

import { createAccount } from "./account.js";
import { el } from "./dom.js";
import { createLanes } from "./lanes.js";
import { Refresher } from "./refresh.js";
import { followHash, toHash } from "./routes.js";
import { followTheme } from "./theme.js";
import { createDetail } from "./wait.js";
import { createWaits, waitKey } from "./waits.js";

const NOT_WAITING = {
  not_a_sensor: { title: "This task is not a shipment sensor.", text: "Only their waits are shown here." },
  not_deferred: {
    title: "This task is not waiting.",
    text: "Its wait is over, or has not begun. The task's log and XCom tell more.",
  },
};

function createWait(refresher) {
  const heading = el("h2", { id: "title", tabindex: "-1" }, "Wait");
  const back = el("a", { class: "back", href: "#waits" }, "Open waits");
  const target = el("div", { class: "results" });
  const element = el("section", { class: "detail", "aria-labelledby": "title" }, back, heading, target);
  let task = {};
  const link = (offset) => toHash("wait", { ...task, offset: offset || "" });
  const detail = createDetail({ refresher, heading, target, link, notWaiting: (reason) => NOT_WAITING[reason] ?? NOT_WAITING.not_deferred });
  return {
    element,
    title: "Wait",
    back,
    show({ offset = "0", ...shown }) {
      task = { map_index: -1, ...shown };
      return detail.show(task, Number.parseInt(offset, 10) || 0);
    },
  };
}

const SECTIONS = { waits: createWaits, wait: createWait, account: createAccount, lanes: createLanes };

followTheme();
const main = document.getElementById("main");
const refresher = new Refresher();
document.getElementById("skip").addEventListener("click", () => main.focus());
let current = null;
let list = "#waits";

followHash(async ({ section, parameters }) => {
  const name = Object.hasOwn(SECTIONS, section) ? section : "waits";
  const previous = current;
  const isNew = previous?.name !== name || name === "wait";
  if (isNew) {
    current = { name, view: SECTIONS[name](refresher), parameters };
    main.replaceChildren(current.view.element);
    document.title = `${current.view.title} – Shipments`;
    for (const item of document.querySelectorAll("[data-section]")) {
      const isCurrent = item.dataset.section === (name === "wait" ? "waits" : name);
      if (isCurrent) item.setAttribute("aria-current", name === "wait" ? "true" : "page");
      else item.removeAttribute("aria-current");
    }
    if (previous) document.getElementById("title").focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  if (name === "waits") list = window.location.hash || "#waits";
  if (name === "wait") current.view.back.href = list;
  const { view } = current;
  await view.show(parameters);
  if (name === "waits" && previous?.name === "wait" && current.view === view) {
    const key = waitKey({ map_index: -1, ...previous.parameters });
    main.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }
});
