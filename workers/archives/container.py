"""A ZIP container whose bytes follow from its members alone: no ZIP64, no times, no owners (PKWARE APPNOTE 6.3)."""

import struct
from collections.abc import Sequence

from workers.body import Body

STORED, DEFLATED = 0, 8
#: 1980-01-01 00:00, the first moment a ZIP can name.
_TIME, _DATE = 0, 0x0021
_VERSION = 20
_MADE_ON_UNIX = 3 << 8 | _VERSION
#: A regular file, rw-r--r--.
_ATTRIBUTES = 0o100644 << 16
#: CRC and sizes follow the data, because they were not known before it.
_SIZES_FOLLOW = 1 << 3


class Member:
    """One member: `size` and `crc` of what it unpacks to, `packed` bytes as it is stored, `offset` in the archive."""

    def __init__(self, name: str, *, method: int, offset: int, streamed: bool = False) -> None:
        self.name, self.method, self.offset = name.encode("ascii"), method, offset
        self.flags = _SIZES_FOLLOW if streamed else 0
        self.crc, self.packed, self.size = 0, 0, 0

    def local_header(self) -> bytes:
        return struct.pack("<IH", 0x04034B50, _VERSION) + self._fields() + self.name

    def descriptor(self) -> bytes:
        """What stands behind the data of a streamed member."""
        return struct.pack("<IIII", 0x08074B50, self.crc, self.packed, self.size)

    def entry(self) -> bytes:
        """Its entry in the directory."""
        start = struct.pack("<IHH", 0x02014B50, _MADE_ON_UNIX, _VERSION) + self._fields()
        return start + struct.pack("<HHHII", 0, 0, 0, _ATTRIBUTES, self.offset) + self.name

    def _fields(self) -> bytes:
        return struct.pack(
            "<HHHHIIIHH",
            *(self.flags, self.method, _TIME, _DATE),
            *(self.crc, self.packed, self.size, len(self.name), 0),
        )


def put_member(body: Body, name: str, data: bytes, *, size: int, crc: int, method: int) -> Member:
    """One whole member: `data` as it is to be stored, `size` and `crc` of what it unpacks to."""
    member = Member(name, method=method, offset=body.size)
    member.crc, member.packed, member.size = crc, len(data), size
    body.append(member.local_header())
    body.append(data)
    return member


def put_entries(body: Body, members: Sequence[Member]) -> None:
    for member in members:
        body.append(member.entry())


def put_end(body: Body, *, members: int, directory: int) -> None:
    """The end of the archive; its directory begins at byte `directory`."""
    length = body.size - directory
    body.append(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, members, members, length, directory, 0))
