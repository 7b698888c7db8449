// One job: how far it is, any of its images, and all that can be done with it.

import { ask, events, json, key } from "./api.js";
import { badge, bytes, copyable, duration, facts, h, moment, number, say, table } from "./dom.js";
import { sample } from "./samples.js";
import { bodyOf, curl, python } from "./snippets.js";

const AT_A_TIME = 24;
const ENDED = ["completed", "failed", "cancelled"];

export async function job({ id, signal }) {
  const first = await json(`/v1/jobs/${encodeURIComponent(id)}`, { signal });
  const page = new Page(first, signal);
  page.show(first);
  if (!ENDED.includes(first.status)) page.follow();
  return page.content();
}

class Page {
  constructor(first, signal) {
    this.signal = signal;
    this.id = first.id;
    this.request = first.request;
    this.priority = first.priority;
    this.tags = Object.entries(first.tags).map((pair) => pair.join("=")).join(", ");
    this.head = h("span", {});
    this.bar = h("progress", { "aria-label": "Progress" });
    this.estimate = h("p", { class: "hint" });
    this.actions = h("div", { class: "actions" });
    this.files = h("section", { "aria-labelledby": "files" });
    this.state = "";
  }

  content() {
    const request = this.request;
    const title = h("h1", {}, `Job ${this.id.slice(0, 12)} `, this.head);
    if (!request) return [title, this.told, this.actions];
    const body = bodyOf(request);
    return [
      title,
      h("p", { class: "hint" }, h("code", {}, this.id)),
      h("div", { class: "panel" }, this.bar, this.told, this.estimate, this.actions),
      this.#gallery(),
      this.files,
      h("details", {}, h("summary", {}, "What was asked for"), this.#recipe()),
      h("details", {}, h("summary", {}, "The same by program"), curl(body), python(body), copyable(`latentmill download ${this.id} --to images`, "command line")),
    ];
  }

  told = h("div", { "aria-live": "polite" });

  show(job) {
    const { progress } = job;
    this.bar.max = Math.max(1, progress.samples_total);
    this.bar.value = progress.samples_done;
    this.head.replaceChildren(badge(job.status));
    this.told.replaceChildren(
      h("p", {}, `${number(progress.samples_done)} of ${number(progress.samples_total)} images`,
        progress.shards_reused ? `, ${number(progress.shards_reused)} of ${number(progress.shards_total)} archives were stored before` : ""),
      job.error ? h("p", { class: "notice" }, job.error) : "");
    if (ENDED.includes(job.status)) this.estimate.textContent = this.#took(job);
    if (job.status === this.state) return;
    this.state = job.status;
    this.actions.replaceChildren(...this.#actions(job));
    if (job.status === "completed") this.#showFiles();
  }

  #took({ started_at: started, finished_at: finished, progress }) {
    if (!started || !finished) return "";
    const seconds = (new Date(finished) - new Date(started)) / 1000;
    return `Took ${duration(seconds)}, ${number(Math.round(progress.samples_done / Math.max(seconds, 0.001)))} images a second.`;
  }

  async follow() {
    this.#estimated();
    try {
      for await (const job of events(this.id, this.signal)) this.show(job);
      say(`The job has ended: ${this.state}`);
    } catch (error) {
      if (!this.signal.aborted) say(error.message);
    }
  }

  async #estimated() {
    while (!this.signal.aborted && !ENDED.includes(this.state)) {
      const found = await json(`/v1/jobs/${this.id}/estimate`, { signal: this.signal }).catch(() => null);
      if (found && !ENDED.includes(this.state)) this.estimate.textContent = foreseen(found);
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  }

  #actions(job) {
    const request = job.request;
    const press = (text, act, kind = "") => h("button", { type: "button", class: kind, onclick: act }, text);
    const actions = [];
    if (["queued", "running"].includes(job.status)) actions.push(press("Cancel", () => this.#cancel()));
    if (job.status === "completed") {
      actions.push(press("Verify here", () => this.#verify()), press("Repair", () => this.#repair()));
      actions.push(press("Manifest", () => this.#save("manifest", `${this.id}-manifest.json`)));
    }
    if (request) {
      actions.push(h("a", { class: "button", href: again(request, 1) }, "Same again"));
      actions.push(h("a", { class: "button", href: again(request, 2) }, "More of it"));
    }
    if (ENDED.includes(job.status)) actions.push(press("Forget", () => this.#forget(), "quiet"));
    return actions;
  }

  async #cancel() {
    await this.#tried(async () => { this.show(await json(`/v1/jobs/${this.id}/cancel`, { method: "POST" })); });
  }

  async #forget() {
    if (!confirm("Forget this job? Its images stay, and the same request makes them again.")) return;
    await this.#tried(async () => { await ask(`/v1/jobs/${this.id}`, { method: "DELETE" }); say("The job is forgotten"); location.hash = "#/jobs"; });
  }

  async #repair() {
    await this.#tried(async () => {
      let report = await json(`/v1/jobs/${this.id}/repair`, { method: "POST" });
      say("Every archive is looked at; broken ones are made again");
      while (!report.finished_at && !this.signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        report = await json(`/v1/jobs/${this.id}/repair`, { signal: this.signal });
      }
      this.verdict.replaceChildren(...mended(report));
    });
  }

  async #tried(act) {
    try { await act(); } catch (error) { if (!this.signal.aborted) say(error.message); }
  }

  // Through this page, for a link could not carry a key.
  async #save(part, name) {
    await this.#tried(async () => {
      const answer = await ask(`/v1/jobs/${this.id}/${part}`, { signal: this.signal });
      const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    });
  }

  async #download(index, name) {
    await this.#tried(async () => {
      const { url } = await json(`/v1/jobs/${this.id}/shards/${index}/link`, { signal: this.signal });
      if (url) location.assign(url);
      else await this.#save(`shards/${index}`, name);
    });
  }

  async #showFiles() {
    const manifest = await json(`/v1/jobs/${this.id}/manifest`, { signal: this.signal }).catch(() => null);
    if (!manifest) return;
    this.verdict = h("div", { "aria-live": "polite" });
    this.marks = new Map();
    const rows = manifest.shards.slice(0, 100).map((shard) => {
      const mark = h("span", { class: "muted" }, "–");
      this.marks.set(shard.index, mark);
      const name = `${this.id}-${shard.key.split("/").pop()}`;
      const save = h("button", { type: "button", onclick: () => this.#download(shard.index, name), "aria-label": `Download archive ${shard.index}` }, "Download");
      return [String(shard.index), `${number(shard.start)} – ${number(shard.stop - 1)}`, bytes(shard.size_bytes), h("code", { title: shard.sha256 }, shard.sha256.slice(0, 12)), mark, save];
    });
    this.manifest = manifest;
    const rest = manifest.shards.length > rows.length;
    this.files.replaceChildren(
      h("h2", { id: "files" }, `Archives (${number(manifest.shards.length)}, ${bytes(manifest.size_bytes)})`), this.verdict,
      table("Archives", ["Archive", "Images", "Size", "sha256", "Verified", ""], rows),
      h("p", { class: "hint" }, rest ? `The first ${rows.length} are listed; latentmill download ${this.id} takes all.` : ""));
  }

  // Reads the archives that are listed and compares their sums with the manifest's, in this browser.
  async #verify() {
    if (!crypto.subtle) { say("Browsers compute sums on secure pages alone: use latentmill verify"); return; }
    let good = 0;
    const listed = this.manifest.shards.slice(0, 100);
    for (const shard of listed) {
      const mark = this.marks.get(shard.index);
      mark.textContent = "reading";
      try {
        const answer = await ask(`/v1/jobs/${this.id}/shards/${shard.index}`, { signal: this.signal });
        const sum = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
        const hex = [...new Uint8Array(sum)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        mark.textContent = hex === shard.sha256 ? "intact" : "DIFFERS";
        good += hex === shard.sha256;
      } catch (error) {
        if (this.signal.aborted) return;
        // The bucket is another site, which this page may not read.
        mark.textContent = error instanceof TypeError ? "not readable from here" : error.message;
      }
    }
    this.verdict.replaceChildren(h("p", { class: good === listed.length ? "completed" : "fault" },
      `${number(good)} of ${number(listed.length)} archives have the sha256 of the manifest. latentmill verify ${this.id} looks at every image, too.`));
  }

  #recipe() {
    const { decoder, digest, label, labels, count, seed, temperature_milli: milli, format, compression, shard_size: size } = this.request;
    return facts({
      Decoder: h("a", { href: `#/decoders/${decoder}` }, decoder), Version: h("code", {}, digest), Label: labels ? Object.entries(labels).map(([name, each]) => `${name}: ${number(each)}`).join(", ") : label ?? "–", Images: number(count), Seed: String(seed),
      Temperature: String(milli / 1000), Format: format, Compression: compression, "Images in each archive": number(size), Tags: this.tags || null, Priority: this.priority === "normal" ? null : this.priority,
    });
  }

  #gallery() {
    const { decoder, digest, label, labels, count, seed, temperature_milli: milli } = this.request;
    const recipe = { decoder, digest, label, seed, temperature: milli / 1000 };
    const labelsFrom = async (from) => labels ? (await json(`/v1/jobs/${this.id}/labels?start=${from}&limit=${AT_A_TIME}`, { signal: this.signal })).labels : null;
    const shown = h("ul", { class: "mosaic" });
    const range = h("span", { class: "muted", "aria-live": "polite" });
    const where = h("input", { id: "from", type: "number", min: 0, max: count - 1, value: 0 });
    const show = async (wanted) => {
      const from = Math.min(Math.max(0, Math.floor(wanted) || 0), count - 1);
      const to = Math.min(count, from + AT_A_TIME);
      where.value = from;
      range.textContent = `${number(from)} – ${number(to - 1)} of ${number(count)}`;
      [back.disabled, on.disabled] = [from === 0, to === count];
      const named = await labelsFrom(from);
      if (Number(where.value) !== from) return;
      const of = (step) => (named ? { ...recipe, label: named[step] } : recipe);
      // Of a mix, the neighbours of an image have labels of their own: it is shown large by itself.
      const last = named ? null : count - 1;
      shown.replaceChildren(...Array.from({ length: to - from }, (_, step) => h("li", {}, sample(of(step), from + step, this.signal, last ?? from + step, last === null))));
    };
    const turn = (text, by) => h("button", { type: "button", onclick: () => show(Number(where.value) + by) }, text);
    const [back, on] = [turn("Previous", -AT_A_TIME), turn("Next", AT_A_TIME)];
    where.addEventListener("change", () => show(Number(where.value)));
    show(0);
    return h("section", { "aria-labelledby": "gallery" }, h("h2", { id: "gallery" }, "Images"),
      h("div", { class: "actions" }, back, on, h("label", { for: "from" }, "From image"), h("div", {}, where), range), shown);
  }
}

function foreseen({ jobs_ahead: ahead, seconds }) {
  const place = ahead ? `${number(ahead)} of your jobs come before it. ` : "";
  return seconds == null ? `${place}When it ends cannot be told yet.` : `${place}About ${duration(seconds)} left.`;
}

function mended({ shards_checked: checked, repaired, unrepairable }) {
  const broken = Object.entries(unrepairable);
  return [
    h("p", { class: broken.length ? "fault" : "completed" }, `${number(checked)} archives looked at, ${number(repaired.length)} made again with the same bytes, ${number(broken.length)} left as they were.`),
    ...broken.map(([index, reason]) => h("p", { class: "fault" }, `Archive ${index}: ${reason}`)),
  ];
}

function again(request, times) {
  const more = (labels) => labels && Object.fromEntries(Object.entries(labels).map(([label, count]) => [label, times * count]));
  const body = bodyOf({ ...request, count: times * request.count, labels: more(request.labels) });
  const written = Object.entries(body).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  return `#/new?${new URLSearchParams(written)}`;
}
