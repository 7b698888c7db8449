"""HTTP with patience: what may pass is tried again, the rest becomes an error of the one tree."""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from latentmill.problems import error_of

from service.contract.errors import (
    LatentmillError,
    LimitReached,
    ServerUnreachable,
    SettingsInvalid,
    Unavailable,
)
from service.contract.key import TOKEN

Answer = TypeVar("Answer")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
#: A server that never answered is more likely a wrong URL than one that is being restarted.
_STRANGER_PATIENCE_S = 1.0
_CHUNK_BYTES = 1 << 18


class Transport:
    """A connection pool to one server. Any request may be sent twice, so all are safe to repeat.

    `timeout_s` bounds each wait for the network, `patience_s` all tries of one request together.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout_s: float, patience_s: float
    ) -> None:
        self.url, self.patience_s = _checked(url), patience_s
        self._is_known = False
        # A proxy is never the way to this very machine.
        is_loopback = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        timeout = httpx.Timeout(timeout_s, connect=min(5.0, timeout_s))
        self._http = httpx.Client(
            base_url=self.url,
            # httpx leaves it out where a redirect leads to another origin, as signed URLs do.
            headers={} if api_key is None else {"Authorization": f"Bearer {_key(api_key)}"},
            timeout=timeout,
            trust_env=not is_loopback,
            follow_redirects=True,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return self.patiently(lambda: self._send("GET", path, params=params)).json()

    def get_bytes(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        return self.patiently(lambda: self._send("GET", path, params=params)).content

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self.patiently(lambda: self._send("POST", path, json=body, headers=headers)).json()

    def delete(self, path: str) -> None:
        self.patiently(lambda: self._send("DELETE", path))

    @contextmanager
    def stream(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        chunk_bytes: int | None = _CHUNK_BYTES,
    ) -> Iterator[Iterator[bytes]]:
        """One try at a body, chunk by chunk; wrap the whole reading into `patiently`. None: chunks as they come."""
        with self._translated(), self._http.stream("GET", path, headers=headers) as response:
            self._is_known = True
            if response.is_error:
                response.read()
                raise error_of(response)
            yield response.iter_bytes(chunk_bytes)

    def patiently(self, attempt: Callable[[], Answer]) -> Answer:
        """The attempt's answer, tried again while the server is away or asks to come back later."""
        deadline, pause_s = float("inf"), _FIRST_PAUSE_S
        while True:
            try:
                return attempt()
            except (Unavailable, LimitReached) as error:
                wait_s = max(error.retry_after_s, pause_s * random.uniform(0.5, 1.0))
                # Counted from the first refusal: a long download that breaks off has not waited.
                deadline = min(deadline, time.monotonic() + self._patience_s)
                if time.monotonic() + wait_s > deadline:
                    raise
            time.sleep(wait_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    @property
    def _patience_s(self) -> float:
        return self.patience_s if self._is_known else min(_STRANGER_PATIENCE_S, self.patience_s)

    def _send(self, method: str, path: str, **fields: Any) -> httpx.Response:
        with self._translated():
            response = self._http.request(method, path, **fields)
        self._is_known = True
        if response.is_error:
            raise error_of(response)
        return response

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.StreamError) as error:
            raise _unreachable(self.url, error) from error
        except httpx.TooManyRedirects as error:
            raise LatentmillError(f"{self.url} redirects in circles") from error


def _unreachable(url: str, error: Exception) -> ServerUnreachable:
    refusal = ServerUnreachable(
        f"no Latentmill server answers at {url} ({error or type(error).__name__}); "
        "start one with `latentmill up`, or name another with --url or LATENTMILL_URL"
    )
    refusal.retry_after_s = 0
    return refusal


def _key(api_key: str) -> str:
    # The key itself is never told: messages end in logs.
    if not re.fullmatch(TOKEN, api_key):
        raise SettingsInvalid("the API key is not one: it looks like lm_ and 43 letters")
    return api_key


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsInvalid(f"{url!r} is no server's URL; it looks like http://127.0.0.1:8000")
    return url.rstrip("/")
