"""Every error that crosses a module boundary; one class per decision a caller can take, its docstring the message."""

from dataclasses import dataclass


class LatentmillError(Exception):
    """Something in Latentmill went wrong."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: where (RFC 6901 JSON pointer) and what to do about it."""

    pointer: str
    detail: str


class RequestInvalid(LatentmillError):
    """The request has faults; none of it was accepted."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))


class IdempotencyConflict(LatentmillError):
    """This Idempotency-Key was used with another body; use a new key for a new request."""


class KeyNeeded(LatentmillError):
    """An API key is needed that exists, has not expired and is not revoked: `Authorization: Bearer lm_…`."""


class ScopeMissing(LatentmillError):
    """The API key does not allow this."""


class UnknownKey(LatentmillError):
    """No such API key."""


class TooManyKeys(LatentmillError):
    """The owner has two live API keys; revoke one of them first."""


class UnknownJob(LatentmillError):
    """No such job."""


class UnknownDecoder(LatentmillError):
    """No such decoder."""


class UnknownShard(LatentmillError):
    """The job has no shard with this index."""


class JobUnfinished(LatentmillError):
    """The job has not completed yet; wait until its status is terminal."""


class JobNotCancellable(LatentmillError):
    """The job is past the point where it can be cancelled."""


class NothingToRepair(LatentmillError):
    """Only a completed job can be repaired."""


class NoWebhook(LatentmillError):
    """The job was asked for without a webhook."""


class WebhookFailed(LatentmillError):
    """The receiver did not take the webhook; it is tried again later."""


class ShardNotStored(LatentmillError):
    """The shard is not stored yet; ask again when the job has moved on."""


class ShardExpired(LatentmillError):
    """The shard was stored and is gone; POST the job's repair link to make the same bytes again."""

    #: Where a POST makes it again; None while the job is not complete and makes it again by itself.
    repair: str | None = None


@dataclass(frozen=True)
class Allowance:
    """A limit as a refusal tells it: `left` of `quota` units; `window_s` for one that fills up again by itself."""

    name: str
    quota: int
    unit: str
    left: int
    window_s: int | None = None


class LimitReached(LatentmillError):
    """A limit is reached; nothing was accepted."""

    retry_after_s = 5
    allowance: Allowance | None = None


class TooManyJobs(LimitReached):
    """Too many jobs are active; wait for one to finish."""


class TooManyQueued(LimitReached):
    """Too many images are being waited for; wait for a job to finish, or ask for fewer."""


class TooManyRequests(LimitReached):
    """Jobs are asked for too fast; ask for fewer and larger ones."""


class DayUsedUp(LimitReached):
    """The images of this day (UTC) are used up; ask for fewer, or tomorrow."""


class Unavailable(LatentmillError):
    """A service that this one needs does not answer; nothing was accepted."""

    retry_after_s = 5


class SampleLate(Unavailable):
    """No worker drew the image in time; ask again."""

    retry_after_s = 2


class StorageUnavailable(Unavailable):
    """Object storage does not answer."""


class LedgerUnavailable(Unavailable):
    """Redis does not answer."""


class LedgerFull(LedgerUnavailable):
    """Redis is nearly full; nothing was accepted."""


class ObjectMissing(LatentmillError):
    """No object has this key."""


class ObjectExists(LatentmillError):
    """An object with this key exists already."""


class DecoderRefused(LatentmillError):
    """The decoder file does not keep the contract and was not loaded."""


class ArchiveBroken(LatentmillError):
    """The archive's bytes are not what its manifest says."""


class ProofWrong(LatentmillError):
    """The image is not what the proof says."""


class SettingsInvalid(LatentmillError):
    """A setting is wrong; nothing was started."""


class StartRefused(LatentmillError):
    """Something the process needs is missing; nothing was started."""


class OutOfMemory(LatentmillError):
    """The shard did not fit into memory; lower shard_size or the worker's concurrency."""


class LeaseLost(LatentmillError):
    """Another worker took the shard over, or the job no longer wants it."""


class JobFailed(LatentmillError):
    """The job failed and made no archive; its `error` says why."""


class JobCancelled(LatentmillError):
    """The job was cancelled and made no archive."""


class WaitTimedOut(LatentmillError):
    """The job is not finished yet; it goes on, and waiting again is free."""


class FolderTaken(LatentmillError):
    """The folder holds another job's files; choose another one."""


class ServerUnreachable(Unavailable):
    """No Latentmill server answers at this URL."""


class AnswerUnexpected(LatentmillError):
    """The server's answer is none that Latentmill gives; is this the right URL?"""


class ChildDied(LatentmillError):
    """A process of the one-machine stack keeps dying; everything was stopped."""


class DataSetInvalid(LatentmillError):
    """The training data cannot be used."""


class TrainingDiverged(LatentmillError):
    """The loss is no longer a number; nothing was written."""


class CheckpointInvalid(LatentmillError):
    """The checkpoint was not written by `latentmill train`."""


class ExportFailed(LatentmillError):
    """The exported decoder does not draw what the trained one draws; nothing was written."""
