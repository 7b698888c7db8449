"""The cost of every transition of a shard, through the ledger, the queue and the messages that ship."""

from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice

from service.adapters.queue import BULK, GENERATE, SMALL
from service.lifecycle.dispatch import dispatch
from tests.bench.ledger.bench import Bench, Caller
from tests.bench.ledger.crowd import Act, crowd_us
from tests.bench.ledger.messages import message_costs
from tests.bench.ledger.meter import Cost, Costs, Reading
from tests.bench.ledger.population import beat, create
from tests.fixtures.ledger import record

TOKEN = "0123456789abcdef0123456789abcdef"
KIND = f"{'a' * 64}:zip:fast"


def transitions(bench: Bench, *, calls: int) -> Costs:
    """Fill the ledger, then run 2 × `calls` shards through their life; the order is that of a shard."""
    costs = _filled(bench) | _fleet(bench, calls) | _shards(bench, calls)
    return costs | message_costs(bench, calls)


def _cost(bench: Bench, alone: Sequence[Act], crowd: Sequence[Act], *, per_call: int = 1) -> Cost:
    # Alone comes first: it also loads the script.
    reading = bench.meter.read([partial(act, bench.caller) for act in alone], per_call=per_call)
    return Cost.of(reading, crowd_us(bench, crowd) / per_call)


def _same(bench: Bench, act: Act, calls: int) -> Cost:
    return _cost(bench, [act] * calls, [act] * calls)


def _halves(bench: Bench, acts: Sequence[Act], *, per_call: int = 1) -> Cost:
    """Acts that can be done once each: one half alone, the other in a crowd."""
    half = max(1, len(acts) // 2)
    return _cost(bench, acts[:half], acts[half:] or acts, per_call=per_call)


def _filled(bench: Bench) -> Costs:
    population, out = bench.population, bench.population.outstanding

    def enter(number: int, job: str, by: Caller) -> None:
        create(by.parts.ledger, population, number, job)

    def fill(job: str, by: Caller) -> None:
        by.parts.ledger.claim(job, window=out, room=out)

    return {
        "create": _halves(bench, [partial(enter, *job) for job in enumerate(bench.jobs)]),
        "claim, of a window": _halves(
            bench, [partial(fill, job) for job in bench.jobs], per_call=out
        ),
    }


def _fleet(bench: Bench, calls: int) -> Costs:
    def beats(worker: int, by: Caller) -> None:
        beat(by.parts.ledger, bench.population, worker)

    fleet = [partial(beats, worker) for worker in range(bench.population.workers)]
    return {
        "heartbeat": _cost(
            bench, fleet + list(islice(cycle(fleet), calls)), list(islice(cycle(fleet), calls))
        ),
        "slots": _same(bench, lambda by: by.parts.ledger.live_slots(), calls),
        "queue length": _same(bench, lambda by: by.parts.queue.length(), calls),
    }


def _shards(bench: Bench, calls: int) -> Costs:
    drawn, made = bench.drawn(2 * calls), record(16_384)

    def each(act: str, *args: object, **kwargs: object) -> Cost:
        def of(job: str, shard: int, by: Caller) -> None:
            getattr(by.parts.ledger, act)(job, shard, *args, **kwargs)

        return _halves(bench, [partial(of, *shard) for shard in drawn])

    def note(by: Caller) -> None:
        by.parts.ledger.fleet.note_work([KIND], samples=16_384, size_bytes=7_000_000, busy_ms=50)

    def claim(job: str, by: Caller) -> None:
        by.parts.ledger.claim(job, window=bench.population.outstanding, room=1)

    return {
        "choose": each("choose"),
        "begin": each("begin", TOKEN),
        "extend": each("extend", TOKEN),
        "note_work": _same(bench, note, calls),
        "commit": each("commit", made, reused=False),
        # After commits, so that jobs are due, and places in their windows free.
        "due": _same(bench, lambda by: by.parts.ledger.due(2), calls),
        "claim": _halves(bench, [partial(claim, job) for job, _ in drawn]),
    }


def dispatches(bench: Bench, calls: int, *, after: int) -> Reading:
    """The whole of dispatch as a worker runs it after a commit, one caller alone. `after`: shards drawn before."""
    for job, shard in bench.drawn(after + calls)[after:]:
        bench.parts.ledger.commit(job, shard, record(16_384), reused=False)
    bench.client.delete(SMALL, GENERATE, BULK)
    return bench.meter.read([partial(dispatch, bench.parts, limit=2)] * calls)
