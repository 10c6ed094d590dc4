// Deep links: the part of the address after "#" names the section and what it shows, as in "#waits?search=1007".

const inFrame = () => {
  try {
    return window.parent !== window && Boolean(window.parent.location.href);
  } catch {
    return false;
  }
};

/** Parse a hash such as "#waits?search=1007". */
export function parseHash(hash) {
  const [section, query = ""] = hash.replace(/^#/, "").split("?");
  return { section, parameters: Object.fromEntries(new URLSearchParams(query)) };
}

/** Build a hash, without empty parameters. */
export function toHash(section, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `#${section}${query ? `?${query}` : ""}`;
}

/** Call `show` with the section and its parameters, now and whenever they change. */
export function followHash(show) {
  // Inside Airflow, people copy the address of Airflow's window, so this page keeps its state in the hash of both.
  if (!window.location.hash && inFrame() && window.parent.location.hash) {
    window.history.replaceState(null, "", window.parent.location.hash);
  }
  const follow = () => {
    const { hash } = window.location;
    if (inFrame() && window.parent.location.hash !== hash) {
      const address = new URL(window.parent.location.href);
      address.hash = hash;
      window.parent.history.replaceState(window.parent.history.state, "", address.href);
    }
    show(parseHash(hash));
  };
  window.addEventListener("hashchange", follow);
  follow();
}

/** Change the address without a new entry in the browser's history, for instance while typing. */
export function replaceHash(hash) {
  window.history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The address of a task instance in Airflow's own UI. */
export function taskAddress({ dag_id, run_id, task_id, map_index }) {
  const parts = ["dags", dag_id, "runs", run_id, "tasks", task_id, ...(map_index >= 0 ? ["mapped", map_index] : [])];
  return new URL(`../../${parts.map(encodeURIComponent).join("/")}`, document.baseURI);
}

/**
 * Follow a link to another page of this Airflow. A page in a frame may not navigate the window, but it may click a link
 * in the document around it, which has the same origin.
 */
export function leaveFrame(event) {
  if (!inFrame()) return;
  event.preventDefault();
  const link = window.parent.document.createElement("a");
  link.href = event.currentTarget.href;
  link.click();
}

export const isFramed = inFrame;
