"""Damaged bytes: what files become on bad disks, in broken transfers and in the hands of somebody who tries."""

import random
from collections.abc import Callable, Sequence

#: What parsers trip over: signs, sizes, ends, brackets, escapes, halves of surrogate pairs.
_PIECES = (
    *(b"\x00", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x80" + bytes(7)),
    *(b"-1", b"0", b"9" * 30, b"1e999", b"NaN", b"null", b"{}", b"[" * 200, b'"\\ud800"'),
    *(b"../", b"%s%n", b"\r\n", b"," * 9, b'"' * 3, b"PK\x03\x04", b"IEND", b"PAR1"),
)


def damaged(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the seeds after one to four accidents."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 4)):
        chance.choice(_ACCIDENTS)(data, chance, seeds)
    return bytes(data)


def _flip(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    start, stop = _range(data, chance)
    del data[start:stop]


def _repeat(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    start, stop = _range(data, chance)
    data[start:start] = data[start:stop]


def _insert(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.choice(_PIECES)


def _overwrite(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    piece, at = chance.choice(_PIECES), chance.randint(0, len(data))
    data[at : at + len(piece)] = piece


def _splice(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


def _range(data: bytearray, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + 2 ** chance.randint(0, 10))


_Accident = Callable[[bytearray, random.Random, Sequence[bytes]], None]
_ACCIDENTS: tuple[_Accident, ...] = (_flip, _cut, _repeat, _insert, _overwrite, _splice)
