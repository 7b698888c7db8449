"""Every object key, as pure functions. Nothing else spells a key."""

from datetime import UTC, datetime, timedelta

from service.contract.recipe import Format, Recipe
from service.contract.shard import Shard

ACTIVE = "active/"
DECODERS = "decoders/"
KEYS = "keys/"
JOBS = "jobs/"
QUARANTINE = "quarantine/"
REPAIRS = "repairs/"
SHARDS = "shards/"
USES = "uses/"
WEBHOOKS = "webhooks/"

#: 13 digits hold milliseconds until the year 2286; subtracting from it lists the newest first.
_LAST_MILLISECOND = 10**13 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decoder_onnx(name: str, digest: str) -> str:
    return f"decoders/{name}/{digest}/decoder.onnx"


def decoder_card(name: str, digest: str) -> str:
    return f"decoders/{name}/{digest}/card.json"


def decoder_current(name: str) -> str:
    return f"decoders/{name}/current.json"


def recipe_prefix(recipe_digest: str) -> str:
    return f"{SHARDS}{recipe_digest}/"


def shard(recipe_digest: str, shard: Shard, format: Format) -> str:
    return f"{recipe_prefix(recipe_digest)}{shard.start:012d}-{shard.stop:012d}.{format}"


def recipe_of_shard(key: str) -> str:
    """The digest of the recipe whose shard a key names."""
    return key.removeprefix(SHARDS).partition("/")[0]


def stop_of_shard(key: str) -> int | None:
    """The sample behind the last of the shard that a key names; None for a key that names none."""
    stop = key.rpartition("/")[2].partition("-")[2].partition(".")[0]
    return int(stop) if stop.isdecimal() else None


def start_of_shard(key: str) -> int | None:
    """The first sample of the shard that a key names; None for a key that names none."""
    start = key.rpartition("/")[2].partition("-")[0]
    return int(start) if start.isdecimal() else None


def shard_of(recipe: Recipe, piece: Shard) -> str:
    return shard(recipe.digest, piece, recipe.format)


def quarantined(key: str, sha256: str) -> str:
    """Where a broken shard is put aside, named by the bytes it really had."""
    return f"{QUARANTINE}{sha256}/{key}"


def use(recipe_digest: str, count: int) -> str:
    """The mark of the newest job of so many samples that used old shards of a recipe; it holds the job's id."""
    return f"{uses_prefix(recipe_digest)}{count:012d}"


def uses_prefix(recipe_digest: str) -> str:
    return f"{USES}{recipe_digest}/"


def count_of_use(key: str) -> int:
    return int(key.rpartition("/")[2])


def job_of_record(key: str) -> str:
    return key.removeprefix(JOBS).partition("/")[0]


def job_request(job_id: str) -> str:
    return f"jobs/{job_id}/request.json"


def job_manifest(job_id: str) -> str:
    return f"jobs/{job_id}/manifest.json"


def job_outcome(job_id: str) -> str:
    return f"jobs/{job_id}/outcome.json"


def job_repair(job_id: str) -> str:
    return f"jobs/{job_id}/repair.json"


def job_webhook(job_id: str) -> str:
    return f"jobs/{job_id}/webhook.json"


def webhook(job_id: str) -> str:
    """The marker of a webhook that is owed: it goes when it was delivered or given up."""
    return f"{WEBHOOKS}{job_id}"


def audit(key: str) -> str:
    """Where it is told that workers of one profile made other bytes of a shard."""
    return f"audits/{key.removeprefix(SHARDS)}.json"


def repair(job_id: str) -> str:
    """The marker of a repair that is owed: it goes when the repair has ended. It holds when it was asked for."""
    return f"{REPAIRS}{job_id}"


def key(sha256: str) -> str:
    """An API key, named by the digest of its token."""
    return f"{KEYS}{sha256}.json"


def active(job_id: str) -> str:
    return f"{ACTIVE}{job_id}"


def log_prefix(owner: str) -> str:
    return f"log/{owner}/"


def log_entry(owner: str, created_at: datetime, job_id: str) -> str:
    # Whole milliseconds by integers: through a float, a moment read back from JSON may get another key.
    inverted = _LAST_MILLISECOND - (created_at - _EPOCH) // timedelta(milliseconds=1)
    return f"{log_prefix(owner)}{inverted:013d}-{job_id}"


def job_of_log_entry(key: str) -> str:
    return key.rpartition("/")[2].partition("-")[2]


def probe(token: str) -> str:
    """A scratch key on which start-up races writers."""
    return f"probe/{token}"
