// The tab at a task instance: the shipments of its wait.

import { Refresher } from "./refresh.js";
import { el } from "./dom.js";
import { followTheme } from "./theme.js";
import { createDetail } from "./wait.js";

const NOT_WAITING = {
  not_a_sensor: { title: "This task is none of the shipment sensors.", kind: "line" },
  not_deferred: {
    title: "This task does not wait now.",
    text: "Shipments are shown while the sensor is deferred. Its log and its XCom have the result.",
  },
};

/** Airflow puts the task into the address; some versions do not encode it, and leave a placeholder where nothing is mapped. */
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
