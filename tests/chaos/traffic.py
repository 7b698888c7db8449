"""Clients at work: they submit in every way there is, replay, cancel, look, and remember what they were told."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
from celery import Celery
from kombu.exceptions import OperationalError

from service.contract.job import Status
from tests.chaos.asks import Ask, random_body
from tests.chaos.client import LATER, Client

_SUBMITTERS, _LOOKERS = 5, 2
#: A closed loop: what is open must be over soon after the last fault, on a machine of any speed.
_MOST_OPEN, _MOST_OPEN_SAMPLES = 40, 250_000
_WAYS = {"keyed": 30, "replayed": 20, "cancelled": 15, "plain": 20, "producer": 15}
_QUEUE = TASK = "latentmill.generate"


class Traffic:
    """Threads that are clients; `asks` is what they wished and saw."""

    def __init__(self, urls: list[str], redis_url: str, seed: str) -> None:
        self.asks: list[Ask] = []
        self.failovers = self.not_sent = 0
        self._urls, self._seed = urls, seed
        self._closed, self._ended = threading.Event(), threading.Event()
        self._celery = Celery(broker=redis_url, set_as_current=False)
        self._celery.conf.update(
            task_publish_retry=False,
            broker_transport_options={"socket_timeout": 3, "socket_connect_timeout": 2},
        )
        self._celery_lock = threading.Lock()
        self._submitters = [self._thread(self._submit, n) for n in range(_SUBMITTERS)]
        self._lookers = [self._thread(self._look, n) for n in range(_LOOKERS)]

    def _thread(self, work: Any, number: int) -> threading.Thread:
        name = f"{self._seed}/{work.__name__}/{number}"
        return threading.Thread(target=work, args=(random.Random(name), number), daemon=True)

    def start(self) -> None:
        for thread in self._submitters + self._lookers:
            thread.start()

    def close(self) -> None:
        """Nobody submits any more; returns when everybody has an answer or has given up."""
        self._closed.set()
        for thread in self._submitters:
            thread.join()

    def end(self) -> None:
        """Nobody looks any more."""
        self._ended.set()
        for thread in self._lookers:
            thread.join()
        self._celery.close()

    def open_asks(self) -> list[Ask]:
        """Accepted, and not seen to have ended."""
        return [ask for ask in self.asks if ask.ids and not ask.has_ended]

    # -- submitting ----------------------------------------------------------------------------------------------

    def _submit(self, chance: random.Random, number: int) -> None:
        client = Client(self._urls, chance)
        sent = 0
        while not self._closed.wait(chance.uniform(0.02, 0.3)):
            if self._is_full():
                continue
            (way,) = chance.choices(list(_WAYS), list(_WAYS.values()))
            sent += 1
            name = f"chaos-{self._seed}-{number}-{sent}"
            ask = Ask(random_body(chance), way, None if way == "plain" else name)
            self.asks.append(ask)
            getattr(self, f"_{way}")(ask, client, chance)
        self.failovers += client.failovers
        client.close()

    def _is_full(self) -> bool:
        asks = self.open_asks()
        samples = sum(ask.body["count"] for ask in asks)
        return len(asks) >= _MOST_OPEN or samples >= _MOST_OPEN_SAMPLES

    def _keyed(self, ask: Ask, client: Client, chance: random.Random) -> None:
        headers = {"Idempotency-Key": str(ask.key)}
        _told(ask, client.ask("POST", "/v1/jobs", json=ask.body, headers=headers))

    def _replayed(self, ask: Ask, client: Client, chance: random.Random) -> None:
        """At once from three sides, and once more later."""
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: self._keyed(ask, client, chance), range(3)))
        time.sleep(chance.uniform(0, 1))
        self._keyed(ask, client, chance)

    def _cancelled(self, ask: Ask, client: Client, chance: random.Random) -> None:
        self._keyed(ask, client, chance)
        time.sleep(chance.uniform(0, 1.5))
        if ask.ids:
            answer = client.ask("POST", f"/v1/jobs/{ask.job_id}/cancel")
            if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
                ask.cancel_told = answer.json()["status"]

    def _plain(self, ask: Ask, client: Client, chance: random.Random) -> None:
        _told(ask, client.once("POST", "/v1/jobs", json=ask.body))

    def _producer(self, ask: Ask, client: Client, chance: random.Random) -> None:
        """A foreign producer; its promise begins when GET knows the job, so until then it sends again."""
        for _ in range(4):
            self._send_task(ask)
            for _ in range(20):
                answer = client.ask("GET", f"/v1/jobs/{ask.key}", patience_s=20)
                if answer is not None and answer.is_success:
                    _told(ask, answer)
                    return
                time.sleep(0.3)
        ask.unanswered += 1

    def _send_task(self, ask: Ask) -> None:
        with self._celery_lock:
            try:
                self._celery.send_task(TASK, kwargs=ask.body, task_id=ask.key, queue=_QUEUE)
            except (OperationalError, OSError):
                self.not_sent += 1

    # -- looking -------------------------------------------------------------------------------------------------

    def _look(self, chance: random.Random, number: int) -> None:
        client = Client(self._urls, chance)
        while not self._ended.wait(0.02):
            among = self.open_asks() if chance.random() < 0.9 else [a for a in self.asks if a.ids]
            if among:
                look_at(chance.choice(among), client)
        client.close()


def _told(ask: Ask, answer: httpx.Response | None) -> None:
    if answer is None:
        ask.unanswered += 1
    elif answer.is_success:
        ask.ids.add(answer.json()["id"])
    elif answer.status_code in LATER:
        ask.turned_away += 1
    else:
        ask.refused.append(f"{answer.status_code} {answer.text[:200]}")


def look_at(ask: Ask, client: Client) -> None:
    """GET the job; an accepted job that is not known is odd."""
    answer = client.ask("GET", f"/v1/jobs/{ask.job_id}", patience_s=5)
    if answer is None:
        return
    with suppress(KeyError):
        if answer.is_success:
            ask.note(Status(answer.json()["status"]))
        else:
            ask.oddities.append(f"GET says {answer.status_code}")
