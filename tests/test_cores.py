"""Cores: never more shards at once than there are, small jobs first, and none lost whatever goes wrong."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

import pytest

from workers.cores import Cores

#: Longer than any test: nobody's patience ends.
LONG_S = 60.0


class CancelledMeanwhile(Exception):
    """What a lease raises when its job is no longer wanted."""


def nothing() -> None:
    """A lease that is still held."""


def lost() -> None:
    raise CancelledMeanwhile


def free(cores: Cores) -> int:
    """How many can be taken now; ask only where waiting is short."""
    with ExitStack() as taken:
        for number in range(100):
            try:
                taken.enter_context(cores.one(small=False, keep=lost))
            except CancelledMeanwhile:
                return number
    raise AssertionError("cores without end")


def test_no_more_at_once_than_there_are() -> None:
    """Eight threads on three cores, half of them small, all of them pausing: never a fourth one works."""
    cores, working, most, lock = Cores(3, wait_s=0.001), 0, 0, threading.Lock()

    def work() -> None:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.0002)
        with lock:
            working -= 1

    def make_shards(small: bool) -> None:
        for _ in range(30):
            with cores.one(small=small, keep=nothing) as pause:
                work()
                pause()
                work()

    threads = [threading.Thread(target=make_shards, args=(bool(n % 2),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3
    assert free(cores) == 3


def waiting(cores: Cores, name: str, order: list[str], *, small: bool) -> threading.Thread:
    """A thread that writes its name down once it has a core."""

    def run() -> None:
        with cores.one(small=small, keep=nothing):
            order.append(name)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_small_job_gets_the_core_at_the_next_pause() -> None:
    """Before the bulk shard that waited longer, and before the one that works goes on."""
    cores, order = Cores(1, wait_s=LONG_S), list[str]()
    with cores.one(small=False, keep=nothing) as pause:
        threads = [waiting(cores, "bulk", order, small=False)]
        time.sleep(0.05)
        threads.append(waiting(cores, "small", order, small=True))
        while not order:
            time.sleep(0.001)
            pause()
        assert order[0] == "small"
    for thread in threads:
        thread.join()
    assert order == ["small", "bulk"]


def test_a_small_job_keeps_its_core() -> None:
    """It is over in milliseconds: another small one waits for its end."""
    cores, order = Cores(1, wait_s=LONG_S), list[str]()
    with cores.one(small=True, keep=nothing) as pause:
        thread = waiting(cores, "second", order, small=True)
        for _ in range(20):
            time.sleep(0.002)
            pause()
        assert order == []
    thread.join()
    assert order == ["second"]


def test_every_pause_keeps_the_lease() -> None:
    """Whether somebody waits or not; what it raises ends the shard and frees the core."""
    cores, kept = Cores(2, wait_s=0.01), Counter[str]()
    with cores.one(small=False, keep=lambda: kept.update(["shard"])) as pause:
        pause()
        pause()
    assert kept["shard"] == 2
    with pytest.raises(CancelledMeanwhile), cores.one(small=False, keep=lost) as pause:
        pause()
    assert free(cores) == 2


def test_who_waits_keeps_the_lease() -> None:
    """Every `wait_s`; a job cancelled meanwhile stops waiting, and takes nothing with it."""
    cores, calls = Cores(1, wait_s=0.01), list[float]()

    def cancelled_later() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            raise CancelledMeanwhile

    with cores.one(small=False, keep=nothing):
        for small in (False, True):
            calls.clear()
            with pytest.raises(CancelledMeanwhile), cores.one(small=small, keep=cancelled_later):
                raise AssertionError("there was one core only")
            assert len(calls) == 3
    assert free(cores) == 1


def pause_for_ever(pause: Callable[[], None]) -> NoReturn:
    while True:
        pause()


def test_a_shard_cancelled_while_its_core_is_lent_frees_it_once() -> None:
    """It holds no core then, so the end of its block must not give one back."""
    cores, lent, over = Cores(1, wait_s=0.01), threading.Event(), threading.Event()

    def small_job() -> None:
        with cores.one(small=True, keep=nothing):
            lent.set()
            over.wait(LONG_S)

    def keep() -> None:
        if lent.is_set():
            raise CancelledMeanwhile

    thread = threading.Thread(target=small_job)
    thread.start()
    with pytest.raises(CancelledMeanwhile), cores.one(small=False, keep=keep) as pause:
        pause_for_ever(pause)
    assert free(cores) == 0
    over.set()
    thread.join()
    assert free(cores) == 1
