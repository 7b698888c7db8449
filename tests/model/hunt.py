"""Lets mutants live for a while, and tells who noticed."""

from functools import partial

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import service.adapters.ledger
from tests.model.machine import LedgerMachine
from tests.model.mutants import Mutant
from tests.model.scripts import source
from tests.model.server import own_server
from tests.model.stage import Violation
from tests.model.swapped import swapped
from tests.model.world import simulate


def hunted(mutant: Mutant, seeds: int) -> str | None:
    """At which seed the simulator catches the mutant, and by what; None when it lives."""
    with own_server() as url, mutant.alive():
        for seed in range(seeds):
            try:
                simulate(seed, url, scripts=mutant.scripts)
            except Violation as violation:
                return str(violation).partition("\n")[0]
    return None


def contradicted(mutant: Mutant, examples: int) -> str | None:
    """What the model of the ledger says against a mutant of its scripts; None when it lives."""
    changed = swapped(service.adapters.ledger, "_source", partial(source, changes=mutant.scripts))
    with own_server() as url, changed:
        try:
            run_state_machine_as_test(
                lambda: LedgerMachine(url),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=50,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    phases=(Phase.generate,),
                ),
            )
        except AssertionError as error:
            return f"the model says otherwise: {str(error).partition(chr(10))[0]}"
    return None
