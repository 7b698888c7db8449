"""A role of the product with a fault built in: `python -m tests.faults.rigged ROLE`, named by LATENTMILL_TEST_RIG.

The product itself holds no hook for tests, so its functions are wrapped here before its own `main` begins.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from kombu.transport import redis as broker
from kombu.transport.redis import QoS

import workers.app
import workers.make
import workers.repair
import workers.shard
from service.cli.main import main
from service.contract.request import ResolvedRequest

#: Jobs of this seed meet the fault, others do not.
UNLUCKY = 13


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _lost_message() -> None:
    """Between BRPOP and the note in `unacked`: the message is in no place at all."""
    QoS.append = _die


def _before_ack() -> None:
    """After COMMIT, before the message is acknowledged."""
    QoS.ack = _die


def _unlucky(fault: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """The fault strikes where a shard of an unlucky job is made."""

    def rig() -> None:
        real = workers.shard.make_shard

        def make(decoder: Any, request: ResolvedRequest, *args: Any, **kwargs: Any) -> Any:
            if int(request.seed) == UNLUCKY:
                fault(kwargs)
            return real(decoder, request, *args, **kwargs)

        workers.shard.make_shard = make

    return rig


def _work_for(seconds: float) -> Callable[[dict[str, Any]], None]:
    """A shard that takes long, with the heartbeat of one that moves."""

    def work(kwargs: dict[str, Any]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            kwargs["keep"]()

    return work


def _two_hours_ahead() -> None:
    """The wall clock, also of the broker's client, which takes every message of others for abandoned."""
    real = time.time
    time.time = broker.time = lambda: real() + 7200
    _unlucky(_work_for(1.5))()


def _impatient_broker() -> None:
    """The broker hands a message out again after a second, while its task still runs."""
    real = workers.app.celery_app

    def app(*args: Any) -> Any:
        made = real(*args)
        options = made.conf.broker_transport_options
        options |= {"visibility_timeout": 1, "unacked_restore_interval": 1}
        made.conf.update(broker_transport_options=options, visibility_timeout=1)
        return made

    workers.app.celery_app = app
    _unlucky(_work_for(5))()


def _dies_in_repair() -> None:
    """In the middle of a repair, with a shard found broken and not yet made again."""
    workers.repair.make_shard = _die


def _wrong() -> None:
    """Memory or a processor that computes wrongly, and vouches for it."""
    real = workers.make.draw_latents
    workers.make.draw_latents = lambda *args, **kwargs: real(*args, **kwargs) * np.float32(1.01)


RIGS: dict[str, Callable[[], None]] = {
    "lost message": _lost_message,
    "before ack": _before_ack,
    "poison": _unlucky(_die),
    "segfault": _unlucky(lambda _: ctypes.string_at(0) and None),
    "no memory": _unlucky(lambda _: np.empty(1 << 50, np.uint8) and None),
    "hung": _unlucky(lambda _: time.sleep(3600)),
    "slow": _unlucky(_work_for(1.5)),
    "two hours ahead": _two_hours_ahead,
    "impatient broker": _impatient_broker,
    "dies in repair": _dies_in_repair,
    "wrong": _wrong,
}

if __name__ == "__main__":
    RIGS[os.environ["LATENTMILL_TEST_RIG"]]()
    main()
