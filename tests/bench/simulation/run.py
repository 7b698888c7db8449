"""One run of the simulation, and what it says: how fast, how busy each resource was, and where the wall is."""

from dataclasses import dataclass

from tests.bench.simulation.fleet import Fleet
from tests.bench.simulation.inputs import Inputs

#: From here on a resource is the wall: more of the others changes nothing.
SATURATED = 0.85
#: With this much waiting for messages it is dispatch that does not keep up.
STARVED = 0.15


@dataclass(frozen=True)
class Result:
    """Rates are until the last shard is stored, after `stored_s`; the finisher then needs `end_s` more.

    `busy`, the share of time that each resource works, `waiting`, the slots' share without a message, and the wall are
    those of the middle half of the shards: before it the fleet fills, after it the fleet runs empty.
    """

    workers: int
    images_per_s: float
    of_ideal: float
    stored_s: float
    end_s: float
    busy: dict[str, float]
    waiting: float
    wall: str


def simulate(inputs: Inputs) -> Result:
    fleet = Fleet(inputs)
    fleet.run()
    begun, ended = fleet.moments
    spent_s = ended.at_s - begun.at_s
    rate = inputs.images / fleet.stored_at
    busy = {
        name: (ended.worked_s[name] - begun.worked_s[name]) / spent_s for name in begun.worked_s
    }
    waiting = (ended.idle_s - begun.idle_s) / (spent_s * inputs.workers * inputs.slots)
    return Result(
        workers=inputs.workers,
        images_per_s=rate,
        of_ideal=rate / inputs.ideal_per_s,
        stored_s=fleet.stored_at,
        end_s=fleet.ended_at - fleet.stored_at,
        busy=busy,
        waiting=waiting,
        wall=_wall(busy, waiting),
    )


def _wall(busy: dict[str, float], waiting: float) -> str:
    name = max(busy, key=lambda resource: busy[resource])
    if busy[name] >= SATURATED:
        return name
    return "messages" if waiting > STARVED else "slots"
