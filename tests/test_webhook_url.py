"""Where a webhook may go: what its URL looks like, and what its name leads to."""

import pytest

from service.adapters.webhook_guard import is_public, vetted
from service.contract.errors import WebhookFailed
from service.contract.webhook_url import MAX_URL_CHARS, read_hosts, read_url

NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("url", "address", "target"),
    [
        ("https://hooks.example.org", "hooks.example.org", "/"),
        ("https://Hooks.Example.ORG:443/a/b?c=d&e=%20", "hooks.example.org", "/a/b?c=d&e=%20"),
        ("https://example.org?token=1", "example.org", "/?token=1"),
        ("https://xn--bcher-kva.example/x@y", "xn--bcher-kva.example", "/x@y"),
        ("https://1.2.3.4.example.org/", "1.2.3.4.example.org", "/"),
    ],
)
def test_an_https_url_of_a_named_host_is_read(url: str, address: str, target: str) -> None:
    """What is sent later are the parts that were read here, and no others."""
    read = read_url(url, trusted=NOBODY)
    assert (read.scheme, read.address, read.target) == ("https", address, target)
    assert not read.is_trusted


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.org", "//example.org/", "https://", "https:///x", "https:/example.org/"),
        *(
            "http://example.org/",
            "HTTPS://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
        ),
        *("gopher://example.org/", "javascript:alert(1)", "unix:///run/docker.sock"),
        # somebody's name and password, and what one parser takes for a host and another does not
        *("https://user@example.org/", "https://user:word@example.org/", "https://@example.org/"),
        *("https://example.org@127.0.0.1/", "https://127.0.0.1\\@example.org/"),
        *("https://example.org\\@127.0.0.1/", "https://example.org#@127.0.0.1/"),
        *("https://example.org /", " https://example.org/", "https://example.org/\r\nX: y"),
        *("https://example.org/\x00", "https://example.org/é", "https://exämple.org/"),
        *(
            "https://127.0.0.1%2523@example.org/",
            "https://example%2eorg/",
            "https://example.org/ x",
        ),
        # odd ports
        *("https://example.org:22/", "https://example.org:8443/", "https://example.org:80/"),
        *("https://example.org:0443/", "https://example.org:/", "https://example.org:99999/"),
        # addresses, however they are spelled
        *("https://127.0.0.1/", "https://8.8.8.8/", "https://2130706433/", "https://0x7f000001/"),
        *("https://017700000001/", "https://127.1/", "https://0177.0.0.1/", "https://0x7f.0.0.1/"),
        *("https://0/", "https://0x/", "https://127.0.0.1./", "https://example.0x7f/"),
        *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fd00:ec2::254]/"),
        *("https://[::1%25eth0]/", "https://①②⑦.⓪.⓪.①/", "https://169.254.169.254/latest/"),
        # names that only a resolver on this machine knows
        *("https://localhost/", "https://metadata/", "https://redis:443/", "https://example.org./"),
        *(
            "https://-example.org/",
            "https://example-.org/",
            "https://a..b/",
            "https://_a.example.org/",
        ),
        "https://" + "a" * 64 + ".org/",
        "https://example.org/" + "a" * MAX_URL_CHARS,
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    """Before any name is asked for."""
    with pytest.raises(ValueError, match=r"https|port 443|name the host"):
        read_url(url, trusted=NOBODY)


def test_the_operator_may_trust_a_host() -> None:
    """By name or address, on any port or on one; nothing else is trusted with it."""
    trusted = read_hosts("receiver.internal, 127.0.0.1:9000")
    assert read_url("http://receiver.internal:8080/x", trusted=trusted).is_trusted
    assert read_url("http://127.0.0.1:9000/x", trusted=trusted).address == "127.0.0.1:9000"
    for url in ("http://127.0.0.1:9001/", "http://evil.receiver.internal/", "http://127.0.0.1/"):
        with pytest.raises(ValueError, match="LATENTMILL_WEBHOOK_ALLOW"):
            read_url(url, trusted=trusted)


@pytest.mark.parametrize("hosts", ["https://example.org", "a b", "*", "example.org/x", "a@b"])
def test_a_trusted_host_is_a_host(hosts: str) -> None:
    """A list that was meant otherwise is told at start, and trusts nobody by accident."""
    with pytest.raises(ValueError, match="is no host"):
        read_hosts(hosts)


NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1"),
    *("172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1"),
    *("100.100.100.200", "100.127.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "100::1", "2001:db8::1", "2001::1", "2001:10::1", "2002:7f00:1::", "3fff::1"),
    *("2002:a9fe:a9fe::", "64:ff9b:1::a9fe:a9fe", "5f00::1"),
    # wrapped IPv4
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:100.64.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::192.168.0.1", "::ffff:0:127.0.0.1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.0"),
    *("169.253.0.1", "192.167.1.1", "223.255.255.254", "2606:4700:4700::1111", "2a00:1450::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_inside_is_not_public(address: str) -> None:
    """Private, loopback, link-local, shared, multicast, reserved, metadata; plain or wrapped."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    """The neighbours of every refused range."""
    assert is_public(address)


def test_one_address_inside_refuses_the_host() -> None:
    """A name that leads out and in is an attack or a fault; the message does not tell what is inside."""
    assert vetted(["8.8.8.8", "1.1.1.1"], is_trusted=False) == ["8.8.8.8", "1.1.1.1"]
    for addresses in (["8.8.8.8", "10.9.8.7"], []):
        with pytest.raises(WebhookFailed) as told:
            vetted(addresses, is_trusted=False)
        assert "10.9.8.7" not in str(told.value)


def test_a_trusted_host_may_be_inside_and_is_never_the_metadata() -> None:
    """Trust is in a name, and a name may be made to lead to the machine's own credentials."""
    assert vetted(["10.0.0.1", "127.0.0.1", "fd12::1"], is_trusted=True)
    for address in ("169.254.169.254", "fd00:ec2::254", "fe80::1", "0.0.0.0", "::ffff:a9fe:a9fe"):
        with pytest.raises(WebhookFailed):
            vetted([address], is_trusted=True)
