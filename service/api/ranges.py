"""Byte ranges (RFC 9110 section 14): a download that broke off goes on where it stopped."""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from service.api.refusals import RangeUnsatisfiable

_PIECE = 1 << 20
_ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class ByteRange(NamedTuple):
    """Bytes `start` … `stop` - 1 of `size`."""

    start: int
    stop: int
    size: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def asked_range(header: str, size: int) -> ByteRange | None:
    """The one range that is asked for; None to send everything, as for anything not understood.

    Raises RangeUnsatisfiable for a range that begins behind the end.
    """
    found = _ONE_RANGE.fullmatch(header)
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    elif last and int(last) < int(first):
        return None
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= size:
        raise RangeUnsatisfiable(size)
    return ByteRange(start, stop, size)


def pieces(stream: BinaryIO, part: ByteRange) -> Iterator[bytes]:
    """The part of a seekable stream, a megabyte at a time."""
    stream.seek(part.start)
    remaining = part.length
    while remaining and (piece := stream.read(min(_PIECE, remaining))):
        remaining -= len(piece)
        yield piece
