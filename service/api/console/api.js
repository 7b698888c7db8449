// The HTTP API as the console asks it: with the key of this tab, and problems as errors.

const KEY = "latentmill.key";
const BASE = new URL(".", document.baseURI);

// Kept for this tab alone, and never part of an address.
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export const address = (path) => new URL(path.replace(/^\//, ""), BASE).href;

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `the server answered ${status}`);
    this.status = status;
    this.slug = (body.type ?? "").replace("urn:latentmill:", "");
    this.faults = body.errors ?? [];
  }
}

// Seeds end beyond what a number holds here: they stay the digits that they are.
function parsed(text) {
  return JSON.parse(text.replace(/"seed":\s*(\d+)/g, '"seed":"$1"'));
}

export async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  const given = { ...headers };
  if (key.get()) given.Authorization = `Bearer ${key.get()}`;
  if (body !== undefined) given["Content-Type"] = "application/json";
  const answer = await fetch(address(path), { method, headers: given, signal, body: body && JSON.stringify(body) });
  if (answer.ok) return answer;
  let told = {};
  try { told = await answer.json(); } catch { /* a proxy's page says nothing to us */ }
  if (answer.status === 401) document.dispatchEvent(new Event("key-needed"));
  throw new Problem(answer.status, told);
}

export async function json(path, options) {
  return parsed(await (await ask(path, options)).text());
}

// A job after each change, to its end. Fetched and not an EventSource, which could not send a key.
export async function* events(id, signal) {
  let seen = "";
  while (!signal.aborted) {
    try {
      const answer = await ask(`/v1/jobs/${id}/events`, { signal, headers: seen ? { "Last-Event-ID": seen } : {} });
      if (answer.status === 204) return;
      for await (const event of streamed(answer.body)) {
        seen = event.id ?? seen;
        if (event.data) yield parsed(event.data);
        if (event.event === "end") return;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof Problem && error.status < 500)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function* streamed(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const block of whole) {
      yield Object.fromEntries(block.split("\n").filter((line) => !line.startsWith(":")).map((line) => line.split(/: (.*)/s, 2)));
    }
  }
}
