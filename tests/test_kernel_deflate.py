"""DEFLATE of runs: zlib unpacks every stream to the bytes put in, and the stream is theirs alone."""

import hashlib
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.recipe import Compression, Format, Recipe
from service.contract.shard import BLOCK, Shard
from tests.fixtures.contents import BORDERS, Bytes, contents, digits
from tests.fixtures.decoders import tiny_decoder
from workers.archives import new_archive
from workers.body import Body
from workers.kernel.deflate import new_desk
from workers.kernel.stream import CHUNK, put_end_of_stream, put_runs
from workers.kernel.vector import SLACK

#: sha256 of the stream of 64 digits; another one needs another `workers.png.KERNEL`, which is part of the profile.
GOLDEN = "2da5a54d774a512c09afda07d0f493d4f9bf769764105aa1882551edeab28927"


def packed(data: Bytes, *cuts: int, dirt: int = 0) -> bytes:
    """The stream of `data`, put in pieces cut there; scratch memory holds `dirt`."""
    staged, desk = np.full(CHUNK + 2 * SLACK, dirt, np.uint8), new_desk(CHUNK)
    desk.positions[:], desk.literals[:] = dirt, dirt
    # As much as `workers.archives.packing` reserves.
    most = data.size + data.size // 8 + 64
    out, at = np.full(most + SLACK, dirt, np.uint8), 0
    state = np.array([3, 3, 0], np.uint64)
    for start, stop in pairwise([0, *sorted(cuts), data.size]):
        at += put_runs(data[start:stop], staged, desk, state, out[at:])
    at += put_end_of_stream(staged, desk, state, out[at:])
    assert at <= most
    return out[:at].tobytes()


def unpacked(stream: bytes) -> Bytes:
    """Raises when the stream is broken; fails when it does not end with its last byte."""
    inflate = zlib.decompressobj(-15)
    data = inflate.decompress(stream)
    assert inflate.eof
    assert inflate.unused_data == b""
    return np.frombuffer(data, np.uint8)


def writable(data: bytes) -> Bytes:
    return np.frombuffer(bytearray(data), np.uint8)


@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=4))
def test_zlib_unpacks_any_bytes(data: bytes, cuts: list[int]) -> None:
    """In however many pieces they come, empty ones among them: the stream does not show them."""
    stream = packed(writable(data))
    assert unpacked(stream).tobytes() == data
    assert packed(writable(data), *(min(cut, len(data)) for cut in cuts)) == stream


@settings(max_examples=200)
@given(st.integers(1, 3 * CHUNK).flatmap(lambda size: contents((size,))), st.data())
def test_zlib_unpacks_flat_and_noisy_bytes(data: Bytes, draw: st.DataObject) -> None:
    """Runs of every length, over the borders of words and chunks; pieces show here neither."""
    cuts = draw.draw(st.lists(st.integers(0, data.size), max_size=4))
    stream = packed(data)
    assert (unpacked(stream) == data).all()
    assert packed(data, *cuts) == stream


def test_every_byte_before_every_run() -> None:
    """All literals and all lengths of RFC 1951's fixed code."""
    lengths = np.tile(np.arange(1, 262), 256)
    data = np.repeat(np.repeat(np.arange(256, dtype=np.uint8), 261) + lengths % 2 * 128, lengths)
    data = data.astype(np.uint8)
    assert (unpacked(packed(data)) == data).all()


@pytest.mark.parametrize("length", BORDERS)
def test_a_run_may_begin_anywhere_in_a_word(length: int) -> None:
    """Runs are found 64 bytes at a time, and most of them lie across two such words."""
    for before in range(130):
        for after in (0, 1, 2, 70):
            data = np.arange(before + length + after).astype(np.uint8) | np.uint8(1)
            data[::2] -= 1
            data[before : before + length] = 200
            assert (unpacked(packed(data)) == data).all(), (before, after)


def test_long_runs_cost_little() -> None:
    """Two literals and two matches for 320 equal bytes: flat ground shrinks to a fortieth."""
    for size in (200, 258, 259, 1000, CHUNK):
        assert len(packed(np.zeros(size, np.uint8))) <= size // 40 + 8


@given(st.integers(1, 700).flatmap(lambda size: contents((size,))), st.integers(1, 255))
def test_scratch_memory_leaves_no_trace(data: Bytes, dirt: int) -> None:
    """What an earlier stream left in the desk, the stage or the room behind decides no byte."""
    assert packed(data, dirt=dirt) == packed(data)


def test_golden_stream() -> None:
    """Equal bytes on every machine, and in every version that names its kernel alike."""
    stream = packed(digits(64).reshape(-1))
    assert hashlib.sha256(stream).hexdigest() == GOLDEN


def npz(images: Bytes, compression: Compression, step: int) -> bytes:
    """An archive whose images came `step` at a time."""
    _, card = tiny_decoder(shape=images.shape[1:])
    recipe = Recipe(
        decoder=card.digest,
        label="3",
        seed=7,
        format=Format.NPZ,
        compression=compression,
        shard_size=BLOCK,
    )
    body = Body()
    archive = new_archive(recipe, Shard(index=0, start=0, stop=len(images)), card, body)
    for start in range(0, len(images), step):
        archive.add(images[start : start + step])
    archive.finish()
    return bytes(body.view())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("compression", list(Compression))
def test_an_npz_does_not_show_its_batches(compression: Compression, channels: int) -> None:
    """Batches of 64, 128 and 512 images are laid out as the same bytes."""
    images = np.repeat(digits(BLOCK // 2), channels, axis=3)
    archives = {npz(images, compression, step) for step in (64, 128, BLOCK // 2)}
    assert len(archives) == 1
