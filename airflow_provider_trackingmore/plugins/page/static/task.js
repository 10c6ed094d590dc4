// The tab of a task instance: the shipments of its wait.

import { Refresher } from "./refresh.js";
import { el } from "./dom.js";
import { followTheme } from "./theme.js";
import { createDetail } from "./wait.js";

const NOT_WAITING = {
  not_a_sensor: { title: "This task is not a shipment sensor.", kind: "line" },
  not_deferred: {
    title: "This task is not waiting.",
    text: "Shipments are shown while the sensor is deferred. Its log and its XCom have the result.",
  },
};

/** Airflow puts the task into the address. Some versions do not encode it, or leave a placeholder for an unmapped task. */
function taskInAddress() {
  const given = new URLSearchParams(window.location.search);
  const id = (name) => (given.get(name) ?? "").replaceAll(" ", "+");
  const mapIndex = given.get("map_index") ?? "";
  return { dag_id: id("dag_id"), run_id: id("run_id"), task_id: id("task_id"), map_index: /^\d+$/.test(mapIndex) ? Number(mapIndex) : -1 };
}

followTheme();
const refresher = new Refresher();
const heading = el("h2", { class: "unseen" }, "Task");
const target = el("div", { class: "results" });
document.getElementById("main").replaceChildren(el("section", { class: "detail" }, heading, target));
const task = taskInAddress();
const offsetInHash = () => Number.parseInt(window.location.hash.replace("#offset=", ""), 10) || 0;
const detail = createDetail({
  refresher, heading, target, taskLink: false,
  link: (offset) => `#offset=${offset}`,
  notWaiting: (reason) => NOT_WAITING[reason] ?? NOT_WAITING.not_deferred,
});
window.addEventListener("hashchange", () => detail.show(task, offsetInHash()));
detail.show(task, offsetInHash());
