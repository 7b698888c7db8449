// The caller's jobs, newest first; those that move are looked at again.

import { json } from "./api.js";
import { badge, h, moment, number, table } from "./dom.js";

const STATUSES = ["queued", "running", "finalizing", "completed", "failed", "cancelled"];
const LOOK_MS = 2000;

export async function jobs({ query, signal }) {
  const place = h("div");
  const filter = h("select", { id: "filter" }, h("option", { value: "" }, "all"),
    STATUSES.map((status) => h("option", { value: status, selected: status === query.get("status") }, status)));
  filter.addEventListener("change", () => { location.hash = filter.value ? `#/jobs?status=${filter.value}` : "#/jobs"; });
  const path = () => {
    const asked = new URLSearchParams({ limit: "20" });
    for (const name of ["status", "cursor"]) if (query.get(name)) asked.set(name, query.get(name));
    return `/v1/jobs?${asked}`;
  };
  const show = (page) => place.replaceChildren(...listed(page, query));
  const first = await json(path(), { signal });
  show(first);
  watch(first, path, show, signal);
  return [h("h1", {}, "Jobs"), h("div", { class: "actions" }, h("label", { for: "filter" }, "Status"), h("div", {}, filter)), place];
}

async function watch(page, path, show, signal) {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (signal.aborted || document.hidden) continue;
    // Rows under a reader's finger do not move while nothing changes.
    const now = await json(path(), { signal }).catch(() => page);
    if (JSON.stringify(now) !== JSON.stringify(page)) show(now);
    page = now;
  }
}

function listed({ jobs: found, next }, query) {
  if (!found.length) return [h("p", {}, "None. ", h("a", { href: "#/new" }, "Make the first one"), ".")];
  const rows = found.map((job) => [
    h("a", { href: `#/jobs/${job.id}` }, job.id.slice(0, 12)), badge(job.status), job.request ? job.request.decoder : "–", job.request?.labels ? "mix" : job.request?.label ?? "–",
    `${number(job.progress.samples_done)} of ${number(job.progress.samples_total)}`, job.request?.format ?? "–", moment(job.created_at),
  ]);
  const further = new URLSearchParams(query);
  further.set("cursor", next ?? "");
  return [
    table("Jobs", ["Job", "Status", "Decoder", "Label", "Images", "Format", "Accepted"], rows),
    h("div", { class: "actions" },
      query.get("cursor") && h("a", { class: "button", href: "#/jobs" }, "Newest"),
      next && h("a", { class: "button", href: `#/jobs?${further}` }, "Older")),
  ];
}
