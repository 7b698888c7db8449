"""What the simulation is told: every number with its unit and where it comes from.

Measured: on 2 cores of an AMD EPYC (Zen 5), 2026-11-22. Documented: by the vendor. Assumed: nobody here measured it.
"""

from dataclasses import dataclass, field

from service.contract.settings import SweepSettings, WorkerSettings
from service.contract.shard import DEFAULT_SHARD_SIZE
from service.lifecycle import dispatch
from workers.heart import BEAT_S

BILLION = 1_000_000_000


def _default(settings: type, name: str) -> float:
    return float(settings.model_fields[name].default)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class LedgerCosts:
    """Microseconds of Redis's one thread for each call; `python -m tests.bench.ledger`: one job, in a crowd."""

    push: float = 8.6
    take: float = 28.4
    begin: float = 29.1
    extend: float = 15.0
    note_work: float = 9.5
    commit: float = 33.0
    slots: float = 12.6
    queue_length: float = 7.0
    due: float = 26.3
    claim: float = 30.7
    #: For each further shard that one claim leases.
    claim_shard: float = 6.3
    heartbeat: float = 19.6


@dataclass(frozen=True)
class Inputs:
    """One installation: a fleet of GPU workers, one Redis, one bucket."""

    workers: int = 1
    images: int = BILLION
    jobs: int = 1
    shard_size: int = DEFAULT_SHARD_SIZE

    #: Assumed. 28×28 grey, dense 30→512→512→784: 1.4 MFLOP an image, 7 TFLOP/s at this rate.
    decode_per_s: float = 5e6
    #: Assumed: what hosts of eight GPUs have for each, at least; `LATENTMILL_CORES`.
    cores: int = 16
    #: Measured, one core: latents 3.0 million/s, zip with PNG 1.31 million/s, both checksums 1.40 million/s.
    host_us_per_image: float = 1 / 3.0 + 1 / 1.31 + 1 / 1.40
    #: Measured: MNIST's digits in a zip, with names, headers and metadata.csv.
    bytes_per_image: float = 495.0
    #: Estimated from p50s of the ledger's bench and an empty Celery task: one thread at a time holds the interpreter.
    python_s: float = 0.002
    #: Measured: p50 of sending a message, which dispatch does one after another.
    send_s: float = 0.0003
    #: `LATENTMILL_SLOTS`. Twice the cores is right where storage is near; a bucket's latency asks for more.
    slots: int = 192

    #: Assumed: 25 Gbit/s for each GPU.
    network_bytes_per_s: float = 25e9 / 8
    #: Assumed: one connection, one PUT.
    connection_bytes_per_s: float = 85e6
    #: Documented: 100–200 ms for small objects; drawn evenly. HEAD and PUT alike.
    #: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
    bucket_latency_s: tuple[float, float] = (0.1, 0.2)
    #: Documented there: PUTs and GETs each second for each partitioned prefix. A job's shards share one prefix.
    puts_per_s: float = 3500.0
    gets_per_s: float = 5500.0
    prefixes: int = 1

    ledger: LedgerCosts = field(default_factory=LedgerCosts)
    #: Assumed: a message between hosts of one zone and back.
    round_trip_s: float = 0.0003
    window_per_slot: int = dispatch.WINDOW_PER_SLOT
    min_window: int = dispatch.MIN_WINDOW
    queue_windows: int = dispatch.QUEUE_WINDOWS
    burst: int = dispatch.BURST
    heartbeat_s: float = _default(WorkerSettings, "heartbeat_s")
    beat_s: float = BEAT_S
    sweep_s: float = _default(SweepSettings, "sweep_interval_s")
    #: Measured: the finisher of 61,036 shards, in a folder; in a bucket it lists a thousand shards a call.
    finish_us_per_shard: float = 70.0

    @property
    def shards_per_job(self) -> int:
        return -(-self.images // self.jobs // self.shard_size)

    @property
    def shards(self) -> int:
        return self.jobs * self.shards_per_job

    @property
    def ideal_per_s(self) -> float:
        """The bare decoders' speed."""
        return self.workers * self.decode_per_s

    @property
    def window(self) -> int:
        return max(self.min_window, self.window_per_slot * self.slots * self.workers)
