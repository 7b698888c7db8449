"""The simulator: real lifecycle code under faults, a few seeds of it; and that it notices when a protection is gone.

`make simulate` runs thousands of seeds, and every mutant.
"""

from collections.abc import Iterator

import pytest

from tests.model.herd import MODELLED, SIMULATED
from tests.model.hunt import contradicted, hunted
from tests.model.mutants import Mutant
from tests.model.server import own_server
from tests.model.world import simulate

SEEDS = 12
#: Caught within a second each.
QUICK = {
    "commit keeps the lease",
    "claim takes the job off the outbox",
    "no manifest",
    "the outcome is written over",
    "no marker",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server without a disk: every seed empties it."""
    with own_server() as url:
        yield url


def test_no_seed_violates_what_must_hold(url: str) -> None:
    """Every accepted job ends once, completed only with exactly its shards, whatever dies or is lost."""
    runs = [simulate(seed, url) for seed in range(SEEDS)]
    assert sum(run.jobs for run in runs) >= SEEDS
    assert sum(run.faults.total() for run in runs) > 10 * SEEDS


def test_a_seed_is_one_story(url: str) -> None:
    """A failure that a seed shows can be looked at again."""
    assert simulate(7, url) == simulate(7, url)


@pytest.mark.parametrize("mutant", [m for m in SIMULATED if m.name in QUICK], ids=str)
def test_the_judge_notices(mutant: Mutant) -> None:
    """A checker that nothing can upset proves nothing."""
    assert hunted(mutant, seeds=20) is not None


@pytest.mark.parametrize("mutant", MODELLED[:3], ids=str)
def test_the_model_notices(mutant: Mutant) -> None:
    """One changed line of a script is another answer."""
    assert contradicted(mutant, examples=60) is not None


def test_every_mutant_still_changes_something() -> None:
    """Each names a line that is there, in a script or a function that ships."""
    for mutant in (*SIMULATED, *MODELLED):
        mutant.check()
