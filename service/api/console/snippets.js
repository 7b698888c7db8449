// The request that stands in the form, as a program would send it.

import { address, key } from "./api.js";
import { copyable } from "./dom.js";

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl(body) {
  const secret = key.get() ? '  -H "Authorization: Bearer $LATENTMILL_API_KEY" \\\n' : "";
  return copyable(`curl ${address("/v1/jobs")} \\\n${secret}  -H 'Content-Type: application/json' \\\n  -d ${shell(JSON.stringify(body))}`, "curl");
}

export function python({ decoder, label, ...rest }) {
  // What JSON writes for a text or a number, Python reads as the same.
  const given = [decoder, ...(label == null ? [] : [label])].map((value) => JSON.stringify(value));
  const named = Object.entries(rest).map(([name, value]) => `${name}=${name === "seed" ? value : JSON.stringify(value)}`);
  const secret = key.get() ? ', api_key=os.environ["LATENTMILL_API_KEY"]' : "";
  return copyable(`${secret ? "import os\n" : ""}from latentmill import Client

with Client("${address("/").replace(/\/$/, "")}"${secret}) as client:
    job = client.submit(${[...given, ...named].join(", ")})
    client.download(client.wait(job), "images")`, "Python");
}

// The request as somebody would have to send it to get this job again.
export function bodyOf({ decoder, digest, label, labels, count, seed, format, temperature_milli: milli, compression, shard_size: size }) {
  const which = labels ? { labels } : { ...(label == null ? {} : { label }), count };
  return { decoder: `${decoder}@${digest}`, ...which, seed: String(seed), format, temperature: milli / 1000, compression, shard_size: size };
}
