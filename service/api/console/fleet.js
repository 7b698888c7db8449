// Who works, how fast, and how much is left to do.

import { json } from "./api.js";
import { duration, facts, h, number, table } from "./dom.js";

const LOOK_MS = 2000;

export async function fleet({ signal }) {
  const place = h("div");
  const show = (found) => place.replaceChildren(...told(found));
  show(await json("/v1/fleet", { signal }));
  watch(show, signal);
  return [h("h1", {}, "Fleet"), place];
}

async function watch(show, signal) {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (signal.aborted || document.hidden) continue;
    const found = await json("/v1/fleet", { signal }).catch(() => null);
    if (found && !signal.aborted) show(found);
  }
}

function told({ workers, slots, cores, active_jobs: active, queued_messages: messages, samples_left: left, samples_per_s: speed, backlog_s: backlog }) {
  const rows = workers.map(({ name, slots: own, cores: fast, provider, device, onnxruntime }) => [name, String(own), String(fast), provider, device, onnxruntime]);
  return [
    h("div", { class: "panel" }, facts({
      "images a second, over the last minute": number(Math.round(speed)), "images to be made": number(left),
      backlog: backlog == null ? (left ? "unknown" : "none") : left ? duration(backlog) : "none",
      "unfinished jobs": number(active), "messages in the queue": number(messages), workers: number(workers.length), cores: number(cores), slots: number(slots),
    }, "numbers")),
    h("h2", {}, "Workers"),
    workers.length ? table("Workers", ["Worker", "Slots", "Cores", "Provider", "Device", "ONNX Runtime"], rows)
      : h("p", { class: "notice" }, "No worker is alive: accepted jobs wait until one is started."),
  ];
}
