"""Keys as one process knows them: looked up in storage, and believed for seconds."""

import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from service.adapters.storage import Storage
from service.contract.errors import StorageUnavailable
from service.contract.key import Key, sha256_of
from service.lifecycle.keys import any_keys, find_key
from service.lifecycle.parts import now

#: A revocation, and the first key, take effect within this.
BELIEVED_S = 5.0
#: Of each kind: whoever sends made-up tokens must neither fill the memory nor push out real keys.
_REMEMBERED = 4096

#: A store that hangs must not hold the threads that answer from Redis.
PATIENCE_S = 2.0
_ASKERS = 4

Answer = TypeVar("Answer")


class _Note(NamedTuple, Generic[Answer]):
    answer: Answer
    at: float


class Keyring:
    """What `find` and `are_needed` answer comes from storage; they raise StorageUnavailable.

    `always` asks for a key even where none was ever made. `seconds` and `clock` are for tests.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        always: bool,
        seconds: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._storage, self._seconds, self._clock = storage, seconds, clock
        self._needed: _Note[bool] | None = _Note(True, float("inf")) if always else None
        self._found: OrderedDict[str, _Note[Key]] = OrderedDict()
        self._unknown: OrderedDict[str, _Note[None]] = OrderedDict()
        self._asking: dict[str, Future[Key | None]] = {}
        self._askers = ThreadPoolExecutor(_ASKERS, thread_name_prefix="keys")
        self._lock, self._looking = threading.Lock(), threading.Lock()

    # -- whether keys are needed -----------------------------------------------------------------------------------

    def known_need(self) -> bool | None:
        """The answer of `are_needed` where it is fresh; None when storage has to be asked."""
        note = self._needed
        # Once there were keys there is no way back to none.
        if note is not None and (note.answer or self._is_fresh(note)):
            return note.answer
        return None

    def are_needed(self) -> bool:
        """Whether anybody without a key is refused: since the first key was made."""
        known = self.known_need()
        if known is not None:
            return known
        if self._needed is not None and self._looking.locked():
            # Storage may be hanging: one request waits for it, and not all.
            return self._needed.answer
        with self._looking:
            # Somebody else may have looked while this one waited.
            known = self.known_need()
            return self._look_for_keys() if known is None else known

    def _look_for_keys(self) -> bool:
        before = self._needed
        try:
            needed = self._soon(self._askers.submit(any_keys, self._storage))
        except StorageUnavailable:
            # An outage is no reason to lock out who was let in; no key can be made meanwhile.
            if before is None:
                raise
            needed = before.answer
        self._needed = _Note(needed, self._seconds())
        return needed

    # -- one key ---------------------------------------------------------------------------------------------------

    def remembered(self, token: str) -> Key | None:
        """The live key of a token, if it was looked up within seconds; waits for nobody."""
        digest = sha256_of(token)
        note = self._found.get(digest)
        if note is None or not self._is_fresh(note) or not self._lives(note.answer):
            return None
        if self._age_s(note) > BELIEVED_S / 2:
            # Ahead of time: who keeps asking never waits for storage.
            self._start(digest)
        return note.answer

    def has_met(self, token: str) -> bool:
        """Whether this token was a key when it was last looked up, however long ago."""
        return sha256_of(token) in self._found

    def find(self, token: str) -> Key | None:
        """The live key of a token; None for an unknown, a revoked and an expired one alike."""
        digest = sha256_of(token)
        unknown = self._unknown.get(digest)
        if unknown is not None and self._is_fresh(unknown):
            return None
        return self.remembered(token) or self._soon(self._start(digest))

    def _start(self, digest: str) -> "Future[Key | None]":
        """One look for a key at a time, however many ask."""
        with self._lock:
            asking = self._asking.get(digest)
            if asking is None or asking.done():
                asking = self._asking[digest] = self._askers.submit(
                    self._look_for, digest, self._seconds()
                )
            return asking

    def _look_for(self, digest: str, asked_at: float) -> Key | None:
        try:
            # The look of another may have ended between this one's question and now.
            note = self._found.get(digest)
            if note is not None and note.at >= asked_at:
                return note.answer
            return self._looked_up(digest)
        finally:
            self._asking.pop(digest, None)

    def _looked_up(self, digest: str) -> Key | None:
        key = find_key(self._storage, digest)
        # The name of an object is no proof of what is in it.
        if key is None or not hmac.compare_digest(key.sha256, digest) or not self._lives(key):
            self._found.pop(digest, None)
            self._note(self._unknown, digest, None)
            return None
        self._note(self._found, digest, key)
        return key

    def _lives(self, key: Key) -> bool:
        return key.is_live(self._clock())

    def _soon(self, asking: "Future[Answer]") -> Answer:
        """Storage's answer, if it comes soon. Raises StorageUnavailable."""
        try:
            return asking.result(PATIENCE_S)
        except (TimeoutError, CancelledError) as error:
            asking.cancel()
            raise StorageUnavailable("object storage takes too long to tell of a key") from error

    def _note(self, notes: "OrderedDict[str, _Note[Answer]]", digest: str, answer: Answer) -> None:
        with self._lock:
            notes[digest] = _Note(answer, self._seconds())
            notes.move_to_end(digest)
            while len(notes) > _REMEMBERED:
                notes.popitem(last=False)

    def _is_fresh(self, note: "_Note[Answer]") -> bool:
        return self._age_s(note) < BELIEVED_S

    def _age_s(self, note: "_Note[Answer]") -> float:
        return self._seconds() - note.at
