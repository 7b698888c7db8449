"""What the simulation is asked: a billion images by fleets of seven sizes, and what each setting does to a fleet."""

from dataclasses import replace
from typing import Any

from service.contract.shard import MAX_SHARD_SIZE
from tests.bench.simulation.inputs import Inputs, LedgerCosts
from tests.bench.simulation.run import Result, simulate

FLEETS = (1, 3, 10, 30, 100, 300, 1000)
#: The fleet that the settings are tried on: far beyond the first wall.
TRIED = 100
LARGE = MAX_SHARD_SIZE


def by_fleet(inputs: Inputs, sizes: tuple[int, ...] = FLEETS) -> list[Result]:
    return [simulate(replace(inputs, workers=size)) for size in sizes]


def faster(factor: float) -> LedgerCosts:
    """A Redis whose one thread does every call in 1 / `factor` of the time."""
    costs = LedgerCosts()
    return LedgerCosts(**{name: value / factor for name, value in vars(costs).items()})


#: What is changed on one worker, and on a hundred. Types are those of Inputs.
ON_ONE: dict[str, dict[str, Any]] = {
    "as above": {},
    "slots 32": {"slots": 32},
    "slots 32, shard_size 64,512": {"slots": 32, "shard_size": LARGE},
    "slots 64, shard_size 64,512": {"slots": 64, "shard_size": LARGE},
    "cores 8": {"cores": 8},
    "network 10 Gbit/s": {"network_bytes_per_s": 10e9 / 8},
}
ON_MANY: dict[str, dict[str, Any]] = {
    "as above": {},
    "shard_size 64,512": {"shard_size": LARGE},
    "8 prefixes": {"prefixes": 8},
    "8 prefixes, shard_size 64,512": {"prefixes": 8, "shard_size": LARGE},
    "8 prefixes, Redis twice as fast": {"prefixes": 8, "ledger": faster(2)},
    "8 prefixes, heartbeat_s 0.1": {"prefixes": 8, "heartbeat_s": 0.1},
    "8 prefixes, WINDOW_PER_SLOT 1": {"prefixes": 8, "window_per_slot": 1},
    "1,000 jobs of 1,000,000": {"jobs": 1000},
    "1,000 jobs of 1,000,000, 8 prefixes": {"jobs": 1000, "prefixes": 8},
}


def on_one() -> dict[str, Result]:
    return {name: simulate(replace(Inputs(), **change)) for name, change in ON_ONE.items()}


def on_many() -> dict[str, Result]:
    base = replace(Inputs(), workers=TRIED)
    found = {name: simulate(replace(base, **change)) for name, change in ON_MANY.items()}
    for number in (4, 10):
        found[f"{number} installations, each with its Redis and prefix"] = apart(base, number)
    return found


def apart(inputs: Inputs, number: int) -> Result:
    """The fleet and the job divided among installations that know nothing of each other."""
    part = replace(inputs, workers=inputs.workers // number, images=inputs.images // number)
    one = simulate(part)
    return replace(one, workers=inputs.workers, images_per_s=one.images_per_s * number)


def decoders() -> dict[str, list[Result]]:
    """The assumption that matters most, at other values: images per second that one GPU decodes."""
    return {
        f"{rate / 1e6:g}": by_fleet(replace(Inputs(), decode_per_s=rate), (1, 10, 100))
        for rate in (0.5e6, 2e6, 20e6)
    }
