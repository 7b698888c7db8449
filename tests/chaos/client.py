"""A client as it should be: two addresses, short waits, and no answer taken for granted."""

import random
import time
from typing import Any

import httpx

#: Nothing was accepted, and asking again may help.
LATER = (429, 502, 503)


class Client:
    """HTTP to whichever API answers."""

    def __init__(self, urls: list[str], chance: random.Random) -> None:
        self._urls, self._chance = urls, chance
        self._http = httpx.Client(timeout=httpx.Timeout(12.0, connect=2.0))
        self.failovers = 0

    def close(self) -> None:
        self._http.close()

    def once(self, method: str, path: str, **fields: Any) -> httpx.Response | None:
        """One try at one of the APIs; None when the answer was lost or never came."""
        try:
            return self._http.request(method, self._chance.choice(self._urls) + path, **fields)
        except httpx.TransportError:
            return None

    def ask(
        self, method: str, path: str, *, patience_s: float = 60.0, **fields: Any
    ) -> httpx.Response | None:
        """Both APIs in turn until one gives an answer that is final; None when patience ran out."""
        deadline, first = time.monotonic() + patience_s, self._chance.randrange(len(self._urls))
        for turn in range(10_000):
            url = self._urls[(first + turn) % len(self._urls)]
            try:
                answer = self._http.request(method, url + path, **fields)
                if answer.status_code not in LATER:
                    return answer
            except httpx.TransportError:
                self.failovers += 1
            if time.monotonic() > deadline:
                break
            time.sleep(self._chance.uniform(0.1, 0.6))
        return None
