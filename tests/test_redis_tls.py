"""Redis behind TLS: ledger and Celery check its certificate, and what is wrong is said in one line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from service.adapters.ledger import Ledger
from service.adapters.queue import BULK, ShardQueue, celery_app
from service.adapters.redis_client import check_redis, connect
from service.contract.errors import LedgerUnavailable, SettingsInvalid
from service.contract.settings import Settings, child_environment, load_settings
from tests.fixtures.tls_redis import TlsRedis, require_redis_server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    require_redis_server()
    server = TlsRedis(tmp_path_factory.mktemp("tls"))
    server.start()
    yield server
    server.kill()


def settings_for(tls: TlsRedis, **others: object) -> Settings:
    return load_settings(Settings, **tls.settings(**others))


def test_the_ledger_speaks_tls(tls: TlsRedis) -> None:
    """With the authority and a certificate of its own."""
    client = connect(settings_for(tls))
    check_redis(client)
    Ledger(client).mark_rebuilt()
    assert not Ledger(client).is_fresh()


def test_celery_speaks_tls(tls: TlsRedis) -> None:
    """A shard that is sent arrives, over a connection that was checked."""
    settings = settings_for(tls)
    app, client = celery_app(settings), connect(settings)
    ShardQueue(app, client).send_shard("job-over-tls", 3, small=False)
    with app.connection_for_read() as connection, connection.SimpleQueue(BULK) as queue:
        _, kwargs, _ = queue.get(timeout=5).payload
    assert kwargs == {"job_id": "job-over-tls", "shard": 3}


@pytest.mark.parametrize("ca", ["wrong", "the machine's"])
def test_a_server_that_cannot_prove_itself_is_refused(tls: TlsRedis, ca: str) -> None:
    """By the ledger with one line that names the setting, and by Celery."""
    others: dict[str, Any] = {"redis_ca_file": tls.wrong_ca} if ca == "wrong" else {}
    settings = Settings.model_validate(tls.settings() | {"redis_ca_file": None} | others)
    with pytest.raises(LedgerUnavailable, match="LATENTMILL_REDIS_CA_FILE") as refusal:
        check_redis(connect(settings))
    assert "\n" not in str(refusal.value)
    # Of its own: pools of connections look at the URL alone, and another test may have left one open.
    connection = celery_app(settings).connection_for_write()
    with connection, pytest.raises(OperationalError, match="certificate verify failed"):
        connection.ensure_connection(max_retries=1, timeout=1)


def test_a_certificate_for_another_name_is_refused(tls: TlsRedis) -> None:
    """The right authority is not enough: the certificate names `localhost`, not an address."""
    settings = settings_for(tls, redis_url=tls.url.replace("localhost", "127.0.0.1"))
    with pytest.raises(LedgerUnavailable, match=r"not valid for '127\.0\.0\.1'|mismatch"):
        check_redis(connect(settings))


def test_a_client_without_a_certificate_is_refused(tls: TlsRedis) -> None:
    """The server asks for one unless it is told otherwise."""
    given = {"redis_cert_file": None, "redis_key_file": None}
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        check_redis(connect(Settings.model_validate(tls.settings() | given)))


def test_a_role_says_in_one_line_what_is_wrong(tls: TlsRedis, tmp_path: Path) -> None:
    """No traceback, and the process ends."""
    environment = child_environment(
        **tls.settings(redis_ca_file=tls.wrong_ca), storage_url=(tmp_path / "objects").as_uri()
    )
    told = subprocess.run(
        [sys.executable, "-m", "service.cli.main", "sweep"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode != 0
    assert "Traceback" not in told.stderr
    assert "LATENTMILL_REDIS_CA_FILE" in told.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"redis_url": "http://localhost"}, "LATENTMILL_REDIS_URL: .*redis://"),
        ({"redis_url": "rediss://localhost/0?ssl_cert_reqs=none"}, "LATENTMILL_REDIS_CA_FILE"),
        ({"redis_url": "redis://localhost", "redis_ca_file": "/nowhere"}, "rediss://"),
        ({"redis_url": "rediss://localhost", "redis_ca_file": "/nowhere"}, "No such file"),
        ({"redis_url": "rediss://localhost", "redis_ca_file": __file__}, "no usable PEM"),
        ({"redis_url": "rediss://localhost", "redis_cert_file": __file__}, "no usable PEM"),
        ({"redis_url": "rediss://localhost", "redis_key_file": __file__}, "REDIS_CERT_FILE"),
    ],
)
def test_settings_of_no_use_are_refused(given: dict[str, Any], told: str) -> None:
    """Before anything is connected to; TLS cannot be weakened by the URL."""
    with pytest.raises(SettingsInvalid, match=told):
        connect(load_settings(Settings, **given))
