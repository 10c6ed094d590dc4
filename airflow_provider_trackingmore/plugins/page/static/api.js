// Reads the JSON routes beside this page.

/** An error to show: what went wrong, and what to do about it. */
export class PageError extends Error {
  constructor(status, message, hint = "") {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

const KNOWN = {
  401: ["Your session has ended.", "Reload the window to log in again."],
  403: ["You may not view this page.", "Ask an administrator for access to “Plugins” in Airflow."],
  404: ["There is no such task, or you may not see its DAG.", "Go back to the list of open waits."],
  503: ["Airflow is still reading the open waits.", "This page tries again in a moment."],
};
const TIMEOUT_MS = 30_000;

/** GET one of the routes: getJson("waits", { search: "1007" }). */
export async function getJson(route, parameters = {}, signal = undefined) {
  const address = new URL(`api/${route}`, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  const limits = [AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])];
  let response;
  try {
    response = await fetch(address, { headers: { Accept: "application/json" }, signal: AbortSignal.any(limits) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new PageError(0, "Airflow's API server does not answer.", "This page tries again by itself.");
  }
  const isJson = response.headers.get("content-type")?.includes("json");
  if (response.ok && isJson) return response.json();
  if (response.ok) throw new PageError(401, ...KNOWN[401]); // the login page
  const detail = isJson ? (await response.json().catch(() => ({}))).detail : null;
  if (detail?.message && response.status !== 401) throw new PageError(response.status, detail.message, detail.hint ?? "");
  const [message, hint] = KNOWN[response.status] ?? [`Airflow's API server answered with HTTP ${response.status}.`, "Its log says why."];
  throw new PageError(response.status, message, hint);
}
