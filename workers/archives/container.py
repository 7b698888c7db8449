"""A ZIP container whose bytes follow from its members alone: no ZIP64, no times, no owners (PKWARE APPNOTE 6.3)."""

import struct

STORED, DEFLATED = 0, 8
#: 1980-01-01 00:00, the first moment a ZIP can name.
_TIME, _DATE = 0, 0x0021
_VERSION = 20
_MADE_ON_UNIX = 3 << 8 | _VERSION
#: A regular file, rw-r--r--.
_ATTRIBUTES = 0o100644 << 16


class Container:
    """Collects members in the order they are added."""

    def __init__(self) -> None:
        self._body, self._directory, self._members = bytearray(), bytearray(), 0

    def add(self, name: str, data: bytes, *, size: int, crc: int, method: int) -> None:
        """One member: `data` as it is to be stored, `size` and `crc` of what it unpacks to."""
        encoded = name.encode("ascii")
        fields = struct.pack(
            "<HHHHIIIHH", 0, method, _TIME, _DATE, crc, len(data), size, len(encoded), 0
        )
        offset = len(self._body)
        self._body += struct.pack("<IH", 0x04034B50, _VERSION) + fields + encoded
        self._body += data
        self._directory += struct.pack("<IHH", 0x02014B50, _MADE_ON_UNIX, _VERSION) + fields
        self._directory += struct.pack("<HHHII", 0, 0, 0, _ATTRIBUTES, offset) + encoded
        self._members += 1

    def finish(self) -> bytes:
        count, length, offset = self._members, len(self._directory), len(self._body)
        self._body += self._directory
        self._body += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, length, offset, 0)
        return bytes(self._body)
