// A new job: every change is checked by the server, quoted, and shown by its very first images.

import { ask, json } from "./api.js";
import { bytes, duration, facts, h, number, say } from "./dom.js";
import { sample } from "./samples.js";
import { curl, python } from "./snippets.js";

const FIRST_IMAGES = 12;
const PAUSE_MS = 250;
const USUAL = { temperature: "1", compression: "fast", shard_size: "", tags: "", priority: "normal", expires_in_s: "" };
// No label is spelt so.
const MIX = "*";

export const drawnSeed = () => {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return String((high & 0x1fffff) * 2 ** 32 + low);
};

export async function submit({ query, signal }) {
  const { decoders } = await json("/v1/decoders", { signal });
  if (!decoders.length) {
    return [h("h1", {}, "New job"), h("p", { class: "notice" }, "No decoder is published yet: `latentmill publish` does it.")];
  }
  const form = new Form(decoders, query, signal);
  form.changed();
  return [h("h1", {}, "New job"), form.element];
}

class Form {
  constructor(decoders, query, signal) {
    this.decoders = decoders;
    this.signal = signal;
    this.faults = {};
    this.asked = new AbortController();
    // A double click, or a retry after an answer that was lost, makes one job.
    this.key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const given = (name, otherwise) => query.get(name) ?? otherwise;
    this.fields = {
      decoder: choice(names(decoders, query.get("decoder")), given("decoder", decoders[0].name)),
      label: h("select"),
      count: h("input", { inputmode: "numeric", value: given("count", "1000") }),
      labels: h("input", { value: written(given("labels", "")), spellcheck: "false", placeholder: "3=200, 8=100" }),
      seed: h("input", { inputmode: "numeric", value: given("seed", drawnSeed()), spellcheck: "false" }),
      format: choice([["zip", "zip: PNG files in a folder per label"], ["tar", "tar: WebDataset"], ["npz", "npz: NumPy arrays"], ["parquet", "parquet: Hugging Face images"]], given("format", "zip")),
      temperature: h("input", { type: "number", min: "0.001", max: "2", step: "0.001", value: given("temperature", "1") }),
      compression: choice([["fast", "fast"], ["small", "small: fewer bytes"], ["none", "none"]], given("compression", "fast")),
      tags: h("input", { value: written(given("tags", "")), spellcheck: "false", placeholder: "run=night, team=vision" }),
      priority: choice([["interactive", "interactive: before my other jobs"], ["normal", "normal"], ["bulk", "bulk: after my other jobs"]], given("priority", "normal")),
      expires_in_s: h("input", { inputmode: "numeric", value: given("expires_in_s", ""), placeholder: "never" }),
      shard_size: h("input", { inputmode: "numeric", value: given("shard_size", ""), placeholder: "chosen by the server" }),
    };
    this.labels(query.has("labels") ? MIX : given("label", ""));
    this.quoted = h("div", { "aria-live": "polite" });
    this.first = h("ul", { class: "mosaic" });
    this.code = h("div");
    this.button = h("button", { class: "primary" }, "Submit the job");
    this.refused = h("p", { class: "fault", role: "alert" });
    this.element = this.#laidOut();
  }

  #laidOut() {
    const redraw = () => { this.fields.seed.value = drawnSeed(); this.changed(); };
    const seed = h("div", { class: "beside" }, this.fields.seed, h("button", { type: "button", class: "quiet", onclick: redraw }, "Draw"));
    const form = h("form", { class: "panel fields", novalidate: true, "aria-label": "New job" },
      this.#field("decoder", "Decoder"), this.#field("label", "Label"),
      this.count = this.#field("count", "Images"), this.mix = this.#field("labels", "Images of each label"),
      this.#field("seed", "Seed", "The same seed always gives the same images, under every label.", seed),
      this.#field("format", "Format"),
      h("details", { open: Object.entries(USUAL).some(([name, usual]) => this.fields[name].value !== usual) },
        h("summary", {}, "More"),
        h("div", { class: "fields" },
          this.#field("temperature", "Temperature", "Below 1 more typical images, above 1 more unusual ones."),
          this.#field("compression", "Compression"),
          this.#field("shard_size", "Images in each archive", "A multiple of 1024."),
          this.#field("tags", "Tags", "Find the job again by them."),
          this.#field("priority", "Priority", "Other people's jobs are as before."),
          this.#field("expires_in_s", "Seconds to wait", "The job fails if nothing of it was begun by then."))),
      this.refused, h("div", { class: "actions" }, this.button));
    form.addEventListener("input", (event) => {
      if (event.target === this.fields.decoder) this.labels(this.fields.label.value);
      this.#turn();
      this.changed();
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.#turn();
    return h("div", { class: "columns" }, form, h("div", {},
      h("section", { class: "panel", "aria-labelledby": "quote" }, h("h2", { id: "quote" }, "What it will be"), this.quoted),
      h("section", { "aria-labelledby": "first" }, h("h2", { id: "first" }, "Its first images"), this.first),
      h("section", { "aria-labelledby": "code" }, h("h2", { id: "code" }, "The same by program"), this.code)));
  }

  #field(name, title, hint, shown = this.fields[name]) {
    const field = this.fields[name];
    const fault = h("p", { class: "fault", id: `${name}-fault` });
    field.id = name;
    field.setAttribute("aria-describedby", hint ? `${name}-hint ${name}-fault` : `${name}-fault`);
    this.faults[name] = fault;
    return h("div", {}, h("label", { for: name }, title), shown, hint && h("p", { class: "hint", id: `${name}-hint` }, hint), fault);
  }

  get card() {
    const wanted = this.fields.decoder.value;
    return this.decoders.find((card) => card.name === wanted || `${card.name}@${card.digest}` === wanted);
  }

  get mixed() { return this.fields.label.value === MIX; }

  // One label has a count; a mix has one for each.
  #turn() { [this.count.hidden, this.mix.hidden] = [this.mixed, !this.mixed]; }

  // The labels of the chosen decoder; one that it shares with the last one stays chosen.
  labels(wanted) {
    const known = this.card?.labels ?? (wanted && wanted !== MIX ? [wanted] : []);
    this.fields.label.replaceChildren(...[...known, ...(this.card && !known.length ? [] : [MIX])].map((label) => h("option", { value: label }, label === MIX ? "a mix of several" : label)));
    this.fields.label.disabled = !this.fields.label.length;
    if (known.includes(wanted) || wanted === MIX) this.fields.label.value = wanted;
  }

  get body() {
    const { decoder, label, labels, count, seed, format, temperature, compression, tags, priority, expires_in_s: expires, shard_size: size } = this.fields;
    const whole = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text);
    const body = { decoder: decoder.value };
    if (this.mixed) body.labels = Object.fromEntries(pairs(labels.value).map(([name, number]) => [name, whole(number)]));
    else if (!label.disabled) body.label = label.value;
    if (!this.mixed) body.count = whole(count.value.trim());
    if (seed.value.trim()) body.seed = seed.value.trim();
    if (format.value !== "zip") body.format = format.value;
    if (temperature.value !== "1") body.temperature = Number(temperature.value);
    if (compression.value !== "fast") body.compression = compression.value;
    if (tags.value.trim()) body.tags = Object.fromEntries(pairs(tags.value));
    if (priority.value !== "normal") body.priority = priority.value;
    if (expires.value.trim()) body.expires_in_s = whole(expires.value.trim());
    if (size.value.trim()) body.shard_size = whole(size.value.trim());
    return body;
  }

  changed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), PAUSE_MS);
  }

  async look() {
    this.asked.abort();
    this.asked = new AbortController();
    const signal = AbortSignal.any([this.asked.signal, this.signal]);
    const body = this.body;
    this.code.replaceChildren(curl(body), python(body));
    try {
      const quote = await json("/v1/quotes", { method: "POST", body, signal });
      this.#mark([]);
      this.quoted.replaceChildren(this.#told(quote));
      this.#show(body, quote, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#mark(error.faults ?? []);
      this.quoted.replaceChildren(h("p", { class: "muted" }, error.faults?.length ? "Nothing yet: see the fields marked." : error.message));
      this.first.replaceChildren();
    }
  }

  #told({ samples, shards, shards_stored: stored, bytes: size, seconds }) {
    const archives = `${number(shards)} ${shards === 1 ? "archive" : "archives"}`;
    return facts({
      Images: number(samples),
      Stored: stored ? `${number(stored)} of ${archives} already: they are not made again` : `nothing yet of ${archives}`,
      Size: size == null ? "known when the first such archive has been made" : `about ${bytes(size)}`,
      Time: seconds == null ? "known when a worker has made one" : stored === shards ? "at once" : `about ${duration(seconds)} of all workers`,
    });
  }

  #show(body, { samples, first_labels: labels }, signal) {
    if (!body.seed) return this.first.replaceChildren(h("li", {}, "The server draws the seed."));
    const card = this.card;
    const recipe = { decoder: card?.name ?? body.decoder.split("@")[0], digest: card?.digest ?? body.decoder.split("@")[1], seed: body.seed, temperature: body.temperature ?? 1 };
    const shown = labels.slice(0, FIRST_IMAGES).map((label, index) => h("li", {}, sample({ ...recipe, label: label || null }, index, signal)));
    return this.first.replaceChildren(...shown);
  }

  #mark(faults) {
    for (const [name, place] of Object.entries(this.faults)) {
      const own = faults.filter((fault) => fault.pointer.replace(/^\//, "").split("/")[0] === name);
      place.textContent = own.map((fault) => fault.detail).join("; ");
      this.fields[name].setAttribute("aria-invalid", String(own.length > 0));
    }
    const others = faults.filter((fault) => !(fault.pointer.replace(/^\//, "").split("/")[0] in this.faults));
    this.refused.textContent = others.map((fault) => `${fault.pointer}: ${fault.detail}`).join("; ");
  }

  async send() {
    this.button.disabled = true;
    try {
      const answer = await ask("/v1/jobs", { method: "POST", body: this.body, headers: { "Idempotency-Key": this.key } });
      const { id } = await answer.json();
      say("The job is accepted");
      location.hash = `#/jobs/${id}`;
    } catch (error) {
      this.#mark(error.faults ?? []);
      if (!error.faults?.length) this.refused.textContent = error.message;
      this.element.querySelector("[aria-invalid=true]")?.focus();
      // Another body under the same key would be refused as a mistake.
      this.key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    } finally {
      this.button.disabled = false;
    }
  }
}

// `3=200, 8=100`
function pairs(text) {
  return text.split(",").filter((pair) => pair.trim()).map((pair) => [...pair.split(/=(.*)/s), ""].slice(0, 2).map((part) => part.trim()));
}

// `labels` in an address is JSON, as in a request.
function written(text) {
  try { return Object.entries(JSON.parse(text)).map((pair) => pair.join("=")).join(", "); } catch { return text; }
}

// A job may name a version of a decoder that is not the current one.
function names(decoders, wanted) {
  const known = decoders.map((card) => [card.name, card.name]);
  const pinned = wanted && !decoders.some((card) => card.name === wanted);
  return pinned ? [...known, [wanted, `${wanted.slice(0, wanted.indexOf("@") + 13)}…`]] : known;
}

function choice(options, chosen) {
  const select = h("select", {}, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return select;
}
