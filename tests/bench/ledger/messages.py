"""What a message costs: sent by the queue that ships, taken as Celery's worker takes it, and acknowledged."""

import json
import time
from functools import partial

import kombu

from service.adapters.queue import BULK, GENERATE, SMALL
from tests.bench.ledger.bench import Bench, Caller
from tests.bench.ledger.crowd import crowd_us
from tests.bench.ledger.meter import Cost, Costs, Reading

QUEUES = (SMALL, GENERATE, BULK)


def message_costs(bench: Bench, calls: int) -> Costs:
    bench.client.delete(*QUEUES)
    send = partial(bench.parts.queue.send_shard, bench.jobs[0], 1, small=False)
    pushed = bench.meter.read([send] * calls)
    message = str(bench.client.lindex(BULK, 0))
    taken = _taken(bench, calls)
    steps = [partial(step, message) for step in (_push, _pop, _hold, _drop)]
    push, *take = [crowd_us(bench, [step] * calls) for step in steps]
    return {"push": Cost.of(pushed, push), "take, acknowledge": Cost.of(taken, sum(take))}


def _taken(bench: Bench, calls: int) -> Reading:
    with bench.app.connection_for_read() as connection, connection.channel() as channel:
        channel.basic_qos(0, 1, False)
        found: list[kombu.Message] = []
        queues = [kombu.Queue(name, channel=channel) for name in QUEUES]

        def take() -> None:
            connection.drain_events(timeout=5)
            found.pop().ack()

        with kombu.Consumer(channel, queues, on_message=found.append, accept=["json"]):
            return bench.meter.read([take] * calls)


# The steps of kombu 5.7's Redis transport, one round trip each, so that a crowd can take them.


def _push(message: str, by: Caller) -> None:
    by.client.lpush(BULK, message)


def _pop(message: str, by: Caller) -> None:
    by.client.brpop(list(QUEUES), 1)


def _hold(message: str, by: Caller) -> None:
    tag = json.loads(message)["properties"]["delivery_tag"]
    with by.client.pipeline() as pipe:
        pipe.zadd("unacked_index", {tag: time.time()})
        pipe.hset("unacked", tag, json.dumps([json.loads(message), "", BULK])).execute()


def _drop(message: str, by: Caller) -> None:
    tag = json.loads(message)["properties"]["delivery_tag"]
    with by.client.pipeline() as pipe:
        pipe.zrem("unacked_index", tag).hdel("unacked", tag).execute()
