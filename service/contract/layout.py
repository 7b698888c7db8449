"""Every object key, as pure functions. Nothing else spells a key."""

from datetime import UTC, datetime, timedelta

from service.contract.recipe import Format, Recipe
from service.contract.shard import Shard

ACTIVE = "active/"
DECODERS = "decoders/"

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
    return f"shards/{recipe_digest}/"


def shard(recipe_digest: str, shard: Shard, format: Format) -> str:
    return f"{recipe_prefix(recipe_digest)}{shard.start:012d}-{shard.stop:012d}.{format}"


def start_of_shard(key: str) -> int | None:
    """The first sample of the shard that a key names; None for a key that names none."""
    start = key.rpartition("/")[2].partition("-")[0]
    return int(start) if start.isdecimal() else None


def shard_of(recipe: Recipe, piece: Shard) -> str:
    return shard(recipe.digest, piece, recipe.format)


def quarantined(key: str, sha256: str) -> str:
    """Where a broken shard is put aside, named by the bytes it really had."""
    return f"quarantine/{sha256}/{key}"


def job_request(job_id: str) -> str:
    return f"jobs/{job_id}/request.json"


def job_manifest(job_id: str) -> str:
    return f"jobs/{job_id}/manifest.json"


def job_outcome(job_id: str) -> str:
    return f"jobs/{job_id}/outcome.json"


def job_repair(job_id: str) -> str:
    return f"jobs/{job_id}/repair.json"


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
