// Which page is shown: the part of the address after `#` says it, so that every page can be linked to.

import { key, Problem } from "./api.js";
import { h, say } from "./dom.js";
import { decoder, decoders } from "./decoders.js";
import { explore } from "./explore.js";
import { fleet } from "./fleet.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { submit } from "./submit.js";

const PAGES = { new: submit, jobs, decoders, explore, fleet };
const DETAILS = { jobs: job, decoders: decoder };
const TITLES = { new: "New job", jobs: "Jobs", decoders: "Decoders", explore: "Explore", fleet: "Fleet" };

const main = document.getElementById("main");
let leaving = new AbortController();

async function show({ focus = true } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [route, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name, id] = route.split("/").map(decodeURIComponent);
  const page = id ? DETAILS[name] : PAGES[name || "new"];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${name || "new"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${id ?? TITLES[name || "new"] ?? "Not found"} · Latentmill`;
  try {
    const content = page ? await page({ id, query: new URLSearchParams(query ?? ""), signal }) : notFound();
    if (signal.aborted) return;
    main.replaceChildren(...content);
  } catch (error) {
    if (signal.aborted) return;
    main.replaceChildren(...failed(error));
  }
  if (focus) main.focus();
}

function notFound() {
  return [h("h1", {}, "No such page"), h("p", {}, h("a", { href: "#/new" }, "Make a job"))];
}

function failed(error) {
  const told = error instanceof Problem ? error.message : `The server does not answer (${error.message}).`;
  return [h("h1", {}, "This did not work"), h("p", { class: "notice" }, told),
    h("button", { type: "button", onclick: () => show() }, "Try again")];
}

function askForKey() {
  if (document.getElementById("key-dialog")) return;
  const field = h("input", { id: "key-field", type: "password", autocomplete: "off", spellcheck: "false" });
  field.value = key.get();
  const dialog = h("dialog", { id: "key-dialog", "aria-labelledby": "key-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "key-title" }, "API key"),
      h("p", { class: "hint" }, "A key that `latentmill keys create` printed. It stays in this tab and is forgotten with it."),
      h("label", { for: "key-field" }, "Key"), field,
      h("div", { class: "actions" }, h("button", { class: "primary", value: "use" }, "Use it"), h("button", { value: "" }, "Close"))));
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue !== "use") return;
    key.set(field.value.trim());
    say(key.get() ? "The key is used from now on" : "No key is used from now on");
    show();
  });
  document.body.append(dialog);
  dialog.showModal();
}

document.getElementById("key").addEventListener("click", askForKey);
document.addEventListener("key-needed", askForKey);
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", () => show());
// The first page is not announced as a change: the reader begins at its top.
show({ focus: false });
