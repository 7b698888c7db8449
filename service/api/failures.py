"""Refused keys, counted by client address: guessing is slow, and does not make storage work."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

#: Refusals that one address gets at once, and how many more in a minute.
_BURST, _PER_MINUTE = 30, 30
_ADDRESSES = 4096


class Failures:
    """A bucket for each address that drains evenly; the addresses of one IPv6 network share theirs."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Seconds until the address may be wrong again; 0 for at once."""
        excess = self._level(_network(address)) + 1 - _BURST
        return max(0, math.ceil(excess * 60 / _PER_MINUTE))

    def note(self, address: str) -> None:
        """One more refusal."""
        network = _network(address)
        self._levels[network] = (self._level(network) + 1, self._seconds())
        self._levels.move_to_end(network)
        while len(self._levels) > _ADDRESSES:
            self._levels.popitem(last=False)

    def _level(self, network: str) -> float:
        level, at = self._levels.get(network, (0.0, 0.0))
        return max(0.0, level - (self._seconds() - at) * _PER_MINUTE / 60)


def _network(address: str) -> str:
    """Whoever has one IPv6 address has its /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, 64), strict=False))
    return address
