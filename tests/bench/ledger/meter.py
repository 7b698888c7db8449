"""Reads what calls cost: the caller's time, and the processor time of Redis's main thread, which bounds a fleet."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import redis
from pydantic import BaseModel, ConfigDict


class Reading(BaseModel):
    """Calls one after another, in microseconds each. `redis_us`: main thread, with sockets and append-only file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50_us: float
    p99_us: float
    redis_us: float


class Cost(BaseModel):
    """One kind of call, in microseconds: the caller's wait, alone; Redis's processor time, alone and in a crowd."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50_us: float
    p99_us: float
    alone_us: float
    crowd_us: float

    @classmethod
    def of(cls, alone: Reading, crowd_us: float) -> "Cost":
        return cls(
            p50_us=round(alone.p50_us, 1),
            p99_us=round(alone.p99_us, 1),
            alone_us=round(alone.redis_us, 1),
            crowd_us=round(crowd_us, 1),
        )


Costs = dict[str, Cost]


class Meter:
    """Costs of calls on one server that nobody else uses meanwhile."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def read(self, calls: Iterable[Callable[[], object]], *, per_call: int = 1) -> Reading:
        """Run the calls. `per_call` things are done by each, and the reading is that of one."""
        before, times = self._busy_s(), []
        for call in calls:
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        busy_s = self._busy_s() - before
        times.sort()
        microseconds = 1e6 / per_call
        return Reading(
            p50_us=times[len(times) // 2] * microseconds,
            p99_us=times[min(len(times) - 1, len(times) * 99 // 100)] * microseconds,
            redis_us=busy_s / len(times) * microseconds,
        )

    def _busy_s(self) -> float:
        found = self._redis.info("cpu")
        return float(found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"])

    def memory_bytes(self) -> int:
        """What the data take, without the buffers of connections and of the append-only file."""
        found = self._redis.info("memory")
        return int(found["used_memory"] - found["mem_clients_normal"] - found["mem_aof_buffer"])
