"""What holds for every answer, and the process that gives them."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from service.api.app import create_app, server_of
from service.contract.settings import ApiSettings, child_environment
from tests.fixtures.api import Api, problem_of, until
from tests.fixtures.redis import free_port

MAIN = """
import sys
from service.api.app import main
from service.contract.errors import LatentmillError
from service.contract.settings import ApiSettings, load_settings
try:
    sys.exit(main(load_settings(ApiSettings)))
except LatentmillError as error:
    sys.exit(error.detail)
"""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/v2/jobs"),
        ("GET", "/v1/jobs/"),
        ("POST", "/v1/jobs/"),
        ("GET", "//v1/jobs"),
        ("GET", "/v1/jobs/a/b/c/d"),
        ("GET", "/docs"),
        ("GET", "/console/"),
        ("GET", "/console/jobs.py"),
        ("GET", "/console/..%2fapp.py"),
        ("GET", "/redoc"),
        ("BREW", "/coffee"),
    ],
)
def test_an_unknown_address_is_a_404_problem(lasting: Api, method: str, path: str) -> None:
    """No redirects to addresses that look alike, and no page that runs scripts from elsewhere."""
    url = f"http://127.0.0.1:{lasting.settings.port}{path}"
    problem_of(lasting.http.request(method, url), status=404, slug="not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"),
        ("PATCH", "/v1/jobs/abcdefgh", "DELETE, GET"),
        ("GET", "/v1/jobs/abcdefgh/cancel", "POST"),
        ("DELETE", "/v1/jobs/abcdefgh/repair", "GET, POST"),
        ("POST", "/v1/jobs/abcdefgh/shards/0", "GET"),
        ("POST", "/livez", "GET"),
    ],
)
def test_a_wrong_method_is_a_405_problem(
    lasting: Api, method: str, path: str, allowed: str
) -> None:
    """`Allow` names every method of the address."""
    answer = lasting.http.request(method, path)
    problem_of(answer, status=405, slug="method-not-allowed")
    assert answer.headers["Allow"] == allowed


def test_every_answer_is_safe_to_show_in_a_browser(api: Api) -> None:
    """Types are not guessed, no answer is kept unless the route says so, nobody learns what serves them."""
    job = api.completed(count=10)
    answers = [
        api.submit(),
        api.submit(count=0),
        *(api.http.get(path) for path in ("/livez", "/readyz", "/metrics", "/openapi.json")),
        *(api.http.get(path) for path in ("/v1/jobs", "/v1/decoders", "/v1/jobs/abcdefgh")),
        *(api.http.get(job["links"][link]) for link in ("self", "manifest")),
    ]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store", answer.url
        assert_harmless(answer)
    for part in ("/", "/console/app.js", "/console/style.css", "/console/icon.svg"):
        answer = api.http.get(part)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy, part
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-cache"
        again = api.http.get(part, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    archive = api.http.get(job["links"]["shards"].replace("{index}", "0"))
    assert archive.headers["Cache-Control"] == "private, no-cache"
    assert_harmless(archive)


def assert_harmless(answer: httpx.Response) -> None:
    """Nothing runs, frames, guesses or leaks, whoever shows it."""
    assert answer.headers["X-Content-Type-Options"] == "nosniff", answer.url
    policy = answer.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'", answer.url
    assert answer.headers["Referrer-Policy"] == "no-referrer", answer.url
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", answer.url
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", answer.url
    assert "Server" not in answer.headers, answer.url
    assert "Strict-Transport-Security" not in answer.headers, answer.url
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_other_site_is_let_in(lasting: Api) -> None:
    """CORS is off: a preflight is a wrong method, and no origin is named in any answer."""
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = lasting.http.options("/v1/jobs", headers=asks)
    problem_of(preflight, status=405, slug="method-not-allowed")
    read = lasting.http.get("/v1/decoders", headers=asks)
    for answer in (preflight, read):
        assert_harmless(answer)


def test_behind_tls_browsers_are_told_to_stay_there(lasting: Api) -> None:
    """A proxy on this machine says so; another's word is not taken (uvicorn's `forwarded_allow_ips`)."""
    answer = lasting.http.get("/livez", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize("given", ["abcdefgh", "0189-Trace_7"])
def test_a_request_keeps_its_callers_id(lasting: Api, given: str) -> None:
    """So that the logs of both sides tell of one request."""
    answer = lasting.http.get("/v1/jobs/abcdefgh", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "short", "a" * 65, "a b c d e f", "id\tid\tid", "<script>x"])
def test_a_request_without_a_plain_id_is_given_one(lasting: Api, given: str) -> None:
    """What is no plain id comes neither back nor into a log line."""
    answer = lasting.http.get("/nothing", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_orders_nothing(api: Api, site: str) -> None:
    """A loopback API has no keys; browsers say where a request comes from, and so it needs none."""
    foreign = {"Sec-Fetch-Site": site}
    problem_of(api.submit(headers=foreign), status=403, slug="cross-site")
    job = api.accepted()
    for method, path in (("POST", "/cancel"), ("DELETE", "")):
        answer = api.http.request(method, job["links"]["self"] + path, headers=foreign)
        problem_of(answer, status=403, slug="cross-site")
    assert len(api.stored("jobs/")) == 1
    assert api.job(job["id"])["status"] == "queued"
    assert api.http.get("/v1/jobs", headers=foreign).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_page_of_this_server_may_order(api: Api, site: str) -> None:
    """The console, and whoever types the address."""
    assert api.submit(headers={"Sec-Fetch-Site": site}).status_code == 202


def test_a_fault_of_ours_is_a_500_problem_without_a_trace(api: Api) -> None:
    """The log has the stack, the client has not; the server goes on."""
    app = api.server.config.app
    assert isinstance(app, FastAPI)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret")

    with capture_logs(processors=[merge_contextvars]) as logged:
        answer = api.http.get("/broken")
    problem_of(answer, status=500, slug="internal-error")
    assert "secret" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert [entry["event"] for entry in logged] == ["request_failed"]
    assert logged[0]["request"] == answer.headers["X-Request-Id"]
    assert "a secret" in str(logged[0]["exc_info"])
    assert api.http.get("/livez").status_code == 200


def started(settings: dict[str, object]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN],
        env=child_environment(**settings),
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_and_stops_when_told(
    redis_url: str, folder_url: str, number: signal.Signals
) -> None:
    """`main` is ready within seconds, and being asked to stop is no failure."""
    port = free_port()
    process = started({"redis_url": redis_url, "storage_url": folder_url, "port": port})

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    until(is_ready, seconds=30)
    process.send_signal(number)
    _, told = process.communicate(timeout=15)
    assert process.returncode == 0, told
    assert b"Traceback" not in told


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"redis_url": "redis://:geheim@127.0.0.1:1/0"}, b"set LATENTMILL_REDIS_URL"),
        ({"storage_url": "file:///proc/nothing"}, b"set LATENTMILL_STORAGE_URL"),
        ({"host": "0.0.0.0"}, b"set LATENTMILL_ALLOW_ANONYMOUS=1"),
        ({"host": "example.org"}, b"set LATENTMILL_ALLOW_ANONYMOUS=1"),
    ],
    ids=["redis", "storage", "public", "public name"],
)
def test_a_start_that_cannot_work_says_what_to_set(
    redis_url: str, folder_url: str, settings: dict[str, object], message: bytes
) -> None:
    """Which service, where, what to set; never a password, and never a public API without keys."""
    needed = {"redis_url": redis_url, "storage_url": folder_url, "port": free_port()}
    _, told = (process := started(needed | settings)).communicate(timeout=60)
    assert process.returncode == 1
    assert message in told
    assert b"geheim" not in told
    assert b"Traceback" not in told


def test_a_taken_port_ends_the_process(redis_url: str, folder_url: str, lasting: Api) -> None:
    """It does not pretend to serve."""
    port = lasting.settings.port
    process = started({"redis_url": redis_url, "storage_url": folder_url, "port": port})
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"address already in use" in told


def test_a_restart_does_not_wait_for_a_slow_download(redis_url: str, folder_url: str) -> None:
    """Whoever reads slowly resumes by range; a deployment is not held up."""
    settings = ApiSettings(redis_url=redis_url, storage_url=folder_url, port=free_port())
    config = server_of(create_app(settings), settings).config
    assert config.timeout_graceful_shutdown is not None
    assert 0 < config.timeout_graceful_shutdown <= 30
