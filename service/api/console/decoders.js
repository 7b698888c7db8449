// Published decoders: what they draw, what was measured of them, and how their images look.

import { json } from "./api.js";
import { bytes, facts, h, number, scrolling } from "./dom.js";
import { sample } from "./samples.js";

const COLUMNS = 8;

export async function decoders({ signal }) {
  const { decoders: cards } = await json("/v1/decoders", { signal });
  return [h("h1", {}, "Decoders"),
    cards.length ? h("ul", { class: "cards" }, cards.map((card) => h("li", { class: "panel" }, summary(card, signal)))) : h("p", {}, "None is published.")];
}

function summary(card, signal) {
  const labels = card.labels.length ? card.labels.slice(0, 6) : [null];
  return [
    h("h2", {}, h("a", { href: `#/decoders/${card.name}` }, card.name)), h("p", {}, card.description || "No description."), about(card),
    h("ul", { class: "mosaic" }, labels.map((label) => h("li", {}, sample(recipeOf(card, label, 0), 0, signal)))),
  ];
}

function about({ labels, image, latent_dim: dimensions, size_bytes: size, precision }) {
  return facts({
    Labels: labels.length ? `${number(labels.length)}: ${labels.slice(0, 12).join(", ")}${labels.length > 12 ? ", …" : ""}` : "none",
    Images: `${image.width} × ${image.height}, ${image.channels === 1 ? "grey" : "RGB"}`,
    Latent: `${dimensions} dimensions`, Weights: `${precision}, ${bytes(size)}`,
  });
}

export function recipeOf(card, label, seed, temperature = 1) {
  return { decoder: card.name, digest: card.digest, label, seed, temperature };
}

export async function decoder({ id, signal }) {
  const card = await json(`/v1/decoders/${encodeURIComponent(id)}`, { signal });
  return [
    h("h1", {}, card.name), h("p", {}, card.description || "No description."),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: `#/new?decoder=${card.name}` }, "Make images"), h("a", { class: "button", href: `#/explore?decoder=${card.name}` }, "Explore")),
    h("div", { class: "panel" }, about(card), h("p", { class: "hint" }, "Digest ", h("code", {}, card.digest))),
    h("h2", {}, "Samples"), grid(card, signal),
    h("h2", {}, "Measured"), Object.keys(card.quality).length ? h("div", { class: "panel" }, measured(card.quality)) : h("p", {}, "Nothing."),
  ];
}

// The card is free to hold what its maker measured.
function measured(value) {
  if (value === null || typeof value !== "object") return typeof value === "number" ? String(value) : `${value}`;
  const entries = Object.entries(value).map(([name, inner]) => [name.replaceAll("_", " "), measured(inner)]);
  return facts(Object.fromEntries(entries));
}

function grid(card, signal) {
  const labels = card.labels.length ? card.labels.slice(0, 20) : [null];
  return pictures(card, labels, [0], COLUMNS, signal);
}

function pictures(card, labels, [seed], columns, signal) {
  const rows = labels.map((label) => h("tr", {}, h("th", { scope: "row" }, label ?? "–"),
    Array.from({ length: columns }, (_, index) => h("td", {}, sample(recipeOf(card, label, seed), index, signal)))));
  const head = h("tr", {}, h("td"), Array.from({ length: columns }, (_, index) => h("th", { scope: "col" }, String(index))));
  const name = `Samples of seed ${seed}: a row for each label, a column for each sample`;
  return scrolling(name, h("table", { class: "grid", "aria-label": name }, h("thead", {}, head), h("tbody", {}, rows)));
}
