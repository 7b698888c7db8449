"""How S3 storage takes refusals, broken answers and unreachable servers; and what its URLs allow."""

import time
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from service.adapters.storage import Storage
from service.adapters.storage_race import race_writers, require_conditional_create
from service.contract.errors import ObjectExists, StartRefused, StorageUnavailable
from tests.fixtures.redis import free_port
from tests.fixtures.s3 import SECRET_KEY, Answer, S3Server, ScriptedS3
from tests.fixtures.storage import open_place


def refusal(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())


@pytest.fixture
def scripted(scripted_s3: ScriptedS3) -> Storage:
    return open_place(scripted_s3.place)


def test_an_unreachable_server_is_said_soon(s3_place: dict[str, str]) -> None:
    """Every method gives up within seconds and names the address and the setting."""
    address = f"127.0.0.1:{free_port()}"
    storage = open_place(s3_place | {"s3_endpoint_url": f"http://user:pw@{address}"})
    started = time.monotonic()
    for ask in (
        *(storage.get, storage.head, storage.open, storage.delete),
        *(lambda key: storage.put(key, b""), lambda key: storage.create(key, b"")),
        *(lambda key: list(storage.list(key)), lambda _: storage.check()),
    ):
        with pytest.raises(StorageUnavailable, match="LATENTMILL_S3_ENDPOINT_URL") as refused:
            ask("a")
        assert f"at {address} does not answer" in str(refused.value)
        assert refused.value.__cause__ is not None
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (refusal(403, "AccessDenied"), "LATENTMILL_S3_SECRET_ACCESS_KEY"),
        (refusal(403, "InvalidAccessKeyId"), "LATENTMILL_S3_ACCESS_KEY_ID"),
        (refusal(404, "NoSuchBucket"), "create the bucket"),
        (refusal(400, "AuthorizationHeaderMalformed"), "LATENTMILL_S3_REGION"),
        (refusal(403, "RequestTimeTooSkewed"), "clock"),
        (refusal(500, "InternalError"), "try again later"),
        (Answer(200, b"<html>the console of the store</html>"), "LATENTMILL_S3_ENDPOINT_URL"),
    ],
)
def test_a_refusal_says_what_to_set(
    scripted_s3: ScriptedS3, scripted: Storage, answer: Answer, advice: str
) -> None:
    """Each names the bucket, the server and the next step; none repeats a secret."""
    scripted_s3.answers = [answer]
    with pytest.raises(StorageUnavailable, match=advice) as refused:
        scripted.check()
    assert "S3 bucket scripted at 127.0.0.1:" in str(refused.value)
    assert SECRET_KEY not in str(refused.value)


@pytest.mark.parametrize(
    "wrong", [{"s3_endpoint_url": "no-url"}, {"s3_public_endpoint_url": "no-url"}]
)
def test_an_endpoint_that_is_no_url_is_said(
    s3_place: dict[str, str], wrong: dict[str, str]
) -> None:
    """A slip in the settings is one clear line and no traceback of boto3's."""
    storage = open_place(s3_place | wrong)
    with pytest.raises(StorageUnavailable, match="not a URL"):
        storage.sign("a", expires_s=1, filename="a")


def test_writers_that_collide_try_again(scripted_s3: ScriptedS3, scripted: Storage) -> None:
    """409 decides nothing: the same PUT is sent until the store says who won, but not for ever."""
    conflict = refusal(409, "ConditionalRequestConflict")
    scripted_s3.answers = [conflict, conflict, Answer(200)]
    scripted.create("a", b"")
    assert scripted_s3.asked == ["PUT /scripted/some/prefix/a"] * 3
    scripted_s3.answers = [conflict, refusal(412, "PreconditionFailed")]
    with pytest.raises(ObjectExists):
        scripted.create("a", b"")
    scripted_s3.answers = [conflict]
    with pytest.raises(StorageUnavailable, match="collide"):
        scripted.create("a", b"")


def test_an_answer_that_breaks_off_is_asked_for_again(
    scripted_s3: ScriptedS3, scripted: Storage
) -> None:
    """Half an object is never taken for a whole one, by `get` or by a stream."""
    broken = Answer(200, b"half", promised_bytes=8)
    scripted_s3.answers = [broken, broken, Answer(200, b"half+end")]
    assert scripted.get("a") == b"half+end"
    scripted_s3.answers = [broken]
    with pytest.raises(StorageUnavailable, match="broke off"):
        scripted.get("a")
    with (
        scripted.open("a") as stream,
        pytest.raises(StorageUnavailable, match="broke off"),
    ):
        stream.read()


def test_a_lost_answer_may_make_our_own_object_exist(
    scripted_s3: ScriptedS3, scripted: Storage
) -> None:
    """boto3 repeats a PUT whose answer was an error; the store then refuses what it has taken."""
    scripted_s3.answers = [refusal(500, "InternalError"), refusal(412, "PreconditionFailed")]
    with pytest.raises(ObjectExists):
        scripted.create("a", b"")
    assert len(scripted_s3.asked) == 2


def test_every_write_is_one_put_with_its_checksum(
    scripted_s3: ScriptedS3, scripted: Storage
) -> None:
    """Never multipart, whose parts can be torn; creation alone is conditional."""
    scripted_s3.answers = [Answer(200)]
    scripted.put("a", bytes(20_000_000))
    scripted.create("a", b"abc")
    assert scripted_s3.asked == ["PUT /scripted/some/prefix/a"] * 2
    put, create = scripted_s3.headers
    assert ("If-None-Match" in put, create["If-None-Match"]) == (False, "*")
    assert create["x-amz-checksum-sha256"] == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    assert "x-amz-checksum-crc32" not in create


@pytest.mark.s3
def test_a_store_that_lets_writers_race_is_refused(s3_place: dict[str, str]) -> None:
    """Start-up says what to set, and without conditional writes no key is decided by one writer."""
    storage = open_place(s3_place | {"storage_conditional": "off"})
    assert race_writers(storage) > 1
    with pytest.raises(StartRefused, match="LATENTMILL_STORAGE_CONDITIONAL=off"):
        require_conditional_create(storage)
    assert list(storage.list("")) == []


@pytest.mark.s3
def test_a_store_without_conditions_still_creates_once(s3_place: dict[str, str]) -> None:
    """Writers one after the other are told apart, which is what such a store can do."""
    storage = open_place(s3_place | {"storage_conditional": "off"})
    storage.create("a", b"first")
    with pytest.raises(ObjectExists):
        storage.create("a", b"second")
    assert storage.get("a") == b"first"


@pytest.mark.s3
def test_signed_urls_carry_the_public_address(s3_place: dict[str, str]) -> None:
    """The service and its clients may know the store by different names."""
    public = {"s3_public_endpoint_url": "https://files.example:9443"}
    url = open_place(s3_place | public).sign("a/b", expires_s=5, filename="b")
    assert url is not None
    assert urlsplit(url).netloc == "files.example:9443"
    assert urlsplit(url).path.endswith("/some/prefix/a/b")
    assert "X-Amz-Expires=5&" in url


def test_an_upload_in_progress_is_no_leftover(scripted_s3: ScriptedS3, scripted: Storage) -> None:
    """A day is more than any upload takes."""
    upload = (
        "<Upload><Key>some/prefix/a</Key><UploadId>1</UploadId><Initiated>%s</Initiated></Upload>"
    )
    listed = "<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>"
    began = datetime(2026, 11, 22, 10, tzinfo=UTC)
    body = (listed % upload % began.isoformat()).encode()
    scripted_s3.answers = [Answer(200, body), Answer(200, b"<ListPartsResult/>")]
    assert [found.name for found in scripted.leftovers(now=began + timedelta(hours=25))] == ["a"]
    scripted_s3.answers = [Answer(200, body)]
    assert list(scripted.leftovers(now=began + timedelta(hours=23))) == []


@pytest.mark.s3
def test_abandoned_uploads_are_found_and_ended(
    s3_place: dict[str, str], moto_server: S3Server
) -> None:
    """Those under our prefix, with the bytes they hold. (To moto every upload began in 2010.)"""
    storage, client = open_place(s3_place), moto_server.client()
    bucket = urlsplit(s3_place["storage_url"]).netloc
    for key in ("some/prefix/big", "another/prefix/big"):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 100)
    (found,) = storage.leftovers(now=datetime.now(UTC))
    assert (found.name, found.size_bytes) == ("big", 100)
    found.remove()
    found.remove()
    (other,) = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert other["Key"] == "another/prefix/big"


@pytest.mark.ceph
def test_a_signed_url_is_bound_to_its_object_and_moment(ceph_place: dict[str, str]) -> None:
    """Another key, another signature or a later moment are refused with 403."""
    storage = open_place(ceph_place)
    storage.put("a", b"bytes")
    storage.put("b", b"others")
    url = storage.sign("a", expires_s=60, filename="a")
    short = storage.sign("a", expires_s=1, filename="a")
    assert url is not None
    assert short is not None
    with urlopen(url) as answer:
        assert answer.read() == b"bytes"
    time.sleep(2.5)
    end = "1" if url.endswith("0") else "0"
    for forged in (url.replace("/a?", "/b?"), url[:-1] + end, url.partition("?")[0], short):
        with pytest.raises(HTTPError) as refused, urlopen(forged):
            pass
        with refused.value as answer:
            assert answer.code == 403


@pytest.mark.ceph
def test_a_wrong_secret_is_refused(ceph_place: dict[str, str]) -> None:
    """The message names the settings and shows neither key."""
    storage = open_place(ceph_place | {"s3_secret_access_key": "wrong-secret"})
    with pytest.raises(StorageUnavailable, match="LATENTMILL_S3_SECRET_ACCESS_KEY") as refused:
        storage.put("a", b"")
    assert "wrong-secret" not in str(refused.value)


@pytest.mark.ceph
def test_racing_writers_have_one_winner_every_time(ceph_place: dict[str, str]) -> None:
    """Twenty races of sixteen, because a store that races may pass one by luck."""
    storage = open_place(ceph_place)
    assert [race_writers(storage) for _ in range(20)] == [1] * 20
