// Reads data periodically, except in a hidden tab and while paused.

import { formatRelative, formatSeconds, tick } from "./format.js";

const TICK_MS = 5_000;
const MAX_PAUSE_SECONDS = 300;

/** The controls above every view: the age of its data, and the buttons to pause and to refresh. */
export class Refresher {
  #load = null;
  #abort = null;
  #timer = 0;
  #due = 0;
  #failures = 0;
  #paused = false;
  #shownAt = null;

  constructor() {
    this.age = document.getElementById("age");
    this.live = document.getElementById("live");
    const pause = document.getElementById("pause");
    pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      pause.setAttribute("aria-pressed", String(this.#paused));
      pause.textContent = this.#paused ? "Resume" : "Pause";
      this.announce(this.#paused ? "Automatic updates are paused." : "Automatic updates have resumed.");
      if (this.#paused) clearTimeout(this.#timer);
      else this.now();
      this.#showAge();
    });
    document.getElementById("refresh").addEventListener("click", async () => {
      this.announce("");
      if ((await this.now()) && !this.live.textContent) this.announce(`Up to date as of ${formatSeconds(this.#shownAt ?? new Date().toISOString())}.`);
    });
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#timer);
      if (!document.hidden) this.#schedule();
    });
    setInterval(() => {
      if (document.hidden) return;
      tick();
      this.#showAge();
    }, TICK_MS);
  }

  /**
   * Read for another view.
   *
   * @param load  async (signal) => seconds until it should be read again. A number below 1 is taken as 1.
   */
  follow(load) {
    this.stop();
    this.#load = load;
    this.#failures = 0;
    return this.now();
  }

  /** Stop reading. */
  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#load = null;
    this.shows(null);
  }

  /** Read now. Resolves to whether it could be read. */
  async now() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const load = this.#load;
    if (!load) return false;
    const abort = (this.#abort = new AbortController());
    let seconds;
    let succeeded = true;
    try {
      seconds = await load(abort.signal);
      this.#failures = 0;
    } catch (error) {
      if (abort.signal.aborted) return false;
      if (typeof error.retrySeconds !== "number") throw error;
      succeeded = false;
      seconds = Math.min(error.retrySeconds * 2 ** this.#failures, MAX_PAUSE_SECONDS);
      this.#failures += 1;
    }
    if (this.#load !== load || abort.signal.aborted) return false;
    this.#due = Date.now() + Math.max(1, seconds) * 1_000;
    this.#schedule();
    return succeeded;
  }

  /** Show the age of the data: `iso` is when the server read it. */
  shows(iso) {
    this.#shownAt = iso;
    this.#showAge();
  }

  /** Announce a text to screen readers. */
  announce(text) {
    this.live.textContent = text;
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (this.#paused || document.hidden || !this.#load) return;
    this.#timer = setTimeout(() => this.now(), Math.max(0, this.#due - Date.now()));
  }

  #showAge() {
    const words = this.#shownAt ? `As of ${formatSeconds(this.#shownAt)}, ${formatRelative(this.#shownAt)}` : "";
    this.age.textContent = this.#paused && words ? `${words}, paused` : words;
  }
}
