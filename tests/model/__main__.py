"""`python -m tests.model`: simulates jobs' lives under faults, seed after seed; then shows that every mutant is caught.

`--seed N` replays one. Exits 1 where something that must hold did not, or a mutant lived.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.model.herd import MODELLED, SIMULATED
from tests.model.hunt import contradicted, hunted
from tests.model.server import own_server
from tests.model.stage import Violation
from tests.model.world import Run, simulate

#: Seeds that one process takes before it is asked for the next.
PIECE = 50
#: Violations after which nothing new is learnt.
ENOUGH = 5
#: Seeds, or examples of the model, within which a mutant is caught.
MUTANT_SEEDS, MUTANT_EXAMPLES = 400, 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="replay this one, and nothing else")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--no-mutants", action="store_true")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _replay(asked.seed)
    with ProcessPoolExecutor(asked.processes) as pool:
        wrong = _simulate(pool, range(asked.first, asked.first + asked.seeds))
        living = 0 if asked.no_mutants else _hunt(pool)
    return int(bool(wrong or living))


def _replay(seed: int) -> int:
    with own_server() as url:
        try:
            print(simulate(seed, url))
        except Violation as violation:
            print(violation)
            return 1
    return 0


def _simulate(pool: ProcessPoolExecutor, seeds: range) -> int:
    """How many seeds went wrong."""
    started, runs, wrong = time.monotonic(), list[Run](), list[str]()
    pieces = [seeds[at : at + PIECE] for at in range(0, len(seeds), PIECE)]
    for told, failed in pool.map(_piece, pieces):
        runs += told
        wrong += failed
        if sys.stderr.isatty():
            print(f"\r{len(runs)} of {len(seeds)} seeds", end="", file=sys.stderr)
    for text in wrong[:ENOUGH]:
        print(text, end="\n\n")
    _report(runs, len(wrong), seconds=time.monotonic() - started)
    return len(wrong)


def _piece(seeds: range) -> tuple[list[Run], list[str]]:
    runs, wrong = list[Run](), list[str]()
    with own_server() as url:
        for seed in seeds:
            try:
                runs.append(simulate(seed, url))
            except Violation as violation:
                wrong.append(str(violation))
    return runs, wrong


def _report(runs: list[Run], wrong: int, *, seconds: float) -> None:
    faults, count = Counter[str](), Counter[str]()
    for run in runs:
        faults += run.faults
        count += run.count
    settled = sorted(run.settled_s for run in runs) or [0.0]
    print(
        f"{len(runs) + wrong} seeds, {sum(run.jobs for run in runs)} accepted jobs, "
        f"{sum(run.steps for run in runs)} steps in {seconds:.0f} s; {wrong} violations"
    )
    print(f"{faults.total()} faults: {_told(faults)}")
    print(f"outcomes and shards: {_told(count)}")
    print(
        f"virtual seconds from the last fault to the last outcome: "
        f"median {settled[len(settled) // 2]:.0f}, most {settled[-1]:.0f}"
    )


def _told(count: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(count.items()))


def _hunt(pool: ProcessPoolExecutor) -> int:
    """How many mutants live."""
    tries = [pool.submit(hunted, mutant, MUTANT_SEEDS) for mutant in SIMULATED]
    tries += [pool.submit(contradicted, mutant, MUTANT_EXAMPLES) for mutant in MODELLED]
    herd = (*SIMULATED, *MODELLED)
    found = [each.result() for each in tries]
    for mutant, what in zip(herd, found, strict=True):
        print(f"{mutant.name:40s} {what or 'LIVES'}")
    caught = len(herd) - found.count(None)
    print(f"{caught} of {len(herd)} mutants caught")
    return found.count(None)


if __name__ == "__main__":
    sys.exit(main())
