"""A signed URL is a key for minutes: made for who asks, for one object, and kept nowhere."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import ValidationError

from export.publish import publish
from service.adapters.events import configure_logging
from service.contract.settings import ApiSettings
from tests.fixtures.api import Api, start_api
from tests.fixtures.decoders import tiny_decoder

pytestmark = pytest.mark.s3


@pytest.fixture
def signing(redis_url: str, s3_place: dict[str, str]) -> Iterator[Api]:
    """A server over a store that signs, logging everything."""
    api = start_api(redis_url, **s3_place, log_level="debug")
    publish(api.parts.storage, *tiny_decoder())
    yield api
    api.stop()


def asked(api: Api, index: int = 0) -> tuple[str, httpx.Response]:
    job = api.completed(count=10)
    answer = api.http.get(job["links"]["shards"].replace("{index}", str(index)))
    assert answer.status_code == 307
    return job["id"], answer


def test_it_is_sigv4_for_one_object_and_at_most_15_minutes(signing: Api) -> None:
    """The signature covers method, host, key and time; neither a cache nor a page that was led there keeps it."""
    _, answer = asked(signing)
    place = urlsplit(answer.headers["Location"])
    query = {name: value for name, (value,) in parse_qs(place.query).items()}
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert 0 < int(query["X-Amz-Expires"]) <= 900
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - signed_at) < timedelta(minutes=1)
    assert query["X-Amz-SignedHeaders"] == "host"
    (key,) = signing.stored("shards/")
    assert place.path.endswith(key)
    assert "AWSAccessKeyId" not in query
    assert signing.settings.s3_secret_access_key
    assert (
        signing.settings.s3_secret_access_key.get_secret_value() not in answer.headers["Location"]
    )


@pytest.mark.parametrize("seconds", [0, 901, 604_800])
def test_no_setting_makes_it_live_longer(seconds: int) -> None:
    """A day's URL in somebody's history would be a day's leak."""
    with pytest.raises(ValidationError):
        ApiSettings(signed_url_s=seconds)


def test_it_is_in_no_log_and_no_object(
    signing: Api, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the most talkative level of our own events, with every library's as configured."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    level = root.level
    configure_logging(signing.settings)
    try:
        job_id, answer = asked(signing)
        httpx.get(answer.headers["Location"]).raise_for_status()
    finally:
        root.setLevel(level)
    signature = parse_qs(urlsplit(answer.headers["Location"]).query)["X-Amz-Signature"][0]
    told = capfd.readouterr()
    assert job_id in told.out + told.err
    for secret in (signature, "X-Amz-"):
        assert secret not in told.out + told.err
        for key in signing.stored():
            assert secret.encode() not in signing.parts.storage.get(key)
    texts = [signing.http.get(f"/v1/jobs/{job_id}{rest}").text for rest in ("", "/manifest")]
    assert not [text for text in texts if "X-Amz-" in text]
