"""The ledger's scripts against a model of them in Python, in any order of calls."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import LedgerMachine
from tests.model.server import own_server

#: Raised by `LATENTMILL_MODEL_EXAMPLES` for a long run, which then also shrinks what it finds: that takes minutes.
EXAMPLES = int(os.environ.get("LATENTMILL_MODEL_EXAMPLES", "15"))
PHASES = (Phase.generate,) if EXAMPLES < 100 else (Phase.generate, Phase.shrink)


@pytest.fixture
def url() -> Iterator[str]:
    """A server without a disk: it is emptied before every example."""
    with own_server() as url:
        yield url


def test_every_script_answers_as_the_model_does(url: str) -> None:
    """Verdicts, and all that is left in Redis: leases, holders, attempts, outbox, turns, places and slots."""
    run_state_machine_as_test(
        lambda: LedgerMachine(url),
        settings=settings(max_examples=EXAMPLES, stateful_step_count=50, phases=PHASES),
    )
