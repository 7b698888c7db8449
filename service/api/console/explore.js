// Label × seed: one seed keeps its handwriting under every label.

import { json } from "./api.js";
import { recipeOf } from "./decoders.js";
import { h, scrolling } from "./dom.js";
import { sample } from "./samples.js";

const COLUMNS = 8;

export async function explore({ query, signal }) {
  const { decoders: cards } = await json("/v1/decoders", { signal });
  if (!cards.length) return [h("h1", {}, "Explore"), h("p", {}, "No decoder is published.")];
  const place = h("div");
  const fields = {
    decoder: h("select", { id: "decoder" }, cards.map(({ name }) => h("option", { value: name, selected: name === query.get("decoder") }, name))),
    seed: h("input", { id: "seed", type: "number", min: 0, step: 1, max: 2 ** 53 - 1, value: query.get("seed") ?? "0" }),
    index: h("input", { id: "index", type: "number", min: 0, step: 1, max: 999999999, value: query.get("index") ?? "0" }),
    temperature: h("input", { id: "temperature", type: "number", min: 0.001, max: 2, step: "any", value: query.get("temperature") ?? "1" }),
  };
  let last = new AbortController();
  const show = () => {
    last.abort();
    last = new AbortController();
    const invalid = Object.values(fields).find((field) => !field.checkValidity());
    if (invalid) return place.replaceChildren(h("p", { class: "fault", role: "alert" }, invalid.validationMessage));
    const card = cards.find(({ name }) => name === fields.decoder.value);
    return place.replaceChildren(grid(card, fields, AbortSignal.any([signal, last.signal])));
  };
  const form = h("form", { class: "panel pair", "aria-label": "Explore" },
    labelled("Decoder", fields.decoder), labelled("First seed", fields.seed), labelled("Sample", fields.index), labelled("Temperature", fields.temperature));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", show);
  show();
  return [h("h1", {}, "Explore"), h("p", { class: "muted" }, "A row for each label, a column for each seed. Down a column the latents are the same."), form, place];
}

function labelled(text, field) {
  return h("div", {}, h("label", { for: field.id }, text), field);
}

function grid(card, fields, signal) {
  const seeds = Array.from({ length: COLUMNS }, (_, step) => Number(fields.seed.value) + step);
  const labels = card.labels.length ? card.labels.slice(0, 40) : [null];
  const temperature = Math.round(Number(fields.temperature.value) * 1000) / 1000;
  const head = h("tr", {}, h("td"), seeds.map((seed) => h("th", { scope: "col" }, String(seed))));
  const rows = labels.map((label) => h("tr", {}, h("th", { scope: "row" }, label ?? "–"),
    seeds.map((seed) => h("td", {}, sample(recipeOf(card, label, seed, temperature), Number(fields.index.value), signal)))));
  const name = "Samples: a row for each label, a column for each seed";
  return scrolling(name, h("table", { class: "grid", "aria-label": name }, h("thead", {}, head), h("tbody", {}, rows)));
}
