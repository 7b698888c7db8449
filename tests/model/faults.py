"""What goes wrong, and how often: chosen by the seed, some of it more in one run and less in the next."""

import random
from collections import Counter

#: Chances: of a step, or of the one call that it can strike.
OFTEN = {
    "kill": 0.012,
    "nap": 0.008,  # a process is paused, often past its lease
    "flushall": 0.0015,
    "snapshot": 0.01,
    "rollback": 0.002,  # Redis comes back with the last snapshot
    "redis_away": 0.0015,
    "storage_away": 0.0015,
    "queue_lost": 0.001,
    "redelivered": 0.002,  # the broker's own timeout
    "forgotten": 0.001,  # an ended job's keys reach their age
    "vanished": 0.001,  # somebody deletes a shard
    "damaged": 0.001,  # somebody flips a byte of a shard
    "message_lost": 0.05,
    "message_doubled": 0.08,
    "reply_lost": 0.05,  # storage applied it
    "repeated": 0.05,  # a create that finds its own object
    "redis_reply_lost": 0.008,  # a script ran
    "redis_repeated": 0.008,  # a script ran twice
}
#: A run multiplies each chance by one of these: combinations that an even mix would never show.
SWARM = (0.0, 0.3, 1.0, 1.0, 3.0)


class Faults:
    """The faults of one run, counted. After `end` nothing goes wrong any more."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._chance = {name: chance * rng.choice(SWARM) for name, chance in OFTEN.items()}
        self._redis_back_ms = self._storage_back_ms = 0
        self.count: Counter[str] = Counter()

    def strikes(self, name: str) -> bool:
        chance = self._chance[name]
        if not chance or self._rng.random() >= chance:
            return False
        self.count[name] += 1
        return True

    def end(self) -> None:
        self._chance = dict.fromkeys(OFTEN, 0.0)
        self._redis_back_ms = self._storage_back_ms = 0

    def take_redis_away(self, until_ms: int) -> None:
        self._redis_back_ms = until_ms

    def take_storage_away(self, until_ms: int) -> None:
        self._storage_back_ms = until_ms

    def redis_is_away(self, now_ms: int) -> bool:
        return now_ms < self._redis_back_ms

    def storage_is_away(self, now_ms: int) -> bool:
        return now_ms < self._storage_back_ms
