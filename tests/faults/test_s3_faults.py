"""S3 misbehaves between two requests or in the middle of one: nothing is torn, doubled, or believed unread."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from export.publish import publish
from service.adapters.ledger import Ledger
from service.adapters.ledger_values import Verdict
from service.adapters.storage import Storage
from service.adapters.storage_race import require_conditional_create
from service.contract.errors import StartRefused, Unavailable
from service.contract.job import Job, Status
from service.lifecycle.describe import describe
from service.lifecycle.parts import Parts
from service.lifecycle.submit import ANONYMOUS, job_id_for, submit
from tests.faults.survivor import Survivor
from tests.fixtures.api import start_api
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.fault_proxy import Fault, FaultProxy
from tests.fixtures.parts import LIMITS, ask, new_studio
from tests.fixtures.storage import open_place
from workers.shard import run_shard

pytestmark = [pytest.mark.faults, pytest.mark.s3]

JOB_ID = job_id_for(ANONYMOUS, "key")


@pytest.fixture
def proxy(s3_place: dict[str, str]) -> Iterator[FaultProxy]:
    port = urlsplit(s3_place["s3_endpoint_url"]).port
    assert port is not None
    with FaultProxy(port, http=True, seed=1) as proxy:
        yield proxy


@pytest.fixture
def storage(s3_place: dict[str, str], proxy: FaultProxy) -> Storage:
    """A bucket behind the proxy, with the decoder `tiny`; nothing has gone wrong yet."""
    storage = open_place(s3_place | {"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"})
    publish(storage, *tiny_decoder())
    return storage


@pytest.fixture
def survivor(redis_url: str, storage: Storage) -> Survivor:
    return Survivor(redis_url, storage)


def persist(survivor: Survivor) -> Job:
    """The job once a client that asks again and a fleet that looks again have brought it to its end."""
    for _ in range(20):
        try:
            submit(survivor.parts, ask(), owner=ANONYMOUS, limits=LIMITS, job_id=JOB_ID)
            survivor.take_turn()
            job = describe(survivor.parts, JOB_ID, owner=ANONYMOUS)
        except Unavailable:
            continue
        if job.status.is_terminal:
            return job
    raise AssertionError("the job never ended")


def ends_well(survivor: Survivor, proxy: FaultProxy) -> None:
    job = persist(survivor)
    assert job.status == Status.COMPLETED, job.error
    assert all(fault.hits for fault in proxy.faults)
    proxy.faults.clear()
    survivor.take_turn()
    survivor.is_whole(job)
    assert list(survivor.parts.storage.list("quarantine/")) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer", status=503, code="SlowDown", share=0.3),
        Fault("answer", status=500, share=0.3),
        Fault("reset", method="PUT", share=0.3),
        Fault("cut", method="GET", share=0.3),
        Fault("lose_reply", share=0.3),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_third_of_all_requests_goes_wrong(
    survivor: Survivor, proxy: FaultProxy, fault: Fault
) -> None:
    """503, 500, reset amid a write or a read, applied and not answered: the right bytes, each stored once."""
    proxy.faults = [fault]
    ends_well(survivor, proxy)


@pytest.mark.parametrize(
    "path", ["request.json", "/log/", "/active/", "/shards/", "manifest.json", "outcome.json"]
)
def test_a_write_whose_answer_is_lost_counts_once(
    survivor: Survivor, proxy: FaultProxy, path: str
) -> None:
    """Applied, and the writer was not told: the object is found, read and adopted."""
    proxy.faults = [Fault("lose_reply", method="PUT", path=path, times=1)]
    ends_well(survivor, proxy)


@pytest.mark.parametrize("path", ["request.json", "/shards/", "outcome.json"])
def test_writers_that_collide_are_asked_again(
    survivor: Survivor, proxy: FaultProxy, path: str
) -> None:
    """409 ConditionalRequestConflict decides nothing; the write is sent again."""
    conflict = "ConditionalRequestConflict"
    proxy.faults = [
        Fault("answer", method="PUT", path=path, times=3, status=409, code=conflict),
    ]
    ends_well(survivor, proxy)


def test_a_store_that_ignores_the_condition_is_refused(storage: Storage, proxy: FaultProxy) -> None:
    """If-None-Match is dropped on the way: start-up finds out before anything is decided on it."""
    require_conditional_create(storage)
    proxy.faults = [Fault("strip", method="PUT")]
    with pytest.raises(StartRefused, match="LATENTMILL_STORAGE_CONDITIONAL"):
        require_conditional_create(storage)


def test_a_byte_that_flips_on_its_way_is_never_stored(
    survivor: Survivor, proxy: FaultProxy
) -> None:
    """The store compares the checksum and refuses; the shard is sent again, and no try was counted."""
    proxy.faults = [Fault("flip_up", method="PUT", path="/shards/", times=2)]
    ends_well(survivor, proxy)


def test_a_byte_that_flips_while_reading_is_not_believed(
    survivor: Survivor, proxy: FaultProxy
) -> None:
    """A stored shard that reads wrong is read again, and an intact object is not put away for it."""
    first = persist(survivor)
    other = submit(survivor.parts, ask(), owner=ANONYMOUS, limits=LIMITS).job
    proxy.faults = [Fault("flip_down", method="GET", path="/shards/", times=1)]
    assert survivor.live_on(other.id).status == Status.COMPLETED
    assert proxy.faults[0].hits == 1
    survivor.is_whole(first)
    survivor.is_whole(describe(survivor.parts, other.id, owner=ANONYMOUS))


def test_an_upload_slower_than_the_lease_keeps_its_shard(
    storage: Storage, redis_url: str, proxy: FaultProxy
) -> None:
    """At 64 kB/s the lease is renewed all the while: nobody else begins the shard, no try is wasted."""
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    survivor = Survivor(redis_url, storage)
    ledger = Ledger(client, lease_s=1)
    parts = Parts(storage, ledger, survivor.parts.queue)
    job = submit(parts, ask(count=1024), owner=ANONYMOUS, limits=LIMITS).job
    studio = new_studio(parts)
    proxy.bytes_per_s = 64_000
    verdicts: list[Verdict] = []
    slow = threading.Thread(target=lambda: verdicts.append(run_shard(studio, job.id, 0)))
    started = time.monotonic()
    slow.start()
    try:
        while slow.is_alive():
            time.sleep(0.3)
            assert ledger.begin(job.id, 0, "another").verdict in (
                Verdict.BUSY,
                Verdict.DONE,
                Verdict.STOP,
            )
    finally:
        slow.join()
    assert time.monotonic() - started > 2
    assert verdicts == [Verdict.LAST]


def test_a_store_that_is_silent_is_not_waited_for(
    s3_place: dict[str, str], storage: Storage, proxy: FaultProxy, redis_url: str
) -> None:
    """S3 takes connections and says nothing: a submit is 503 while its client still listens, and leaves nothing."""
    place = s3_place | {"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"}
    api = start_api(redis_url, place.pop("storage_url"), **place)
    proxy.silent = True
    asked = time.monotonic()
    try:
        assert api.submit().status_code == 503
        assert time.monotonic() - asked < 30
    finally:
        proxy.silent = False
        api.stop()
    assert {entry.key.partition("/")[0] for entry in storage.list("")} == {"decoders"}
