"""A taste of `make fuzz`: every reader meets the same damaged objects on every run, and ends in good order."""

import random

import pytest

from tests.fuzz.damage import damaged
from tests.fuzz.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_damage_is_refused_in_our_words(name: str) -> None:
    """Whatever the bytes, a reader returns or raises its one error; nothing else escapes."""
    reader, chance = READERS[name], random.Random(name)
    seeds = reader.seeds()
    for seed in seeds:
        reader.read(seed)
    for _ in range(150):
        data = damaged(seeds, chance)
        try:
            reader.read(data)
        except reader.refuses:
            continue
        except Exception as error:
            error.add_note(f"reading {data!r}")
            raise
