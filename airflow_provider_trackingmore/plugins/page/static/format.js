// Formats numbers and times. The page is in English, so it uses the reader's own variety of English, if there is one.

import { el } from "./dom.js";

const LOCALE = navigator.languages.find((tag) => /^en\b/i.test(tag)) ?? "en-GB";
const { hourCycle } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle };

const numbers = new Intl.NumberFormat(LOCALE);
const tenths = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(LOCALE, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const relatives = new Intl.RelativeTimeFormat(LOCALE, { numeric: "always", style: "short" });
const clocks = new Intl.DateTimeFormat(LOCALE, CLOCK);
const exact = new Intl.DateTimeFormat(LOCALE, { ...CLOCK, second: "2-digit" });
const moments = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", ...CLOCK });
const momentsOfYear = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", ...CLOCK });
const dates = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const placeDays = new Intl.DateTimeFormat(LOCALE, { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const placeClocks = new Intl.DateTimeFormat(LOCALE, { ...CLOCK, timeZone: "UTC" });
const lists = new Intl.ListFormat(LOCALE, { type: "conjunction" });
const alternatives = new Intl.ListFormat(LOCALE, { type: "disjunction" });
const plurals = new Intl.PluralRules("en");

export const formatNumber = (value) => numbers.format(value);
export const formatDays = (value) => (value === null ? "–" : tenths.format(value));
export const formatShare = (value) => percents.format(value);
export const formatList = (values) => lists.format(values);
export const formatAlternatives = (values) => alternatives.format(values);
export const formatClock = (iso) => clocks.format(new Date(iso));
export const formatSeconds = (iso) => exact.format(new Date(iso));
export const formatDate = (iso) => dates.format(new Date(iso));

/** "1 wait", "2 waits". */
export function count(value, singular, plural = `${singular}s`) {
  return `${formatNumber(value)} ${plurals.select(value) === "one" ? singular : plural}`;
}

/** A point in time in the reader's own time zone. */
export function formatMoment(iso) {
  const moment = new Date(iso);
  return (moment.getFullYear() === new Date().getFullYear() ? moments : momentsOfYear).format(moment);
}

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

/** "5 min. ago", "in 2 hr." */
export function formatRelative(iso, now = Date.now()) {
  const seconds = (new Date(iso) - now) / 1_000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length * 1.5) ?? UNITS[3];
  if (Math.abs(seconds) < 1.5) return "now";
  return relatives.format(Math.round(seconds / size), unit).replace(/\./g, "");
}

/** A <time> relative to now, which `tick` keeps up to date. */
export function relativeTime(iso, otherwise = "–") {
  if (!iso) return el("span", { class: "muted" }, otherwise);
  return el("time", { datetime: iso, title: formatMoment(iso), "data-relative": "" }, formatRelative(iso));
}

/** A <time> with the point in time, followed by a relative one. */
export function fullTime(iso, otherwise = "–") {
  if (!iso) return el("span", { class: "muted" }, otherwise);
  return [
    el("time", { datetime: iso }, formatMoment(iso)), " ",
    el("span", { class: "muted" }, el("time", { datetime: iso, "data-relative": "" }, formatRelative(iso))),
  ];
}

/** Update all relative times. */
export function tick() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = formatRelative(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** The local time of a place, which has no zone: shown as it is, whatever the reader's time zone. */
export function placeTime(text) {
  const moment = text ? new Date(`${text.replace(" ", "T").replace(/(Z|[+-]\d\d:?\d\d)$/, "")}Z`) : null;
  if (!moment || Number.isNaN(moment.getTime())) return { day: text ?? "No time given", clock: "" };
  return { day: placeDays.format(moment), clock: placeClocks.format(moment) };
}
