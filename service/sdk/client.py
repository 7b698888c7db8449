"""The client: everything the HTTP API offers, as Python."""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import quote

from latentmill.archive import Arrays, joined, read_archive
from latentmill.download import Meter, OnBytes, download, fetch
from latentmill.events import events
from latentmill.proof import proof_from_server
from latentmill.transport import Transport
from latentmill.verify import OnShard, Verification, verify_stored
from latentmill.waiting import completed, pauses, timed_out
from latentmill.wanted import Wanted, request_body

from service.contract.card import DecoderCard
from service.contract.errors import (
    Fault,
    RequestInvalid,
    UnknownJob,
)
from service.contract.job import Job
from service.contract.manifest import Manifest
from service.contract.overlap import Overlap, overlap_of
from service.contract.proof import Proof
from service.contract.repair import RepairReport
from service.contract.request import JOB_ID, ResolvedRequest
from service.contract.sample import NO_LABEL


class Client:
    """Talks to one Latentmill server. A job is named by its id or by the Job itself.

    `api_key` is what `latentmill keys create` printed; a server without keys needs none.
    Requests are tried again for `patience_s` seconds while the server is away or busy; `timeout_s`
    bounds each wait for the network. Refusals are errors of `latentmill.errors`. Safe to use from
    several threads; close it, or use it as a context manager.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 30.0,
    ) -> None:
        self._transport = Transport(
            url, api_key=api_key, timeout_s=timeout_s, patience_s=patience_s
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def submit(
        self,
        decoder: str,
        label: int | str | None = None,
        *,
        webhook: str | None = None,
        tags: Mapping[str, str] | None = None,
        priority: str | None = None,
        expires_in_s: int | None = None,
        idempotency_key: str | None = None,
        **what: Unpack[Wanted],
    ) -> Job:
        """Ask for `count` images of a label, or for `labels={label: images}`; returns at once with the accepted job.

        The other fields are those of `Wanted`; `webhook` is told when the job has ended; `tags` find it again;
        `priority` (interactive, normal, bulk) puts it before or after the owner's other jobs; a job of which nothing
        was begun after `expires_in_s` seconds fails. Sending the same `idempotency_key` again gives the same job;
        without one a key is drawn, so that a request which had to be sent twice makes one job. Raises RequestInvalid.
        """
        beside = {
            "webhook": webhook,
            "tags": tags,
            "priority": priority,
            "expires_in_s": expires_in_s,
        }
        body = request_body(decoder, label, what)
        body |= {name: value for name, value in beside.items() if value is not None}
        key = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(18)}
        return _job(self._transport.post("/v1/jobs", body, key))

    def quote(
        self, decoder: str, label: int | str | None = None, **what: Unpack[Wanted]
    ) -> dict[str, Any]:
        """What such a job would take: samples, shards, shards_stored, bytes, seconds."""
        return dict(self._transport.post("/v1/quotes", request_body(decoder, label, what)))

    def job(self, job: str | Job) -> Job:
        """The job as it is now. Raises UnknownJob."""
        return _job(self._transport.get(_path(job)))

    def jobs(
        self,
        *,
        status: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs with that status and all of these tags, newest first, fetched page by page as they are asked for."""
        query: dict[str, Any] = {"limit": str(min(limit or 100, 100))}
        query |= {"status": status} if status else {}
        query |= {"tag": [f"{name}={value}" for name, value in tags.items()]} if tags else {}
        return islice(self._all_jobs(query), limit)

    def _all_jobs(self, query: dict[str, Any]) -> Iterator[Job]:
        while True:
            page = self._transport.get("/v1/jobs", query)
            yield from map(_job, page["jobs"])
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    def wait(
        self,
        job: str | Job,
        *,
        timeout_s: float | None = None,
        poll_s: float = 0.5,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """The completed job. Looks often at first and then every `poll_s` seconds.

        Raises JobFailed, JobCancelled, or after `timeout_s` seconds WaitTimedOut; it goes on then.
        """
        for pause_s in pauses(timeout_s, poll_s):
            now = self.job(job)
            if on_progress is not None:
                on_progress(now)
            if now.status.is_terminal:
                return completed(now)
            time.sleep(pause_s)
        raise timed_out(job, timeout_s)

    def events(self, job: str | Job) -> Iterator[Job]:
        """The job after each change, as the server tells it, until it has ended; goes on after a lost connection.

        Raises UnknownJob, and ServerUnreachable when the server stays away.
        """
        return map(_job, events(self._transport, f"{_path(job)}/events"))

    def cancel(self, job: str | Job) -> Job:
        """Ask to stop. Raises JobNotCancellable when the job is past that."""
        return _job(self._transport.post(f"{_path(job)}/cancel"))

    def overlap(self, job: str | Job, other: str | Job) -> Overlap:
        """How many latents and images two jobs share, told by their requests alone. Raises UnknownJob."""
        one, another = (self._request(each) for each in (job, other))
        if one is None or another is None:
            return Overlap(latents=0, images=0)
        return overlap_of(one, another)

    def _request(self, job: str | Job) -> ResolvedRequest | None:
        return (job if isinstance(job, Job) else self.job(job)).request

    def forget(self, job: str | Job) -> None:
        """Remove an ended job's records; its archives stay for other jobs of the same recipe."""
        self._transport.delete(_path(job))

    def manifest(self, job: str | Job) -> Manifest:
        """Every shard with size, checksums and profile. Raises JobUnfinished."""
        answer = self._transport.get(f"{_path(job)}/manifest")
        return Manifest.model_validate(answer, extra="ignore")

    def download(
        self, job: str | Job, to: str | Path, on_progress: OnBytes | None = None
    ) -> list[Path]:
        """The archives in the folder `to`, checked, beside their `manifest.json`; paths in order.

        What is there already and intact is not fetched again. Raises as `latentmill.download` says.
        """
        return download(self._transport, self.manifest(job), Path(to), on_progress)

    def arrays(self, job: str | Job) -> Arrays:
        """All samples in memory: images uint8 [n, H, W, C], labels str [n], indexes int64 [n]."""
        manifest = self.manifest(job)
        meter = Meter(manifest.size_bytes, None)
        bodies = (fetch(self._transport, manifest.id, shard, meter) for shard in manifest.shards)
        recipe = manifest.recipe
        label = recipe.label or recipe.labels
        return joined([read_archive(body, recipe.format, label) for body in bodies])

    def verify(
        self,
        job: str | Job,
        on_progress: OnShard | None = None,
        *,
        public_key: str | None = None,
    ) -> Verification:
        """Every stored archive's bytes and pixels against the manifest; nothing is kept.

        `public_key` is of who has to stand for the manifest. Raises ValueError for what is none.
        """
        manifest = self.manifest(job)
        return verify_stored(self._transport, manifest, on_progress, public_key=public_key)

    def croissant(self, job: str | Job) -> dict[str, Any]:
        """The job as a data set for other tools, in Croissant 1.0 (JSON-LD)."""
        return dict(self._transport.get(f"{_path(job)}/croissant"))

    def proof(self, job: str | Job, index: int) -> Proof:
        """The proof that image `index` is the job's, from the archive that holds it; `check_image` needs nothing else.

        Raises JobUnfinished, ArchiveBroken, RequestInvalid.
        """
        return proof_from_server(self._transport, self.manifest(job), index)

    def repair(self, job: str | Job) -> RepairReport:
        """Ask to make broken or missing shards again; returns the report as it stands."""
        return _report(self._transport.post(f"{_path(job)}/repair"))

    def repair_report(self, job: str | Job) -> RepairReport:
        """How far the job's repair is. Raises UnknownJob when none was asked for."""
        return _report(self._transport.get(f"{_path(job)}/repair"))

    def image(
        self,
        decoder: str,
        label: int | str | None = None,
        *,
        seed: int | str,
        index: int,
        temperature: float = 1.0,
    ) -> bytes:
        """The PNG file of sample `index` of every such request, before or after any job ran. Raises RequestInvalid.

        With `name@digest` the same arguments give the same file for ever.
        """
        label = NO_LABEL if label is None else label
        named = {"decoder": decoder, "label": label, "seed": seed, "index": index}
        slashes = [name for name, part in named.items() if "/" in str(part)]
        if slashes:
            raise RequestInvalid([Fault(f"/{name}", "has no slash in it") for name in slashes])
        path = "/".join(quote(str(part), safe="@") for part in named.values())
        query = {} if temperature == 1.0 else {"temperature": str(temperature)}
        return self._transport.get_bytes(f"/v1/images/{path}.png", query)

    def decoders(self) -> list[DecoderCard]:
        """The cards of all decoders."""
        answer = self._transport.get("/v1/decoders")
        return [DecoderCard.model_validate(card, extra="ignore") for card in answer["decoders"]]


def _path(job: str | Job) -> str:
    job_id = job if isinstance(job, str) else job.id
    # What cannot be an id is never part of a URL.
    if not re.fullmatch(JOB_ID, job_id):
        raise UnknownJob(f"{job_id!r} is no job's id")
    return f"/v1/jobs/{job_id}"


def _job(answer: Any) -> Job:
    # A newer server may tell more than this client knows.
    return Job.model_validate(answer, extra="ignore")


def _report(answer: Any) -> RepairReport:
    return RepairReport.model_validate(answer, extra="ignore")
