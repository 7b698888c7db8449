"""Which addresses a webhook may reach: those of the public internet, whatever way they are spelled or wrapped.

The tables are IANA's registries of special-purpose addresses (RFC 6890), IPv4 and IPv6, as of 2026, and the address
that Azure gives its own services. Written out, because what `ipaddress` calls global differs between Python versions.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from service.contract.errors import WebhookFailed

_NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
    )
)
#: All that is public in IPv6; the unique local fd00:ec2::254 and every link-local address lie outside.
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    # Teredo and 6to4 (in the first and third) wrap IPv4 addresses and nobody needs them any more.
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
#: What stands for an IPv4 address and is judged as that: mapped (RFC 4291), NAT64 (RFC 6052).
_WRAPPED = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
#: An operator may trust a host in a private network, but no host may stand for the machine's own metadata.
_NEVER = tuple(
    IPv4Network(network)
    for network in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32")
)
_NEVER_6 = tuple(
    IPv6Network(network) for network in ("::/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128")
)


def vetted(addresses: Sequence[str], *, is_trusted: bool) -> Sequence[str]:
    """The addresses of one host, all of them fit to be called. Raises WebhookFailed if a single one is not."""
    may_call = is_no_metadata if is_trusted else is_public
    if not addresses or not all(may_call(address) for address in addresses):
        # Which one is told to nobody: the answer would be a map of the network behind the API.
        raise WebhookFailed("the host has no address, or one that is not on the public internet")
    return addresses


def is_public(address: str) -> bool:
    found = _judged(address)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC_4)
    return found in _PUBLIC_6 and not any(found in network for network in _NOT_PUBLIC_6)


def is_no_metadata(address: str) -> bool:
    found = _judged(address)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NEVER)
    return not any(found in network for network in _NEVER_6)


def _judged(address: str) -> IPv4Address | IPv6Address:
    found = ip_address(address)
    if isinstance(found, IPv6Address) and any(found in network for network in _WRAPPED):
        return IPv4Address(found.packed[-4:])
    return found
