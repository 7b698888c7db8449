"""A worker process: chooses the real things, then lets Celery deliver until it is told to stop."""

import gc
import os
import signal
import socket
import sys
import time
from typing import Any

import structlog
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from celery.worker import state

from service.adapters.events import configure_logging
from service.adapters.queue import celery_app
from service.contract.errors import DecoderRefused
from service.contract.settings import WorkerSettings
from service.lifecycle.decoders import list_cards
from service.lifecycle.parts import check_parts, open_parts
from workers.body import Bodies
from workers.cores import Cores
from workers.decoder import check_onnxruntime, profile_of
from workers.heart import Heart
from workers.lease import Watch
from workers.leaving import Leaving
from workers.sessions import Sessions
from workers.shard import Studio
from workers.sign import Sign
from workers.tasks import register_tasks
from workers.warm import compile_kernels

log = structlog.get_logger(__name__)

#: Celery that breaks sooner than this would break again: the supervisor's turn, with its growing pauses.
_GOOD_LIFE_S = 2.0


def main(settings: WorkerSettings) -> int:
    """Run until SIGTERM or SIGINT; the shard in hand is finished first. Returns the exit code.

    Raises StartRefused, StorageUnavailable or LedgerUnavailable when something needed is missing.
    """
    configure_logging(settings)
    # Until Celery takes the signal over there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    check_onnxruntime(settings.device)
    parts = open_parts(settings)
    check_parts(settings, parts)
    sessions = Sessions(parts.storage, device=settings.device, threads=settings.decoder_threads)
    studio = Studio(
        *(parts, sessions, Watch(), Bodies(), Cores(settings.cores, wait_s=settings.heartbeat_s)),
        device=settings.device,
        heartbeat_s=settings.heartbeat_s,
        name=f"{socket.gethostname()}-{os.getpid()}",
        audit_share=settings.audit_share,
    )
    _warm_up(studio)
    return _deliver(settings, studio)


def _deliver(settings: WorkerSettings, studio: Studio) -> int:
    """Let Celery take messages, with a heart beating beside it."""
    name = studio.name
    profile = profile_of(settings.device)
    heart = Heart(
        *(studio.parts.ledger, studio.parts.queue, studio.watch, Sign(settings.heartbeat_file)),
        name=name,
        slots=settings.slots,
        info=profile | {"cores": settings.cores},
        limit_s=settings.shard_timeout_s,
    )

    def ready(**_: object) -> None:
        # Slots are told only once messages are taken.
        if not heart.is_alive():
            heart.start()
        log.info("worker_ready", worker=name, slots=settings.slots, **profile)

    def leaving(**_: object) -> None:
        Leaving(studio, heart, grace_s=settings.grace_s).start()

    worker_ready.connect(ready)
    worker_shutting_down.connect(leaving)
    # Celery would set its own handlers and levels over ours.
    setup_logging.connect(_keep_logging)
    try:
        return _consume(settings, studio, name)
    finally:
        heart.stop()


def _consume(settings: WorkerSettings, studio: Studio, name: str) -> int:
    """Take messages until told to stop; returns the exit code.

    Bytes that are no message, or a broker that goes away at a bad moment, break Celery's consumer for good: it
    gets a successor in this process, where everything is warm.
    """
    while True:
        started = time.monotonic()
        worker = _celery_worker(settings, studio, name)
        worker.start()
        is_asked = state.should_stop is not None or bool(state.should_terminate)
        if not worker.exitcode or is_asked or time.monotonic() - started < _GOOD_LIFE_S:
            return int(worker.exitcode or 0)
        log.warning("consumer_replaced", worker=name)


def _celery_worker(settings: WorkerSettings, studio: Studio, name: str) -> Any:
    app = celery_app(settings)
    register_tasks(app, studio, settings.limits)
    # Threads: a forked child inherits neither CUDA nor an ONNX Runtime session, and `solo` loses its
    # running task at shutdown. Gossip and mingle talk to other workers, which nothing here needs.
    return app.Worker(
        pool="threads",
        concurrency=settings.slots,
        hostname=f"latentmill@{name}",
        without_gossip=True,
        without_mingle=True,
        # Nobody listens to Celery's events either: the ledger knows who is alive.
        without_heartbeat=True,
        quiet=True,
    )


def _keep_logging(**_: object) -> None:
    """Its mere presence tells Celery that logging is configured."""


def _warm_up(studio: Studio) -> None:
    """Compile, and load what is published now, so that no job pays for it."""
    started = time.monotonic()
    compile_kernels()
    log.info("kernels_ready", seconds=round(time.monotonic() - started, 1))
    for card in list_cards(studio.parts.storage):
        try:
            studio.sessions.get(card.name, card.digest)
        except DecoderRefused as error:
            # Its own jobs will be told; the other decoders' jobs must not wait for its repair.
            log.error("decoder_unusable", decoder=card.name, reason=error.detail)
        else:
            log.info("decoder_warm", decoder=card.name, digest=card.digest)
    # All that was loaded stays: looking through it for garbage again and again would take a core's tenth of a second.
    gc.collect()
    gc.freeze()
