"""The HTTP edge: nobody keeps a connection by being slow, and a few who try take nothing from the others."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from service.api import connection
from service.api.connection import MAX_HEAD_BYTES
from tests.fixtures.api import Api, start_api, until

UNFINISHED = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "
WHOLE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def small(redis_url: str, folder_url: str) -> Iterator[Api]:
    """A server with room for eight connections."""
    api = start_api(redis_url, folder_url, max_connections=8)
    yield api
    api.stop()


def opened(api: Api) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", api.settings.port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def is_cut(client: socket.socket) -> bool:
    """Whether the server hung up; what it said before is dropped."""
    client.settimeout(5)
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def parsed(answer: bytes) -> httpx.Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    headers = [tuple(field.split(b": ", 1)) for field in fields]
    return httpx.Response(int(line.split()[1]), headers=headers, content=body)  # type: ignore[arg-type]


def spoken(api: Api, request: bytes) -> httpx.Response:
    """What the server says before it hangs up."""
    with opened(api) as client:
        client.sendall(request)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return parsed(answer)


def test_a_head_that_does_not_end_is_cut(lasting: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not count: the whole head has its time; others are served meanwhile."""
    # On this connection, which is kept; the machine may be too busy for a new one in half a second.
    assert lasting.http.get("/livez").status_code == 200
    monkeypatch.setattr(connection, "HEAD_S", 0.5)
    with ExitStack() as stack:
        slow = [stack.enter_context(opened(lasting)) for _ in range(20)]
        for client in slow[:-1]:
            client.sendall(UNFINISHED)
        for _ in range(8):
            assert lasting.http.get("/livez").status_code == 200
            for client in slow[:10]:
                dripped(client)
            time.sleep(0.1)
        assert all(is_cut(client) for client in slow)


def dripped(client: socket.socket) -> None:
    with suppress(ConnectionError):
        client.sendall(b"a")


@pytest.mark.parametrize("path", [b"GET /livez", b"POST /v1/jobs/abcdefgh/cancel"])
def test_a_body_after_the_answer_is_cut(
    lasting: Api, monkeypatch: pytest.MonkeyPatch, path: bytes
) -> None:
    """Nobody reads it, so nobody may go on sending it for ever."""
    monkeypatch.setattr(connection, "HEAD_S", 0.3)
    with opened(lasting) as client:
        client.sendall(path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(8):
            dripped(client)
            time.sleep(0.1)
        assert is_cut(client)


def test_a_connection_that_is_used_is_kept(lasting: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for one head, however many requests come one after another, in pieces too."""
    monkeypatch.setattr(connection, "HEAD_S", 1.0)
    with opened(lasting) as client:
        for _ in range(4):
            client.sendall(WHOLE[:20])
            time.sleep(0.3)
            client.sendall(WHOLE[20:])
            answer = b""
            while not answer.endswith(b"}"):
                answer += client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_is_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download nobody takes holds neither a connection nor an open file for ever."""
    monkeypatch.setattr(connection, "TAKE_S", 0.3)
    job = api.completed(count=10)
    (key,) = api.stored("shards/")
    api.parts.storage.put(key, bytes(30_000_000))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", api.settings.port))
        path = job["links"]["shards"].replace("{index}", "0").encode()
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: api.server.server_state.tasks)
        until(lambda: not api.server.server_state.tasks, seconds=5)


def test_those_who_wait_make_room_for_those_who_ask(small: Api) -> None:
    """Eight places: thirty who say nothing take none of them from one who speaks."""
    with ExitStack() as stack:
        silent = [stack.enter_context(opened(small)) for _ in range(30)]
        until(lambda: len(small.server.server_state.connections) == 8)
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{small.settings.port}/livez").status_code == 200
        assert all(is_cut(client) for client in silent[:22])
        assert len(small.server.server_state.connections) <= 8


def test_a_full_server_says_so(small: Api) -> None:
    """When every connection is at work the next one hears 503 at once, and is a problem like any other."""
    body = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(opened(small)).sendall(body)
        until(lambda: len(small.server.server_state.tasks) == 8)
        answer = spoken(small, WHOLE)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert is_safe(answer)
    until(lambda: not small.server.server_state.tasks)
    assert small.http.get("/livez").status_code == 200


def is_safe(answer: httpx.Response) -> bool:
    problem = json.loads(answer.content)
    assert problem["status"] == answer.status_code
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return answer.headers["Connection"] == "close"


NO_REQUESTS: dict[str, bytes] = {
    "long head": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (MAX_HEAD_BYTES + 1),
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * MAX_HEAD_BYTES,
    "long path": b"GET /" + b"a" * (MAX_HEAD_BYTES + 1),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a bad length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a strange coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: z\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("request_of", NO_REQUESTS)
def test_what_is_no_request_is_a_400_problem(lasting: Api, request_of: str) -> None:
    """Before anything is made of it; the connection ends there, so nothing hides behind it."""
    answer = spoken(lasting, NO_REQUESTS[request_of])
    assert answer.status_code in (400, 501)
    assert is_safe(answer)


def test_a_bad_chunk_ends_the_connection(lasting: Api) -> None:
    """A body whose pieces do not add up is no body, whatever was answered to its beginning."""
    with opened(lasting) as client:
        client.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdefghi"
        )
        assert is_cut(client)
    assert lasting.http.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (lambda size: b"Content-Length: %d" % size, 413),
        (lambda _: b"Transfer-Encoding: chunked", 413),
        # Smuggling: h11 reads it as chunked (RFC 9112, 6.3), and so does nobody else behind us.
        (lambda _: b"Content-Length: 5\r\nTransfer-Encoding: chunked", 413),
    ],
    ids=["length", "chunked", "both"],
)
def test_a_body_is_counted_as_it_comes(
    lasting: Api, length: Callable[[int], bytes], told: int
) -> None:
    """Whatever its length is said to be."""
    body = b" " * 70_000
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    kind = length(len(body))
    with opened(lasting) as client:
        head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + kind + b"\r\n\r\n"
        client.sendall(head + (body if kind.startswith(b"Content-Length: 7") else sent))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert parsed(answer).status_code == told
