// Pictures of single samples: a few asked for at once, asked again while the workers are busy, kept while the page is open.

import { address, ask, Problem } from "./api.js";
import { copyable, h } from "./dom.js";

const AT_ONCE = 6;
const KEPT = 2000;
const PATIENCE = 8;

let running = 0;
const waiting = [];
const kept = new Map();

export function path({ decoder, digest, label, seed, temperature }, index) {
  const query = Number(temperature) === 1 ? "" : `?temperature=${temperature}`;
  return `/v1/images/${decoder}${digest ? `@${digest}` : ""}/${encodeURIComponent(label ?? "-")}/${seed}/${index}.png${query}`;
}

async function turn(signal) {
  if (running >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve));
  else running += 1;
  if (signal.aborted) {
    leave();
    signal.throwIfAborted();
  }
}

function leave() {
  const next = waiting.shift();
  if (next) next();
  else running -= 1;
}

async function fetched(where, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await ask(where, { signal });
      return { url: URL.createObjectURL(await answer.blob()), tag: (answer.headers.get("ETag") ?? "").replaceAll('"', "") };
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 503 || tries === PATIENCE) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * tries));
    }
  }
}

export async function picture(where, signal) {
  if (kept.has(where)) return kept.get(where);
  await turn(signal);
  try {
    const found = await fetched(where, signal);
    kept.set(where, found);
    if (kept.size > KEPT) {
      const [oldest, { url }] = kept.entries().next().value;
      URL.revokeObjectURL(url);
      kept.delete(oldest);
    }
    return found;
  } finally {
    leave();
  }
}

export function described({ label, seed }, index) {
  return `${label == null ? "Sample" : `Label ${label}, sample`} ${index} of seed ${seed}`;
}

// A button with the picture; pressed, it shows the picture large.
export function sample(recipe, index, signal, last = Infinity, alone = false) {
  const image = h("img", { alt: described(recipe, index), class: "late" });
  const button = h("button", { type: "button", class: "sample", onclick: () => enlarge(recipe, index, alone ? index : 0, alone ? index : last) }, image);
  picture(path(recipe, index), signal).then(
    ({ url }) => { image.src = url; image.classList.remove("late"); },
    (error) => { if (!signal.aborted) { image.alt = `${described(recipe, index)}: ${error.message}`; button.title = error.message; } },
  );
  return button;
}

function enlarge(recipe, at, first, last) {
  let index = at;
  const leaving = new AbortController();
  const image = h("img", { class: "large", alt: "" });
  const title = h("h2", { id: "large-title" });
  const told = h("div");
  const earlier = h("button", { type: "button", onclick: () => show(index - 1) }, "Previous");
  const later = h("button", { type: "button", onclick: () => show(index + 1) }, "Next");
  const dialog = h("dialog", { "aria-labelledby": "large-title" }, title, image, told,
    h("div", { class: "actions" }, earlier, later, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));

  async function show(wanted) {
    index = Math.min(Math.max(wanted, first), last);
    [earlier.disabled, later.disabled] = [index === first, index === last];
    image.alt = title.textContent = described(recipe, index);
    const where = path(recipe, index);
    try {
      const { url, tag } = await picture(where, leaving.signal);
      if (where !== path(recipe, index)) return;
      image.src = url;
      told.replaceChildren(copyable(address(where), "address"), h("p", { class: "hint" }, `sha256 of the file: ${tag}`));
    } catch (error) {
      told.replaceChildren(h("p", { class: "fault" }, error.message));
    }
  }

  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(index - 1);
    if (event.key === "ArrowRight") show(index + 1);
  });
  dialog.addEventListener("close", () => { leaving.abort(); dialog.remove(); });
  document.body.append(dialog);
  dialog.showModal();
  show(at);
}
