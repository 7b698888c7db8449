"""The sender calls the address that was checked, within its time, and follows nothing."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import trustme

from service.adapters.webhook_sender import Sender, resolve
from service.contract.errors import WebhookFailed
from service.contract.webhook_url import WebhookUrl, read_url
from tests.fixtures.receiver import Receiver, receiving

NAME = "hooks.example.org"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def url_of(port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> WebhookUrl:
    return read_url(f"{scheme}://{host}:{port}/hook?a=b", trusted=frozenset({host}))


def at_home(_: str, __: int) -> Sequence[str]:
    return ("127.0.0.1",)


def sent(sender: Sender, url: WebhookUrl) -> int:
    return sender.post(url, headers={"webhook-id": "evt_1"}, body=b"{}")


def authority() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A receiver's side for NAME, and a sender's that trusts it."""
    ca, theirs = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(NAME).configure_cert(theirs)
    ours = ssl.create_default_context()
    ca.configure_trust(ours)
    return theirs, ours


def test_a_receiver_gets_one_plain_request(receiver: Receiver) -> None:
    """With the path and query of its URL, and the host as the URL spells it."""
    assert sent(Sender(), url_of(receiver.port)) == 204
    (request,) = receiver.received
    assert request.path == "/hook?a=b"
    assert request.headers["host"] == receiver.host
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "evt_1"
    assert request.body == b"{}"


def test_tls_is_for_the_name_and_the_connection_for_the_address() -> None:
    """SNI, certificate and `Host` are the name's, although nobody asks for the name a second time."""
    theirs, ours = authority()
    names: list[str | None] = []
    theirs.sni_callback = lambda _, name, __: names.append(name)
    asked: list[str] = []

    def once(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        # A name server that means harm answers otherwise the second time.
        return ("127.0.0.1",) if len(asked) == 1 else ("169.254.169.254",)

    with receiving(theirs) as receiver:
        url = url_of(receiver.port, scheme="https", host=NAME)
        assert sent(Sender(resolve=once, tls=ours), url) == 204
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert (asked, names) == ([NAME], [NAME])


def test_a_certificate_of_another_is_refused() -> None:
    """For another name or from an unknown authority: nothing is sent."""
    theirs, ours = authority()
    with receiving(theirs) as receiver:
        other = url_of(receiver.port, scheme="https", host="other.example.org")
        for sender, url in (
            (Sender(resolve=at_home, tls=ours), other),
            (Sender(resolve=at_home), url_of(receiver.port, scheme="https", host=NAME)),
        ):
            with pytest.raises(WebhookFailed, match="no TLS"):
                sent(sender, url)
        assert receiver.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", NAME])
def test_a_host_that_leads_inside_is_not_called(receiver: Receiver, host: str) -> None:
    """Whatever the URL looked like when the job was asked for."""
    url = url_of(receiver.port, host=host).model_copy(update={"is_trusted": False})
    sender = Sender(resolve=at_home) if host == NAME else Sender()
    with pytest.raises(WebhookFailed, match="not on the public internet"):
        sent(sender, url)
    assert receiver.received == []


def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver) -> None:
    """Not to the machine's metadata, and to nobody else."""
    with receiving() as inside:
        for place in ("http://169.254.169.254/latest/meta-data/", inside.url):
            receiver.answers, receiver.location = [302], place
            assert sent(Sender(), url_of(receiver.port)) == 302
        assert inside.received == []


def test_no_proxy_is_taken_from_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name again, and may stand inside."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert sent(Sender(), url_of(receiver.port)) == 204


def test_another_address_is_tried_when_one_does_not_answer(receiver: Receiver) -> None:
    """Such as IPv6 where there is none."""
    sender = Sender(resolve=lambda *_: ("::1", "127.0.0.1"))
    assert sent(sender, url_of(receiver.port)) == 204


@contextmanager
def rude(act: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        act(connection)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def drip(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"H")
        time.sleep(0.02)


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65536)


def mumble(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (drip, "no answer within 0.3 seconds"),
        (flood, "does not speak HTTP|cannot be reached"),
        (mumble, "does not speak HTTP"),
        (lambda connection: connection.close(), "does not speak HTTP|cannot be reached"),
    ],
    ids=["drip", "flood", "mumble", "hang up"],
)
def test_a_rude_receiver_costs_little(act: Callable[[socket.socket], None], told: str) -> None:
    """Neither more than the time for all of it, nor more memory than one look at the wire."""
    with rude(act) as port:
        started = time.monotonic()
        with pytest.raises(WebhookFailed, match=told):
            sent(Sender(timeout_s=0.3), url_of(port))
        assert time.monotonic() - started < 2


def test_a_silent_name_server_counts(receiver: Receiver) -> None:
    """The name is part of the time; a name that nobody knows is told as such."""
    freed = threading.Event()

    def silent(_: str, __: int) -> Sequence[str]:
        freed.wait(10)
        return ("127.0.0.1",)

    started = time.monotonic()
    with pytest.raises(WebhookFailed, match="no answer within"):
        sent(Sender(resolve=silent, timeout_s=0.2), url_of(receiver.port))
    assert time.monotonic() - started < 2
    freed.set()
    # Where there is no name server at all, it is silent too.
    with pytest.raises(WebhookFailed, match=r"cannot be reached|no answer within"):
        sent(Sender(timeout_s=2), url_of(receiver.port, host="nothing.invalid"))


@pytest.mark.parametrize("spelled", ["127.0.0.1", "2130706433", "0x7f000001", "017700000001"])
def test_the_system_reads_old_spellings(spelled: str) -> None:
    """Which is why addresses are judged after they were read, and by nobody but the system that calls them."""
    assert resolve(spelled, 80) == ("127.0.0.1",)
