"""`python -m tests.bench.priority`: how long a job takes beside its owner's bulk work, by its priority.

A fleet of its own on this machine; the bulk work never runs out. In turns, because the machine is not always as fast.
"""

from argparse import ArgumentParser
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from latentmill import Client

from service.contract.request import Priority
from service.local.data_dir import DataDir
from service.local.ports import free_port
from service.local.stack import Plan, cores, running

DECODER, COUNT = "mnist", 49_152
#: More than fill the queue.
BULK_JOBS, BULK_COUNT = 6, 50_000_000


def seconds_of(client: Client, priority: Priority | None, seed: int) -> float:
    """From submit to the end of a job of three shards; without a priority, of one that has the fleet for itself."""
    asked = client.submit(DECODER, 7, count=COUNT, seed=seed, priority=priority or "normal")
    job = client.wait(asked, poll_s=0.1)
    assert job.finished_at
    return (job.finished_at - job.created_at).total_seconds()


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.bench.priority", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="Jobs of each priority; in turns.")
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        plan = Plan(DataDir(Path(folder)), "127.0.0.1", free_port(), cores())
        with running(plan) as stack, Client(stack.url) as client:
            seconds_of(client, None, seed=1)
            alone_s = median(seconds_of(client, None, seed) for seed in range(2, 2 + rounds))
            for seed in range(BULK_JOBS):
                client.submit(DECODER, 1, count=BULK_COUNT, seed=seed, priority="normal")
            found: dict[Priority, list[float]] = {each: [] for each in list(Priority)[:2]}
            for seed in range(100, 100 + rounds):
                for priority, taken in found.items():
                    taken.append(seconds_of(client, priority, seed))
    print(f"{COUNT:,} images alone: {alone_s:.2f} s in the median of {rounds}")
    for priority, taken in found.items():
        print(f"{priority:12} {median(taken):6.2f} s, {median(taken) / alone_s:5.1f} times that")


if __name__ == "__main__":
    main()
