"""Bad input over HTTP: refused with every fault at once, each by its JSON pointer, and nothing left behind."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.fixtures.api import Api, pointers, problem_of, until
from tests.fixtures.parts import ask

HALF_A_PAIR = "\ud800"


@pytest.fixture
def api(lasting: Api) -> Iterator[Api]:
    yield lasting
    assert lasting.stored() == [], "a refused request left something behind"


def post(api: Api, body: bytes | str | Any, path: str = "/v1/jobs") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.http.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("pointer", "fields"),
    [
        ("/decoder", {"decoder": "nobody"}),
        ("/decoder", {"decoder": "tiny@" + "0" * 64}),
        ("/decoder", {"decoder": "tiny@latest"}),
        ("/decoder", {"decoder": "../tiny"}),
        ("/decoder", {"decoder": "tiny\n"}),
        ("/decoder", {"decoder": HALF_A_PAIR}),
        ("/decoder", {"decoder": "x" * 60_000}),
        ("/decoder", {"decoder": 7}),
        ("/decoder", {"decoder": None}),
        ("/label", {"label": 10}),
        ("/label", {"label": "three"}),
        ("/label", {"label": "03"}),
        ("/label", {"label": ""}),
        ("/label", {"label": -3}),
        ("/label", {"label": 3.5}),
        ("/label", {"label": True}),
        ("/label", {"label": [3]}),
        ("/label", {"label": None}),
        ("/label", {"label": HALF_A_PAIR}),
        ("/label", {"label": 10**400}),
        ("/count", {"count": 0}),
        ("/count", {"count": -1}),
        ("/count", {"count": 100_000_001}),
        ("/count", {"count": 10**400}),
        ("/count", {"count": True}),
        ("/count", {"count": "10"}),
        ("/count", {"count": 10.5}),
        ("/count", {"count": None}),
        ("/seed", {"seed": -1}),
        ("/seed", {"seed": 2**63}),
        ("/seed", {"seed": 10**400}),
        ("/seed", {"seed": str(2**63)}),
        ("/seed", {"seed": "9" * 400}),
        ("/seed", {"seed": "-1"}),
        ("/seed", {"seed": "042"}),
        ("/seed", {"seed": "0x2a"}),
        ("/seed", {"seed": "٤٢"}),
        ("/seed", {"seed": 1.5}),
        ("/seed", {"seed": False}),
        ("/seed", {"seed": []}),
        ("/temperature", {"temperature": 0}),
        ("/temperature", {"temperature": 2.001}),
        ("/temperature", {"temperature": 0.8005}),
        ("/temperature", {"temperature": "1"}),
        ("/temperature", {"temperature": True}),
        ("/temperature", {"temperature": 10**400}),
        ("/format", {"format": "rar"}),
        ("/format", {"format": 1}),
        ("/format", {"format": HALF_A_PAIR}),
        ("/compression", {"compression": "best"}),
        ("/shard_size", {"shard_size": 1000}),
        ("/shard_size", {"shard_size": 0}),
        ("/shard_size", {"shard_size": 65_536}),
        ("/shard_size", {"shard_size": 1024.5}),
        ("/cuont", {"cuont": 10}),
        ("/a~1b~0c", {"a/b~c": 1}),
        ("/", {"": 1}),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "backslashreplace").decode(),
)
def test_a_fault_is_named_by_its_pointer(api: Api, pointer: str, fields: dict[str, Any]) -> None:
    """Each field is checked for range, type and spelling; a boolean or a fraction is no integer."""
    assert pointers(post(api, ask(**fields))) == [pointer]


def test_every_fault_at_once(api: Api) -> None:
    """Whoever made five mistakes learns of all five in one answer."""
    body = {"decoder": "nobody", "label": True, "count": 0, "seed": -1, "cuont": 1, "format": "rar"}
    answer = post(api, body)
    assert pointers(answer) == ["/count", "/cuont", "/decoder", "/format", "/label", "/seed"]
    assert "no decoder 'nobody' is published" in answer.text


def test_faults_against_the_card_come_with_the_others(api: Api) -> None:
    """A label that the decoder does not have is told beside a count above the server's limit."""
    answer = post(api, ask(label=77, count=10**9, seed=-1))
    assert pointers(answer) == ["/count", "/label", "/seed"]
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in answer.text


def test_an_empty_object_names_what_is_required(api: Api) -> None:
    """The least that a request holds is told at once, as far as it can be known without a decoder."""
    assert pointers(post(api, {})) == ["/count", "/decoder"]
    assert pointers(post(api, {"decoder": "tiny"})) == ["/count", "/label"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, "an object of labels"),
        ({"3": -1}, "an object of labels"),
        ({"3": 1.5}, "an object of labels"),
        (["3"], "an object of labels"),
        ({"3": 0}, "at least one image"),
        ({"3": 5, "cat": 5}, "no label 'cat'"),
        ({"3": 1, "4": 2**20}, "round its counts to tens"),
        ({"3": 10**8, "4": 1}, "at most 100000000 samples"),
    ],
)
def test_a_mix_with_a_fault_is_refused(api: Api, labels: Any, told: str) -> None:
    """What is wrong with it is said at its place; nothing is stored."""
    body = ask(labels=labels) | {"label": None, "count": None}
    answer = post(api, body)
    assert pointers(answer)[0] == "/labels"
    assert told in str(answer.json()["errors"])
    assert api.stored() == []


def test_a_mix_stands_in_place_of_a_label_and_a_count(api: Api) -> None:
    """Beside it both are faults; null is as good as absent."""
    assert pointers(post(api, ask(labels={"3": 10}))) == ["/count", "/label"]
    assert pointers(post(api, ask(labels=None, count=None))) == ["/count"]
    assert pointers(post(api, ask(decoder="plain", labels={"3": 1}, label=None, count=None))) == [
        "/decoder"
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"count": 1,}',
        b"{'count': 1}",
        b"[" * 30_000,
        b'{"a":' * 12_000,
        b'{"decoder":"tiny","label":3,"count":10,"count":20}',
        b'{"decoder":"tiny","label":3,"count":NaN}',
        b'{"decoder":"tiny","label":3,"count":10,"temperature":Infinity}',
        b'{"decoder":"tiny","label":3,"count":10,"temperature":1e999}',
        b'{"decoder":"tiny","label":3,"count":10,"seed":' + b"9" * 5_000 + b"}",
        b'{"decoder":"tiny","label":3,"count":10,"\\ud800":1}',
        b'{"decoder":"tiny","label":3,"count":10,"tags":{"\\udfff":1}}',
        b'{"decoder":"tin\xff","label":3,"count":10}',
        json.dumps(ask()).encode("utf-16"),
        json.dumps(ask()).encode("utf-32-le"),
        b"\xef\xbb\xbf" + json.dumps(ask()).encode(),
        b"decoder=tiny&label=3&count=10",
        b"[]",
        b"null",
        b'"tiny"',
        b"3",
        json.dumps([ask()]).encode(),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_json_object_is_refused_as_a_whole(api: Api, body: bytes) -> None:
    """Malformed, doubled, endless, not UTF-8, not an object: one fault at the root, whatever the parser did."""
    assert pointers(post(api, body)) == [""]


def test_the_message_for_malformed_json_is_for_clients(api: Api) -> None:
    """A number of thousands of digits is called that; Python's settings are nobody's business."""
    answer = post(api, b'{"seed":' + b"9" * 5_000 + b"}")
    assert "a number has 5000 digits" in answer.text
    assert "set_int" not in answer.text


def test_a_body_at_the_limit_is_read(api: Api) -> None:
    """64 KiB are read and judged by what they say."""
    body = json.dumps({"x": ""}).encode()
    body = body.replace(b'""', b'"' + b"x" * (64 * 1024 - len(body)) + b'"')
    assert len(body) == 64 * 1024
    assert pointers(post(api, body)) == ["/count", "/decoder", "/x"]


@pytest.mark.parametrize("size_bytes", [64 * 1024 + 1, 1_000_000, 30_000_000])
def test_a_body_over_the_limit_is_413(api: Api, size_bytes: int) -> None:
    """Also a body far too large gets its answer, and not a connection that breaks."""
    problem_of(post(api, b" " * size_bytes), status=413, slug="body-too-large")
    problem_of(post(api, b" " * size_bytes, "/v1/quotes"), status=413, slug="body-too-large")


@pytest.mark.parametrize("size_bytes", [64 * 1024 + 1, 30_000_000])
def test_a_body_of_unknown_length_is_counted(api: Api, size_bytes: int) -> None:
    """Chunked bodies have no Content-Length to believe."""
    pieces = (b" " * min(50_000, size_bytes - sent) for sent in range(0, size_bytes, 50_000))
    answer = api.http.post("/v1/jobs", content=pieces)
    assert answer.request.headers["Transfer-Encoding"] == "chunked"
    problem_of(answer, status=413, slug="body-too-large")


def test_a_huge_upload_is_refused_before_it_is_sent(api: Api) -> None:
    """Who asks with `Expect: 100-continue`, as curl does, hears no without having sent a byte."""
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=5) as client:
        client.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_hangs_up_leaves_nothing(api: Api) -> None:
    """Half a body is no request, and no fault of the server's: nothing is logged as one."""
    with capture_logs() as logged:
        with socket.create_connection(("127.0.0.1", api.settings.port)) as client:
            client.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
            until(lambda: api.server.server_state.tasks)
        until(lambda: not api.server.server_state.tasks)
    assert logged == []


def test_a_body_that_does_not_come_is_408(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is held open does not hold the server for ever."""
    monkeypatch.setattr("service.api.body._BODY_TIMEOUT_S", 0.2)
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=10) as client:
        client.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_quotes_refuse_what_submits_refuse(api: Api) -> None:
    """A quote is for a request that would be accepted."""
    answer = post(api, {"decoder": "tiny", "label": "x", "count": 0, "seed": 1.5}, "/v1/quotes")
    assert pointers(answer) == ["/count", "/label", "/seed"]
    assert pointers(post(api, b"[", "/v1/quotes")) == [""]


@pytest.mark.parametrize(
    ("pointer", "query"),
    [
        ("/limit", "limit=0"),
        ("/limit", "limit=101"),
        ("/limit", "limit=many"),
        ("/status", "status=done"),
        ("/stauts", "stauts=queued"),
        ("/cursor", "cursor=%21"),
        ("/cursor", "cursor=abc"),
        ("/cursor", "cursor=%C3%A9"),
        # "../../decoders" and a key with a zero byte, spelt as cursors are
        ("/cursor", "cursor=Li4vLi4vZGVjb2RlcnM="),
        ("/cursor", "cursor=YQBi"),
    ],
)
def test_query_parameters_are_checked(api: Api, pointer: str, query: str) -> None:
    """A filter that is misspelt or made up is refused like a body, not ignored."""
    assert pointers(api.http.get(f"/v1/jobs?{query}")) == [pointer]


def test_all_bad_query_parameters_at_once(api: Api) -> None:
    """The framework's own refusals are problems too, and complete."""
    assert pointers(api.http.get("/v1/jobs?limit=0&status=x&y=1")) == ["/limit", "/status", "/y"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_1_to_255_characters(api: Api, key: str) -> None:
    """An empty key would make every careless client's jobs one job."""
    answer = api.submit(headers={"Idempotency-Key": key})
    assert pointers(answer) == ["/Idempotency-Key"]
