"""Audits: workers make each other's shards again; whoever's bytes are wrong within one profile stops working."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from service.adapters.queue import AUDIT_SHARD, BULK
from service.contract import layout
from service.contract.audit import AuditRecord
from service.contract.job import Job, Status
from service.contract.manifest import ShardRecord
from service.contract.shard import Shard
from service.contract.value import sha256_hex
from service.lifecycle.audit import is_chosen
from service.lifecycle.parts import Parts
from tests.fixtures.parts import now_is, run_all
from workers.audit import MOST_PASSED_ON, audit_shard
from workers.shard import Studio


class Crew:
    """Workers by name, as the ledger believes them alive, on one storage; messages are handed to whom the test says."""

    def __init__(self, studio: Studio, client: "redis.Redis") -> None:
        self._studio, self._client = studio, client
        self.parts: Parts = studio.parts
        self.audits = studio.parts.ledger.audits

    def alive(self, *names: str) -> None:
        for name in names:
            self.parts.ledger.heartbeat(name, slots=1, info="{}", ttl_s=60)

    def worker(self, name: str, **of_studio: Any) -> Studio:
        return replace(self._studio, name=name, audit_share=1.0, **of_studio)

    def messages(self) -> list[dict[str, Any]]:
        """Audits asked for and not taken yet, oldest first."""
        lying: Any = self._client.lrange(BULK, 0, -1)
        told = [json.loads(message) for message in reversed(lying)]
        bodies = [m["body"] for m in told if m["headers"]["task"] == AUDIT_SHARD]
        return [json.loads(base64.b64decode(body))[1] for body in bodies]

    def take(self, name: str) -> None:
        """A worker takes the oldest message."""
        arguments = self.messages()[0]
        for message in reversed(self._client.lrange(BULK, 0, -1)):  # type: ignore[arg-type]
            if json.loads(message)["headers"]["task"] == AUDIT_SHARD:
                self._client.lrem(BULK, -1, message)
                break
        audit_shard(self.worker(name), arguments, seen_s=0)

    def records(self) -> list[AuditRecord]:
        storage = self.parts.storage
        return [
            AuditRecord.model_validate_json(storage.get(found.key))
            for found in storage.list("audits/")
        ]


@pytest.fixture
def crew(studio: Studio, redis_url: str) -> Crew:
    return Crew(studio, redis.Redis.from_url(redis_url, decode_responses=True))


@pytest.fixture
def spoil(parts: Parts) -> Callable[[Job], str]:
    """Make a job's first shard one of wrong bytes that its record vouches for, as a wrong worker stores it."""

    def spoiled(job: Job) -> str:
        assert job.request is not None
        key = next(
            found.key
            for found in parts.storage.list(layout.recipe_prefix(job.request.recipe.digest))
        )
        head, data = parts.storage.head(key), parts.storage.get(key)[:-1] + b"!"
        record = ShardRecord.from_metadata(head.metadata, size_bytes=len(data))
        wrong = record.model_copy(update={"sha256": sha256_hex(data)})
        parts.storage.put(key, data, metadata=wrong.to_metadata(maker="a"))
        return key

    return spoiled


def one_shard(submitted: Callable[..., Job], crew: Crew) -> Job:
    """Made and stored by worker a."""
    job = submitted(count=1000)
    run_all(crew.worker("a"), job)
    return job


def test_equal_bytes_are_counted_and_nothing_else(
    crew: Crew, submitted: Callable[..., Job]
) -> None:
    """The worker that stored a shard is named in its metadata; another one agrees; no record is written."""
    crew.alive("a", "b")
    job = one_shard(submitted, crew)
    (message,) = crew.messages()
    assert (message["maker"], message["job_id"]) == ("a", job.id)
    crew.take("b")
    assert (crew.audits.counts(), crew.messages(), crew.records()) == ({"agreed": 1}, [], [])


def test_a_reused_shard_is_not_audited(crew: Crew, submitted: Callable[..., Job]) -> None:
    """Only who made something can have made it wrong."""
    crew.alive("a", "b")
    one_shard(submitted, crew)
    one_shard(submitted, crew)
    assert len(crew.messages()) == 1


def test_a_lone_worker_skips_and_counts(crew: Crew, submitted: Callable[..., Job]) -> None:
    """Nobody can check it, which the counter tells; its jobs go on."""
    crew.alive("a")
    job = one_shard(submitted, crew)
    assert (crew.audits.counts(), crew.messages()) == ({"skipped": 1}, [])
    assert now_is(crew.parts, job).status == Status.COMPLETED


def test_its_maker_passes_it_on(
    crew: Crew, submitted: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that takes its own audit puts it back, so often and no more."""
    monkeypatch.setattr("workers.audit._LONGEST_WAIT_S", 0.0)
    crew.alive("a", "b")
    one_shard(submitted, crew)
    for _ in range(MOST_PASSED_ON):
        crew.take("a")
        assert len(crew.messages()) == 1
    crew.take("a")
    assert (crew.audits.counts(), crew.messages()) == ({"skipped": 1}, [])


def test_two_of_three_find_the_wrong_maker(
    crew: Crew, submitted: Callable[..., Job], spoil: Callable[[Job], str]
) -> None:
    """The third agrees with the second: the maker is quarantined, its shard put aside, its later shards listed."""
    crew.alive("a", "b", "c")
    job = one_shard(submitted, crew)
    key = spoil(job)
    wrong = crew.parts.storage.get(key)
    run_all(crew.worker("a"), submitted(count=1000, seed=7))
    run_all(crew.worker("b"), submitted(count=1000, seed=8))
    crew.take("b")
    assert crew.records() == []
    asked = crew.messages()[-1]
    assert (asked["maker"], asked["second"]) == ("a", "b")
    for _ in range(2):
        crew.take("c")  # The audits of the other two jobs lie before it.
    crew.take("c")
    (record,) = crew.records()
    assert (record.wrong, record.key, set(record.claims)) == ("a", key, {"a", "b", "c"})
    assert [name for name in "abc" if crew.audits.is_quarantined(name)] == ["a"]
    later = [crew.parts.storage.head(found).metadata["maker"] for found in record.later_shards]
    assert (later, key in record.later_shards) == (["a"], False)
    assert crew.parts.storage.get(layout.quarantined(key, sha256_hex(wrong))) == wrong
    again = submitted(count=1000)
    run_all(crew.worker("b"), again)
    assert now_is(crew.parts, again).progress.shards_reused == 0
    assert crew.parts.storage.get(key) != wrong


def test_two_of_three_find_the_wrong_auditor(crew: Crew, submitted: Callable[..., Job]) -> None:
    """Who cries wolf is quarantined, and the shard stays."""
    crew.alive("a", "b", "c")
    job = one_shard(submitted, crew)
    (message,) = crew.messages()
    heard = message | {"second": "b", "second_sha256": "0" * 64}
    audit_shard(crew.worker("c"), heard, seen_s=0)
    (record,) = crew.records()
    assert (record.wrong, record.claims["b"]) == ("b", "0" * 64)
    assert crew.parts.storage.head(record.key).metadata["maker"] == "a"
    assert record.job_id == job.id


def test_two_alone_are_both_suspected(
    crew: Crew, submitted: Callable[..., Job], spoil: Callable[[Job], str]
) -> None:
    """Without a third nobody knows who is wrong: it is recorded, nobody stops, the shard stays."""
    crew.alive("a", "b")
    job = one_shard(submitted, crew)
    key = spoil(job)
    crew.take("b")
    (record,) = crew.records()
    assert (record.wrong, set(record.claims), record.later_shards) == (None, {"a", "b"}, ())
    assert not any(crew.audits.is_quarantined(name) for name in "ab")
    assert crew.parts.storage.head(key).metadata["maker"] == "a"
    assert crew.audits.counts() == {"differed": 1}


def test_another_profile_does_not_judge(
    crew: Crew, submitted: Callable[..., Job], spoil: Callable[[Job], str]
) -> None:
    """Bytes are promised within a profile only: the message goes on to somebody else."""
    crew.alive("a", "b")
    job = one_shard(submitted, crew)
    key = spoil(job)
    head = crew.parts.storage.head(key)
    foreign = head.metadata["profile"].replace("CPUExecutionProvider", "CUDAExecutionProvider")
    metadata = dict(head.metadata) | {"profile": foreign}
    assert metadata != head.metadata
    crew.parts.storage.put(key, crew.parts.storage.get(key), metadata=metadata)
    crew.take("b")
    assert (crew.records(), [m["passed_on"] for m in crew.messages()]) == ([], [1])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"job_id": "../../x", "shard": 0, "maker": "a"},
        {"job_id": "abcdefgh", "shard": -1, "maker": "a"},
        {"job_id": "abcdefgh", "shard": 0, "maker": "a", "second": "b", "second_sha256": "x"},
        {"job_id": "abcdefgh", "shard": 0, "maker": "a\nb"},
        {"job_id": "abcdefgh", "shard": 10**30, "maker": "a"},
    ],
)
def test_a_message_may_hold_anything(crew: Crew, arguments: dict[str, object]) -> None:
    """What is no audit, or is of no job, touches nothing."""
    before = [found.key for found in crew.parts.storage.list("")]
    audit_shard(crew.worker("b"), arguments)
    assert [found.key for found in crew.parts.storage.list("")] == before


def test_the_share_is_a_share_and_always_the_same() -> None:
    """By the shard's name: about so many of a thousand, none at 0, all at 1."""
    shards = [Shard(index=n, start=n * 1024, stop=(n + 1) * 1024) for n in range(1000)]
    for share, least, most in ((0, 0, 0), (0.01, 1, 30), (0.3, 250, 350), (1, 1000, 1000)):
        chosen = [shard for shard in shards if is_chosen("ab" * 32, shard, share)]
        assert least <= len(chosen) <= most
        assert chosen == [shard for shard in shards if is_chosen("ab" * 32, shard, share)]
