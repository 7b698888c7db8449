"""The simulated fleet: right where a formula is known, true to the ledger's rules, and as deploy/SCALE.md tells it."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import simpy

from service.adapters.ledger import Ledger
from tests.bench.ledger.__main__ import LIFE
from tests.bench.ledger.bench import Bench
from tests.bench.ledger.memory import memory
from tests.bench.ledger.population import Population
from tests.bench.ledger.transitions import transitions
from tests.bench.simulation.board import Board
from tests.bench.simulation.inputs import Inputs
from tests.bench.simulation.questions import FLEETS, ON_MANY, ON_ONE, by_fleet, faster
from tests.bench.simulation.run import simulate
from tests.bench.simulation.server import Server, Servers
from tests.bench.simulation.table import fleet_row
from tests.fixtures.imports import ROOT
from tests.fixtures.ledger import CREATED_AT, record, resolved
from tests.fixtures.redis import RedisServer

PAGE = (ROOT / "deploy" / "SCALE.md").read_text()
#: Long enough that filling and emptying the fleet do not show.
LITTLE = replace(Inputs(), images=100_000_000)


def test_one_worker_runs_at_its_decoders_speed() -> None:
    """The one end: nothing else is asked often enough to matter."""
    found = simulate(LITTLE)
    assert found.wall == "GPU"
    assert found.images_per_s == pytest.approx(LITTLE.decode_per_s, rel=0.05)


def test_few_slots_wait_for_the_bucket() -> None:
    """With nothing busy, a slot's shard takes the sum of its stages, and slots are all that counts."""
    inputs = replace(LITTLE, slots=4, images=20_000_000)
    shard_s = (
        inputs.shard_size * (1 / inputs.decode_per_s + inputs.host_us_per_image / 1e6)
        + inputs.python_s
        + sum(inputs.bucket_latency_s)  # twice the mean: HEAD and PUT
        + inputs.shard_size * inputs.bytes_per_image / inputs.connection_bytes_per_s
    )
    found = simulate(inputs)
    assert found.wall == "slots"
    expected = inputs.slots * inputs.shard_size / shard_s
    assert found.images_per_s == pytest.approx(expected, rel=0.05)


def test_a_large_fleet_runs_at_the_ledgers_speed() -> None:
    """The other end: one thread does every call of every shard, and a hundred workers cannot make it faster."""
    costs = faster(0.1)
    inputs = replace(LITTLE, workers=30, slots=16, prefixes=1000, ledger=costs)
    shard_us = costs.push + costs.take + costs.begin + costs.extend + costs.note_work + costs.commit
    look_us = costs.slots + costs.queue_length + costs.due + costs.claim
    found = simulate(inputs)
    assert found.wall == "Redis"
    expected = inputs.shard_size * 1e6 / (shard_us + look_us)
    # A look may find no job due, because another worker's look was first.
    assert expected * 0.95 < found.images_per_s < expected * 1.3


def test_a_slower_redis_moves_its_wall_by_as_much() -> None:
    """Four times the cost, a quarter of the images; and no difference to who does not wait for it."""
    inputs = replace(LITTLE, workers=30, slots=16, prefixes=1000)
    fast, slow = (simulate(replace(inputs, ledger=faster(factor))) for factor in (0.1, 0.025))
    assert fast.images_per_s / slow.images_per_s == pytest.approx(4, rel=0.1)
    alone = simulate(replace(LITTLE, ledger=faster(0.25)))
    assert alone.images_per_s == pytest.approx(simulate(LITTLE).images_per_s, rel=0.01)


def test_a_prefix_takes_so_many_puts() -> None:
    """The bucket's wall is its documented rate, and two prefixes are two walls."""
    inputs = replace(LITTLE, workers=10, slots=32, puts_per_s=300)
    one, two = (simulate(replace(inputs, prefixes=number)) for number in (1, 2))
    assert (one.wall, two.wall) == ("bucket", "bucket")
    assert one.images_per_s == pytest.approx(300 * inputs.shard_size, rel=0.06)
    assert two.images_per_s / one.images_per_s == pytest.approx(2, rel=0.06)


def test_the_board_claims_and_takes_turns_as_the_ledger_does(ledger: Ledger) -> None:
    """Thousands of looks, claims and commits in random order: the same jobs, as many shards, on a real Redis."""
    rng, jobs, shards = random.Random(5), 6, 60
    board = Board(simpy.Environment(), jobs, shards)
    out: dict[int, list[int]] = {}
    for job in range(jobs):
        request = resolved(shards * 1024)
        ledger.create(f"job-{job:04d}", owner=f"o{job}", request=request, created_at=CREATED_AT)
    while all(job.done < shards - 1 for job in board.jobs):
        window, room, limit = rng.randint(2, 9), rng.randint(0, 6), rng.randint(1, 3)
        due = board.due(limit)
        assert ledger.due(limit) == [f"job-{job:04d}" for job in due]
        for job in due:
            claim = ledger.claim(f"job-{job:04d}", window=window, room=room)
            assert len(claim.shards) == board.claim(job, window=window, room=room)
            out.setdefault(job, []).extend(claim.shards)
        job = rng.choice([job for job, waiting in out.items() if waiting] or [-1])
        if job >= 0:
            ledger.commit(f"job-{job:04d}", out[job].pop(), record(), reused=False)
            board.commit(job)
    assert sum(job.done for job in board.jobs) > 100


def test_servers_serve_in_order() -> None:
    """Work waits for the work before it; what is taken on and still waits is not yet done."""
    server, two = Server(), Servers(2)
    assert [server.serve(at, 2.0) for at in (0.0, 1.0, 10.0)] == [2.0, 4.0, 12.0]
    assert server.worked_s(11.0) == 5.0
    assert [two.serve(0.0, work) for work in (4.0, 1.0, 1.0)] == [4.0, 1.0, 2.0]


@pytest.mark.parametrize("workers", [1, 30])
def test_the_page_tells_what_the_simulation_says(workers: int) -> None:
    """deploy/SCALE.md at the inputs that ship: a changed cost, rule or setting asks for a new table."""
    (found,) = by_fleet(Inputs(), (workers,))
    assert fleet_row(found) in PAGE


def test_the_page_has_every_fleet_and_setting() -> None:
    """No row was left out."""
    rows = {line.split("|")[1].strip() for line in PAGE.split("\n") if line.startswith("|")}
    assert {f"{size:,}" for size in FLEETS} <= rows
    assert set(ON_ONE) | set(ON_MANY) <= rows


def test_the_ledgers_bench_costs_every_call_of_a_shard(
    redis_url: str, own_redis: RedisServer, tmp_path: Path
) -> None:
    """What feeds the simulation runs: each transition has a cost of Redis, and memory is counted.

    That on a server of its own: what closed connections leave is freed when the server likes.
    """
    population = Population(jobs=4, owners=2, shards=200, workers=30)
    costs = transitions(Bench(redis_url, tmp_path, population), calls=64)
    assert set(LIFE) <= set(costs)
    assert all(costs[name].crowd_us > 0 and costs[name].p50_us > 0 for name in LIFE)
    kept = memory(Bench(own_redis.url, tmp_path, population))
    assert kept["stored shard"] > kept["outstanding shard"] > 0
