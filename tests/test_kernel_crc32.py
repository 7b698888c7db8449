"""The kernel's CRC-32 is zlib's."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.kernel.crc32 import ALL_ONES, advance


def crc32(data: bytes, start: int, stop: int, state: np.uint32 = ALL_ONES) -> int:
    return int(advance(state, np.frombuffer(bytearray(data), np.uint8), start, stop) ^ ALL_ONES)


def test_the_check_value() -> None:
    """Of "123456789", as catalogues of CRC algorithms list it for CRC-32/ISO-HDLC."""
    assert crc32(b"123456789", 0, 9) == 0xCBF43926


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_slice_is_summed_as_zlib_sums_it(data: bytes, draw: st.DataObject) -> None:
    """Wherever it starts, however it ends between two steps of sixteen bytes."""
    start = draw.draw(st.integers(0, len(data)))
    stop = draw.draw(st.integers(start, len(data)))
    assert crc32(data, start, stop) == zlib.crc32(data[start:stop])


@pytest.mark.parametrize("size", range(50))
def test_a_sum_goes_on_where_it_stopped(size: int) -> None:
    """Two pieces, wherever they meet, give the state of the whole."""
    data = bytes(range(7, 7 + 50))
    state = np.uint32(crc32(data, 0, size)) ^ ALL_ONES
    assert crc32(data, size, 50, state) == zlib.crc32(data)
