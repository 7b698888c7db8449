"""API keys in storage, and as a process knows them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.adapters.storage_folder import FolderStorage
from service.contract import layout
from service.contract.errors import StorageUnavailable, TooManyKeys, UnknownKey
from service.contract.key import Key, Scope, sha256_of
from service.contract.limits import LimitOverrides, Limits
from service.lifecycle.keyring import BELIEVED_S, Keyring
from service.lifecycle.keys import NewKey, create_key, list_keys, revoke_key
from tests.fixtures.processes import eventually

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BOTH = (Scope.READ, Scope.SUBMIT)


class Clocks:
    """Seconds and the date, which pass together and only when told to."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def seconds(self) -> float:
        return 1000.0 + self.passed_s

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed_s)


class Counting(FolderStorage):
    """Folder storage that counts what it is asked, and may be away or hang."""

    asked, is_away = 0, False

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.answers = threading.Event()
        self.answers.set()

    def get(self, key: str) -> bytes:
        self._count()
        return super().get(key)

    def list(self, prefix: str, *, after: str = ""):  # type: ignore[no-untyped-def]
        self._count()
        return super().list(prefix, after=after)

    def _count(self) -> None:
        self.asked += 1
        self.answers.wait()
        if self.is_away:
            raise StorageUnavailable


@pytest.fixture
def storage(tmp_path: Path) -> Counting:
    return Counting(str(tmp_path))


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def keyring(storage: Counting, clocks: Clocks) -> Keyring:
    return Keyring(storage, always=False, seconds=clocks.seconds, clock=clocks.now)


def new(storage: FolderStorage, owner: str = "ann", **fields: object) -> NewKey:
    return create_key(storage, owner, BOTH, now=NOW, **fields)  # type: ignore[arg-type]


def test_a_token_is_stored_nowhere(storage: Counting, tmp_path: Path) -> None:
    """Storage holds its SHA-256, as a name and inside; who reads storage cannot ask for jobs."""
    token, key = new(storage)
    assert len(token) == 3 + 43
    assert key.sha256 == sha256_of(token)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert f"{key.sha256}.json" in {path.name for path in kept}
    assert not [path for path in kept if token[3:].encode() in path.read_bytes()]


def test_tokens_differ(storage: Counting) -> None:
    """32 random bytes each."""
    assert len({new(storage, f"owner-{n}").token for n in range(50)}) == 50


def test_an_owner_has_two_live_keys(storage: Counting) -> None:
    """One to work with, one to replace it by; what is expired or revoked does not count."""
    new(storage, expires_at=NOW)
    revoke_key(storage, new(storage).key.id, now=NOW)
    new(storage)
    last = new(storage).key
    with pytest.raises(TooManyKeys, match=last.id):
        new(storage)
    new(storage, "bob")
    revoke_key(storage, last.id, now=NOW)
    new(storage)


def test_a_revocation_is_kept_and_stands(storage: Counting) -> None:
    """A key is never deleted; revoking it again changes nothing."""
    key = new(storage).key
    assert revoke_key(storage, key.id, now=NOW).revoked_at == NOW
    assert revoke_key(storage, key.id, now=NOW + timedelta(1)).revoked_at == NOW
    assert [kept.revoked_at for kept in list_keys(storage)] == [NOW]
    with pytest.raises(UnknownKey):
        revoke_key(storage, "0" * 12, now=NOW)


def test_a_broken_record_does_not_hide_the_others(storage: Counting) -> None:
    """Nor does it let anybody in."""
    key = new(storage).key
    storage.put(layout.key(sha256_of("lm_x")), b"{}")
    assert list_keys(storage) == [key]
    assert Keyring(storage, always=True).find("lm_x") is None


@pytest.mark.parametrize("owner", ["", "Ann", "../ann", "ann/", "-ann", "a" * 64, "ann\n", "añn"])
def test_an_owner_is_a_plain_name(owner: str) -> None:
    """It becomes part of object keys and of Redis keys."""
    with pytest.raises(ValidationError):
        Key(id="0" * 12, sha256="0" * 64, owner=owner, scopes=BOTH, created_at=NOW)


def test_overrides_are_of_single_limits() -> None:
    """What a key does not set is the deployment's; 0 lifts a limit."""
    limits = Limits(max_count=10, max_active_jobs=3, max_samples_per_day=100)
    over = LimitOverrides(max_active_jobs=5, max_samples_per_day=0).over(limits)
    assert (over.max_count, over.max_active_jobs, over.max_samples_per_day) == (10, 5, 0)


class TestKeyring:
    def test_a_live_key_is_found(self, storage: Counting, keyring: Keyring) -> None:
        """And nothing that only looks like its token."""
        token, key = new(storage)
        assert keyring.find(token) == key
        assert keyring.find(token[:-1] + ("a" if token[-1] != "a" else "b")) is None
        assert keyring.find("") is None

    def test_a_key_is_looked_up_once_in_seconds(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """Known and unknown ones alike, so that neither costs storage a call each."""
        token, _ = new(storage)
        storage.asked = 0
        for _ in range(10):
            keyring.find(token)
            keyring.find("lm_unknown")
        assert storage.asked == 2
        clocks.passed_s += BELIEVED_S
        keyring.find(token)
        assert storage.asked == 3

    def test_many_at_once_look_up_a_key_once(self, storage: Counting, keyring: Keyring) -> None:
        """A busy client whose key is due again does not make a crowd of calls."""
        token, key = new(storage)
        storage.asked = 0
        storage.answers.clear()
        with ThreadPoolExecutor(20) as crowd:
            asking = [crowd.submit(keyring.find, token) for _ in range(20)]
            storage.answers.set()
            assert {found.result() for found in asking} == {key}
        assert storage.asked == 1

    def test_a_key_in_use_is_looked_up_ahead_of_time(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """Who keeps asking never waits for storage, also when the seconds are over."""
        token, key = new(storage)
        keyring.find(token)
        clocks.passed_s += BELIEVED_S * 0.8
        storage.asked = 0
        assert keyring.remembered(token) == key
        assert eventually(lambda: storage.asked == 1 and not keyring._asking, within_s=5)
        clocks.passed_s += BELIEVED_S * 0.4
        assert eventually(lambda: keyring.remembered(token) == key, within_s=5)

    def test_a_revocation_is_seen_within_seconds(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """However often the key is used meanwhile."""
        token, key = new(storage)
        assert keyring.find(token)
        revoke_key(storage, key.id, now=NOW)
        clocks.passed_s += BELIEVED_S - 0.1
        assert keyring.find(token)
        clocks.passed_s += 0.2
        assert keyring.remembered(token) is None
        assert keyring.find(token) is None
        assert BELIEVED_S <= 10

    def test_a_key_expires_to_the_moment(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """Also one that was looked up a moment before."""
        token, _ = new(storage, expires_at=NOW + timedelta(seconds=1))
        assert keyring.find(token)
        clocks.passed_s += 1
        assert keyring.remembered(token) is None
        assert keyring.find(token) is None

    def test_made_up_tokens_push_nobody_out(
        self, storage: Counting, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is remembered of them is bounded, and apart from real keys."""
        monkeypatch.setattr("service.lifecycle.keyring._REMEMBERED", 10)
        token, _ = new(storage)
        keyring.find(token)
        for n in range(50):
            keyring.find(f"lm_{n}")
        assert keyring.remembered(token)
        assert len(keyring._unknown) == 10

    def test_an_object_under_a_wrong_name_is_no_key(
        self, storage: Counting, keyring: Keyring
    ) -> None:
        """Whoever can copy an object cannot make a token of theirs valid by it."""
        key = new(storage).key
        storage.put(layout.key(sha256_of("lm_mine")), key.to_json())
        assert keyring.find("lm_mine") is None

    def test_the_first_key_closes_the_door(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """Within seconds, and for good: neither revoking nor losing it opens the door again."""
        assert not keyring.are_needed()
        _, key = new(storage)
        clocks.passed_s += BELIEVED_S
        assert keyring.known_need() is None
        assert keyring.are_needed()
        storage.delete(layout.key(key.sha256))
        clocks.passed_s += BELIEVED_S
        assert keyring.are_needed()

    def test_revoking_every_key_lets_nobody_in(self, storage: Counting, clocks: Clocks) -> None:
        """Also for a process that starts after it."""
        revoke_key(storage, new(storage).key.id, now=NOW)
        assert Keyring(storage, always=False).are_needed()

    def test_where_strangers_listen_a_key_is_always_needed(self, storage: Counting) -> None:
        """Whatever storage holds."""
        storage.is_away = True
        assert Keyring(storage, always=True).known_need()

    def test_an_outage_changes_nothing(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """Who needed no key needs none while storage is away; before the first look nobody can tell."""
        storage.is_away = True
        with pytest.raises(StorageUnavailable):
            keyring.are_needed()
        storage.is_away = False
        assert not keyring.are_needed()
        storage.is_away = True
        clocks.passed_s += 60
        assert not keyring.are_needed()

    def test_a_key_is_not_believed_for_ever_during_an_outage(
        self, storage: Counting, keyring: Keyring, clocks: Clocks
    ) -> None:
        """It may have been revoked."""
        token, _ = new(storage)
        assert keyring.find(token)
        storage.is_away = True
        clocks.passed_s += BELIEVED_S
        with pytest.raises(StorageUnavailable):
            keyring.find(token)

    def test_a_store_that_hangs_is_not_waited_for(
        self,
        storage: Counting,
        keyring: Keyring,
        clocks: Clocks,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whoever needed no key goes on; whoever needs one hears soon that nobody can tell."""
        monkeypatch.setattr("service.lifecycle.keyring.PATIENCE_S", 0.05)
        assert not keyring.are_needed()
        storage.answers.clear()
        clocks.passed_s += 60
        assert not keyring.are_needed()
        with pytest.raises(StorageUnavailable):
            keyring.find("lm_x")
        storage.answers.set()
