"""The queue: Celery's configuration, shared by those who send and those who run, and the few things that are sent.

A message is only a hint. Whatever is lost, doubled or late here is made good by the ledger's leases.
"""

from typing import Any

import redis
import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from service.adapters.redis_client import answered
from service.adapters.redis_tls import tls_of
from service.contract.audit import Audit
from service.contract.sample import SampleRequest
from service.contract.settings import Settings

log = structlog.get_logger(__name__)

#: Read first: somebody looks at a page and waits for one sample.
SAMPLE = "latentmill.sample"
#: Read next: jobs of one shard do not wait behind shards of large ones.
SMALL = "latentmill.small"
BULK = "latentmill.bulk"
#: Where foreign producers send `latentmill.generate`.
GENERATE = "latentmill.generate"

RUN_SHARD = "latentmill.shard"
GENERATE_JOB = "latentmill.generate"
REPAIR_JOB = "latentmill.repair"
AUDIT_SHARD = "latentmill.audit"
DRAW_SAMPLE = "latentmill.sample"


def celery_app(settings: Settings) -> Celery:
    """The one Celery configuration. Apps that share a broker get the shortest visibility timeout of any."""
    app = Celery("latentmill", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        broker_use_ssl=tls_of(settings) or None,
        # State is the ledger's: no result backend, nothing that expires, no chord.
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        # JSON only: a pickle from a writable broker would run code.
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        # Acknowledge after COMMIT; a lost child's message comes back, and BEGIN counts the attempts.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # False would redeliver a failing task for ever.
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        # One message per slot: a worker never hoards what another could run.
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        # Read in this order, so that small jobs stay quick beside bulk work.
        task_queues=[Queue(SAMPLE), Queue(SMALL), Queue(GENERATE), Queue(BULK)],
        task_default_queue=BULK,
        task_create_missing_queues=False,
        broker_transport_options={
            "queue_order_strategy": "priority",
            # A backstop only: the ledger's leases bring a shard back long before.
            "visibility_timeout": 3600,
            # Without these two an orphan is looked for every 100 s, not every 10 s (kombu#2558).
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # No read or publish may wait for ever on a half-open connection.
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        # Celery reads the timeout in three places; they must agree.
        visibility_timeout=3600,
        result_backend_transport_options={"visibility_timeout": 3600},
        # Redis may come up after us and may go away: wait for it, never give up.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Bounds producers: the API's threads share four connections.
        broker_pool_limit=4,
        broker_pool_acquire_timeout=5,
        # The ledger sends again; a blind retry of an ambiguous publish only doubles the message.
        task_publish_retry=False,
        # Threads cannot be cancelled; the late acknowledgement after a reconnect works.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Soft shutdown kills threads' tasks as failures (celery#10490): warm shutdown only.
        worker_soft_shutdown_timeout=0,
        # ETA tasks pile up in memory and are redelivered past the visibility timeout; none is used.
        worker_eta_task_limit=10,
        # Whoever may write to the broker could end workers, or slow them down.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        enable_utc=True,
        timezone="UTC",
    )
    return app


class ShardQueue:
    """Sends hints to workers; never raises, because a hint that is not sent is found by the sweep."""

    def __init__(self, app: Celery, client: redis.Redis) -> None:
        self._app, self._redis = app, client

    def send_shard(self, job_id: str, shard: int, *, small: bool) -> None:
        self._send(RUN_SHARD, {"job_id": job_id, "shard": shard}, queue=SMALL if small else BULK)

    def send_repair(self, job_id: str) -> bool:
        """Whether the message was sent."""
        return self._send(REPAIR_JOB, {"job_id": job_id}, queue=BULK)

    def send_audit(self, audit: Audit) -> bool:
        """Whether the message was sent."""
        arguments = audit.model_dump(mode="json", exclude_defaults=True)
        return self._send(AUDIT_SHARD, arguments, queue=BULK)

    def send_sample(self, asked: SampleRequest) -> bool:
        """Whether the message was sent."""
        return self._send(DRAW_SAMPLE, asked.model_dump(mode="json"), queue=SAMPLE)

    def _send(self, task: str, kwargs: dict[str, Any], *, queue: str) -> bool:
        try:
            self._app.send_task(task, kwargs=kwargs, queue=queue)
        except (OperationalError, redis.RedisError, OSError) as error:
            log.warning("message_not_sent", task=task, reason=str(error), **kwargs)
            return False
        return True

    def length(self) -> int:
        """Messages that no worker has taken yet."""
        # One round trip: it is asked for at every commit.
        with answered(), self._redis.pipeline(transaction=False) as pipe:
            pipe.llen(SMALL)
            pipe.llen(BULK)
            return sum(pipe.execute())
