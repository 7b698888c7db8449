// Builds elements. Text is always text: nothing here parses markup, so no answer of the server can become a script.

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

export function facts(entries, kind = "facts") {
  const rows = Object.entries(entries).filter(([, value]) => value != null);
  return h("dl", { class: kind }, rows.map(([name, value]) => h("div", { class: "row" }, h("dt", {}, name), h("dd", {}, value))));
}

export function badge(status) {
  return h("span", { class: `badge ${status}` }, status);
}

// Wide tables scroll by themselves, and by the keyboard; the page never does.
export function scrolling(name, table) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name }, table);
}

export function table(name, heads, rows) {
  const head = h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)));
  const body = rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell))));
  return scrolling(name, h("table", { "aria-label": name }, h("thead", {}, head), h("tbody", {}, body)));
}

export function say(text) {
  const place = document.getElementById("status");
  place.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { place.textContent = ""; }, 6000);
}

export function copyable(text, name) {
  const copy = async () => {
    // Browsers lend the clipboard to secure pages alone.
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else getSelection().selectAllChildren(shown);
    say(navigator.clipboard ? `Copied: ${name}` : "Selected: copy it with your keyboard");
  };
  const shown = h("pre", { tabindex: 0, "aria-label": name }, text);
  return h("div", {}, shown, h("button", { type: "button", class: "quiet", onclick: copy }, `Copy ${name}`));
}

const NUMBERS = new Intl.NumberFormat("en");

export const number = (value) => NUMBERS.format(value);

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds < 1) return "under a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function moment(text) {
  const at = new Date(text);
  return h("time", { datetime: text, title: text }, at.toLocaleString());
}
