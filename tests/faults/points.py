"""Where a process is killed: between which two lines of submit, run, commit, finish, cancel, rebuild and reopen."""

from dataclasses import dataclass
from typing import Literal

Act = Literal["submit", "run", "adopt", "finish", "reopen", "cancel", "sweep"]


@dataclass(frozen=True)
class Point:
    """SIGKILL at the call of `where` while a process does `act`.

    `where` is `ledger.SCRIPT`, `queue.send`, `make`, or `storage.METHOD PREFIX` for keys with that prefix.
    """

    number: int
    act: Act
    where: str
    when: Literal["before", "after"] = "after"
    #: Nobody was told of the job and nothing but a replay of the submit may bring it to life.
    untold: bool = False

    def __str__(self) -> str:
        return (
            f"{self.number:02d}-{self.act}-{self.when}-{self.where.replace(' ', '-').rstrip('/-')}"
        )


POINTS = [
    Point(1, "submit", "ledger.admit", untold=True),
    Point(2, "submit", "storage.create jobs/", "before", untold=True),
    Point(3, "submit", "storage.create jobs/", untold=True),
    Point(4, "submit", "storage.put log/", untold=True),
    Point(5, "submit", "storage.put active/"),
    Point(6, "submit", "ledger.create"),
    Point(7, "submit", "ledger.claim"),
    Point(8, "submit", "queue.send"),
    Point(9, "run", "ledger.begin"),
    Point(10, "run", "make"),
    Point(11, "run", "ledger.extend"),
    Point(12, "run", "storage.create shards/", "before"),
    Point(13, "run", "storage.create shards/"),
    Point(14, "run", "ledger.commit", "before"),
    Point(15, "run", "ledger.commit"),
    Point(16, "run", "ledger.claim"),
    Point(17, "adopt", "storage.put quarantine/"),
    Point(18, "adopt", "storage.put shards/"),
    Point(19, "finish", "ledger.commit"),
    Point(20, "finish", "storage.put jobs/", "before"),
    Point(21, "finish", "storage.put jobs/"),
    Point(22, "finish", "storage.create jobs/"),
    Point(23, "finish", "ledger.resolve"),
    Point(24, "finish", "storage.delete active/"),
    Point(25, "reopen", "ledger.reopen"),
    Point(26, "cancel", "ledger.cancel"),
    Point(27, "cancel", "storage.create jobs/"),
    Point(28, "cancel", "ledger.resolve"),
    Point(29, "sweep", "ledger.create"),
    Point(30, "sweep", "ledger.claim"),
    Point(31, "sweep", "ledger.mark_rebuilt"),
]
