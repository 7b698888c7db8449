"""The shape of a webhook's URL: all that can be refused without asking anybody. What its name leads to is checked by
whoever calls it, each time.
"""

import re

from service.contract.value import Value

MAX_URL_CHARS = 2048

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: One expression reads the URL and its parts are what is sent: no second parser can see another host in it.
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<target>[/?][!-\"$-\[\]-~]*)?"
)
#: Old readers take a last label like these for an IPv4 address: 127.1, 0x7f000001, 2130706433, 0177.0.0.1.
_NUMBER = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)")
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{{0,4}})?")


class WebhookUrl(Value):
    """Where a webhook goes. `target` is path and query as they are sent; `is_trusted` means the operator listed it."""

    scheme: str
    host: str
    port: int
    target: str
    is_trusted: bool

    @property
    def address(self) -> str:
        """Host and port as a `Host` header spells them."""
        usual = {"https": 443, "http": 80}[self.scheme]
        return self.host if self.port == usual else f"{self.host}:{self.port}"


def read_url(url: str, *, trusted: frozenset[str]) -> WebhookUrl:
    """The URL in its parts. Raises ValueError saying what a URL must be.

    `trusted` holds hosts, as `host` or `host:port`, that may also be addresses, plain http, and on any port.
    """
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
    if found is None:
        raise ValueError(
            "an https URL like https://example.org/hook: ASCII, without user and fragment, "
            f"at most {MAX_URL_CHARS} characters"
        )
    scheme, host, target = found["scheme"], found["host"].lower(), found["target"] or "/"
    port = int(found["port"] or {"https": 443, "http": 80}[scheme])
    is_trusted = bool({host, f"{host}:{port}"} & trusted)
    if not is_trusted:
        _refuse_odd(scheme, host, port)
    return WebhookUrl(
        scheme=scheme,
        host=host,
        port=port,
        target=target if target.startswith("/") else f"/{target}",
        is_trusted=is_trusted,
    )


def _refuse_odd(scheme: str, host: str, port: int) -> None:
    if scheme != "https":
        raise ValueError("https only: LATENTMILL_WEBHOOK_ALLOW names the hosts that may use http")
    if port != 443:
        raise ValueError("port 443 only: LATENTMILL_WEBHOOK_ALLOW names the hosts with another one")
    last = host.rpartition(".")[2]
    if "." not in host or host.startswith("[") or _NUMBER.fullmatch(last):
        raise ValueError("name the host in full, like hooks.example.org; an address is not taken")


def read_hosts(text: str) -> frozenset[str]:
    """`host` and `host:port`, separated by commas. Raises ValueError."""
    hosts = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{host[:80]!r} is no host: give `host` or `host:port`, separated by commas"
            )
    return hosts
