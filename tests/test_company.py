"""Who runs beside whom: first tries together, a shard that was tried before by itself."""

import threading
from collections.abc import Callable

from workers.company import Company


class Crowd:
    """Tries in threads, each of which lasts until it is let go."""

    def __init__(self) -> None:
        self.company, self.inside = Company(), threading.Semaphore(0)
        self.running: list[str] = []

    def enter(self, name: str) -> Callable[[], None]:
        """Begin a try; returns what ends it."""
        leave = threading.Event()

        def run() -> None:
            with self.company.of(was_tried=name != "first"):
                self.running.append(name)
                self.inside.release()
                leave.wait(10)
                self.running.remove(name)

        thread = threading.Thread(target=run)
        thread.start()

        def end() -> None:
            leave.set()
            thread.join(10)

        return end

    def somebody_enters(self, *, within_s: float = 5.0) -> bool:
        return self.inside.acquire(timeout=within_s)


def test_first_tries_run_together() -> None:
    """A slot that stores does not keep the next shard from being made."""
    crowd = Crowd()
    ends = [crowd.enter("first"), crowd.enter("first")]
    assert crowd.somebody_enters()
    assert crowd.somebody_enters()
    for end in ends:
        end()


def test_a_second_try_runs_alone() -> None:
    """It waits for those that run, and nobody joins it, however many want to."""
    crowd = Crowd()
    first = crowd.enter("first")
    assert crowd.somebody_enters()
    second = crowd.enter("second")
    assert not crowd.somebody_enters(within_s=0.05)
    late = crowd.enter("first")
    first()
    assert crowd.somebody_enters()
    assert crowd.running == ["second"]
    assert not crowd.somebody_enters(within_s=0.05)
    second()
    assert crowd.somebody_enters()
    assert crowd.running == ["first"]
    late()


def test_second_tries_take_turns() -> None:
    """Each of them is alone."""
    crowd = Crowd()
    ends = [crowd.enter("second"), crowd.enter("third")]
    assert crowd.somebody_enters()
    assert not crowd.somebody_enters(within_s=0.05)
    assert len(crowd.running) == 1
    ends[0 if crowd.running == ["second"] else 1]()
    assert crowd.somebody_enters()
    for end in ends:
        end()
