"""What is told of the fleet, and of when a job will have ended."""

from service.contract.value import Value


class Worker(Value):
    """One live worker process and the profile it makes shards with.

    It has a shard in hand in each slot, and makes as many at once as it has `cores`: the others are read or stored.
    """

    name: str
    slots: int
    cores: int
    onnxruntime: str = ""
    provider: str = ""
    device: str = ""


class FleetReport(Value):
    """The fleet now. `samples_per_s` is of the last minute; a sample is left until its shard is stored.

    `backlog_s`: seconds that all cores of live workers need for all that is left. Null where no shard of such a decoder
    and format has been made yet, or no worker lives.
    """

    workers: list[Worker]
    slots: int
    cores: int
    active_jobs: int
    queued_messages: int
    samples_left: int
    samples_per_s: float
    backlog_s: float | None


class Estimate(Value):
    """When a job will have ended, if nothing joins and nothing fails.

    `jobs_ahead` are the caller's unfinished jobs that go before it: of a more urgent class, or accepted earlier. Owners
    take turns, so each other owner delays it by as much work as the caller has before it, and no more. `seconds` is
    null where nobody can tell.
    """

    jobs_ahead: int
    seconds: float | None
