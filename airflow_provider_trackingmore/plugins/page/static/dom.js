// Builds elements. Everything that comes from the server becomes text, never HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element: el("a", { class: "back", href: "#waits", onclick: listener }, "text", otherElement). */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Replace the content of an element. The focus stays at the element with the same data-key, and so does an opened
 * <details>.
 */
export function replaceContent(container, ...children) {
  const active = document.activeElement;
  const focused = active instanceof Element && container.contains(active) ? active.closest("[data-key]") : null;
  const toggled = new Map([...container.querySelectorAll("details[data-key]")].map((details) => [details.dataset.key, details.open]));
  container.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const details of container.querySelectorAll("details[data-key]")) {
    if (toggled.has(details.dataset.key)) details.open = toggled.get(details.dataset.key);
  }
  if (focused) container.querySelector(`[data-key="${CSS.escape(focused.dataset.key)}"]`)?.focus({ preventScroll: true });
}

/** Set the width of an element in percent. The policy of this page refuses style attributes. */
export function widthOf(element, percent, left = 0) {
  element.style.width = `${percent}%`;
  if (left) element.style.left = `${left}%`;
  return element;
}
